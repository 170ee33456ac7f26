//! Cuts a stream of sorted rows into groups and aggregates them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat, concat_batches, partition, take};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use datafusion::error::Result as EngineResult;
use datafusion::execution::memory_pool::MemoryReservation;

use super::table::GroupSpec;
use crate::batch_of::batch_of;
use crate::functions::{Aggregate, RangeAggregate};

/// How many batches of rows are aggregated at once, so that batches of groups are not tiny.
const BATCHES_AT_ONCE: usize = 4;

/// The rows of the groups that are not handed out yet.
pub(super) struct Groups {
    columns: Vec<OutputColumn>,
    /// The positions of the keys among the columns of the rows.
    keys: Vec<usize>,
    rows: SchemaRef,
    schema: SchemaRef,
    min_length: usize,
    max_length: Option<usize>,
    latest_first: bool,
    /// How many rows of whole groups are worth a batch of groups.
    enough_rows: usize,
    memory: MemoryReservation,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    /// Where each group starts among the pending rows.
    starts: Vec<usize>,
    /// The keys of the last row.
    last_keys: Option<Vec<ArrayRef>>,
}

/// Where a column of the groups comes from.
enum OutputColumn {
    Key(usize),
    Aggregate(usize, RangeAggregate),
}

impl Groups {
    /// No rows yet; `projection` are positions among keys and outputs.
    ///
    /// # Errors
    /// If a column is missing.
    pub(super) fn new(
        spec: &GroupSpec,
        projection: &[usize],
        rows: SchemaRef,
        schema: SchemaRef,
        batch_size: usize,
        memory: MemoryReservation,
    ) -> EngineResult<Groups> {
        let keys = positions(&spec.keys, &rows)?;
        let columns = projection
            .iter()
            .map(|column| match spec.keys.get(*column) {
                Some(_) => Ok(OutputColumn::Key(keys[*column])),
                None => {
                    let output = &spec.outputs[column - spec.keys.len()];
                    let position = rows.index_of(&output.column)?;
                    Ok(OutputColumn::Aggregate(position, output.aggregate))
                }
            });
        Ok(Groups {
            columns: columns.collect::<EngineResult<_>>()?,
            keys,
            rows,
            schema,
            min_length: spec.min_length,
            max_length: spec.max_length,
            latest_first: spec.latest_first,
            enough_rows: batch_size.saturating_mul(BATCHES_AT_ONCE),
            memory,
            pending: Vec::new(),
            pending_rows: 0,
            starts: Vec::new(),
            last_keys: None,
        })
    }

    /// Takes the next rows; gives groups when enough are whole.
    ///
    /// # Errors
    /// If a group does not fit into memory, or an aggregate fails.
    pub(super) fn push(&mut self, batch: RecordBatch) -> EngineResult<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let keys: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|i| Arc::clone(batch.column(*i)))
            .collect();
        let goes_on = match &self.last_keys {
            Some(last) => are_equal(last, &keys)?,
            None => false,
        };
        for (i, group) in partition(&keys)?.ranges().into_iter().enumerate() {
            if i > 0 || !goes_on {
                self.starts.push(self.pending_rows + group.start);
            }
        }
        let last = batch.num_rows() - 1;
        self.last_keys = Some(keys.iter().map(|key| key.slice(last, 1)).collect());
        self.memory.try_grow(size_of_batch(&batch))?;
        self.pending_rows += batch.num_rows();
        self.pending.push(batch);
        // The last group may go on in the next batch.
        match self.starts.last() {
            Some(whole) if *whole >= self.enough_rows => {
                let whole = *whole;
                self.flush(whole)
            }
            _ => Ok(None),
        }
    }

    /// The groups that are left after the last row.
    ///
    /// # Errors
    /// If an aggregate fails.
    pub(super) fn finish(&mut self) -> EngineResult<Option<RecordBatch>> {
        match self.pending_rows {
            0 => Ok(None),
            rows => self.flush(rows),
        }
    }

    /// Hands out the groups of the first rows, which are whole.
    fn flush(&mut self, rows: usize) -> EngineResult<Option<RecordBatch>> {
        let all = concat_batches(&self.rows, &std::mem::take(&mut self.pending))?;
        let rest = all.slice(rows, all.num_rows() - rows);
        let goes_on = rest.num_rows() > 0;
        let mut starts = std::mem::take(&mut self.starts);
        if goes_on {
            starts.pop();
            self.starts.push(0);
        }
        self.memory.try_resize(size_of_batch(&rest))?;
        self.pending_rows = rest.num_rows();
        self.pending.push(rest);
        starts.push(rows);
        let groups = starts.windows(2).map(|pair| pair[0]..pair[1]);
        let groups: Vec<Range<usize>> = groups
            .filter(|group| group.len() >= self.min_length)
            .collect();
        if groups.is_empty() {
            return Ok(None);
        }
        self.aggregate(&all, &groups).map(Some)
    }

    fn aggregate(&self, rows: &RecordBatch, groups: &[Range<usize>]) -> EngineResult<RecordBatch> {
        let firsts = UInt64Array::from_iter_values(groups.iter().map(|group| group.start as u64));
        let lists: Vec<Range<usize>> = groups.iter().map(|group| self.list_of(group)).collect();
        let columns = self.columns.iter().map(|column| match column {
            OutputColumn::Key(key) => Ok(take(rows.column(*key), &firsts, None)?),
            OutputColumn::Aggregate(column, aggregate) => {
                let ranges = match aggregate.kind {
                    Aggregate::List => &lists,
                    _ => groups,
                };
                aggregate.evaluate(rows.column(*column), ranges)
            }
        });
        let columns: EngineResult<Vec<ArrayRef>> = columns.collect();
        Ok(batch_of(&self.schema, columns?, groups.len())?)
    }

    /// The rows of a group that stand in its lists.
    fn list_of(&self, group: &Range<usize>) -> Range<usize> {
        let length = group.len().min(self.max_length.unwrap_or(usize::MAX));
        match self.latest_first {
            true => group.start..group.start + length,
            false => group.end - length..group.end,
        }
    }
}

fn positions(names: &[String], schema: &ArrowSchema) -> EngineResult<Vec<usize>> {
    let positions: Result<Vec<usize>, _> = names.iter().map(|name| schema.index_of(name)).collect();
    Ok(positions?)
}

/// Whether the keys of one row are those of the first of others.
fn are_equal(one: &[ArrayRef], others: &[ArrayRef]) -> EngineResult<bool> {
    let pairs = one.iter().zip(others);
    let pairs = pairs.map(|(one, others)| concat(&[one, &others.slice(0, 1)]));
    let pairs: Result<Vec<ArrayRef>, _> = pairs.collect();
    Ok(partition(&pairs?)?.len() == 1)
}

/// The bytes of the rows themselves, without what else is in the buffers that they share.
fn size_of_batch(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| {
            let data = column.to_data();
            data.get_slice_memory_size()
                .unwrap_or_else(|_| column.get_array_memory_size())
        })
        .sum()
}
