//! See [`Normalize`].

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::logical_expr::cast;
use emrys_schema::{DType, Schema};
use serde::{Deserialize, Serialize};

use super::columns::{check_float, each_column, scaled_schema};
use super::leaf_statistics::{LeafResults, leaf_statistics};
use crate::functions::{ExactSquares, FloatMap, exact_squares};
use crate::operator::{
    Example, FitResults, InputSchema, Lowered, NewIds, Operator, Relation, Statistic, any_float,
};
use crate::{Error, Result};

/// Subtracts the mean and divides by the standard deviation.
///
/// # Fits
/// Mean and sample standard deviation (`ddof = 1`) of each column, in one scan for all scalar
/// columns and one for each list column. Sums are kept in twice the precision of `float64`, so
/// that large values with a small spread (times in milliseconds) do not cancel and the result is
/// the same whatever the number of threads.
/// # Output
/// The same columns in the same order as `float64`, or the type of
/// [`with_dtype`](Normalize::with_dtype).
/// # Schema
/// Adds `continuous`. A domain is dropped, since it is one of the old values.
/// # Nulls, NaN and empty input
/// Left out of the statistics; null stays null, NaN stays NaN. A column without any number is
/// passed through; a constant column, or one with a single number, becomes zero.
/// # Unseen values
/// Not applicable: every number can be scaled.
/// # List columns
/// Each element, with the moments of all elements.
/// # Errors
/// At build: a column that is not numeric; a dtype that is not a float.
/// # Compared with Merlin
/// Merlin's one-pass variance gives 0 for `1e9 + {0..4}`, and a tiny deviation for constant
/// floats, by which it then divides.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::Normalize};
/// # use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
/// # use std::sync::Arc;
/// # let price: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
/// # let batch = RecordBatch::try_from_iter([("price", price)]).unwrap();
/// # let data = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let fitted = Workflow::new(cols(["price"]) >> Normalize::default()).fit(&data)?;
/// let rows = fitted.transform(&data)?.collect()?;
/// let price: &Float64Array = rows[0].column(0).as_primitive();
/// assert_eq!(price.values(), &[-1.0, 0.0, 1.0]);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Normalize {
    out_dtype: Option<DType>,
}

/// What [`Normalize`] learns: for each column what is subtracted, and what it is divided by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scales {
    columns: BTreeMap<String, Scale>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Scale {
    #[serde(with = "any_float")]
    mean: f64,
    #[serde(with = "any_float")]
    std: f64,
    /// What both were computed from; workflows of format version 1 did not keep it.
    #[serde(default)]
    sums: Option<ExactSquares>,
}

impl Normalize {
    /// The type of the outputs, `float32` or `float64` (the default).
    #[must_use]
    pub fn with_dtype(mut self, dtype: DType) -> Normalize {
        self.out_dtype = Some(dtype);
        self
    }

    fn dtype(&self) -> DType {
        self.out_dtype.unwrap_or(DType::Float64)
    }
}

impl Scale {
    fn new(sums: ExactSquares) -> Scale {
        let mean = sums.total.mean();
        let std = sums.variance().sqrt();
        // Below rounding of the mean, the spread is noise: the column is constant.
        let constant = std.is_nan() || std <= 1e-12 * mean.abs();
        Scale {
            mean: if sums.total.count == 0 { 0.0 } else { mean },
            std: if constant { 1.0 } else { std },
            sums: Some(sums),
        }
    }
}

impl Scales {
    fn column(&self, column: &str) -> Result<&Scale> {
        self.columns.get(column).ok_or_else(|| Error::Data {
            operator: "normalize".to_owned(),
            problem: format!("it was not fitted on `{column}`; fit the workflow again"),
        })
    }
}

impl Operator for Normalize {
    type State = Scales;

    fn name() -> &'static str {
        "Normalize"
    }

    fn description() -> &'static str {
        "Subtracts the mean and divides by the standard deviation."
    }

    fn check(&self) -> Result<()> {
        check_float("normalize", "out_dtype", self.dtype())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&Scales>) -> Result<Schema> {
        scaled_schema(input, self.dtype())
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let mut statistics = Vec::new();
        for column in input.columns() {
            statistics.extend(leaf_statistics(input, column, |values| {
                let sums = exact_squares(cast(values, DataType::Float64));
                Ok(vec![("sums".to_owned(), sums)])
            })?);
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<Scales> {
        let mut columns = BTreeMap::new();
        for column in input.columns() {
            let found = LeafResults::take(&mut results, column)?;
            let sums = ExactSquares::from_scalar(found.get(&results, "sums")?)?;
            columns.insert(column.name().to_owned(), Scale::new(sums));
        }
        Ok(Scales { columns })
    }

    fn refit(
        &self,
        state: &Scales,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<Scales> {
        let mut found = self.fit(input, results)?;
        for (name, scale) in &mut found.columns {
            let known = state.column(name)?.sums.ok_or_else(|| Error::Data {
                operator: "normalize".to_owned(),
                problem: "the workflow was saved without the sums that learning from more data \
                          needs; fit it again on all data"
                    .to_owned(),
            })?;
            let mut sums = known;
            sums.merge(scale.sums.unwrap_or_default());
            *scale = Scale::new(sums);
        }
        Ok(found)
    }

    fn lower(&self, state: &Scales, input: &Relation) -> Result<Lowered> {
        let single = self.dtype() == DType::Float32;
        each_column(input, |column, expr, leaf| {
            let Scale { mean, std, .. } = *state.column(column.name())?;
            Ok(FloatMap::Scale { mean, std, single }.of(expr, leaf))
        })
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Null stays null and does not count.",
                config: serde_json::json!({}),
                input: serde_json::json!({"x": [1.0, 2.0, null, 3.0]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [-1.0, 0.0, null, 1.0]}),
            },
            Example {
                title: "A constant becomes zero.",
                config: serde_json::json!({}),
                input: serde_json::json!({"x": [13.7, 13.7]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [0.0, 0.0]}),
            },
        ]
    }
}
