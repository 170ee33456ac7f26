//! See [`AddMetadata`].

use emrys_schema::{ColumnSchema, Properties, Schema, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns::unchanged;
use crate::Result;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};

/// Adds tags and properties to columns.
///
/// # Output
/// The same columns with the same values.
/// # Schema
/// Adds the tags as [`TagAs`](super::TagAs) does, and the properties; a property of the same key
/// is replaced.
/// # Nulls, NaN and empty input
/// Kept.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Kept.
/// # Errors
/// None.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::AddMetadata};
/// use emrys_schema::{ColumnSchema, DType, Schema, Tag};
///
/// let dwell = AddMetadata::default().with_tags([Tag::Regression]).with_property("unit", "s");
/// let schema = Schema::new([ColumnSchema::new("dwell", DType::Float32)])?;
/// let output = Workflow::new(cols(["dwell"]) >> dwell).output_schema(&schema)?;
/// assert_eq!(output.get("dwell").unwrap().properties()["unit"], "s");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddMetadata {
    tags: Vec<Tag>,
    properties: Properties,
}

impl AddMetadata {
    /// Adds tags.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> AddMetadata {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Adds a property.
    #[must_use]
    pub fn with_property(mut self, key: impl Into<String>, value: impl Into<Value>) -> AddMetadata {
        self.properties.insert(key.into(), value.into());
        self
    }
}

impl Operator for AddMetadata {
    type State = ();

    fn name() -> &'static str {
        "AddMetadata"
    }

    fn description() -> &'static str {
        "Adds tags and properties to columns."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let described = |column: &ColumnSchema| {
            column
                .clone()
                .with_tags(self.tags.clone())
                .with_properties(self.properties.clone())
        };
        Ok(Schema::new(input.columns().map(described))?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        unchanged(input)
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Values stay as they are.",
            config: serde_json::json!({"tags": ["regression"], "properties": {"unit": "s"}}),
            input: serde_json::json!({"dwell": [1.5, null]}),
            selection: Value::Null,
            output: serde_json::json!({"dwell": [1.5, null]}),
        }]
    }
}
