//! [`Filter`].

use std::collections::BTreeMap;

use burn::module::Module;
use emrys_schema::Tag;
use serde::{Deserialize, Serialize};

use super::Selection;
use crate::{Block, BlockSpec, Built, Pass, Problems, Result, Scope, Signature, Value};

/// Keeps some of the named inputs, or some columns of a raw batch.
///
/// # Shapes
/// - input: named tensors, or a raw batch
/// - output: those that are kept, unchanged
/// # Parameters
/// None.
/// # Errors
/// At build: a name that is not among the inputs (Merlin gives an empty dictionary); a tag on named
/// tensors, which have no tags; the input is a single tensor.
/// # Example
/// ```
/// use emrys_models::blocks::Filter;
/// use emrys_schema::Tag;
///
/// let by_name = Filter::names(["deep_continuous"]);
/// let by_tag = Filter::tag(Tag::User);
/// let others = Filter::names(["price"]).excluded();
/// # let _ = (by_name, by_tag, others);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `None` keeps everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep: Option<Selection>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exclude: bool,
}

impl Filter {
    /// Keeps everything.
    pub fn all() -> Filter {
        Filter {
            keep: None,
            exclude: false,
        }
    }

    /// Keeps the inputs of those names.
    pub fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Filter {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Filter {
            keep: Some(names.into()),
            exclude: false,
        }
    }

    /// Keeps the columns of a raw batch that have the tag; for a compound tag, all its parts.
    pub fn tag(tag: Tag) -> Filter {
        Filter {
            keep: Some(tag.into()),
            exclude: false,
        }
    }

    /// Keeps everything else instead.
    #[must_use]
    pub fn excluded(mut self) -> Filter {
        self.exclude = !self.exclude;
        self
    }

    pub(super) fn keeps_everything(&self) -> bool {
        self.keep.is_none() && !self.exclude
    }

    /// The names in `input` that are kept.
    fn kept(&self, input: &Signature, scope: &Scope<'_>) -> Result<Vec<String>, Problems> {
        let all: Vec<&str> = match input {
            Signature::Features(schema) => schema.names(),
            Signature::Dict(entries) => entries.keys().map(String::as_str).collect(),
            Signature::Tensor(_) => {
                return Err(scope.problem(format!(
                    "expected named tensors or a raw batch, found {input}"
                )));
            }
        };
        let selected: Vec<String> = match (&self.keep, input) {
            (None, _) => all.iter().map(|name| (*name).to_owned()).collect(),
            (Some(selection), Signature::Features(schema)) => {
                let schema = selection.resolve(schema, scope)?;
                schema.names().into_iter().map(str::to_owned).collect()
            }
            (Some(Selection::Names(names)), _) => {
                Problems::gather(names.iter().map(|name| {
                    if all.contains(&name.as_str()) {
                        return Ok(());
                    }
                    let available: Vec<String> = all.iter().map(|name| (*name).into()).collect();
                    let candidates = crate::error::candidates(name, &available);
                    Err(scope.problem(format!("`{name}` is not among the inputs{candidates}")))
                }))?;
                names.clone()
            }
            (Some(Selection::Tag(tag)), _) => {
                return Err(scope.problem(format!(
                    "expected a raw batch to select tag `{tag}` from, found {input}; select by \
                     name"
                )));
            }
        };
        let keep = |name: &str| selected.iter().any(|kept| kept == name) != self.exclude;
        Ok(all
            .into_iter()
            .filter(|name| keep(name))
            .map(str::to_owned)
            .collect())
    }
}

impl BlockSpec for Filter {
    const NAME: &'static str = "filter";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let kept = self.kept(input, scope)?;
        let output = match input {
            Signature::Features(schema) => {
                Signature::Features(schema.filter(|column| kept.iter().any(|k| k == column.name())))
            }
            Signature::Dict(entries) => {
                let mut entries = entries.clone();
                entries.retain(|name, _| kept.contains(name));
                Signature::Dict(entries)
            }
            tensor @ Signature::Tensor(_) => tensor.clone(),
        };
        Ok(Built::new(FilterBlock { kept }, output))
    }
}

#[derive(Module, Debug)]
struct FilterBlock {
    #[module(skip)]
    kept: Vec<String>,
}

impl Block for FilterBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        // The blocks that follow were built for the kept columns, so a raw batch passes whole.
        if let Value::Features(_) = input {
            return Ok(input);
        }
        let mut entries = input.into_dict(Filter::NAME)?;
        let mut kept = BTreeMap::new();
        for name in &self.kept {
            match entries.remove(name) {
                Some(tensor) => kept.insert(name.clone(), tensor),
                None => {
                    return Err(crate::Error::MissingEntry {
                        block: Filter::NAME,
                        name: name.clone(),
                        available: entries.into_keys().collect(),
                    });
                }
            };
        }
        Ok(Value::Dict(kept))
    }
}
