//! The published `.dat` files: lines of Latin-1 text with fields separated by `::`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

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
    pub(super) fn open(path: &Path, layout: &'static [&'static str]) -> Result<DatFile> {
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
    pub(super) fn advance(&mut self) -> Result<bool> {
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
