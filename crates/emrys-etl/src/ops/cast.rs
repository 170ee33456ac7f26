//! See [`Cast`].

use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use datafusion::logical_expr::try_cast;
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Shape};
use serde::{Deserialize, Serialize};

use super::PerColumn;
use super::columns::each_column;
use crate::functions::strict_cast;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Gives columns another type.
///
/// No value changes its meaning: a run stops at the first one that the new type cannot hold, unless
/// [`with_lossy`](Cast::with_lossy) allows it.
///
/// # Output
/// The same names and rows in the types asked for; columns for which no type is given are passed
/// through. Floats are rounded to a narrower float.
/// # Schema
/// Tags and properties are kept; a domain of integers is kept by columns of integers.
/// # Nulls, NaN and empty input
/// Null stays null; NaN becomes null in a column of integers.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Each element; lists keep their lengths, null lists stay null.
/// # Errors
/// At build: types that cannot be cast into each other. At fit or transform: a value that the new
/// type cannot hold (300 as `int8`, 0.5 as an integer, `x` as a number, a time of day as a date),
/// with the column and the value.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::Cast};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("age", DType::Int64)])?;
/// let small = cols(["age"]) >> Cast::to(DType::Int8);
/// assert_eq!(Workflow::new(small).output_schema(&schema)?.get("age").unwrap().dtype(), DType::Int8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    dtype: PerColumn<DType>,
    #[serde(default)]
    lossy: bool,
}

impl Cast {
    /// The same type for all columns.
    pub fn to(dtype: DType) -> Cast {
        Cast {
            dtype: PerColumn::All(dtype),
            lossy: false,
        }
    }

    /// A type for each column; others are passed through.
    pub fn per_column(types: impl IntoIterator<Item = (impl Into<String>, DType)>) -> Cast {
        let types = types.into_iter().map(|(name, dtype)| (name.into(), dtype));
        Cast {
            dtype: PerColumn::ByColumn(types.collect()),
            lossy: false,
        }
    }

    /// Whether values may be lost; off by default. Fractions of integers are then cut off, times
    /// lose what is finer than the new unit, and what the new type cannot hold becomes null.
    #[must_use]
    pub fn with_lossy(mut self, lossy: bool) -> Cast {
        self.lossy = lossy;
        self
    }
}

/// The Arrow type of the values of a column, or of the elements of its lists.
pub(super) fn leaf_arrow_type(column: &ColumnSchema, dtype: DType) -> Result<DataType> {
    let leaf = column.clone().with_dtype(dtype).with_shape(Shape::SCALAR);
    Ok(leaf.to_arrow()?.data_type().clone())
}

/// The column with another type; a domain of integers stays where it can.
pub(super) fn with_type(column: &ColumnSchema, dtype: DType) -> ColumnSchema {
    let domain = column.domain().filter(|domain| match domain {
        Domain::Int { .. } => dtype.is_integer() && column.dtype().is_integer(),
        Domain::Float { .. } => dtype.is_float(),
    });
    let domain = domain.cloned();
    column.clone().with_dtype(dtype).with_domain(domain)
}

impl Operator for Cast {
    type State = ();

    fn name() -> &'static str {
        "Cast"
    }

    fn description() -> &'static str {
        "Gives columns another type."
    }

    fn check(&self) -> Result<()> {
        match self
            .dtype
            .iter()
            .find(|(_, dtype)| **dtype == DType::Unknown)
        {
            None => Ok(()),
            Some(_) => Err(Error::InvalidOption {
                operator: "cast".to_owned(),
                option: "dtype".to_owned(),
                value: DType::Unknown.to_string(),
                expected: "nothing can be cast to it; name a type such as int32".to_owned(),
            }),
        }
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let mut columns = Vec::new();
        for column in input.columns() {
            let Some(dtype) = self.dtype.get(column.name()) else {
                columns.push(column.clone());
                continue;
            };
            let target = leaf_arrow_type(column, *dtype)?;
            if column.dtype() != DType::Unknown {
                let found = leaf_arrow_type(column, column.dtype())?;
                if !can_cast_types(&found, &target) {
                    return Err(Error::UnsupportedType {
                        operator: input.operator().to_owned(),
                        column: column.name().to_owned(),
                        found: column.dtype().to_string(),
                        expected: format!("that cannot be cast to {dtype}; use an expression"),
                    });
                }
            }
            columns.push(with_type(column, *dtype));
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        each_column(input, |column, expr, _| {
            let name = column.name();
            let Some(dtype) = self.dtype.get(name) else {
                return Ok(expr);
            };
            let target = leaf_arrow_type(column, *dtype)?;
            Ok(if self.lossy {
                try_cast(expr, target)
            } else {
                let advice = "choose another type, or allow lossy casts";
                strict_cast(input.operator(), name, expr, &target, advice)
            })
        })
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Texts to numbers; null stays null.",
                config: serde_json::json!({"dtype": "int32"}),
                input: serde_json::json!({"x": ["7", null, "-12"]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [7, null, -12]}),
            },
            Example {
                title: "What does not fit becomes null if that is allowed.",
                config: serde_json::json!({"dtype": {"x": "int8"}, "lossy": true}),
                input: serde_json::json!({"x": [1.9, 300.0], "y": [1.9, 300.0]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [1, null], "y": [1.9, 300.0]}),
            },
        ]
    }
}
