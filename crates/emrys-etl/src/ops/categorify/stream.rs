//! From counted values in order, of which there may be more than memory holds, to a vocabulary.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Int64Type};

use super::build::Limit;
use super::vocabulary::{Counted, Layout, NULL_ID, Observed, Vocabulary};
use crate::Result;
use crate::lookup::{DiskIndexBuilder, LookupError, ValueIndex, canonical, strict_cast};
use crate::operator::GroupedRows;
use crate::storage::{ColumnSink, Storage};

/// Makes a vocabulary from rows of values and counts, ordered by falling count and rising value.
///
/// The result is what [`select`](super::build::select) gives for the same rows; memory holds a
/// batch, and the vocabulary if `storage` does not put it on disk.
pub(super) fn from_ordered(
    layout: Layout,
    rows: &GroupedRows,
    limit: Limit,
    keep_rest: bool,
    storage: &Storage,
) -> Result<Vocabulary, LookupError> {
    let width = layout.columns.len();
    let found = Found::count(rows, width, limit)?;
    if u32::try_from(rows.num_rows()).is_err() {
        return Err(LookupError::TooMany {
            found: rows.num_rows(),
            most: u32::MAX,
        });
    }
    let types: Vec<DataType> = rows.schema().fields()[..width]
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let share = |part: usize| {
        let all = rows.num_rows().max(1) as u128;
        (rows.num_bytes() as u128 * part as u128 / all) as usize
    };
    let bytes = share(found.known) + ValueIndex::expected_bytes(found.known, width);
    let on_disk = found.known > 0 && storage.is_on_disk(bytes);
    let text = rows.num_bytes();
    let mut known = Stored::new(&types, storage, on_disk, found.known, text)?;
    let mut rest = match keep_rest {
        true => {
            let others = found.values - found.known;
            let on_disk = others > 0 && storage.is_on_disk(share(others));
            Some(Stored::new(&types, storage, on_disk, others, text)?)
        }
        false => None,
    };
    let first_id = layout.first_id();
    let mut index = match on_disk {
        true => Some(DiskIndexBuilder::new(
            &types.iter().collect::<Vec<_>>(),
            found.known,
            first_id,
            NULL_ID,
            storage,
        )?),
        false => None,
    };
    let mut room = found.known;
    for batch in rows.batches()? {
        let (batch, _) = without_nulls(&batch?, width)?;
        let first = room.min(batch.num_rows());
        room -= first;
        let columns = known.append(&batch.slice(0, first))?;
        if let Some(index) = &mut index {
            index.push(&columns)?;
        }
        if let Some(rest) = &mut rest {
            rest.append(&batch.slice(first, batch.num_rows() - first))?;
        }
        if room == 0 && rest.is_none() {
            break;
        }
    }
    let known = known.finish()?;
    let index = match index {
        Some(index) => ValueIndex::from_disk(index.finish()?),
        None => ValueIndex::build(&known.values, first_id, NULL_ID)?,
    };
    let observed = Observed {
        counts: known.counts,
        nulls: found.nulls,
        left_out: found.left_out,
    };
    let rest = rest.map(Stored::finish).transpose()?;
    Ok(Vocabulary::with_index(
        layout,
        known.values,
        Some(observed),
        rest,
        index,
    ))
}

/// How many values there are of each kind.
#[derive(Debug, Default)]
struct Found {
    /// Rows with a value.
    values: usize,
    /// Those that enter the vocabulary, which come first.
    known: usize,
    /// How many nulls were counted.
    nulls: u64,
    /// How often the values occur that are left out.
    left_out: u64,
}

impl Found {
    fn count(rows: &GroupedRows, width: usize, limit: Limit) -> Result<Found, LookupError> {
        let mut found = Found::default();
        for batch in rows.batches()? {
            let (batch, nulls) = without_nulls(&batch?, width)?;
            found.nulls += nulls;
            let counts = counts(&batch, width)?;
            for count in counts.values() {
                let count = count.unsigned_abs();
                let enters = match limit {
                    Limit::MinCount(least) => count >= least,
                    Limit::MostFrequent(most) => found.values < most,
                };
                found.values += 1;
                if enters {
                    found.known += 1;
                } else {
                    found.left_out += count;
                }
            }
        }
        Ok(found)
    }
}

/// Values and counts on their way into memory or onto disk.
struct Stored {
    values: Vec<ColumnSink>,
    counts: ColumnSink,
}

impl Stored {
    fn new(
        types: &[DataType],
        storage: &Storage,
        on_disk: bool,
        rows: usize,
        bytes: usize,
    ) -> Result<Stored> {
        let sink = |data_type: &DataType| ColumnSink::new(data_type, storage, on_disk, rows, bytes);
        Ok(Stored {
            values: types.iter().map(sink).collect::<Result<_>>()?,
            counts: sink(&DataType::Int64)?,
        })
    }

    /// Adds rows; what is returned are the columns of their values.
    fn append(&mut self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, LookupError> {
        let width = self.values.len();
        let columns: Vec<ArrayRef> = batch.columns()[..width].iter().map(canonical).collect();
        for (sink, column) in self.values.iter_mut().zip(&columns) {
            sink.append(column)?;
        }
        let counts: ArrayRef = std::sync::Arc::new(counts(batch, width)?);
        self.counts.append(&counts)?;
        Ok(columns)
    }

    fn finish(self) -> Result<Counted> {
        let values = self.values.into_iter().map(ColumnSink::finish);
        Ok(Counted {
            values: values.collect::<Result<_>>()?,
            counts: self.counts.finish()?.as_primitive().clone(),
        })
    }
}

fn counts(batch: &RecordBatch, at: usize) -> Result<Int64Array, LookupError> {
    let counts = strict_cast(batch.column(at), &DataType::Int64)?;
    Ok(counts.as_primitive::<Int64Type>().clone())
}

/// The rows with a value, and how often those without one were counted.
fn without_nulls(batch: &RecordBatch, width: usize) -> Result<(RecordBatch, u64), LookupError> {
    let masks: Vec<_> = batch.columns()[..width]
        .iter()
        .map(|column| column.logical_nulls())
        .collect();
    if masks
        .iter()
        .any(|mask| mask.as_ref().is_none_or(|mask| mask.null_count() == 0))
    {
        return Ok((batch.clone(), 0));
    }
    let has_value = |row| masks.iter().flatten().any(|mask| mask.is_valid(row));
    let kept: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(has_value(row)))
        .collect();
    let counts = counts(batch, width)?;
    let nulls = counts.values().iter().zip(kept.values());
    let nulls = nulls.filter(|(_, kept)| !kept);
    let nulls = nulls.map(|(count, _)| count.unsigned_abs()).sum();
    Ok((filter_record_batch(batch, &kept)?, nulls))
}
