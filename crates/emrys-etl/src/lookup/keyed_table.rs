//! Statistics by key: what `TargetEncoding` and `JoinGroupby` learn.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::UInt64Array;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};

use super::{
    DiskIndexBuilder, LookupError, ValueIndex, canonical, common_type, plain_type, strict_cast,
};
use crate::operator::{GroupedRows, Order};
use crate::storage::{ColumnSink, Sink, Storage};
use crate::{Error, Result};

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

/// A word of a record: a name, and how its 64 bits are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) kind: WordKind,
}

/// How the bits of a word are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    Signed,
    Unsigned,
    Float,
}

impl Word {
    pub(crate) fn new(name: impl Into<String>, kind: WordKind) -> Word {
        Word {
            name: name.into(),
            kind,
        }
    }
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

    /// The table of the old and the new data.
    pub(crate) fn merge(
        &self,
        new: &KeyedTable,
        records: &dyn Records,
        storage: &Storage,
    ) -> Result<KeyedTable, LookupError> {
        let types = self
            .keys
            .iter()
            .zip(&new.keys)
            .map(|(a, b)| common_type([a.data_type(), b.data_type()]))
            .collect::<Result<Vec<_>, _>>()?;
        let keys = self.len() + new.len();
        let bytes: usize = self
            .keys
            .iter()
            .chain(&new.keys)
            .map(|keys| keys.get_array_memory_size())
            .sum();
        let mut builder = Builder::new(&types, keys, bytes, records, storage)?;
        let mut sides = [Cursor::new(self, &types)?, Cursor::new(new, &types)?];
        // Which keys come next: side, and row within what the side has loaded.
        let mut pending: Vec<(usize, usize)> = Vec::new();
        loop {
            let order = match (sides[0].current(), sides[1].current()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.cmp(&b),
            };
            let mut record = sides[usize::from(order.is_gt())].record().to_vec();
            if order.is_eq() {
                records.merge(&mut record, sides[1].record());
            }
            builder.add_record(&record)?;
            let side = usize::from(order.is_gt());
            pending.push((side, sides[side].at));
            if order.is_le() {
                sides[0].at += 1;
            }
            if order.is_ge() {
                sides[1].at += 1;
            }
            let finished = sides.iter().any(Cursor::needs_more);
            if finished {
                builder.add_keys(interleaved(&sides, &pending, types.len())?)?;
                pending.clear();
                for side in &mut sides {
                    side.load_more(&types)?;
                }
            }
        }
        builder.finish(self.members.clone())
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

impl WordKind {
    fn data_type(self) -> DataType {
        match self {
            WordKind::Signed => DataType::Int64,
            WordKind::Unsigned => DataType::UInt64,
            WordKind::Float => DataType::Float64,
        }
    }

    fn array(self, words: impl Iterator<Item = u64>) -> ArrayRef {
        match self {
            WordKind::Signed => Arc::new(Int64Array::from_iter_values(words.map(u64::cast_signed))),
            WordKind::Unsigned => Arc::new(UInt64Array::from_iter_values(words)),
            WordKind::Float => Arc::new(Float64Array::from_iter_values(words.map(f64::from_bits))),
        }
    }

    fn words(self, values: &ArrayRef) -> Option<Vec<u64>> {
        Some(match self {
            WordKind::Signed => {
                let values = values.as_primitive_opt::<Int64Type>()?;
                values
                    .values()
                    .iter()
                    .map(|word| word.cast_unsigned())
                    .collect()
            }
            WordKind::Unsigned => values.as_primitive_opt::<UInt64Type>()?.values().to_vec(),
            WordKind::Float => {
                let values = values.as_primitive_opt::<Float64Type>()?;
                values.values().iter().map(|word| word.to_bits()).collect()
            }
        })
    }
}

/// A table on its way into memory or onto disk.
struct Builder {
    keys: Vec<ColumnSink>,
    words: Sink,
    width: usize,
    index: Option<DiskIndexBuilder>,
    /// Whether the record of a key is being filled.
    is_open: bool,
}

impl Builder {
    fn new(
        types: &[DataType],
        keys: usize,
        bytes: usize,
        records: &dyn Records,
        storage: &Storage,
    ) -> Result<Builder, LookupError> {
        let width = records.empty().len();
        let expected = bytes + 8 * keys * width + ValueIndex::expected_bytes(keys, types.len());
        let on_disk = keys > 0 && storage.is_on_disk(expected);
        let sink = |data_type: &DataType| ColumnSink::new(data_type, storage, on_disk, keys, bytes);
        let index = match on_disk {
            true => {
                let types: Vec<&DataType> = types.iter().collect();
                Some(DiskIndexBuilder::new(&types, keys, 1, 0, storage)?)
            }
            false => None,
        };
        Ok(Builder {
            keys: types.iter().map(sink).collect::<Result<_>>()?,
            words: storage.sink(on_disk, 8 * keys * width)?,
            width,
            index,
            is_open: false,
        })
    }

    fn add_keys(&mut self, columns: Vec<ArrayRef>) -> Result<(), LookupError> {
        for (sink, column) in self.keys.iter_mut().zip(&columns) {
            sink.append(column)?;
        }
        match &mut self.index {
            Some(index) => index.push(&columns),
            None => Ok(()),
        }
    }

    fn add_record(&mut self, record: &[u64]) -> Result<()> {
        self.words.write_all(record)
    }

    fn finish(self, members: Vec<String>) -> Result<KeyedTable, LookupError> {
        let keys = self.keys.into_iter().map(ColumnSink::finish);
        let keys = keys.collect::<Result<Vec<_>>>()?;
        // Code 0 is an unknown key, the first key has code 1.
        let index = match self.index {
            Some(index) => ValueIndex::from_disk(index.finish()?),
            None => ValueIndex::build(&keys, 1, 0)?,
        };
        Ok(KeyedTable {
            members,
            keys,
            index: Arc::new(index),
            width: self.width,
            words: self.words.finish_numbers()?,
        })
    }
}

/// Finds where keys begin in ordered rows that come batch by batch.
pub(crate) struct KeyRuns {
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl KeyRuns {
    pub(crate) fn new(types: &[DataType]) -> Result<KeyRuns, LookupError> {
        let fields = types.iter().cloned().map(SortField::new).collect();
        Ok(KeyRuns {
            converter: RowConverter::new(fields)?,
            last: None,
        })
    }

    /// The rows with another key than the row before them.
    pub(crate) fn starts(&mut self, keys: &[ArrayRef]) -> Result<Vec<usize>, LookupError> {
        let rows = self.converter.convert_columns(keys)?;
        let mut starts = Vec::new();
        for row in 0..rows.num_rows() {
            let same = match row.checked_sub(1) {
                Some(before) => rows.row(row) == rows.row(before),
                None => self
                    .last
                    .as_ref()
                    .is_some_and(|last| last.row() == rows.row(row)),
            };
            if !same {
                starts.push(row);
            }
        }
        if let Some(last) = rows.num_rows().checked_sub(1) {
            self.last = Some(rows.row(last).owned());
        }
        Ok(starts)
    }
}

/// The first columns of a batch in plain types, with one form for each value.
pub(crate) fn key_columns(
    batch: &RecordBatch,
    types: &[DataType],
) -> Result<Vec<ArrayRef>, LookupError> {
    let columns = batch.columns().iter().zip(types);
    columns
        .map(|(column, plain)| Ok(canonical(&strict_cast(column, plain)?)))
        .collect()
}

fn count_keys(rows: &GroupedRows, width: usize) -> Result<usize, LookupError> {
    let types: Vec<DataType> = rows.schema().fields()[..width]
        .iter()
        .map(|field| plain_type(field.data_type()))
        .collect();
    let mut runs = KeyRuns::new(&types)?;
    let mut keys = 0;
    for batch in rows.batches()? {
        keys += runs.starts(&key_columns(&batch?, &types)?)?.len();
    }
    Ok(keys)
}

/// A position in a table that is read key by key.
struct Cursor<'a> {
    table: &'a KeyedTable,
    /// The first key that is loaded.
    start: usize,
    keys: Vec<ArrayRef>,
    rows: Rows,
    /// The current key among those that are loaded.
    at: usize,
    converter: RowConverter,
}

impl<'a> Cursor<'a> {
    fn new(table: &'a KeyedTable, types: &[DataType]) -> Result<Cursor<'a>, LookupError> {
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields)?;
        let mut cursor = Cursor {
            table,
            start: 0,
            keys: Vec::new(),
            rows: converter.empty_rows(0, 0),
            at: 0,
            converter,
        };
        cursor.load(0, types)?;
        Ok(cursor)
    }

    fn load(&mut self, start: usize, types: &[DataType]) -> Result<(), LookupError> {
        let length = ROWS_AT_ONCE.min(self.table.len() - start);
        let keys = self.table.keys.iter().zip(types);
        self.keys = keys
            .map(|(keys, data_type)| strict_cast(&keys.slice(start, length), data_type))
            .collect::<Result<_, _>>()?;
        self.rows = self.converter.convert_columns(&self.keys)?;
        self.start = start;
        self.at = 0;
        Ok(())
    }

    fn current(&self) -> Option<arrow::row::Row<'_>> {
        (self.at < self.rows.num_rows()).then(|| self.rows.row(self.at))
    }

    fn record(&self) -> &[u64] {
        self.table.record_of(self.start + self.at)
    }

    /// Whether all loaded keys were used.
    fn needs_more(&self) -> bool {
        self.at == self.rows.num_rows() && self.at > 0
    }

    fn load_more(&mut self, types: &[DataType]) -> Result<(), LookupError> {
        if self.needs_more() {
            self.load(self.start + self.at, types)?;
        }
        Ok(())
    }
}

/// The pending keys in one array per member.
fn interleaved(
    sides: &[Cursor<'_>; 2],
    pending: &[(usize, usize)],
    width: usize,
) -> Result<Vec<ArrayRef>, LookupError> {
    (0..width)
        .map(|at| {
            let arrays: [&dyn Array; 2] = [&*sides[0].keys[at], &*sides[1].keys[at]];
            Ok(interleave(&arrays, pending)?)
        })
        .collect()
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::Internal(format!("a table of statistics by key: {error}"))
}
