//! What is known of one column.

use emrys_schema::DType;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::functions::{DistinctHashes, ExactSquares};
use crate::operator::any_float;
use crate::storage::Storage;

/// What [`DataStats`](super::DataStats) knows of a column.
///
/// Range, mean and deviation are those of numbers, of the lengths of texts in characters, of
/// booleans as 0 and 1, and of dates and timestamps as numbers of days or units since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// The name of the column.
    pub name: String,
    /// The type of its values.
    pub dtype: DType,
    /// The number of rows, or of elements of lists.
    pub rows: u64,
    /// How many of them are null or NaN.
    pub missing: u64,
    /// The number of different values, without missing ones; not of floats.
    pub cardinality: Option<u64>,
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The sample standard deviation (`ddof = 1`), of two values and more.
    pub std: Option<f64>,
}

impl ColumnStatistics {
    /// The share of rows that are null or NaN, 0 if there are no rows.
    pub fn missing_share(&self) -> f64 {
        if self.rows == 0 {
            return 0.0;
        }
        self.missing as f64 / self.rows as f64
    }
}

/// A column's numbers in a form that can be added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Summary {
    dtype: DType,
    rows: u64,
    present: u64,
    measures: Option<Measures>,
    /// Stored in a file of its own.
    #[serde(skip)]
    pub(super) distinct: Option<DistinctHashes>,
}

/// The range and the moments of at least one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measures {
    count: u64,
    #[serde(with = "any_float")]
    min: f64,
    #[serde(with = "any_float")]
    max: f64,
    #[serde(with = "any_float")]
    mean: f64,
    /// The sum of the squared distances to the mean.
    #[serde(with = "any_float")]
    squares: f64,
}

impl Measures {
    /// By the formula of Chan, Golub and `LeVeque`, which does not cancel.
    fn merged(self, other: Measures) -> Measures {
        let (left, right) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        let share = right / (left + right);
        Measures {
            count: self.count + other.count,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean: self.mean + distance * share,
            squares: self.squares + other.squares + distance * distance * left * share,
        }
    }
}

impl Summary {
    pub(super) fn new(dtype: DType, rows: u64, present: u64) -> Summary {
        Summary {
            dtype,
            rows,
            present,
            measures: None,
            distinct: None,
        }
    }

    pub(super) fn with_measures(
        mut self,
        min: Option<f64>,
        max: Option<f64>,
        sums: ExactSquares,
    ) -> Summary {
        let count = u64::try_from(sums.total.count).unwrap_or(0);
        self.measures = min
            .zip(max)
            .filter(|_| count > 0)
            .map(|(min, max)| Measures {
                count,
                min,
                max,
                mean: sums.total.mean(),
                squares: match count {
                    1 => 0.0,
                    count => sums.variance() * (count - 1) as f64,
                },
            });
        self
    }

    /// The numbers of two parts of a column.
    pub(super) fn merged(&self, other: &Summary, storage: &Storage) -> Result<Summary> {
        let distinct = match (&self.distinct, &other.distinct) {
            (Some(left), Some(right)) => Some(left.merged(right, storage)?),
            _ => None,
        };
        let measures = match (self.measures, other.measures) {
            (Some(left), Some(right)) => Some(left.merged(right)),
            (left, right) => left.or(right),
        };
        Ok(Summary {
            dtype: other.dtype,
            rows: self.rows + other.rows,
            present: self.present + other.present,
            measures,
            distinct,
        })
    }

    pub(super) fn describe(&self, name: &str) -> ColumnStatistics {
        let measures = self.measures.as_ref();
        let deviation = |of: &Measures| (of.squares / (of.count - 1) as f64).sqrt();
        ColumnStatistics {
            name: name.to_owned(),
            dtype: self.dtype,
            rows: self.rows,
            missing: self.rows.saturating_sub(self.present),
            cardinality: self.distinct.as_ref().map(DistinctHashes::count),
            min: measures.map(|of| of.min),
            max: measures.map(|of| of.max),
            mean: measures.map(|of| of.mean),
            std: measures.filter(|of| of.count > 1).map(deviation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: &[f64]) -> Summary {
        let mut sums = ExactSquares::default();
        for value in values {
            sums.total.count += 1;
            sums.total.sum.add(*value);
            sums.squares.add_square(*value);
        }
        let min = values.iter().copied().reduce(f64::min);
        let max = values.iter().copied().reduce(f64::max);
        let rows = values.len() as u64;
        Summary::new(DType::Float64, rows, rows).with_measures(min, max, sums)
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let values = [1e9, 1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, 1e9 + 4.0];
        let storage = Storage::default();
        let merged = summary(&values[..1]).merged(&summary(&values[1..]), &storage);
        let merged = merged.unwrap().merged(&summary(&[]), &storage);
        let merged = merged.unwrap().describe("x");
        let std = merged.std.unwrap();
        assert!((std - 2.5f64.sqrt()).abs() < 1e-12, "{std}");
        assert_eq!((merged.min, merged.max), (Some(1e9), Some(1e9 + 4.0)));
        assert_eq!((merged.mean, merged.rows), (Some(1e9 + 2.0), 5));
    }

    #[test]
    fn nothing_has_no_numbers() {
        let described = Summary::new(DType::Int64, 0, 0).describe("x");
        assert_eq!((described.mean, described.std), (None, None));
        assert_eq!(described.missing_share(), 0.0);
    }
}
