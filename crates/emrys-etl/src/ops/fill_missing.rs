//! See [`FillMissing`].

use arrow::datatypes::DataType;
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use emrys_schema::{ColumnSchema, DType, Schema};
use serde::{Deserialize, Serialize};

use super::columns::{each_column, flag_columns, flags};
use crate::functions::fill;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Puts a value in the place of missing ones.
///
/// # Output
/// The same columns and dtypes; with [`with_flags`](FillMissing::with_flags), after them a boolean
/// `<column>_filled` for each.
/// # Schema
/// Unchanged, but for the flags.
/// # Nulls, NaN and empty input
/// Null is filled, and so is NaN in float columns.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Missing elements are filled; null lists stay null, and a flag tells of a null list.
/// # Errors
/// At build: the value is not one of the column's type.
/// # Compared with Merlin
/// Elements of lists are filled too; Merlin leaves lists alone. Integers stay integers.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::FillMissing};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("age", DType::Int64)])?;
/// let filled = cols(["age"]) >> FillMissing::with(30).with_flags(true);
/// assert_eq!(Workflow::new(filled).output_schema(&schema)?.names(), ["age", "age_filled"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FillMissing {
    fill_val: FillValue,
    add_binary_cols: bool,
}

/// What fills empty places: of columns ([`FillMissing`]) or of lists
/// ([`ListSlice`](super::ListSlice)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FillValue {
    /// For booleans.
    Bool(bool),
    /// For numbers.
    Int(i64),
    /// For floats, and for integers if it is whole.
    Float(f64),
    /// For text.
    Text(String),
}

impl FillValue {
    /// Whether it is a value of a type.
    pub(super) fn fits(&self, dtype: DType) -> bool {
        match self {
            _ if dtype == DType::Unknown => true,
            FillValue::Bool(_) => dtype == DType::Bool,
            FillValue::Int(_) => dtype.is_numeric(),
            FillValue::Float(value) => {
                dtype.is_float() || (dtype.is_integer() && value.fract() == 0.0)
            }
            FillValue::Text(_) => dtype == DType::String,
        }
    }

    /// The value for the engine.
    pub(super) fn scalar(&self) -> ScalarValue {
        match self {
            FillValue::Bool(value) => ScalarValue::from(*value),
            FillValue::Int(value) => ScalarValue::from(*value),
            FillValue::Float(value) => ScalarValue::from(*value),
            FillValue::Text(value) => ScalarValue::from(value.as_str()),
        }
    }
}

impl std::fmt::Display for FillValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FillValue::Bool(value) => write!(f, "{value}"),
            FillValue::Int(value) => write!(f, "{value}"),
            FillValue::Float(value) => write!(f, "{value}"),
            FillValue::Text(value) => write!(f, "`{value}`"),
        }
    }
}

impl From<bool> for FillValue {
    fn from(value: bool) -> FillValue {
        FillValue::Bool(value)
    }
}

impl From<i64> for FillValue {
    fn from(value: i64) -> FillValue {
        FillValue::Int(value)
    }
}

impl From<i32> for FillValue {
    fn from(value: i32) -> FillValue {
        FillValue::Int(value.into())
    }
}

impl From<f64> for FillValue {
    fn from(value: f64) -> FillValue {
        FillValue::Float(value)
    }
}

impl From<&str> for FillValue {
    fn from(value: &str) -> FillValue {
        FillValue::Text(value.to_owned())
    }
}

impl Default for FillMissing {
    /// Fills with 0.
    fn default() -> FillMissing {
        FillMissing::of(FillValue::Int(0))
    }
}

impl FillMissing {
    fn of(fill_val: FillValue) -> FillMissing {
        FillMissing {
            fill_val,
            add_binary_cols: false,
        }
    }

    /// Fills with a number, a text or a boolean.
    pub fn with(value: impl Into<FillValue>) -> FillMissing {
        FillMissing::of(value.into())
    }

    /// Adds a boolean column `<column>_filled` for each column, that says which values were
    /// missing; off by default.
    #[must_use]
    pub fn with_flags(mut self, flags: bool) -> FillMissing {
        self.add_binary_cols = flags;
        self
    }
}

impl Operator for FillMissing {
    type State = ();

    fn name() -> &'static str {
        "FillMissing"
    }

    fn description() -> &'static str {
        "Puts a value in the place of missing ones."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        for column in input.columns() {
            if !self.fill_val.fits(column.dtype()) {
                return Err(Error::InvalidOption {
                    operator: "fill_missing".to_owned(),
                    option: "fill_val".to_owned(),
                    value: self.fill_val.to_string(),
                    expected: format!("column `{}` is {}", column.name(), column.dtype()),
                });
            }
        }
        let mut columns: Vec<ColumnSchema> = input.columns().cloned().collect();
        if self.add_binary_cols {
            columns.extend(flag_columns(input));
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let filled =
            |_: &ColumnSchema, expr: Expr, _: &DataType| Ok(fill(expr, self.fill_val.scalar()));
        let Lowered::Columns(mut outputs) = each_column(input, filled)? else {
            return Err(Error::Internal("columns were lowered to rows".to_owned()));
        };
        if self.add_binary_cols {
            outputs.extend(flags(input)?);
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Fill, and remember where.",
            config: serde_json::json!({"fill_val": 7, "add_binary_cols": true}),
            input: serde_json::json!({"x": [1, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"x": [1, 7], "x_filled": [false, true]}),
        }]
    }
}
