//! See [`LogOp`].

use emrys_schema::{DType, Schema, Tag};
use serde::{Deserialize, Serialize};

use super::columns::each_column;
use crate::Result;
use crate::functions::FloatMap;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};

/// Takes the logarithm of one plus the value: `ln(1 + x)`.
///
/// # Output
/// The same columns in the same order as `float32`.
/// # Schema
/// Adds `continuous`. A domain is dropped, since it is one of the old values.
/// # Nulls, NaN and empty input
/// Null stays null, NaN stays NaN. -1 gives minus infinity, less gives NaN.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Each element; lists keep their lengths, null lists stay null.
/// # Errors
/// At build: a column that is not numeric.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::LogOp};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("clicks", DType::Int64)])?;
/// let output = Workflow::new(cols(["clicks"]) >> LogOp).output_schema(&schema)?;
/// assert_eq!(output.get("clicks").unwrap().dtype(), DType::Float32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NoOptions", into = "NoOptions")]
pub struct LogOp;

/// The stored form: an object without keys, as of all operators.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl From<NoOptions> for LogOp {
    fn from(_: NoOptions) -> LogOp {
        LogOp
    }
}

impl From<LogOp> for NoOptions {
    fn from(_: LogOp) -> NoOptions {
        NoOptions {}
    }
}

impl Operator for LogOp {
    type State = ();

    fn name() -> &'static str {
        "LogOp"
    }

    fn description() -> &'static str {
        "Takes the logarithm of one plus the value."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_numeric()?;
        Ok(Schema::new(input.columns().map(|column| {
            column
                .clone()
                .with_dtype(DType::Float32)
                .with_domain(None)
                .with_tags([Tag::Continuous])
        }))?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        each_column(input, |_, expr, leaf| {
            Ok(FloatMap::LogPlusOne.of(expr, leaf))
        })
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Zero stays zero, null stays null.",
            config: serde_json::json!({}),
            input: serde_json::json!({"x": [0.0, 1.718_281_828_459_045, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"x": [0.0, 1.0, null]}),
        }]
    }
}
