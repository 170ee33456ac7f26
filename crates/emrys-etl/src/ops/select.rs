//! See [`Select`].

use emrys_schema::{Schema, Tag};
use serde::{Deserialize, Serialize};

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::selector::Selector;
use crate::{Error, Result};

/// Keeps some columns, by name or by tag.
///
/// # Output
/// The columns asked for: those named, in the order of the names, then those that have any of the
/// tags, in the order of the input. Each comes out once.
/// # Schema
/// Unchanged, but for the columns left out.
/// # Nulls, NaN and empty input
/// Values are not looked at.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// As others.
/// # Errors
/// At build: neither names nor tags; a name that is not in the input. A tag that no column has
/// selects nothing.
/// # Example
/// ```
/// use emrys_etl::{Workflow, all_columns, ops::Select};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new(["a", "b", "c"].map(|name| ColumnSchema::new(name, DType::Int64)))?;
/// let kept = all_columns() >> Select::columns(["c", "a"]);
/// assert_eq!(Workflow::new(kept).output_schema(&schema)?.names(), ["c", "a"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    columns: Vec<String>,
    tags: Vec<Tag>,
}

impl Select {
    /// The columns of those names.
    pub fn columns(names: impl IntoIterator<Item = impl Into<String>>) -> Select {
        Select {
            columns: names.into_iter().map(Into::into).collect(),
            tags: Vec::new(),
        }
    }

    /// The columns that have any of the tags; for a compound tag, all its parts.
    pub fn tagged(tags: impl IntoIterator<Item = impl Into<Tag>>) -> Select {
        Select {
            columns: Vec::new(),
            tags: tags.into_iter().map(Into::into).collect(),
        }
    }

    /// Keeps the columns that have any of the tags too.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> Select {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    fn names(&self, input: &InputSchema) -> Result<Vec<String>> {
        let selector = Selector::names(self.columns.clone()).and(Selector::tags(self.tags.clone()));
        let selected = selector.resolve(input.schema(), input.operator())?;
        Ok(selected
            .iter()
            .flat_map(|selected| selected.columns().to_vec())
            .collect())
    }
}

impl Operator for Select {
    type State = ();

    fn name() -> &'static str {
        "Select"
    }

    fn description() -> &'static str {
        "Keeps some columns, by name or by tag."
    }

    fn check(&self) -> Result<()> {
        if self.columns.is_empty() && self.tags.is_empty() {
            return Err(Error::InvalidOption {
                operator: "select".to_owned(),
                option: "columns".to_owned(),
                value: "empty".to_owned(),
                expected: "at least one name or tag is needed".to_owned(),
            });
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        Ok(input.schema().select(self.names(input)?)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let outputs: Result<Vec<_>> = self
            .names(input)?
            .into_iter()
            .map(|name| {
                let expr = input.expr(&name)?;
                Ok((name, expr))
            })
            .collect();
        Ok(Lowered::Columns(outputs?))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "In the order asked for.",
            config: serde_json::json!({"columns": ["c", "a"]}),
            input: serde_json::json!({"a": [1], "b": [2], "c": [3]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"c": [3], "a": [1]}),
        }]
    }
}
