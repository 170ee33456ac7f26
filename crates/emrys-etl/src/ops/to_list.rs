//! See [`ToList`].

use datafusion::functions_nested::expr_fn::make_array;
use datafusion::logical_expr::cast;
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, Schema, Shape, Tag, TagSet};
use serde::{Deserialize, Serialize};

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::selector::Selected;
use crate::{Error, Result};

/// Puts values into lists: each value into a list of its own, or those of several columns into one.
///
/// # Output
/// A column by itself becomes lists of length 1 under its name. A group of columns becomes one
/// column of lists with a value of each, in the order of the group, called after its members
/// (`a_b`) with [`with_name_sep`](ToList::with_name_sep) between them. The dtype of the elements is
/// that of the columns.
/// # Schema
/// A fixed shape, and the tag `list`. A group has the tags that all its members have, and their
/// domain if it is the same.
/// # Nulls, NaN and empty input
/// Null becomes a null inside the list; no list is null.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Refused: they are lists already.
/// # Errors
/// At build: a list; a group of columns of different types.
/// # Example
/// ```
/// use emrys_etl::{Workflow, group, ops::ToList};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new(["x", "y"].map(|name| ColumnSchema::new(name, DType::Float32)))?;
/// let output = Workflow::new(group(["x", "y"]) >> ToList::default()).output_schema(&schema)?;
/// assert_eq!(output.get("x_y").unwrap().shape().to_string(), "[2]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToList {
    name_sep: String,
}

impl Default for ToList {
    fn default() -> ToList {
        ToList {
            name_sep: "_".to_owned(),
        }
    }
}

impl ToList {
    /// What stands between the names of the members of a group, `_` by default.
    #[must_use]
    pub fn with_name_sep(mut self, separator: impl Into<String>) -> ToList {
        self.name_sep = separator.into();
        self
    }

    fn output(&self, input: &InputSchema, selected: &Selected) -> Result<ColumnSchema> {
        let members: Result<Vec<&ColumnSchema>> = selected
            .columns()
            .iter()
            .map(|name| input.column(name))
            .collect();
        let members = members?;
        let [first, others @ ..] = members.as_slice() else {
            return Err(Error::InvalidOption {
                operator: "to_list".to_owned(),
                option: "columns".to_owned(),
                value: "an empty group".to_owned(),
                expected: "at least one column is needed".to_owned(),
            });
        };
        if let Some(other) = others.iter().find(|other| other.dtype() != first.dtype()) {
            return Err(Error::UnsupportedType {
                operator: "to_list".to_owned(),
                column: other.name().to_owned(),
                found: other.dtype().to_string(),
                expected: format!(
                    "`{}` of the same list is {}; cast one of the two",
                    first.name(),
                    first.dtype()
                ),
            });
        }
        let shared = first.tags().iter().filter(|tag| {
            let tag = (*tag).clone();
            others.iter().all(|other| other.has_tag(tag.clone()))
        });
        let tags = TagSet::EMPTY.with(shared.cloned()).with([Tag::List]);
        let same_domain = others.iter().all(|other| other.domain() == first.domain());
        let mut output = ColumnSchema::new(selected.joined(&self.name_sep), first.dtype())
            .with_shape(Shape::fixed(members.len() as u64))
            .with_tags(tags.iter().cloned())
            .with_domain(first.domain().filter(|_| same_domain).cloned());
        if others.is_empty() {
            output = output.with_properties(first.properties().clone());
        }
        Ok(output)
    }
}

impl Operator for ToList {
    type State = ();

    fn name() -> &'static str {
        "ToList"
    }

    fn description() -> &'static str {
        "Puts values into lists, those of several columns into one."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_scalars()?;
        let selected = input.selected().iter();
        let columns: Result<Vec<ColumnSchema>> = selected
            .map(|selected| self.output(input, selected))
            .collect();
        Ok(Schema::new(columns?)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let mut outputs = Vec::new();
        for selected in input.selected() {
            let output = self.output(input, selected)?;
            let list = output.to_arrow()?.data_type().clone();
            let element = crate::operator::leaf_type(&list);
            let members: Result<Vec<Expr>> = selected
                .columns()
                .iter()
                .map(|name| Ok(cast(input.expr(name)?, element.clone())))
                .collect();
            let expr = cast(make_array(members?), list.clone());
            outputs.push((output.name().to_owned(), expr));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Each value alone.",
                config: serde_json::json!({}),
                input: serde_json::json!({"a": [1, null]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"a": [[1], [null]]}),
            },
            Example {
                title: "Two columns in one list.",
                config: serde_json::json!({}),
                input: serde_json::json!({"a": [1, null], "b": [3, 4]}),
                selection: serde_json::json!([["a", "b"]]),
                output: serde_json::json!({"a_b": [[1, 3], [null, 4]]}),
            },
        ]
    }
}
