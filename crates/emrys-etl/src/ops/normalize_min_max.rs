//! See [`NormalizeMinMax`].

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::functions::math::expr_fn::abs;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{cast, lit, when};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use emrys_schema::{ColumnSchema, DType, Schema};
use serde::{Deserialize, Serialize};

use super::columns::{check_float, each_column, is_missing, not_fitted, scaled_schema};
use super::leaf_statistics::{LeafResults, leaf_statistics};
use crate::operator::{
    Example, FitResults, InputSchema, Lowered, NewIds, Operator, Relation, Statistic, any_float,
};
use crate::{Error, Result};

/// Moves and scales numbers so that those seen in fitting lie between 0 and 1.
///
/// # Fits
/// The least and the greatest value of each column, in one scan for all scalar columns and one for
/// each list column.
/// # Output
/// `(x - min) / (max - min)`: the same columns in the same order as `float64`, or the type of
/// [`with_dtype`](NormalizeMinMax::with_dtype). A column with a single value becomes 0.5.
/// # Schema
/// Adds `continuous`. A domain is dropped, since it is one of the old values.
/// # Nulls, NaN and empty input
/// Null, NaN and infinite values do not count in fitting; null stays null, NaN stays NaN. Without
/// any value to fit on, all become 0.5.
/// # Unseen values
/// Not limited: less than the least becomes negative, more than the greatest exceeds 1. Let `Clip`
/// follow if that must not be.
/// # List columns
/// Each element, with the range of all elements.
/// # Errors
/// At build: a column that is not numeric; a dtype that is not a float.
/// # Compared with Merlin
/// Lists are supported; Merlin gives NaN for a column of zeros.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::NormalizeMinMax};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("age", DType::Int64)])?;
/// let scaled = cols(["age"]) >> NormalizeMinMax::default().with_dtype(DType::Float32);
/// let output = Workflow::new(scaled).output_schema(&schema)?;
/// assert_eq!(output.get("age").unwrap().dtype(), DType::Float32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeMinMax {
    out_dtype: Option<DType>,
}

/// What [`NormalizeMinMax`] learns: the range of each column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranges {
    columns: BTreeMap<String, Range>,
}

/// From infinity to minus infinity if there was no value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Range {
    #[serde(with = "any_float")]
    min: f64,
    #[serde(with = "any_float")]
    max: f64,
}

impl NormalizeMinMax {
    /// The type of the outputs, `float32` or `float64` (the default).
    #[must_use]
    pub fn with_dtype(mut self, dtype: DType) -> NormalizeMinMax {
        self.out_dtype = Some(dtype);
        self
    }

    fn dtype(&self) -> DType {
        self.out_dtype.unwrap_or(DType::Float64)
    }
}

fn bound(value: &ScalarValue, if_none: f64) -> Result<f64> {
    match value {
        ScalarValue::Float64(found) => Ok(found.unwrap_or(if_none)),
        other => Err(Error::Internal(format!("{other} is no float"))),
    }
}

fn build(case: datafusion::error::Result<Expr>) -> Result<Expr> {
    case.map_err(Error::query("building an expression"))
}

impl Operator for NormalizeMinMax {
    type State = Ranges;

    fn name() -> &'static str {
        "NormalizeMinMax"
    }

    fn description() -> &'static str {
        "Moves and scales numbers so that those seen in fitting lie between 0 and 1."
    }

    fn check(&self) -> Result<()> {
        check_float("normalize_min_max", "out_dtype", self.dtype())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&Ranges>) -> Result<Schema> {
        scaled_schema(input, self.dtype())
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let mut statistics = Vec::new();
        for column in input.columns() {
            statistics.extend(leaf_statistics(input, column, |values| {
                let number = cast(values, DataType::Float64);
                // NaN is greater than infinity in the order of the engine.
                let finite = abs(number.clone()).lt(lit(f64::INFINITY));
                let finite = build(when(finite, number).end())?;
                Ok(vec![
                    ("min".to_owned(), min(finite.clone())),
                    ("max".to_owned(), max(finite)),
                ])
            })?);
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<Ranges> {
        let mut columns = BTreeMap::new();
        for column in input.columns() {
            let found = LeafResults::take(&mut results, column)?;
            let range = Range {
                min: bound(found.get(&results, "min")?, f64::INFINITY)?,
                max: bound(found.get(&results, "max")?, f64::NEG_INFINITY)?,
            };
            columns.insert(column.name().to_owned(), range);
        }
        Ok(Ranges { columns })
    }

    fn refit(
        &self,
        state: &Ranges,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<Ranges> {
        let mut ranges = self.fit(input, results)?;
        for (name, range) in &mut ranges.columns {
            if let Some(known) = state.columns.get(name) {
                range.min = range.min.min(known.min);
                range.max = range.max.max(known.max);
            }
        }
        Ok(ranges)
    }

    fn lower(&self, state: &Ranges, input: &Relation) -> Result<Lowered> {
        let output = ColumnSchema::new("", self.dtype())
            .to_arrow()?
            .data_type()
            .clone();
        each_column(input, |column, expr, _| {
            let range = state
                .columns
                .get(column.name())
                .ok_or_else(|| not_fitted(input, column.name()))?;
            let number = cast(expr, DataType::Float64);
            let scaled = if range.min < range.max {
                (number - lit(range.min)) / lit(range.max - range.min)
            } else {
                let missing = is_missing(number.clone(), &DataType::Float64);
                build(when(missing, number).otherwise(lit(0.5)))?
            };
            Ok(cast(scaled, output.clone()))
        })
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Null stays null.",
                config: serde_json::json!({}),
                input: serde_json::json!({"x": [-3, 4, null, 0.5]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [0.0, 1.0, null, 0.5]}),
            },
            Example {
                title: "A constant becomes one half.",
                config: serde_json::json!({}),
                input: serde_json::json!({"x": [0, 0, 0]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [0.5, 0.5, 0.5]}),
            },
        ]
    }
}
