//! Aggregates over ranges of rows: over the groups of sorted rows, and over the elements of lists.

mod numbers;
mod order;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result as EngineResult;
use emrys_schema::DType;

use super::lists::list_array;
use crate::functions::lossless_cast::nan_to_null;

/// What is computed of many values.
///
/// Nulls and NaN are left out, except where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// All values in order, missing ones included.
    List,
    /// The first value, which may be missing.
    First,
    /// The last value, which may be missing.
    Last,
    /// How many values there are, missing ones included (`int32`).
    Len,
    /// How many values are not missing (`int32`).
    Count,
    /// How many different values there are (`int32`).
    Nunique,
    /// The sum; 0 of nothing (`float32`).
    Sum,
    /// The mean; null of nothing (`float32`).
    Mean,
    /// The middle value, or the mean of the two in the middle; null of nothing (`float32`).
    Median,
    /// The standard deviation of a sample; null of fewer than two values (`float32`).
    Std,
    /// The variance of a sample; null of fewer than two values (`float32`).
    Var,
    /// The least value; null of nothing.
    Min,
    /// The greatest value; null of nothing.
    Max,
}

impl Aggregate {
    /// All of them.
    pub(crate) const ALL: [Aggregate; 13] = [
        Aggregate::List,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Len,
        Aggregate::Count,
        Aggregate::Nunique,
        Aggregate::Sum,
        Aggregate::Mean,
        Aggregate::Median,
        Aggregate::Std,
        Aggregate::Var,
        Aggregate::Min,
        Aggregate::Max,
    ];

    /// The aggregate of a name.
    pub(crate) fn named(name: &str) -> Option<Aggregate> {
        Aggregate::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// The name in configurations and in the names of columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Aggregate::List => "list",
            Aggregate::First => "first",
            Aggregate::Last => "last",
            Aggregate::Len => "len",
            Aggregate::Count => "count",
            Aggregate::Nunique => "nunique",
            Aggregate::Sum => "sum",
            Aggregate::Mean => "mean",
            Aggregate::Median => "median",
            Aggregate::Std => "std",
            Aggregate::Var => "var",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
        }
    }

    /// Whether the results are values of the column, so that its domain holds for them too.
    pub(crate) fn keeps_values(self) -> bool {
        matches!(
            self,
            Aggregate::List | Aggregate::First | Aggregate::Last | Aggregate::Min | Aggregate::Max
        )
    }

    /// Whether it is computed of numbers and booleans only.
    pub(crate) fn needs_numbers(self) -> bool {
        matches!(
            self,
            Aggregate::Sum | Aggregate::Mean | Aggregate::Median | Aggregate::Std | Aggregate::Var
        )
    }

    /// Whether it compares values, which lists do not allow.
    pub(crate) fn needs_scalars(self) -> bool {
        self.needs_numbers() || matches!(self, Aggregate::Nunique | Aggregate::Min | Aggregate::Max)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An aggregate with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RangeAggregate {
    pub(crate) kind: Aggregate,
    /// Whether sums of integers are integers of 64 bits.
    pub(crate) integer_sums: bool,
}

impl RangeAggregate {
    /// The type of the results, or of their elements for a list.
    pub(crate) fn output_dtype(self, input: DType) -> DType {
        match self.kind {
            Aggregate::Len | Aggregate::Count | Aggregate::Nunique => DType::Int32,
            Aggregate::Sum if self.integer_sums && input.is_unsigned_integer() => DType::UInt64,
            Aggregate::Sum if self.integer_sums && input.is_integer() => DType::Int64,
            kind if kind.needs_numbers() => DType::Float32,
            _ => input,
        }
    }

    /// The Arrow type of the results for values of a type.
    pub(crate) fn output_type(self, input: &DataType) -> DataType {
        match self.kind {
            Aggregate::List => {
                DataType::List(Arc::new(Field::new_list_field(without_views(input), true)))
            }
            Aggregate::Len | Aggregate::Count | Aggregate::Nunique => DataType::Int32,
            Aggregate::Sum if self.integer_sums && input.is_unsigned_integer() => DataType::UInt64,
            Aggregate::Sum if self.integer_sums && input.is_integer() => DataType::Int64,
            kind if kind.needs_numbers() => DataType::Float32,
            _ => input.clone(),
        }
    }

    /// One result per range of rows.
    ///
    /// # Errors
    /// If the values are of a type that the aggregate cannot work on, or a result does not fit its
    /// type.
    pub(crate) fn evaluate(
        self,
        values: &ArrayRef,
        ranges: &[Range<usize>],
    ) -> EngineResult<ArrayRef> {
        let end = |range: &Range<usize>, at_start: bool| match range.is_empty() {
            true => None,
            false if at_start => Some(range.start as u64),
            false => Some(range.end as u64 - 1),
        };
        match self.kind {
            Aggregate::List => lists(values, ranges),
            Aggregate::First => at(values, ranges.iter().map(|range| end(range, true))),
            Aggregate::Last => at(values, ranges.iter().map(|range| end(range, false))),
            Aggregate::Len => Ok(counts(ranges.iter().map(ExactSizeIterator::len))),
            Aggregate::Count => {
                let values = known(values)?;
                let nulls = values.logical_nulls();
                let count = |range: &Range<usize>| match &nulls {
                    Some(nulls) => range.len() - nulls.slice(range.start, range.len()).null_count(),
                    None => range.len(),
                };
                Ok(counts(ranges.iter().map(count)))
            }
            Aggregate::Nunique => Ok(counts(order::distinct(&known(values)?, ranges)?)),
            Aggregate::Min | Aggregate::Max => {
                let largest = self.kind == Aggregate::Max;
                let rows = order::extremes(&known(values)?, ranges, largest)?;
                at(values, rows.into_iter())
            }
            Aggregate::Sum if self.integer_sums && values.data_type().is_integer() => {
                numbers::integer_sums(values, ranges)
            }
            kind => numbers::evaluate(kind, values, ranges),
        }
    }
}

/// The values with nulls in the place of NaN.
fn known(values: &ArrayRef) -> EngineResult<ArrayRef> {
    if values.data_type().is_floating() {
        nan_to_null(values)
    } else {
        Ok(Arc::clone(values))
    }
}

fn at(
    values: &ArrayRef,
    rows: impl ExactSizeIterator<Item = Option<u64>>,
) -> EngineResult<ArrayRef> {
    Ok(take(values, &rows.collect::<UInt64Array>(), None)?)
}

fn counts(counts: impl IntoIterator<Item = usize>) -> ArrayRef {
    let counts = counts.into_iter();
    Arc::new(Int32Array::from_iter_values(
        counts.map(|count| i32::try_from(count).unwrap_or(i32::MAX)),
    ))
}

fn lists(values: &ArrayRef, ranges: &[Range<usize>]) -> EngineResult<ArrayRef> {
    let adjacent = ranges.windows(2).all(|pair| pair[0].end == pair[1].start);
    let elements = match (ranges.first(), ranges.last()) {
        (Some(first), Some(last)) if adjacent => values.slice(first.start, last.end - first.start),
        _ => {
            let rows = ranges
                .iter()
                .flat_map(|range| range.start as u64..range.end as u64);
            take(values, &UInt64Array::from_iter_values(rows), None)?
        }
    };
    // Views share buffers with all rows that were sorted together; lists own what they hold.
    let elements = cast(&elements, &without_views(elements.data_type()))?;
    list_array(elements, ranges.iter().map(ExactSizeIterator::len), None)
}

fn without_views(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float32Array, Float64Array, Int64Array, StringViewArray};
    use arrow::datatypes::{Float32Type, Int32Type, Int64Type};

    use super::*;

    const RANGES: [Range<usize>; 3] = [0..3, 3..3, 3..5];

    fn evaluate(kind: Aggregate, values: impl Array + 'static) -> ArrayRef {
        let aggregate = RangeAggregate {
            kind,
            integer_sums: false,
        };
        let values: ArrayRef = Arc::new(values);
        let result = aggregate.evaluate(&values, &RANGES).unwrap();
        assert_eq!(
            result.data_type(),
            &aggregate.output_type(values.data_type())
        );
        result
    }

    fn floats() -> Float64Array {
        Float64Array::from(vec![Some(4.0), None, Some(1.0), Some(f64::NAN), Some(2.0)])
    }

    fn float_results(kind: Aggregate) -> Vec<Option<f32>> {
        evaluate(kind, floats())
            .as_primitive::<Float32Type>()
            .iter()
            .collect()
    }

    fn counts_of(kind: Aggregate) -> Vec<i32> {
        evaluate(kind, floats())
            .as_primitive::<Int32Type>()
            .values()
            .to_vec()
    }

    #[test]
    fn missing_values_do_not_count() {
        assert_eq!(counts_of(Aggregate::Len), [3, 0, 2]);
        assert_eq!(counts_of(Aggregate::Count), [2, 0, 1]);
        assert_eq!(counts_of(Aggregate::Nunique), [2, 0, 1]);
        assert_eq!(
            float_results(Aggregate::Sum),
            [Some(5.0), Some(0.0), Some(2.0)]
        );
        assert_eq!(float_results(Aggregate::Mean), [Some(2.5), None, Some(2.0)]);
        assert_eq!(
            float_results(Aggregate::Median),
            [Some(2.5), None, Some(2.0)]
        );
        assert_eq!(float_results(Aggregate::Var), [Some(4.5), None, None]);
        assert_eq!(
            float_results(Aggregate::Std),
            [Some(4.5f32.sqrt()), None, None]
        );
    }

    #[test]
    fn extremes_keep_the_type() {
        let texts = StringViewArray::from(vec![Some("b"), Some("a"), None, None, None]);
        let least = evaluate(Aggregate::Min, texts.clone());
        assert_eq!(
            least.as_string_view().iter().collect::<Vec<_>>(),
            [Some("a"), None, None]
        );
        let greatest = evaluate(Aggregate::Max, texts);
        assert_eq!(
            greatest.as_string_view().iter().collect::<Vec<_>>(),
            [Some("b"), None, None]
        );
    }

    #[test]
    fn ends_may_be_missing() {
        let values = Int64Array::from(vec![None, Some(1), Some(2), Some(3), None]);
        let first = evaluate(Aggregate::First, values.clone());
        assert_eq!(
            first.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
            [None, None, Some(3)]
        );
        let last = evaluate(Aggregate::Last, values);
        assert_eq!(
            last.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
            [Some(2), None, None]
        );
    }

    #[test]
    fn ranges_need_not_touch() {
        let aggregate = RangeAggregate {
            kind: Aggregate::List,
            integer_sums: false,
        };
        let values: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b", "c", "d"]));
        let lists = aggregate.evaluate(&values, &[1..2, 3..4]).unwrap();
        let lists = lists.as_list::<i32>();
        assert_eq!(lists.value(0).as_string::<i32>().value(0), "b");
        assert_eq!(lists.value(1).as_string::<i32>().value(0), "d");
        assert_eq!(aggregate.evaluate(&values, &[]).unwrap().len(), 0);
    }

    #[test]
    fn integer_sums_are_exact_or_refused() {
        let sum = RangeAggregate {
            kind: Aggregate::Sum,
            integer_sums: true,
        };
        let large = (1i64 << 53) + 1;
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(large), None, Some(2)]));
        let result = sum.evaluate(&values, &[0..3, 1..2]).unwrap();
        assert_eq!(result.as_primitive::<Int64Type>().values(), &[large + 2, 0]);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1]));
        let error = sum.evaluate(&values, &[0..2]).unwrap_err().to_string();
        assert!(error.contains("does not fit into int64"), "{error}");
        // Floats are summed as ever.
        let values: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 0.25]));
        let result = sum.evaluate(&values, &[0..2]).unwrap();
        assert_eq!(result.as_primitive::<Float32Type>().values(), &[0.75]);
    }
}
