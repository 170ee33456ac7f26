//! Rows into folders by the values of columns: `day=2024-05-01/country=it/`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, FieldRef, Schema as ArrowSchema};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use foldhash::fast::FixedState;

use super::encoding::Encoding;
use super::place::Place;
use super::sink::{Part, Sink};
use super::{FileLayout, WriteOptions};
use crate::io::plain::plain_type;
use crate::{Error, Result};

/// The folder of nulls, as in Hive.
pub(super) const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// The longest name of a folder that file systems take, in bytes.
const NAME_BYTES: usize = 255;

/// Which columns make folders, and which are in the files.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    /// The columns that make folders, outermost first.
    by: Vec<(usize, FieldRef)>,
    /// The columns in the files.
    kept: Vec<usize>,
}

impl Folders {
    /// Finds the columns that make folders; `None` if none are asked for.
    pub(super) fn new(arrow: &ArrowSchema, columns: &[String]) -> Result<Option<Folders>> {
        if columns.is_empty() {
            return Ok(None);
        }
        let mut by: Vec<(usize, FieldRef)> = Vec::with_capacity(columns.len());
        for column in columns {
            let Ok(index) = arrow.index_of(column) else {
                return Err(Error::UnknownColumn {
                    operator: "write".into(),
                    column: column.clone(),
                    available: arrow
                        .fields()
                        .iter()
                        .map(|field| field.name().clone())
                        .collect(),
                });
            };
            if by.iter().any(|(other, _)| *other == index) {
                return Err(Error::DuplicateColumn {
                    operator: "write with folders by value".into(),
                    column: column.clone(),
                });
            }
            let field = &arrow.fields()[index];
            if !has_exact_text(&plain_type(field.data_type())) {
                return Err(Error::UnsupportedType {
                    operator: "write".into(),
                    column: column.clone(),
                    found: field.data_type().to_string(),
                    expected: "folders are named by integers, booleans, texts, dates or \
                               timestamps; cast it, or put it into buckets first"
                        .into(),
                });
            }
            by.push((index, Arc::clone(field)));
        }
        let kept: Vec<usize> = (0..arrow.fields().len())
            .filter(|index| by.iter().all(|(other, _)| other != index))
            .collect();
        if kept.is_empty() {
            return Err(Error::InvalidOption {
                operator: "write".into(),
                option: "partition_on".into(),
                value: format!("{columns:?}"),
                expected: "a column must be left for the files; name fewer".into(),
            });
        }
        Ok(Some(Folders { by, kept }))
    }

    /// The columns in the files.
    pub(super) fn in_files(&self, arrow: &ArrowSchema) -> Result<ArrowSchema> {
        arrow.project(&self.kept).map_err(internal)
    }

    /// The folder of no rows, so that there is a file that has the columns.
    pub(super) fn without_rows(&self) -> String {
        let names = self
            .by
            .iter()
            .map(|(_, field)| format!("{}={NULL_FOLDER}", escaped(field.name())));
        names.collect::<Vec<_>>().join("/")
    }

    /// The rows of each folder, in the order in which the folders first occur.
    fn divide(&self, batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
        let columns: Vec<ArrayRef> = self
            .by
            .iter()
            .map(|(index, field)| cast(batch.column(*index), &plain_type(field.data_type())))
            .collect::<Result<_, _>>()
            .map_err(internal)?;
        let converter = RowConverter::new(
            columns
                .iter()
                .map(|column| SortField::new(column.data_type().clone()))
                .collect(),
        )
        .map_err(internal)?;
        let values = converter.convert_columns(&columns).map_err(internal)?;
        let mut numbers: HashMap<OwnedRow, usize, FixedState> = HashMap::default();
        let mut folders: Vec<Vec<u32>> = Vec::new();
        let mut last: Option<(usize, usize)> = None;
        for row in 0..batch.num_rows() {
            let number = match last {
                // Neighbours often have the same values.
                Some((before, number)) if values.row(before) == values.row(row) => number,
                _ => *numbers.entry(values.row(row).owned()).or_insert_with(|| {
                    folders.push(Vec::new());
                    folders.len() - 1
                }),
            };
            last = Some((row, number));
            let row = u32::try_from(row).map_err(|_| {
                Error::Internal("a batch has more rows than a 32-bit number counts".into())
            })?;
            folders[number].push(row);
        }
        let kept = batch.project(&self.kept).map_err(internal)?;
        let is_one = folders.len() == 1;
        let texts: Vec<ArrayRef> = columns
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<Result<_, _>>()
            .map_err(internal)?;
        let divided = folders.into_iter().map(|rows| {
            let folder = self.folder(&texts, rows[0] as usize)?;
            let rows = match is_one {
                true => kept.clone(),
                false => take_record_batch(&kept, &UInt32Array::from(rows)).map_err(internal)?,
            };
            Ok((folder, rows))
        });
        divided.collect()
    }

    fn folder(&self, texts: &[ArrayRef], row: usize) -> Result<String> {
        let mut folder = String::new();
        for ((_, field), text) in self.by.iter().zip(texts) {
            let value = match text.is_null(row) {
                true => NULL_FOLDER.to_owned(),
                false => escaped_value(text.as_string::<i32>().value(row)),
            };
            let name = format!("{}={value}", escaped(field.name()));
            if name.len() > NAME_BYTES {
                return Err(Error::Data {
                    operator: "write".into(),
                    problem: format!(
                        "`{}` has a value of {} bytes, too long for the name of a folder (it \
                         begins `{}`); hash it, or put it into buckets first",
                        field.name(),
                        value.len(),
                        value.chars().take(40).collect::<String>()
                    ),
                });
            }
            if !folder.is_empty() {
                folder.push('/');
            }
            folder += &name;
        }
        Ok(folder)
    }
}

/// Whether the text of a value of this plain type gives the value back.
fn has_exact_text(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
        )
}

/// A value as part of a name; no text becomes the name of nulls.
fn escaped_value(text: &str) -> String {
    match text {
        NULL_FOLDER => format!("%5F{}", &NULL_FOLDER[1..]),
        text => escaped(text),
    }
}

/// Writes the characters that Hive escapes as `%` and two digits.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\0'..='\x1f'
            | '\x7f'
            | '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '['
            | ']'
            | '^' => {
                let _ = write!(escaped, "%{:02X}", u32::from(char));
            }
            char => escaped.push(char),
        }
    }
    escaped
}

fn internal(error: ArrowError) -> Error {
    Error::Internal(format!("rows cannot be divided into folders: {error}"))
}

/// Writes the rows of one task into folders.
pub(super) struct HiveSink {
    place: Place,
    number: usize,
    encoding: Arc<Encoding>,
    layout: FileLayout,
    folders: Arc<Folders>,
    most_open: usize,
    most_held: usize,
    sinks: BTreeMap<String, Entry>,
    /// The folders with open files by the time when they were last written to.
    open: BTreeMap<u64, String>,
    clock: u64,
}

struct Entry {
    sink: Sink,
    used: u64,
}

impl HiveSink {
    /// One of `tasks` sinks that share the open files and the memory that the options allow.
    pub(super) fn new(
        place: Place,
        number: usize,
        encoding: Arc<Encoding>,
        folders: Arc<Folders>,
        options: &WriteOptions,
        tasks: usize,
    ) -> HiveSink {
        HiveSink {
            place,
            number,
            encoding,
            layout: options.layout(),
            folders,
            most_open: (options.open_files() / tasks.max(1)).max(1),
            most_held: options.buffer_bytes() / tasks.max(1),
            sinks: BTreeMap::new(),
            open: BTreeMap::new(),
            clock: 0,
        }
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        for (folder, rows) in self.folders.divide(batch)? {
            self.write_to(folder, &rows).await?;
        }
        self.limit_memory()
    }

    async fn write_to(&mut self, folder: String, rows: &RecordBatch) -> Result<()> {
        self.clock += 1;
        let entry = self.sinks.entry(folder.clone()).or_insert_with(|| Entry {
            sink: Sink::new(
                self.place.clone(),
                folder.clone(),
                self.number,
                Arc::clone(&self.encoding),
                self.layout,
            ),
            used: 0,
        });
        self.open.remove(&entry.used);
        if self.open.len() >= self.most_open
            && !entry.sink.is_open()
            && let Some((_, oldest)) = self.open.pop_first()
            && let Some(oldest) = self.sinks.get_mut(&oldest)
        {
            oldest.sink.close_part().await?;
        }
        let Some(entry) = self.sinks.get_mut(&folder) else {
            return Err(Error::Internal("a folder of rows was lost".into()));
        };
        entry.sink.write(rows).await?;
        if entry.sink.is_open() {
            entry.used = self.clock;
            self.open.insert(self.clock, folder);
        }
        Ok(())
    }

    /// Ends the largest row groups until the encoders hold no more than they may.
    fn limit_memory(&mut self) -> Result<()> {
        let mut held: Vec<(usize, &String)> = self
            .open
            .values()
            .filter_map(|folder| Some((self.sinks.get(folder)?.sink.held_bytes(), folder)))
            .collect();
        let mut total: usize = held.iter().map(|(bytes, _)| bytes).sum();
        held.sort_unstable();
        while total > self.most_held
            && let Some((bytes, folder)) = held.pop()
            && let Some(entry) = self.sinks.get_mut(folder)
        {
            entry.sink.end_row_group()?;
            total -= bytes;
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for entry in self.sinks.into_values() {
            parts.extend(entry.sink.finish().await?);
        }
        Ok(parts)
    }

    pub(super) async fn abort(self) {
        for entry in self.sinks.into_values() {
            entry.sink.abort().await;
        }
    }
}
