//! The results of grouped statistics, which may be larger than memory.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::Order;
use crate::batch_of::batch_of;
use crate::storage::{FileReader, Storage};
use crate::{Error, Result};

/// The rows of a grouped statistic: keys, then aggregates; in memory, or in a temporary file.
///
/// They can be read several times, batch by batch. The file is gone when the last owner is, even
/// if the process is killed.
#[derive(Clone)]
pub struct GroupedRows {
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    ordered: bool,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Memory(Vec<RecordBatch>),
    File(Arc<File>),
}

impl GroupedRows {
    /// Rows in memory, in any order; `schema` tells the columns if there is no batch.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> GroupedRows {
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        GroupedRows {
            schema,
            rows: batches.iter().map(RecordBatch::num_rows).sum(),
            bytes: batches.iter().map(batch_bytes).sum(),
            ordered: false,
            place: Place::Memory(batches),
        }
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.rows
    }

    /// How much memory all rows take, or would take.
    pub fn num_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the rows stand in the order that was asked for, see
    /// [`Statistic::Large`](super::Statistic::Large).
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// The batches one after another, read anew with each call.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn batches(&self) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send + '_>> {
        match &self.place {
            Place::Memory(batches) => Ok(Box::new(batches.iter().cloned().map(Ok))),
            Place::File(file) => {
                let reader = BufReader::with_capacity(1 << 20, FileReader::new(Arc::clone(file)));
                let reader = StreamReader::try_new(reader, None).map_err(reading)?;
                Ok(Box::new(reader.map(|batch| batch.map_err(reading))))
            }
        }
    }

    /// All rows at once, for statistics with few of them.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn into_batches(self) -> Result<Vec<RecordBatch>> {
        match self.place {
            Place::Memory(batches) => Ok(batches),
            Place::File(_) => self.batches()?.collect(),
        }
    }

    /// The rows in the given order; sorted in memory, unless they are ordered already.
    pub(crate) fn in_order(self, order: &[Order]) -> Result<GroupedRows> {
        if self.ordered {
            return Ok(self);
        }
        let schema = Arc::clone(&self.schema);
        let all = concat_batches(&schema, &self.into_batches()?).map_err(sorting)?;
        let columns = order.iter().map(|order| {
            let values = all.column_by_name(&order.column).ok_or_else(|| {
                Error::Internal(format!(
                    "an order by `{}`, which is no column",
                    order.column
                ))
            })?;
            Ok(SortColumn {
                values: Arc::clone(values),
                options: Some(SortOptions::new(order.descending, true)),
            })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let sorted = match columns.is_empty() {
            true => all,
            false => {
                let rows = lexsort_to_indices(&columns, None).map_err(sorting)?;
                take_rows(&all, &rows).map_err(sorting)?
            }
        };
        let mut sorted = GroupedRows::from_batches(schema, vec![sorted]);
        sorted.ordered = true;
        Ok(sorted)
    }
}

fn take_rows(batch: &RecordBatch, rows: &UInt32Array) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| take(column, rows, None));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    batch_of(batch.schema_ref(), columns, rows.len())
}

impl fmt::Debug for GroupedRows {
    /// Without the rows, of which there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupedRows")
            .field("schema", &self.schema)
            .field("rows", &self.rows)
            .field("in_file", &matches!(self.place, Place::File(_)))
            .finish_non_exhaustive()
    }
}

/// Takes rows one batch after another: in memory while they are few, then in a temporary file.
pub(crate) struct GroupedWriter {
    schema: SchemaRef,
    storage: Storage,
    room: usize,
    rows: usize,
    bytes: usize,
    batches: Vec<RecordBatch>,
    file: Option<(Arc<File>, StreamWriter<BufWriter<File>>)>,
}

impl GroupedWriter {
    /// Rows of the given columns, of which `room` bytes may stay in memory.
    pub(crate) fn new(schema: SchemaRef, storage: Storage, room: usize) -> GroupedWriter {
        GroupedWriter {
            schema,
            storage,
            room,
            rows: 0,
            bytes: 0,
            batches: Vec::new(),
            file: None,
        }
    }

    /// Adds rows behind the others.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.bytes += batch_bytes(&batch);
        if self.file.is_none() && self.bytes > self.room {
            let file = self.storage.temporary_file()?;
            let copy = file
                .try_clone()
                .map_err(Error::io("open", "a spill file"))?;
            let buffer = BufWriter::with_capacity(1 << 20, copy);
            let mut writer = StreamWriter::try_new(buffer, &self.schema).map_err(writing)?;
            for batch in self.batches.drain(..) {
                writer.write(&batch).map_err(writing)?;
            }
            self.file = Some((Arc::new(file), writer));
        }
        match &mut self.file {
            Some((_, writer)) => writer.write(&batch).map_err(writing),
            None => {
                self.batches.push(batch);
                Ok(())
            }
        }
    }

    /// All rows; `ordered` says whether they came in the order that was asked for.
    pub(crate) fn finish(self, ordered: bool) -> Result<GroupedRows> {
        let place = match self.file {
            Some((file, mut writer)) => {
                writer.finish().map_err(writing)?;
                let buffer = writer.into_inner().map_err(writing)?;
                buffer
                    .into_inner()
                    .map_err(|error| Error::io("write", "a spill file")(error.into_error()))?;
                Place::File(file)
            }
            None => Place::Memory(self.batches),
        };
        Ok(GroupedRows {
            schema: self.schema,
            rows: self.rows,
            bytes: self.bytes,
            ordered,
            place,
        })
    }

    /// How many bytes stay in memory.
    pub(crate) fn held(&self) -> usize {
        if self.file.is_some() { 0 } else { self.bytes }
    }
}

/// How many bytes the rows of a batch take, whatever buffers it shares with others.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

/// How many bytes the rows of an array take, whatever buffers it shares with others.
fn array_bytes(array: &ArrayRef) -> usize {
    let nulls = array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    let rows = array.len();
    nulls
        + match array.data_type() {
            DataType::Utf8View => {
                let views = array.as_string_view();
                views.views().iter().map(view_bytes).sum()
            }
            DataType::BinaryView => {
                let views = array.as_binary_view();
                views.views().iter().map(view_bytes).sum()
            }
            DataType::Struct(_) => array.as_struct().columns().iter().map(array_bytes).sum(),
            data_type => match data_type.primitive_width() {
                Some(width) => rows * width,
                None => array
                    .to_data()
                    .get_slice_memory_size()
                    .unwrap_or_else(|_| array.get_array_memory_size()),
            },
        }
}

fn view_bytes(view: &u128) -> usize {
    // The length of the value is in the lower 32 bits.
    let length = *view as u32 as usize;
    16 + if length > 12 { length } else { 0 }
}

fn reading(error: ArrowError) -> Error {
    Error::query("reading a spill file")(error.into())
}

fn writing(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => Error::io("write", "a spill file")(error),
        error => Error::query("writing a spill file")(error.into()),
    }
}

fn sorting(error: ArrowError) -> Error {
    Error::query("sorting groups")(error.into())
}
