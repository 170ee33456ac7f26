//! Vocabularies that learn from more data.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::build::{Limit, Selected, Wanted, select};
use super::vocabulary::{Counted, NULL_ID, Observed, Vocabulary};
use crate::lookup::{ABSENT, LookupError, canonical, plain_type, strict_cast};
use crate::operator::GroupedRows;
use crate::storage::{ColumnSink, Storage};

/// How a vocabulary learns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learning<'a> {
    pub(super) limit: Limit,
    pub(super) keep_rest: bool,
    pub(super) storage: &'a Storage,
}

/// The vocabulary with the counts of new data: known values keep their ids, new ones that pass the
/// limit follow in order of falling count and rising value.
///
/// Counts of values that were left out before are added to those of the new data, if they were
/// kept.
pub(super) fn append(
    old: &Vocabulary,
    rows: &GroupedRows,
    learning: Learning,
) -> Result<Vocabulary, LookupError> {
    let width = old.columns().len();
    let first_id = old.first_id();
    let mut known: Vec<i64> = match old.observed() {
        Some(observed) => observed.counts.values().to_vec(),
        None => vec![0; old.len()],
    };
    let mut nulls = old.observed().map_or(0, |observed| observed.nulls);
    let mut unknown = Vec::new();
    if let Some(rest) = old.rest() {
        unknown.push(counted_batch(rest)?);
    }
    let kept_rest: u64 = old.rest().map_or(0, |rest| sum(&rest.counts));
    for batch in rows.batches()? {
        let batch = batch?;
        let values: Vec<ArrayRef> = batch.columns()[..width].iter().map(canonical).collect();
        let codes = old.index.lookup(&values)?;
        let counts = strict_cast(batch.column(width), &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>().values();
        for (code, count) in codes.iter().zip(counts) {
            match *code {
                ABSENT => {}
                NULL_ID => nulls += count.unsigned_abs(),
                code => known[(code - first_id) as usize] += count,
            }
        }
        let absent: BooleanArray = codes.iter().map(|code| Some(*code == ABSENT)).collect();
        let batch = filter_record_batch(&batch, &absent)?;
        if batch.num_rows() > 0 {
            unknown.push(batch);
        }
    }
    let limit = match learning.limit {
        Limit::MostFrequent(most) => Limit::MostFrequent(most.saturating_sub(old.len())),
        Limit::MinCount(least) => Limit::MinCount(least),
    };
    let new = match unknown.is_empty() {
        true => None,
        false => Some(select(
            width,
            &unknown,
            Wanted {
                limit,
                merge: true,
                rest: learning.keep_rest,
            },
        )?),
    };
    let lost = old.observed().map_or(0, |observed| {
        observed.left_out - kept_rest.min(observed.left_out)
    });
    let (left_out, new_nulls) = new.as_ref().map_or((0, 0), |new| (new.left_out, new.nulls));
    let (values, rest) = match new {
        Some(new) if !new.known.counts.is_empty() => {
            known.extend_from_slice(new.known.counts.values());
            let values = old.values().iter().zip(&new.known.values);
            let values = values.map(|(old, new)| joined(old, new, learning.storage));
            (values.collect::<Result<_, _>>()?, new.rest)
        }
        new => (old.values().to_vec(), new.and_then(|new| new.rest)),
    };
    let observed = Observed {
        counts: Int64Array::from(known),
        nulls: nulls + new_nulls,
        left_out: lost + left_out,
    };
    Vocabulary::stored(
        old.layout(),
        values,
        Some(observed),
        rest.or_else(|| learning.keep_rest.then(|| old.rest().cloned()).flatten()),
        learning.storage,
    )
}

/// The vocabulary of the old and the new data, as fitting on both would give.
///
/// The caller has made sure that the counts of all old values are known.
pub(super) fn renumber(
    old: &Vocabulary,
    rows: GroupedRows,
    learning: Learning,
) -> Result<Vocabulary, LookupError> {
    let width = old.columns().len();
    let mut batches = rows.into_batches()?;
    if let Some(observed) = old.observed() {
        batches.push(counted_batch(&Counted {
            values: old.values().to_vec(),
            counts: observed.counts.clone(),
        })?);
    }
    if let Some(rest) = old.rest() {
        batches.push(counted_batch(rest)?);
    }
    let wanted = Wanted {
        limit: learning.limit,
        merge: true,
        rest: learning.keep_rest,
    };
    let mut selected = select(width, &batches, wanted)?;
    selected.nulls += old.observed().map_or(0, |observed| observed.nulls);
    assemble(old.layout(), selected, learning.storage)
}

/// The vocabulary of selected values.
pub(super) fn assemble(
    layout: super::vocabulary::Layout,
    selected: Selected,
    storage: &Storage,
) -> Result<Vocabulary, LookupError> {
    let observed = Observed {
        counts: selected.known.counts,
        nulls: selected.nulls,
        left_out: selected.left_out,
    };
    Vocabulary::stored(
        layout,
        selected.known.values,
        Some(observed),
        selected.rest,
        storage,
    )
}

/// Whether the counts of all values are known, so that the vocabulary can be made anew.
pub(super) fn is_complete(vocabulary: &Vocabulary) -> bool {
    let kept = vocabulary.rest().map_or(0, |rest| sum(&rest.counts));
    vocabulary
        .observed()
        .is_some_and(|observed| observed.left_out == kept)
}

fn sum(counts: &Int64Array) -> u64 {
    counts
        .values()
        .iter()
        .map(|count| count.unsigned_abs())
        .sum()
}

/// Values and counts in the form that group-bys have.
fn counted_batch(counted: &Counted) -> Result<RecordBatch, LookupError> {
    let counts: ArrayRef = Arc::new(counted.counts.clone());
    let columns: Vec<ArrayRef> = counted.values.iter().cloned().chain([counts]).collect();
    let fields = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Field::new(format!("column_{at}"), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The rows of two arrays, the second in the type of the first.
fn joined(old: &ArrayRef, new: &ArrayRef, storage: &Storage) -> Result<ArrayRef, LookupError> {
    if old.is_empty() {
        return Ok(Arc::clone(new));
    }
    let is_text = |array: &ArrayRef| array.data_type().primitive_width().is_none();
    let new = match is_text(old) {
        true => strict_cast(new, &plain_type(new.data_type()))?,
        false => strict_cast(new, old.data_type())?,
    };
    let rows = old.len() + new.len();
    let bytes = old.get_array_memory_size() + new.get_array_memory_size();
    let mut sink = ColumnSink::new(old.data_type(), storage, false, rows, bytes)?;
    sink.append(old)?;
    sink.append(&new)?;
    Ok(sink.finish()?)
}
