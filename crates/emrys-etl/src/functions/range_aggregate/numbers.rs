//! Sums, moments and medians of ranges.
//!
//! The rows of a range come in one order whatever the partitioning, so plain arithmetic gives the
//! same bits every time.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, Float32Array, PrimitiveArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::error::Result as EngineResult;

use super::Aggregate;
use crate::Error;
use crate::functions::sum_pair::SumPair;

/// An aggregate of numbers or booleans, for each range.
///
/// # Errors
/// [`Error::Internal`] if it is not one of numbers, and if the values are no numbers.
pub(super) fn evaluate(
    kind: Aggregate,
    values: &ArrayRef,
    ranges: &[Range<usize>],
) -> EngineResult<ArrayRef> {
    let of_range: fn(&mut [f64]) -> Option<f64> = match kind {
        Aggregate::Sum => |numbers| Some(sum(numbers.iter().copied())),
        Aggregate::Mean => |numbers| mean(numbers),
        Aggregate::Median => median,
        Aggregate::Var => |numbers| variance(numbers),
        Aggregate::Std => |numbers| variance(numbers).map(f64::sqrt),
        other => return Err(Error::Internal(format!("{other} is not one of numbers")).into()),
    };
    let values = cast(values, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    let mut numbers: Vec<f64> = Vec::new();
    let results: Float32Array = ranges
        .iter()
        .map(|range| {
            numbers.clear();
            let known = range.clone().filter(|row| values.is_valid(*row));
            numbers.extend(known.map(|row| values.value(row)).filter(|x| !x.is_nan()));
            of_range(&mut numbers).map(|result| result as f32)
        })
        .collect();
    Ok(Arc::new(results))
}

fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sum = SumPair::default();
    numbers.for_each(|number| sum.add(number));
    sum.value()
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| sum(numbers.iter().copied()) / numbers.len() as f64)
}

fn variance(numbers: &[f64]) -> Option<f64> {
    if numbers.len() < 2 {
        return None;
    }
    let mean = mean(numbers)?;
    let squares = numbers
        .iter()
        .map(|number| (number - mean) * (number - mean));
    Some(sum(squares) / (numbers.len() - 1) as f64)
}

fn median(numbers: &mut [f64]) -> Option<f64> {
    if numbers.is_empty() {
        return None;
    }
    let middle = numbers.len() / 2;
    let odd = numbers.len() % 2 == 1;
    let (lower, upper, _) = numbers.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return Some(*upper);
    }
    let lower = lower.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, *upper))
}

/// Exact sums of integers, for each range.
///
/// # Errors
/// [`Error::Data`] if a sum does not fit into 64 bits.
pub(super) fn integer_sums(values: &ArrayRef, ranges: &[Range<usize>]) -> EngineResult<ArrayRef> {
    if values.data_type().is_unsigned_integer() {
        checked_sums::<UInt64Type>(values, ranges)
    } else {
        checked_sums::<Int64Type>(values, ranges)
    }
}

fn checked_sums<T>(values: &ArrayRef, ranges: &[Range<usize>]) -> EngineResult<ArrayRef>
where
    T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>,
{
    let values = cast(values, &T::DATA_TYPE)?;
    let values = values.as_primitive::<T>();
    let sum = |range: &Range<usize>| {
        let mut known = range.clone().filter(|row| values.is_valid(*row));
        known.try_fold(T::Native::ZERO, |sum, row| {
            sum.add_checked(values.value(row))
        })
    };
    let sums: Result<Vec<T::Native>, _> = ranges.iter().map(sum).collect();
    let sums = sums.map_err(|_| Error::Data {
        operator: "sum".to_owned(),
        problem: format!(
            "a sum does not fit into {}; leave `integer_sums` out, which gives floats",
            T::DATA_TYPE.to_string().to_lowercase()
        ),
    })?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter_values(sums)))
}
