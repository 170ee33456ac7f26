//! Counts and sums that can be stored, and added up later as if they had been summed at once.

mod aggregate;
mod groups;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::scalar::ScalarValue;
use serde::{Deserialize, Serialize};

use super::sum_pair::SumPair;
use crate::{Error, Result};
pub(crate) use aggregate::{exact_squares, exact_sum};

/// The type in which numbers of a type are summed.
pub(crate) fn summed_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::UInt64 => DataType::UInt64,
        integer if integer.is_integer() => DataType::Int64,
        _ => DataType::Float64,
    }
}

/// Count and sum of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ExactSum {
    pub(crate) count: i64,
    pub(crate) sum: SumPair,
}

/// Count, sum and sum of squares of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ExactSquares {
    pub(crate) total: ExactSum,
    pub(crate) squares: SumPair,
}

impl ExactSum {
    /// Adds numbers that were summed elsewhere.
    pub(crate) fn merge(&mut self, other: ExactSum) {
        self.count += other.count;
        self.sum.merge(other.sum);
    }

    /// The mean; NaN of nothing.
    pub(crate) fn mean(self) -> f64 {
        match self.count {
            0 => f64::NAN,
            count => self.sum.divided_by(count as f64).value(),
        }
    }

    /// Reads a column of results.
    pub(crate) fn from_array(array: &ArrayRef) -> Result<Vec<ExactSum>> {
        let (counts, parts) = parts_of(array, 2)?;
        Ok((0..counts.len())
            .map(|row| sum_of(counts, &parts, row))
            .collect())
    }

    /// Reads a single result.
    pub(crate) fn from_scalar(value: &ScalarValue) -> Result<ExactSum> {
        let array = value.to_array().map_err(Error::query("reading sums"))?;
        let sums = ExactSum::from_array(&array)?;
        let first = sums.first().copied();
        first.ok_or_else(|| Error::Internal("no sums".to_owned()))
    }
}

impl ExactSquares {
    /// Adds numbers that were summed elsewhere.
    pub(crate) fn merge(&mut self, other: ExactSquares) {
        self.total.merge(other.total);
        self.squares.merge(other.squares);
    }

    /// The sample variance (divided by `count - 1`); NaN for fewer than two numbers.
    pub(crate) fn variance(self) -> f64 {
        if self.total.count < 2 {
            return f64::NAN;
        }
        let count = self.total.count as f64;
        // The textbook formula cancels badly in single precision of the sums, not in double.
        let spread = self
            .squares
            .minus(self.total.sum.squared().divided_by(count))
            .value();
        (spread / (count - 1.0)).max(0.0)
    }

    /// Reads a column of results.
    pub(crate) fn from_array(array: &ArrayRef) -> Result<Vec<ExactSquares>> {
        let (counts, parts) = parts_of(array, 4)?;
        let group = |row| ExactSquares {
            total: sum_of(counts, &parts, row),
            squares: SumPair {
                high: parts[2].value(row),
                low: parts[3].value(row),
            },
        };
        Ok((0..counts.len()).map(group).collect())
    }

    /// Reads a single result.
    pub(crate) fn from_scalar(value: &ScalarValue) -> Result<ExactSquares> {
        let array = value.to_array().map_err(Error::query("reading sums"))?;
        let sums = ExactSquares::from_array(&array)?;
        let first = sums.first().copied();
        first.ok_or_else(|| Error::Internal("no sums".to_owned()))
    }
}

fn sum_of(counts: &Int64Array, parts: &[&Float64Array], row: usize) -> ExactSum {
    ExactSum {
        count: counts.value(row),
        sum: SumPair {
            high: parts[0].value(row),
            low: parts[1].value(row),
        },
    }
}

fn parts_of(array: &ArrayRef, expected: usize) -> Result<(&Int64Array, Vec<&Float64Array>)> {
    let wrong = || Error::Internal("sums have another type".to_owned());
    let rows = array.as_struct_opt().ok_or_else(wrong)?;
    let (counts, parts) = rows.columns().split_first().ok_or_else(wrong)?;
    let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
    let parts: Option<Vec<_>> = parts
        .iter()
        .map(|part| part.as_primitive_opt::<Float64Type>())
        .collect();
    match parts {
        Some(parts) if parts.len() == expected => Ok((counts, parts)),
        _ => Err(wrong()),
    }
}
