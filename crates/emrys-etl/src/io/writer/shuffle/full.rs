//! A shuffle of more rows than fit into memory.
//!
//! 1. Each partition is written to a file of its own as it comes ([`Spool`]). Then the number of
//!    every row among all rows is known, however they were partitioned, and so is the size of the
//!    data.
//! 2. The files are read again, and every row goes to one of many buckets by its key
//!    ([`Shuffler`]): a bucket holds a range of keys and fits into memory.
//! 3. Each bucket is read, and its rows are put into the order of their keys
//!    ([`ShuffledPart`]).

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::Keys;
use super::permute::{Permuted, gather, shuffling};
use crate::io::writer::tasks::Stop;
use crate::{Error, Result};

/// The column that carries the keys within the temporary files.
const KEY: &str = "__emrys_shuffle_key";

/// What the order of a row takes in memory: its key and its place, and its place once more.
const ORDER_BYTES: u64 = 40;

/// Rows per batch of the output, and bytes, where rows are large.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 16 << 20;

/// The rows of one partition on their way to a file, in their order.
pub(in crate::io::writer) struct Spool {
    path: PathBuf,
    writer: StreamWriter<BufWriter<File>>,
    rows: u64,
}

/// A file of rows in their order.
pub(in crate::io) struct Spooled {
    path: PathBuf,
    rows: u64,
    bytes: u64,
}

impl Spooled {
    pub(in crate::io::writer) fn rows(&self) -> u64 {
        self.rows
    }
}

impl Spool {
    pub(in crate::io::writer) fn create(
        folder: &Path,
        number: usize,
        schema: &SchemaRef,
    ) -> Result<Spool> {
        let path = folder.join(format!("spool_{number:05}"));
        let file = File::create_new(&path).map_err(Error::io("write", &path))?;
        let writer =
            StreamWriter::try_new(BufWriter::new(file), schema).map_err(at("write", &path))?;
        Ok(Spool {
            path,
            writer,
            rows: 0,
        })
    }

    /// Adds rows, whose columns are those the spool was created with.
    pub(in crate::io::writer) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(at("write", &self.path))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    pub(in crate::io::writer) fn finish(mut self) -> Result<Spooled> {
        self.writer.finish().map_err(at("write", &self.path))?;
        self.writer.flush().map_err(at("write", &self.path))?;
        let metadata = fs::metadata(&self.path).map_err(Error::io("read", &self.path))?;
        Ok(Spooled {
            path: self.path,
            rows: self.rows,
            bytes: metadata.len(),
        })
    }
}

/// Divides spooled rows into buckets.
pub(in crate::io::writer) struct Shuffler {
    keys: Keys,
    buckets: Vec<Bucket>,
    buckets_per_part: usize,
    /// How many rows are held while they are divided, by each of the tasks.
    window_rows: usize,
    batch_rows: usize,
}

/// A file to which several tasks append.
struct Bucket {
    path: PathBuf,
    schema: SchemaRef,
    writer: Mutex<Option<StreamWriter<Appender>>>,
}

impl Shuffler {
    /// Buckets for the given rows, such that each of `parts` tasks at a time holds its share of
    /// `memory` bytes.
    pub(in crate::io::writer) fn new(
        folder: &Path,
        seed: u64,
        schema: &SchemaRef,
        spooled: &[Spooled],
        parts: usize,
        memory: usize,
    ) -> Shuffler {
        let rows: u64 = spooled.iter().map(|file| file.rows).sum();
        let bytes: u64 = spooled.iter().map(|file| file.bytes).sum();
        let row_bytes = bytes / rows.max(1) + ORDER_BYTES;
        // What is read stands in memory beside the pieces that are made of it.
        let held_bytes = (memory / parts.max(1) / 2).max(1) as u64;
        let part_bytes = (bytes + rows * ORDER_BYTES) / parts.max(1) as u64;
        let buckets_per_part = usize::try_from(part_bytes.div_ceil(held_bytes))
            .unwrap_or(usize::MAX)
            .max(1);
        let clamp =
            |rows: u64, most: usize| usize::try_from(rows).map_or(most, |rows| rows.clamp(1, most));
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(KEY, DataType::UInt64, false)));
        let schema = Arc::new(Schema::new(fields));
        let bucket = |number| Bucket {
            path: folder.join(format!("bucket_{number:06}")),
            schema: Arc::clone(&schema),
            writer: Mutex::new(None),
        };
        Shuffler {
            keys: Keys::new(seed),
            buckets: (0..parts * buckets_per_part).map(bucket).collect(),
            buckets_per_part,
            window_rows: clamp(held_bytes / row_bytes, u32::MAX as usize),
            batch_rows: clamp(BATCH_BYTES as u64 / row_bytes, BATCH_ROWS),
        }
    }

    /// Divides the rows of one partition, whose first has the given number among all rows; the
    /// file is deleted.
    pub(in crate::io::writer) async fn divide(
        &self,
        spooled: &Spooled,
        first: u64,
        stop: &Stop,
    ) -> Result<()> {
        let path = &spooled.path;
        let mut held = Vec::new();
        let mut held_rows = 0;
        let mut next = first;
        for batch in open(path)? {
            stop.pause().await?;
            let batch = batch.map_err(at("read", path))?;
            held_rows += batch.num_rows();
            held.push(batch);
            if held_rows >= self.window_rows {
                self.scatter(&held, next, stop).await?;
                next += held_rows as u64;
                held.clear();
                held_rows = 0;
            }
        }
        self.scatter(&held, next, stop).await?;
        fs::remove_file(path).map_err(Error::io("remove", path))
    }

    async fn scatter(&self, batches: &[RecordBatch], first: u64, stop: &Stop) -> Result<()> {
        let places = batches
            .iter()
            .enumerate()
            .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)));
        let mut placed: Vec<(u64, (usize, usize))> = (first..)
            .map(|row| self.keys.key(row))
            .zip(places)
            .collect();
        // Rows of one bucket are neighbours when they are sorted by their keys.
        placed.sort_unstable();
        for rows in placed.chunk_by(|left, right| self.bucket(left.0) == self.bucket(right.0)) {
            stop.pause().await?;
            let places: Vec<_> = rows.iter().map(|(_, place)| *place).collect();
            let keys = UInt64Array::from_iter_values(rows.iter().map(|(key, _)| *key));
            let gathered = gather(batches, &places)?;
            self.buckets[self.bucket(rows[0].0)].append(gathered, Arc::new(keys))?;
        }
        Ok(())
    }

    /// Buckets hold consecutive ranges of keys.
    fn bucket(&self, key: u64) -> usize {
        let product = u128::from(key) * self.buckets.len() as u128;
        usize::try_from(product >> 64).expect("a share of the buckets is not more than all")
    }

    /// The shuffled rows, in as many parts as were asked for.
    pub(in crate::io::writer) fn finish(self) -> Result<Vec<ShuffledPart>> {
        let mut parts = Vec::with_capacity(self.buckets.len() / self.buckets_per_part);
        let mut buckets = self.buckets.into_iter();
        while buckets.len() > 0 {
            let mut files = VecDeque::new();
            for bucket in buckets.by_ref().take(self.buckets_per_part) {
                files.extend(bucket.finish()?);
            }
            parts.push(ShuffledPart {
                buckets: files,
                current: None,
                batch_rows: self.batch_rows,
            });
        }
        Ok(parts)
    }
}

impl Bucket {
    fn append(&self, rows: RecordBatch, keys: ArrayRef) -> Result<()> {
        let (_, mut columns, _) = rows.into_parts();
        columns.push(keys);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(shuffling)?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *writer {
            Some(writer) => writer,
            none => none.insert(
                StreamWriter::try_new(Appender::new(&self.path), &self.schema)
                    .map_err(at("write", &self.path))?,
            ),
        };
        writer
            .write(&batch)
            .and_then(|()| writer.flush())
            .map_err(at("write", &self.path))
    }

    /// The file, if a row came here.
    fn finish(self) -> Result<Option<PathBuf>> {
        let writer = self
            .writer
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(mut writer) = writer else {
            return Ok(None);
        };
        writer
            .finish()
            .and_then(|()| writer.flush())
            .map_err(at("write", &self.path))?;
        Ok(Some(self.path))
    }
}

/// Appends to a file what is flushed; the file is open only meanwhile, so that there may be more
/// buckets than the system allows open files.
struct Appender {
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Appender {
    fn new(path: &Path) -> Appender {
        Appender {
            path: path.to_owned(),
            buffer: Vec::new(),
        }
    }
}

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)?;
        file.write_all(&self.buffer)?;
        self.buffer = Vec::new();
        Ok(())
    }
}

/// A contiguous part of the shuffled rows, in order.
pub(in crate::io::writer) struct ShuffledPart {
    buckets: VecDeque<PathBuf>,
    current: Option<Permuted>,
    batch_rows: usize,
}

impl ShuffledPart {
    /// The next rows; `None` if there are no more.
    pub(in crate::io::writer) async fn next(&mut self, stop: &Stop) -> Result<Option<RecordBatch>> {
        loop {
            stop.pause().await?;
            if let Some(batch) = self.current.as_mut().and_then(Iterator::next) {
                return batch.map(Some);
            }
            // The former bucket is let go before the next is read.
            self.current = None;
            let Some(path) = self.buckets.pop_front() else {
                return Ok(None);
            };
            self.current = Some(self.load(&path, stop).await?);
        }
    }

    async fn load(&self, path: &Path, stop: &Stop) -> Result<Permuted> {
        let mut batches = Vec::new();
        let mut keys = Vec::new();
        for batch in open(path)? {
            stop.pause().await?;
            let mut batch = batch.map_err(at("read", path))?;
            let column = batch.remove_column(batch.num_columns() - 1);
            keys.extend_from_slice(column.as_primitive::<UInt64Type>().values());
            batches.push(batch);
        }
        fs::remove_file(path).map_err(Error::io("remove", path))?;
        Ok(Permuted::new(batches, &keys, self.batch_rows))
    }
}

fn open(path: &Path) -> Result<StreamReader<BufReader<File>>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    StreamReader::try_new(BufReader::with_capacity(1 << 18, file), None).map_err(at("read", path))
}

/// What the system said comes out again, such as that the disk is full.
fn at(action: &'static str, path: &Path) -> impl FnOnce(ArrowError) -> Error {
    let path = path.to_owned();
    move |error| match error {
        ArrowError::IoError(_, error) => Error::io(action, path)(error),
        error => Error::io(action, path)(std::io::Error::other(error)),
    }
}
