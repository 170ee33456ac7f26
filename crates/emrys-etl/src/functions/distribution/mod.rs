//! How the values of a column are spread: what medians and quantiles are read from.
//!
//! Values are kept as cells in rising order, each with its count. An exact distribution has a cell
//! for each distinct value. An approximate one has at most [`CELLS`]: values fall into one cell if
//! their leading bits agree, and as many bits count as the limit on cells allows. Both depend on
//! the values alone, not on their order or on how they were split among threads, and the sum of
//! two distributions is the distribution of all their values.

mod cells;
mod sketch;
mod stored;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use emrys_schema::DType;

use cells::{CellWriter, Cells};
pub(crate) use sketch::value_distribution;
pub(crate) use stored::StoredDistribution;

use crate::operator::GroupedRows;
use crate::storage::Storage;
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
    cells: Cells,
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
    /// An approximate distribution, from cells in any order.
    fn approximate(bits: u32, mut cells: Vec<Cell>) -> Distribution {
        // The sort is one that finds runs, and there are two after a merge.
        cells.sort_by_key(|cell| cell.low);
        let mut bits = bits;
        join(&mut cells, bits);
        while cells.len() > CELLS {
            bits -= 1;
            join(&mut cells, bits);
        }
        Distribution {
            kind: Kind::Float,
            approximate: true,
            bits,
            cells: cells.into(),
        }
    }

    /// The exact distribution, from distinct values and their counts; it lies on disk if memory is
    /// short.
    ///
    /// # Errors
    /// [`Error::Internal`] if the rows hold something else; if a spill file cannot be read or
    /// written.
    pub(crate) fn from_counts(
        dtype: DType,
        rows: &GroupedRows,
        storage: &Storage,
    ) -> Result<Distribution> {
        let kind = Kind::of(dtype);
        let mut writer = CellWriter::new(storage, rows.num_rows())?;
        let batches = rows.batches()?.map(|batch| cells_of(kind, &batch?));
        if rows.is_ordered() {
            for cells in batches {
                cells?.into_iter().try_for_each(|cell| writer.push(cell))?;
            }
        } else {
            let cells: Vec<Vec<Cell>> = batches.collect::<Result<_>>()?;
            let mut cells = cells.concat();
            cells.sort_unstable_by_key(|cell| cell.low);
            cells.into_iter().try_for_each(|cell| writer.push(cell))?;
        }
        Ok(Distribution::exact(kind, writer.finish()?))
    }

    fn exact(kind: Kind, cells: Cells) -> Distribution {
        Distribution {
            kind,
            approximate: false,
            bits: 64,
            cells,
        }
    }

    /// The distribution of the values of both, which are of the same column.
    ///
    /// # Errors
    /// If a spill file cannot be written.
    pub(crate) fn merged(&self, other: &Distribution, storage: &Storage) -> Result<Distribution> {
        if self.approximate {
            return Ok(self.merged_approximately(other));
        }
        let mut writer = CellWriter::new(storage, self.cells.len() + other.cells.len())?;
        let mut others = other.cells.iter().peekable();
        for cell in self.cells.iter() {
            while let Some(before) = others.next_if(|other| other.low < cell.low) {
                writer.push(before)?;
            }
            writer.push(cell)?;
        }
        others.try_for_each(|cell| writer.push(cell))?;
        Ok(Distribution::exact(other.kind, writer.finish()?))
    }

    fn merged_approximately(&self, other: &Distribution) -> Distribution {
        let cells = self.cells.iter().chain(other.cells.iter()).collect();
        Distribution::approximate(self.bits.min(other.bits), cells)
    }

    /// The value in the middle: with an even number of values the mean of the two middle ones,
    /// which for integers is rounded, halves to even. `None` if there is no value.
    pub(crate) fn median(&self) -> Option<Number> {
        let last = self.count().checked_sub(1)?;
        let middle = self.values(&[last / 2, last - last / 2]);
        Some(match (middle[0], middle[1]) {
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
        let Some(last) = self.count().checked_sub(1) else {
            return Vec::new();
        };
        // In whole numbers, since positions past 2^53 are no doubles.
        let parts = u128::from(parts);
        let positions = || (1..parts).map(|part| part * u128::from(last));
        // Not greater than `last`, which is a `u64`.
        let ranks = positions().map(|position| (position / parts) as u64);
        let ranks = ranks.flat_map(|rank| [rank, (rank + 1).min(last)]);
        let ends = self.values(&ranks.collect::<Vec<_>>());
        let (ends, _) = ends.as_chunks::<2>();
        let mut values: Vec<f64> = positions()
            .zip(ends)
            .map(|(position, [low, high])| {
                let share = (position % parts) as f64 / parts as f64;
                between(low.to_f64(), high.to_f64(), share)
            })
            .collect();
        values.dedup();
        values
    }

    /// The least value, if there is one.
    pub(crate) fn min(&self) -> Option<f64> {
        let first = self.cells.iter().next()?;
        Some(self.kind.number(first.low).to_f64())
    }

    /// The number of values.
    fn count(&self) -> u64 {
        self.cells.iter().map(|cell| cell.count).sum()
    }

    /// The values at positions in sorted order, which are below [`count`](Distribution::count).
    fn values(&self, ranks: &[u64]) -> Vec<Number> {
        let mut rising: Vec<usize> = (0..ranks.len()).collect();
        rising.sort_unstable_by_key(|at| ranks[*at]);
        let mut rising = rising.into_iter().peekable();
        let mut values = vec![Number::Int(0); ranks.len()];
        let mut start = 0;
        for cell in self.cells.iter() {
            let end = start + cell.count;
            while let Some(at) = rising.next_if(|at| ranks[*at] < end) {
                values[at] = self.value(cell, ranks[at] - start);
            }
            start = end;
        }
        values
    }

    /// One of the values of a cell, by its position among them.
    fn value(&self, cell: Cell, position: u64) -> Number {
        if cell.low == cell.high || cell.count < 2 {
            return self.kind.number(cell.low);
        }
        // Only approximate distributions, which are of floats, come here.
        let share = position as f64 / (cell.count - 1) as f64;
        let [low, high] = [cell.low, cell.high].map(|key| self.kind.number(key).to_f64());
        Number::Float(between(low, high, share))
    }
}

/// Joins cells that are not told apart by so many leading bits.
fn join(cells: &mut Vec<Cell>, bits: u32) {
    let shift = 64 - bits;
    cells.dedup_by(|cell, kept| {
        let same = cell.low >> shift == kept.low >> shift;
        if same {
            kept.count += cell.count;
            kept.high = kept.high.max(cell.high);
        }
        same
    });
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

/// The cells of the values and counts of a batch, without null and NaN.
fn cells_of(kind: Kind, batch: &RecordBatch) -> Result<Vec<Cell>> {
    let keys = keys_of(kind, batch.column(0))?;
    let counts = cast(batch.column(1), &DataType::UInt64)
        .map_err(|error| Error::Internal(format!("counts of values: {error}")))?;
    let pairs = keys.into_iter().zip(counts.as_primitive::<UInt64Type>());
    let cells = pairs.filter_map(|(key, count)| {
        let (key, count) = (key?, count?);
        Some(Cell {
            low: key,
            high: key,
            count,
        })
    });
    Ok(cells.collect())
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
