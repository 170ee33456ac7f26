//! Statistics by key: what `TargetEncoding` and `JoinGroupby` learn.

mod builder;
mod merge;
mod runs;
mod word;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{LookupError, ValueIndex, plain_type};
use crate::operator::{GroupedRows, Order};
use crate::storage::Storage;
use crate::{Error, Result};
use builder::Builder;
use runs::count_keys;
pub(crate) use runs::{KeyRuns, key_columns};
pub(crate) use word::{Word, WordKind};

/// Puts a grouped row, by its number in the batch, into the record of its key.
pub(crate) type RowReader = Box<dyn Fn(usize, &mut [u64])>;

/// What a record holds for each key, and how it is made and added up.
pub(crate) trait Records {
    /// The words of a record, in order.
    fn words(&self) -> Vec<Word>;

    /// The record of a key without rows.
    fn empty(&self) -> Vec<u64>;

    /// Reads a batch of grouped rows: what is returned puts a row into the record of its key.
    fn reader(&self, batch: &RecordBatch) -> Result<RowReader>;

    /// Adds the record of the same key over other data.
    fn merge(&self, record: &mut [u64], other: &[u64]);
}

/// A record of words for each distinct key of one column or several, in memory or on disk.
///
/// Keys are in rising order, null before everything else. The words of a record lie side by side,
/// so that a look-up reads one place.
pub(crate) struct KeyedTable {
    members: Vec<String>,
    keys: Vec<ArrayRef>,
    index: Arc<ValueIndex>,
    width: usize,
    words: ScalarBuffer<u64>,
}

impl fmt::Debug for KeyedTable {
    /// Without the keys, of which there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedTable")
            .field("members", &self.members)
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// How many rows are worked on at a time.
const ROWS_AT_ONCE: usize = 1 << 16;

impl KeyedTable {
    /// Makes the table from the rows of a group-by, whose first columns are the keys.
    ///
    /// `complete` is called with each record once all its rows are in it, in order of the keys.
    pub(crate) fn build(
        members: &[String],
        rows: GroupedRows,
        order: &[Order],
        records: &dyn Records,
        storage: &Storage,
        mut complete: impl FnMut(&mut [u64]) -> Result<()>,
    ) -> Result<KeyedTable, LookupError> {
        let width = members.len();
        let one_each = order.len() == width;
        let rows = rows.in_order(order)?;
        let keys = match one_each || !storage.may_use_disk() {
            true => rows.num_rows(),
            false => count_keys(&rows, width)?,
        };
        let types: Vec<DataType> = rows.schema().fields()[..width]
            .iter()
            .map(|field| plain_type(field.data_type()))
            .collect();
        let mut builder = Builder::new(&types, keys, rows.num_bytes(), records, storage)?;
        let mut record = records.empty();
        let mut runs = KeyRuns::new(&types)?;
        for batch in rows.batches()? {
            let batch = batch?;
            let columns = key_columns(&batch, &types)?;
            let starts = runs.starts(&columns)?;
            let read = records.reader(&batch)?;
            let firsts: UInt32Array = starts.iter().map(|row| *row as u32).collect();
            let firsts = columns.iter().map(|column| take(column, &firsts, None));
            builder.add_keys(firsts.collect::<Result<_, _>>()?)?;
            let mut starts = starts.into_iter().peekable();
            for row in 0..batch.num_rows() {
                if starts.next_if_eq(&row).is_some() {
                    if builder.is_open {
                        complete(&mut record)?;
                        builder.add_record(&record)?;
                        record = records.empty();
                    }
                    builder.is_open = true;
                }
                read(row, &mut record);
            }
        }
        if builder.is_open {
            complete(&mut record)?;
            builder.add_record(&record)?;
        }
        builder.finish(members.to_vec())
    }

    /// The columns whose values are the keys.
    pub(crate) fn members(&self) -> &[String] {
        &self.members
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.first().map_or(0, |keys| keys.len())
    }

    /// Codes of keys, from 1 on.
    pub(crate) fn index(&self) -> &Arc<ValueIndex> {
        &self.index
    }

    /// The record of the key with a code; `None` for code zero, an unknown key.
    #[inline]
    pub(crate) fn record(&self, code: u32) -> Option<&[u64]> {
        let row = (code as usize).checked_sub(1)?;
        Some(self.record_of(row))
    }

    fn record_of(&self, row: usize) -> &[u64] {
        &self.words[row * self.width..(row + 1) * self.width]
    }

    /// The columns of the table: keys, then words.
    pub(crate) fn schema(&self, words: &[Word]) -> SchemaRef {
        let keys = self.keys.iter().enumerate();
        let keys = keys.map(|(at, keys)| Field::new(key_name(at), keys.data_type().clone(), true));
        let words = words
            .iter()
            .map(|word| Field::new(&word.name, word.kind.data_type(), true));
        Arc::new(Schema::new(keys.chain(words).collect::<Vec<_>>()))
    }

    /// The rows of the table, a part at a time.
    pub(crate) fn batches<'a>(
        &'a self,
        words: &'a [Word],
    ) -> impl Iterator<Item = Result<RecordBatch>> + 'a {
        let schema = self.schema(words);
        (0..self.len()).step_by(ROWS_AT_ONCE).map(move |start| {
            let rows = start..self.len().min(start + ROWS_AT_ONCE);
            let mut columns: Vec<ArrayRef> = self
                .keys
                .iter()
                .map(|keys| keys.slice(start, rows.len()))
                .collect();
            for (at, word) in words.iter().enumerate() {
                let values = rows.clone().map(|row| self.words[row * self.width + at]);
                columns.push(word.kind.array(values));
            }
            RecordBatch::try_new(Arc::clone(&schema), columns).map_err(broken)
        })
    }

    /// Makes the table from what [`batches`](Self::batches) gave; words that are missing are those
    /// of a key without rows. `None` if the columns are not of a table of so many keys.
    pub(crate) fn from_batches(
        members: &[String],
        schema: &SchemaRef,
        rows: usize,
        bytes: usize,
        batches: impl Iterator<Item = Result<RecordBatch>>,
        records: &dyn Records,
        storage: &Storage,
    ) -> Result<Option<KeyedTable>, LookupError> {
        let width = members.len();
        let words = records.words();
        let known = |name: &str| words.iter().any(|word| word.name == name);
        let fields = schema.fields();
        let fits = fields.len() >= width
            && (0..width).all(|at| *fields[at].name() == key_name(at))
            && fields[width..].iter().all(|field| known(field.name()));
        if !fits {
            return Ok(None);
        }
        let types: Vec<DataType> = fields[..width]
            .iter()
            .map(|field| plain_type(field.data_type()))
            .collect();
        let mut builder = Builder::new(&types, rows, bytes, records, storage)?;
        let mut record = records.empty();
        for batch in batches {
            let batch = batch?;
            let mut columns = Vec::with_capacity(words.len());
            for (at, word) in words.iter().enumerate() {
                if let Some(values) = batch.column_by_name(&word.name) {
                    match word.kind.words(values) {
                        Some(values) => columns.push((at, values)),
                        None => return Ok(None),
                    }
                }
            }
            builder.add_keys(key_columns(&batch, &types)?)?;
            for row in 0..batch.num_rows() {
                for (at, values) in &columns {
                    record[*at] = values[row];
                }
                builder.add_record(&record)?;
            }
        }
        builder.finish(members.to_vec()).map(Some)
    }
}

/// The name of a member of the keys in queries and files.
pub(crate) fn key_name(position: usize) -> String {
    format!("key_{position}")
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::Internal(format!("a table of statistics by key: {error}"))
}
