//! See [`ReduceDtypeSize`].

use std::collections::BTreeMap;

use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::scalar::ScalarValue;
use emrys_schema::{ColumnSchema, DType, Schema};
use serde::{Deserialize, Serialize};

use super::cast::{leaf_arrow_type, with_type};
use super::columns::{each_column, not_fitted};
use super::leaf_statistics::{LeafResults, leaf_statistics};
use crate::functions::strict_cast;
use crate::operator::{
    Example, FitResults, InputSchema, Lowered, NewIds, Operator, Relation, Statistic,
};
use crate::{Error, Result};

/// Gives columns of numbers the smallest type that holds their values.
///
/// # Fits
/// The least and the greatest value of each column of integers, in one scan for all scalar columns
/// and one for each list column.
/// # Output
/// Integers in the first of `int8`, `int16`, `int32`, `int64` that holds all values; with
/// [`with_unsigned`](ReduceDtypeSize::with_unsigned), columns without negative values in the
/// first of `uint8`, `uint16`, `uint32`, `uint64`. Floats as `float32`, or the type of
/// [`with_float_dtype`](ReduceDtypeSize::with_float_dtype). Other columns are passed through.
/// # Schema
/// Only the dtype changes. Before fitting, integers seem to keep theirs.
/// # Nulls, NaN and empty input
/// Null stays null, NaN stays NaN. A column of integers without any value becomes the smallest type.
/// # Unseen values
/// An integer that the type chosen in fitting cannot hold is an error.
/// # List columns
/// By all elements.
/// # Errors
/// At build: a type for floats that is none. At transform: a value beyond the chosen type, with the
/// column and the value.
/// # Compared with Merlin
/// Merlin wraps integers that do not fit. Integers with nulls stay integers.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::ReduceDtypeSize};
/// # use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use std::sync::Arc;
/// # let age: ArrayRef = Arc::new(Int64Array::from(vec![18, 200]));
/// # let batch = RecordBatch::try_from_iter([("age", age)]).unwrap();
/// # let data = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let reduced = cols(["age"]) >> ReduceDtypeSize::default().with_unsigned(true);
/// let fitted = Workflow::new(reduced).fit(&data)?;
/// assert_eq!(fitted.output_schema().get("age").unwrap().dtype().to_string(), "uint8");
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReduceDtypeSize {
    float_dtype: DType,
    unsigned: bool,
}

/// What [`ReduceDtypeSize`] learns: the range of each column of integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegerRanges {
    columns: BTreeMap<String, IntegerRange>,
}

/// The least and the greatest value; none if there was no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Bounds", into = "Bounds")]
struct IntegerRange(Option<(i128, i128)>);

/// The stored form: JSON has no integers beyond 64 bits. The signed ones are those below zero.
#[derive(Serialize, Deserialize)]
struct Bounds {
    signed: Option<(i64, i64)>,
    unsigned: Option<(u64, u64)>,
}

impl From<IntegerRange> for Bounds {
    fn from(IntegerRange(range): IntegerRange) -> Bounds {
        let signed =
            |(min, max): (i128, i128)| Some((i64::try_from(min).ok()?, i64::try_from(max).ok()?));
        let unsigned =
            |(min, max): (i128, i128)| Some((u64::try_from(min).ok()?, u64::try_from(max).ok()?));
        let unsigned = range.and_then(unsigned);
        Bounds {
            signed: range.and_then(signed).filter(|_| unsigned.is_none()),
            unsigned,
        }
    }
}

impl From<Bounds> for IntegerRange {
    fn from(bounds: Bounds) -> IntegerRange {
        let signed = bounds
            .signed
            .map(|(min, max)| (i128::from(min), i128::from(max)));
        let unsigned = bounds
            .unsigned
            .map(|(min, max)| (i128::from(min), i128::from(max)));
        IntegerRange(signed.or(unsigned))
    }
}

impl Default for ReduceDtypeSize {
    /// Floats become `float32`, integers signed ones.
    fn default() -> ReduceDtypeSize {
        ReduceDtypeSize {
            float_dtype: DType::Float32,
            unsigned: false,
        }
    }
}

const SIGNED: [DType; 4] = [DType::Int8, DType::Int16, DType::Int32, DType::Int64];
const UNSIGNED: [DType; 4] = [DType::UInt8, DType::UInt16, DType::UInt32, DType::UInt64];

impl ReduceDtypeSize {
    /// The type of columns of floats, `float32` by default.
    #[must_use]
    pub fn with_float_dtype(mut self, dtype: DType) -> ReduceDtypeSize {
        self.float_dtype = dtype;
        self
    }

    /// Whether columns without negative values get unsigned types, off by default: many libraries
    /// for training have signed integers only.
    #[must_use]
    pub fn with_unsigned(mut self, unsigned: bool) -> ReduceDtypeSize {
        self.unsigned = unsigned;
        self
    }

    /// The type that a column comes out with.
    fn dtype(
        &self,
        input: &InputSchema,
        column: &ColumnSchema,
        state: Option<&IntegerRanges>,
    ) -> Result<DType> {
        if column.dtype().is_float() {
            return Ok(self.float_dtype);
        }
        let Some(state) = state.filter(|_| column.dtype().is_integer()) else {
            return Ok(column.dtype());
        };
        let IntegerRange(range) = state
            .columns
            .get(column.name())
            .ok_or_else(|| not_fitted(input, column.name()))?;
        let (min, max) = range.unwrap_or((0, 0));
        let candidates = if self.unsigned && min >= 0 {
            UNSIGNED
        } else {
            SIGNED
        };
        let fits = |dtype: &DType| {
            let bits = dtype.bits().unwrap_or(64);
            let (low, high) = if dtype.is_unsigned_integer() {
                (0, (1 << bits) - 1)
            } else {
                (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            };
            low <= min && max <= high
        };
        // Only values of `uint64` can be beyond all signed types.
        Ok(candidates.into_iter().find(fits).unwrap_or(column.dtype()))
    }
}

fn integer(value: &ScalarValue) -> Result<Option<i128>> {
    if value.is_null() {
        return Ok(None);
    }
    // The text of an integer is the integer, whatever its width and sign.
    let parsed = value.to_string().parse();
    parsed
        .map(Some)
        .map_err(|_| Error::Internal(format!("{value} is no integer")))
}

impl Operator for ReduceDtypeSize {
    type State = IntegerRanges;

    fn name() -> &'static str {
        "ReduceDtypeSize"
    }

    fn description() -> &'static str {
        "Gives columns of numbers the smallest type that holds their values."
    }

    fn check(&self) -> Result<()> {
        if self.float_dtype.is_float() {
            return Ok(());
        }
        Err(Error::InvalidOption {
            operator: "reduce_dtype_size".to_owned(),
            option: "float_dtype".to_owned(),
            value: self.float_dtype.to_string(),
            expected: "it must be float16, float32 or float64".to_owned(),
        })
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&IntegerRanges>) -> Result<Schema> {
        let columns: Result<Vec<ColumnSchema>> = input
            .columns()
            .map(|column| Ok(with_type(column, self.dtype(input, column, state)?)))
            .collect();
        Ok(Schema::new(columns?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let mut statistics = Vec::new();
        for column in input.columns().filter(|column| column.dtype().is_integer()) {
            statistics.extend(leaf_statistics(input, column, |values| {
                Ok(vec![
                    ("min".to_owned(), min(values.clone())),
                    ("max".to_owned(), max(values)),
                ])
            })?);
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<IntegerRanges> {
        let mut columns = BTreeMap::new();
        for column in input.columns().filter(|column| column.dtype().is_integer()) {
            let found = LeafResults::take(&mut results, column)?;
            let min = integer(found.get(&results, "min")?)?;
            let max = integer(found.get(&results, "max")?)?;
            columns.insert(column.name().to_owned(), IntegerRange(min.zip(max)));
        }
        Ok(IntegerRanges { columns })
    }

    fn refit(
        &self,
        state: &IntegerRanges,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<IntegerRanges> {
        let mut ranges = self.fit(input, results)?;
        for (name, range) in &mut ranges.columns {
            if let Some(IntegerRange(Some((min, max)))) = state.columns.get(name) {
                let (new_min, new_max) = range.0.unwrap_or((*min, *max));
                range.0 = Some((new_min.min(*min), new_max.max(*max)));
            }
        }
        Ok(ranges)
    }

    fn lower(&self, state: &IntegerRanges, input: &Relation) -> Result<Lowered> {
        each_column(input, |column, expr, _| {
            let dtype = self.dtype(input, column, Some(state))?;
            if dtype == column.dtype() {
                return Ok(expr);
            }
            let target = leaf_arrow_type(column, dtype)?;
            let advice = "fit the workflow on data that have such values";
            Ok(strict_cast(
                input.operator(),
                column.name(),
                expr,
                &target,
                advice,
            ))
        })
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Values stay what they are; `i` needs 64 bits, `f` becomes float32.",
            config: serde_json::json!({}),
            input: serde_json::json!({"i": [1, 5_000_000_000_i64, null], "f": [0.5, 2.0, null], "s": ["a", "b", "c"]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"i": [1, 5_000_000_000_i64, null], "f": [0.5, 2.0, null], "s": ["a", "b", "c"]}),
        }]
    }
}
