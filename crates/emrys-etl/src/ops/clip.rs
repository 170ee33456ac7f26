//! See [`Clip`].

use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, lit, when};
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, DType, Schema};
use serde::{Deserialize, Serialize};

use super::columns::each_column;
use crate::functions::FloatMap;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Limits numbers to `[min, max]`; a bound that is not given does not limit.
///
/// # Output
/// Same columns, names, row order and dtypes.
/// # Schema
/// Unchanged.
/// # Nulls, NaN and empty input
/// Null stays null, NaN stays NaN. No rows in, no rows out.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Each element is limited; offsets, empty lists and null lists are kept.
/// # Errors
/// At build: no bound given; `min_value > max_value`; a bound that the dtype cannot hold (-1 for
/// `uint8`, 0.5 for `int64`); a column that is not numeric.
/// # Compared with Merlin
/// Lists are supported.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::Clip};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("age", DType::UInt8)])?;
/// let error = Workflow::new(cols(["age"]) >> Clip::at_least(-1)).output_schema(&schema).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "clip: `min_value` is -1, but column `age` is uint8 and cannot hold it",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    #[serde(default)]
    min_value: Option<f64>,
    #[serde(default)]
    max_value: Option<f64>,
}

impl Clip {
    /// Limits to `[min, max]`.
    pub fn between(min: impl Into<f64>, max: impl Into<f64>) -> Clip {
        Clip {
            min_value: Some(min.into()),
            max_value: Some(max.into()),
        }
    }

    /// Raises smaller values to `min`.
    pub fn at_least(min: impl Into<f64>) -> Clip {
        Clip {
            min_value: Some(min.into()),
            max_value: None,
        }
    }

    /// Lowers greater values to `max`.
    pub fn at_most(max: impl Into<f64>) -> Clip {
        Clip {
            min_value: None,
            max_value: Some(max.into()),
        }
    }

    fn bounds(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let min = self.min_value.map(|value| ("min_value", value));
        min.into_iter()
            .chain(self.max_value.map(|value| ("max_value", value)))
    }
}

/// Whether a number is a value of the type.
fn holds(dtype: DType, value: f64) -> bool {
    if !dtype.is_integer() {
        return !value.is_nan();
    }
    let bits = dtype.bits().unwrap_or(64);
    let (low, high) = if dtype.is_unsigned_integer() {
        (0.0, 2f64.powi(bits as i32))
    } else {
        (-(2f64.powi(bits as i32 - 1)), 2f64.powi(bits as i32 - 1))
    };
    value.fract() == 0.0 && value >= low && value < high
}

impl Operator for Clip {
    type State = ();

    fn name() -> &'static str {
        "Clip"
    }

    fn description() -> &'static str {
        "Limits numbers to a range."
    }

    fn check(&self) -> Result<()> {
        let invalid = |option: &str, value: String, expected: &str| Error::InvalidOption {
            operator: "clip".to_owned(),
            option: option.to_owned(),
            value,
            expected: expected.to_owned(),
        };
        match (self.min_value, self.max_value) {
            (None, None) => Err(invalid(
                "min_value",
                "not given".to_owned(),
                "a bound is needed; set one of min_value and max_value",
            )),
            (Some(min), Some(max)) if min > max => Err(invalid(
                "min_value",
                min.to_string(),
                &format!("it must not exceed max_value, which is {max}"),
            )),
            _ => Ok(()),
        }
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_numeric()?;
        for column in input.columns() {
            for (option, value) in self.bounds() {
                if !holds(column.dtype(), value) {
                    return Err(Error::InvalidOption {
                        operator: "clip".to_owned(),
                        option: option.to_owned(),
                        value: value.to_string(),
                        expected: format!(
                            "column `{}` is {} and cannot hold it",
                            column.name(),
                            column.dtype()
                        ),
                    });
                }
            }
        }
        Ok(input.schema().clone())
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        each_column(input, |_: &ColumnSchema, expr: Expr, leaf: &DataType| {
            if leaf.is_floating() {
                let min = self.min_value.unwrap_or(f64::NEG_INFINITY);
                let max = self.max_value.unwrap_or(f64::INFINITY);
                let clipped = FloatMap::Clip { min, max }.of(expr, leaf);
                return Ok(cast(clipped, leaf.clone()));
            }
            let bound = |value: f64| cast(lit(value), leaf.clone());
            let mut clipped = expr.clone();
            if let Some(max) = self.max_value {
                clipped = when(expr.clone().gt(bound(max)), bound(max))
                    .otherwise(clipped)
                    .map_err(Error::query("building an expression"))?;
            }
            if let Some(min) = self.min_value {
                clipped = when(expr.clone().lt(bound(min)), bound(min))
                    .otherwise(clipped)
                    .map_err(Error::query("building an expression"))?;
            }
            Ok(clipped)
        })
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Both bounds; null stays null.",
            config: serde_json::json!({"min_value": 0, "max_value": 5}),
            input: serde_json::json!({"x": [-3, 2, 9, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"x": [0, 2, 5, null]}),
        }]
    }
}
