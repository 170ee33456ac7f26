//! Distributions as bytes, between the parts of a query, and as tables, in saved workflows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use serde::{Deserialize, Serialize};

use super::{Cell, CellWriter, Distribution, Kind};
use crate::operator::{ArtifactReader, ArtifactWriter};
use crate::{Error, Result};

/// How many cells are written at once.
const TABLE_CELLS: usize = 1 << 16;

/// What of a distribution is not in its table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredDistribution {
    file: String,
    kind: StoredKind,
    approximate: bool,
    bits: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredKind {
    Float,
    Int,
    UInt,
}

impl Distribution {
    /// An approximate distribution as bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 24 * self.cells.len());
        bytes.extend(u64::from(self.bits).to_le_bytes());
        for cell in self.cells.iter() {
            for number in [cell.low, cell.high, cell.count] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    /// An approximate distribution from the bytes of [`to_bytes`](Distribution::to_bytes).
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Distribution> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        let bits = numbers.next().and_then(|bits| u32::try_from(bits).ok());
        let numbers: Vec<u64> = numbers.collect();
        let (cells, extra) = numbers.as_chunks::<3>();
        let whole = rest.is_empty() && extra.is_empty();
        let Some(bits) = bits.filter(|bits| whole && (1..=64).contains(bits)) else {
            return Err(Error::Internal("bytes are no distribution".to_owned()));
        };
        let cells = cells.iter().map(|[low, high, count]| Cell {
            low: *low,
            high: *high,
            count: *count,
        });
        Ok(Distribution::approximate(bits, cells.collect()))
    }

    /// Writes the cells as a table.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn save(
        &self,
        name: &str,
        artifacts: &mut ArtifactWriter,
    ) -> Result<StoredDistribution> {
        let mut cells = self.cells.iter().peekable();
        let tables = std::iter::from_fn(|| {
            cells.peek()?;
            let some: Vec<Cell> = cells.by_ref().take(TABLE_CELLS).collect();
            Some(table(&some))
        });
        let schema = table(&[])?.schema();
        Ok(StoredDistribution {
            file: artifacts.write_batches(name, schema, tables)?,
            kind: match self.kind {
                Kind::Float => StoredKind::Float,
                Kind::Int => StoredKind::Int,
                Kind::UInt => StoredKind::UInt,
            },
            approximate: self.approximate,
            bits: self.bits,
        })
    }

    /// Reads what [`save`](Distribution::save) wrote.
    ///
    /// # Errors
    /// [`Error::Saved`] if it is missing or damaged.
    pub(crate) fn load(
        stored: &StoredDistribution,
        artifacts: &ArtifactReader,
    ) -> Result<Distribution> {
        let tables = artifacts.read_batches(&stored.file)?;
        let wrong = || artifacts.wrong(format!("`{}` holds no distribution", stored.file));
        let mut writer = CellWriter::new(artifacts.storage(), tables.num_rows)?;
        let (mut total, mut last) = (0_u64, 0);
        for table in tables {
            for cell in cells_of_table(&table?).ok_or_else(wrong)? {
                let sound = cell.count > 0 && last <= cell.low && cell.low <= cell.high;
                let sum = total.checked_add(cell.count).filter(|_| sound);
                (total, last) = (sum.ok_or_else(wrong)?, cell.low);
                writer.push(cell)?;
            }
        }
        if !(1..=64).contains(&stored.bits) {
            return Err(wrong());
        }
        Ok(Distribution {
            kind: match stored.kind {
                StoredKind::Float => Kind::Float,
                StoredKind::Int => Kind::Int,
                StoredKind::UInt => Kind::UInt,
            },
            approximate: stored.approximate,
            bits: stored.bits,
            cells: writer.finish()?,
        })
    }
}

fn table(cells: &[Cell]) -> Result<RecordBatch> {
    let column = |part: fn(&Cell) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(cells.iter().map(part)))
    };
    let columns = [
        ("low", column(|cell| cell.low)),
        ("high", column(|cell| cell.high)),
        ("count", column(|cell| cell.count)),
    ];
    RecordBatch::try_from_iter(columns)
        .map_err(|error| Error::Internal(format!("table of a distribution: {error}")))
}

/// The cells of a table; `None` if it is something else.
fn cells_of_table(table: &RecordBatch) -> Option<impl Iterator<Item = Cell>> {
    let column = |name: &str| {
        let column = table.column_by_name(name)?;
        Some(column.as_primitive_opt::<UInt64Type>()?.values().clone())
    };
    let (lows, highs, counts) = (column("low")?, column("high")?, column("count")?);
    Some((0..table.num_rows()).map(move |row| Cell {
        low: lows[row],
        high: highs[row],
        count: counts[row],
    }))
}
