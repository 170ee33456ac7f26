//! The published `.dat` files: lines of Latin-1 text with fields separated by `::`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::parquet_file::{BATCH_ROWS, ParquetFile};
use crate::{Error, Result};

/// What becomes of the lines of a `.dat` file.
pub(super) trait Rows: Default {
    /// The names of a line's fields.
    const LAYOUT: &'static [&'static str];

    /// The columns of the table.
    fn schema() -> SchemaRef;

    /// Adds the current line of `file`.
    fn push(&mut self, file: &DatFile) -> Result<()>;

    /// The columns of the rows since the last call.
    fn take(&mut self) -> Vec<ArrayRef>;
}

/// Writes a `.dat` file as parquet and returns its rows.
pub(super) fn convert<R: Rows>(from: &Path, to: &Path) -> Result<u64> {
    let schema = R::schema();
    let mut lines = DatFile::open(from, R::LAYOUT)?;
    let mut file = ParquetFile::create(to, Arc::clone(&schema))?;
    let mut rows = R::default();
    let mut more = true;
    while more {
        let mut pushed = 0;
        while pushed < BATCH_ROWS {
            more = lines.advance()?;
            if !more {
                break;
            }
            rows.push(&lines)?;
            pushed += 1;
        }
        let batch = RecordBatch::try_new(Arc::clone(&schema), rows.take());
        file.write(&batch.map_err(Error::arrow(from))?)?;
    }
    file.finish()
}

/// A `.dat` file, read line by line into one buffer.
pub(super) struct DatFile {
    path: PathBuf,
    layout: &'static [&'static str],
    reader: BufReader<File>,
    bytes: Vec<u8>,
    text: String,
    line: u64,
}

impl DatFile {
    fn open(path: &Path, layout: &'static [&'static str]) -> Result<DatFile> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        Ok(DatFile {
            path: path.to_owned(),
            layout,
            reader: BufReader::new(file),
            bytes: Vec::new(),
            text: String::new(),
            line: 0,
        })
    }

    /// Goes to the next line; false at the end of the file.
    fn advance(&mut self) -> Result<bool> {
        self.bytes.clear();
        let read = self
            .reader
            .read_until(b'\n', &mut self.bytes)
            .map_err(Error::io("read", &self.path))?;
        if read == 0 {
            return if self.line == 0 {
                Err(Error::EmptyFile {
                    path: self.path.clone(),
                })
            } else {
                Ok(false)
            };
        }
        self.line += 1;
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.text.clear();
        // The code points of Latin-1 are the first 256 of Unicode.
        self.text.extend(line.iter().copied().map(char::from));
        Ok(true)
    }

    /// The fields of the line.
    pub(super) fn fields<const N: usize>(&self) -> Result<[&str; N]> {
        let fields: Vec<&str> = self.text.split("::").collect();
        <[&str; N]>::try_from(fields).map_err(|fields| Error::FieldCount {
            path: self.path.clone(),
            line: self.line,
            found: fields.len(),
            layout: self.layout,
        })
    }

    /// The integer in a field.
    pub(super) fn integer(&self, field: &'static str, text: &str) -> Result<i64> {
        text.parse()
            .map_err(|_| self.bad_field(field, text, "an integer"))
    }

    /// The error for a field of this line.
    pub(super) fn bad_field(
        &self,
        field: &'static str,
        value: &str,
        expected: &'static str,
    ) -> Error {
        Error::BadField {
            path: self.path.clone(),
            line: self.line,
            field,
            value: value.to_owned(),
            expected,
        }
    }
}

/// The ids of a file that describes each entity once.
#[derive(Default)]
pub(super) struct UniqueIds {
    lines: HashMap<i64, u64>,
}

impl UniqueIds {
    /// Notes the id of the current line of `file`.
    pub(super) fn insert(&mut self, file: &DatFile, field: &'static str, id: i64) -> Result<()> {
        match self.lines.insert(id, file.line) {
            None => Ok(()),
            Some(first_line) => Err(Error::DuplicateId {
                path: file.path.clone(),
                line: file.line,
                first_line,
                field,
                id,
            }),
        }
    }
}
