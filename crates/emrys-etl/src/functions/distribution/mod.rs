//! How the values of a column are spread: what medians and quantiles are read from.
//!
//! Values are kept as cells in rising order, each with its count. An exact distribution has a cell
//! for each distinct value. An approximate one has at most [`CELLS`]: values fall into one cell if
//! their leading bits agree, and as many bits count as the limit on cells allows. Both depend on
//! the values alone, not on their order or on how they were split among threads, and the sum of
//! two distributions is the distribution of all their values.

mod sketch;
mod stored;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use emrys_schema::DType;

pub(crate) use sketch::value_distribution;
pub(crate) use stored::StoredDistribution;

use crate::{Error, Result};

/// The most cells of an approximate distribution.
///
/// Values spread over one power of two are then told apart to 16 bits; where they spread over
/// sixty of them, to one part in a thousand.
const CELLS: usize = 1 << 16;

/// The counts of the values of a column; nulls and NaN are left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    kind: Kind,
    approximate: bool,
    /// How many leading bits of a key tell cells apart.
    bits: u32,
    /// In rising order.
    cells: Vec<Cell>,
}

/// How values are written as keys: unsigned numbers in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Int,
    UInt,
}

/// Values that are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    low: u64,
    high: u64,
    count: u64,
}

/// A number of a column, without loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// Of an integer column.
    Int(i128),
    /// Of a float column.
    Float(f64),
}

const SIGN: u64 = 1 << 63;

/// Floats as unsigned numbers in the same order; NaN has no key.
fn float_key(value: f64) -> u64 {
    // The two zeros are one value.
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

impl Kind {
    fn of(dtype: DType) -> Kind {
        match dtype {
            DType::UInt64 => Kind::UInt,
            integer if integer.is_integer() => Kind::Int,
            _ => Kind::Float,
        }
    }

    fn number(self, key: u64) -> Number {
        match self {
            Kind::Float if key & SIGN == 0 => Number::Float(f64::from_bits(!key)),
            Kind::Float => Number::Float(f64::from_bits(key ^ SIGN)),
            Kind::Int => Number::Int(i128::from((key ^ SIGN).cast_signed())),
            Kind::UInt => Number::Int(i128::from(key)),
        }
    }
}

impl Number {
    fn to_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

impl Distribution {
    /// A distribution without values that is to become approximate.
    fn approximate() -> Distribution {
        Distribution {
            kind: Kind::Float,
            approximate: true,
            bits: 64,
            cells: Vec::new(),
        }
    }

    /// The exact distribution, from batches of distinct values and their counts.
    ///
    /// # Errors
    /// [`Error::Internal`] if the batches hold something else.
    pub(crate) fn from_counts(
        dtype: DType,
        batches: impl IntoIterator<Item = RecordBatch>,
    ) -> Result<Distribution> {
        let kind = Kind::of(dtype);
        let mut cells = Vec::new();
        for batch in batches {
            let keys = keys_of(kind, batch.column(0))?;
            let counts = cast(batch.column(1), &DataType::UInt64)
                .map_err(|error| Error::Internal(format!("counts of values: {error}")))?;
            let counts = counts.as_primitive::<UInt64Type>();
            for (key, count) in keys.into_iter().zip(counts) {
                if let (Some(key), Some(count)) = (key, count) {
                    cells.push(Cell {
                        low: key,
                        high: key,
                        count,
                    });
                }
            }
        }
        let mut distribution = Distribution {
            kind,
            approximate: false,
            bits: 64,
            cells,
        };
        distribution.arrange();
        Ok(distribution)
    }

    /// Adds the values of another distribution of the same column.
    pub(crate) fn merge(&mut self, other: &Distribution) {
        self.bits = self.bits.min(other.bits);
        self.cells.extend_from_slice(&other.cells);
        self.arrange();
    }

    /// Sorts cells, and joins those that are not told apart.
    fn arrange(&mut self) {
        // The sort is one that finds runs, and there are two after a merge.
        self.cells.sort_by_key(|cell| cell.low);
        self.join();
        while self.approximate && self.cells.len() > CELLS {
            self.bits -= 1;
            self.join();
        }
    }

    fn join(&mut self) {
        let shift = 64 - self.bits;
        self.cells.dedup_by(|cell, kept| {
            let same = cell.low >> shift == kept.low >> shift;
            if same {
                kept.count += cell.count;
                kept.high = kept.high.max(cell.high);
            }
            same
        });
    }

    /// The value in the middle: with an even number of values the mean of the two middle ones,
    /// which for integers is rounded, halves to even. `None` if there is no value.
    pub(crate) fn median(&self) -> Option<Number> {
        let ranks = self.ranks();
        let last = ranks.count().checked_sub(1)?;
        let (low, high) = (ranks.value(last / 2), ranks.value(last - last / 2));
        Some(match (low, high) {
            (Number::Int(low), Number::Int(high)) => {
                let sum = low + high;
                let floor = sum.div_euclid(2);
                let up = sum.rem_euclid(2) == 1 && floor.rem_euclid(2) == 1;
                Number::Int(floor + i128::from(up))
            }
            (low, high) => Number::Float(between(low.to_f64(), high.to_f64(), 0.5)),
        })
    }

    /// The values that cut the rows into `parts` of the same size, without repetitions: at the
    /// positions `k / parts` of the sorted values, linear between two of them.
    pub(crate) fn quantiles(&self, parts: u32) -> Vec<f64> {
        let ranks = self.ranks();
        let Some(last) = ranks.count().checked_sub(1) else {
            return Vec::new();
        };
        let mut values: Vec<f64> = (1..u64::from(parts))
            .map(|part| {
                // In whole numbers, since positions past 2^53 are no doubles.
                let position = u128::from(part) * u128::from(last);
                let (whole, rest) = (position / u128::from(parts), position % u128::from(parts));
                // Not greater than `last`, which is a `u64`.
                let rank = whole as u64;
                let low = ranks.value(rank).to_f64();
                let high = ranks.value((rank + 1).min(last)).to_f64();
                between(low, high, rest as f64 / f64::from(parts))
            })
            .collect();
        values.dedup();
        values
    }

    /// The least value, if there is one.
    pub(crate) fn min(&self) -> Option<f64> {
        let first = self.cells.first()?;
        Some(self.kind.number(first.low).to_f64())
    }

    fn ranks(&self) -> Ranks<'_> {
        let mut total = 0;
        let ends = self.cells.iter().map(|cell| {
            total += cell.count;
            total
        });
        Ranks {
            ends: ends.collect(),
            distribution: self,
        }
    }
}

/// The values of a distribution by their position in sorted order.
struct Ranks<'a> {
    distribution: &'a Distribution,
    /// For each cell, how many values there are up to its end.
    ends: Vec<u64>,
}

impl Ranks<'_> {
    fn count(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The value of a rank below [`count`](Ranks::count).
    fn value(&self, rank: u64) -> Number {
        let at = self.ends.partition_point(|end| *end <= rank);
        let (kind, cell) = (self.distribution.kind, self.distribution.cells[at]);
        if cell.low == cell.high || cell.count < 2 {
            return kind.number(cell.low);
        }
        // Only approximate distributions, which are of floats, come here.
        let before = self.ends[at] - cell.count;
        let share = (rank - before) as f64 / (cell.count - 1) as f64;
        let (low, high) = (kind.number(cell.low), kind.number(cell.high));
        Number::Float(between(low.to_f64(), high.to_f64(), share))
    }
}

fn between(low: f64, high: f64, share: f64) -> f64 {
    // Infinite values have no difference, and very large ones one that is infinite.
    if low == high || share == 0.0 {
        low
    } else if (high - low).is_finite() {
        low + (high - low) * share
    } else {
        low * (1.0 - share) + high * share
    }
}

/// The keys of values; `None` for null and NaN.
fn keys_of(kind: Kind, values: &ArrayRef) -> Result<Vec<Option<u64>>> {
    let typed = match kind {
        Kind::Float => DataType::Float64,
        Kind::Int => DataType::Int64,
        Kind::UInt => DataType::UInt64,
    };
    let values = cast(values, &typed)
        .map_err(|error| Error::Internal(format!("values of a distribution: {error}")))?;
    Ok(match kind {
        Kind::Float => {
            let key = |value: f64| (!value.is_nan()).then(|| float_key(value));
            let values = values.as_primitive::<Float64Type>();
            values.iter().map(|value| value.and_then(key)).collect()
        }
        Kind::Int => {
            let key = |value: i64| value.cast_unsigned() ^ SIGN;
            let values = values.as_primitive::<Int64Type>();
            values.iter().map(|value| value.map(key)).collect()
        }
        Kind::UInt => values.as_primitive::<UInt64Type>().iter().collect(),
    })
}

#[cfg(test)]
mod tests;
