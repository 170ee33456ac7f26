//! Opening files: their columns, the types these are guessed to have, and where the rows are.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use emrys_schema::DType;

use super::CsvFormat;
use super::parser::{Parsed, Parser};
use crate::io::formats::text::{SharedHash, Storage, TextBuffer, TextIndex, source_file};
use crate::io::formats::values::{Guess, shown};
use crate::io::formats::{Opened, Scan, pass_over};
use crate::io::object::Object;
use crate::io::open_options::{ColumnType, FileCompression};
use crate::{Error, Result};

/// The files of a data set and how their columns are read.
#[derive(Debug)]
pub(crate) struct CsvFiles {
    pub(super) parser: Parser,
    pub(super) header: bool,
    pub(super) columns: Vec<CsvColumn>,
    pub(super) files: Vec<CsvFile>,
}

#[derive(Debug)]
pub(super) struct CsvColumn {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
    /// Whether the type was guessed.
    pub(super) guessed: bool,
    pub(super) nulls: Vec<Vec<u8>>,
}

impl CsvColumn {
    pub(super) fn is_null(&self, text: &[u8], quoted: bool) -> bool {
        let never = quoted && self.column_type == ColumnType::Plain(DType::String);
        !never && self.nulls.iter().any(|null| null == text)
    }
}

#[derive(Debug)]
pub(super) struct CsvFile {
    pub(super) storage: Storage,
    pub(super) index: TextIndex,
    /// How many fields each record has.
    pub(super) width: usize,
    /// Where among them the columns of the data set are.
    pub(super) places: Vec<usize>,
}

/// What one pass over a file has found.
struct Found {
    names: Vec<String>,
    guesses: Vec<Guess>,
    index: TextIndex,
    hash: u64,
}

/// Reads the files once.
pub(crate) async fn open(
    objects: Vec<Object>,
    format: &CsvFormat,
    compression: impl Fn(&Object) -> FileCompression,
) -> Result<Opened> {
    let pass = Pass {
        parser: format.parser()?,
        header: format.has_header(),
        names: format.names.clone(),
        nulls: nulls(format),
        sample_rows: format.sample_rows as u64,
    };
    let encoding = format.text_encoding()?;
    let storage = |object: &Object| Storage {
        compression: compression(object),
        encoding,
    };
    let found: Vec<Found> = pass_over(objects.clone(), "reading a file of texts", |object| {
        let storage = storage(&object);
        pass.clone().run(object, storage)
    })
    .await?;
    let columns = columns(format, &objects, &found)?;
    let arrow = arrow_schema(&columns)?;
    let mut files = Vec::with_capacity(found.len());
    let mut sources = Vec::with_capacity(found.len());
    for (object, found) in objects.into_iter().zip(found) {
        let storage = storage(&object);
        let source = source_file(object, storage, &found.index, found.hash, &arrow);
        sources.push(source);
        let place = |column: &CsvColumn| found.names.iter().position(|name| *name == column.name);
        files.push(CsvFile {
            places: columns.iter().filter_map(place).collect(),
            width: found.names.len(),
            index: found.index,
            storage,
        });
    }
    let reader = CsvFiles {
        parser: pass.parser,
        header: pass.header,
        columns,
        files,
    };
    Ok(Opened {
        files: sources,
        scan: Scan::Rows(Arc::new(reader)),
        reading: format!("{format:?}"),
    })
}

fn nulls(format: &CsvFormat) -> Vec<Vec<u8>> {
    let nulls = format.nulls.iter();
    nulls.map(|null| null.clone().into_bytes()).collect()
}

/// The columns of all files; they must be the same.
fn columns(format: &CsvFormat, objects: &[Object], found: &[Found]) -> Result<Vec<CsvColumn>> {
    let Some(first) = found.first() else {
        return Err(Error::Internal("no file of texts was opened".into()));
    };
    for (object, other) in objects.iter().zip(found).skip(1) {
        let absent = |names: &[String], among: &[String]| {
            names.iter().find(|name| !among.contains(name)).cloned()
        };
        let here = "present".to_owned();
        let none = "missing".to_owned();
        let differ = absent(&first.names, &other.names)
            .map(|column| (column, here.clone(), none.clone()))
            .or_else(|| absent(&other.names, &first.names).map(|column| (column, none, here)));
        if let Some((column, left_type, right_type)) = differ {
            return Err(Error::FilesDiffer {
                column,
                left: objects[0].path.clone(),
                left_type,
                right: object.path.clone(),
                right_type,
            });
        }
    }
    if let Some(unknown) = format.types.keys().find(|name| !first.names.contains(name)) {
        return Err(Error::UnknownColumn {
            operator: "csv types".into(),
            column: unknown.clone(),
            available: first.names.clone(),
        });
    }
    let columns = first.names.iter().map(|name| {
        let given = format.types.get(name).copied();
        let guess = found.iter().fold(Guess::new(), |all, file| {
            let place = file.names.iter().position(|found| found == name);
            place.map_or(all, |place| all.and(file.guesses[place]))
        });
        CsvColumn {
            name: name.clone(),
            column_type: given.unwrap_or(guess.dtype().into()),
            guessed: given.is_none(),
            nulls: nulls(format),
        }
    });
    Ok(columns.collect())
}

fn arrow_schema(columns: &[CsvColumn]) -> Result<SchemaRef> {
    let fields = columns.iter().map(|column| {
        let data_type = column.column_type.arrow(&column.name)?;
        Ok(Field::new(&column.name, data_type, true))
    });
    Ok(Arc::new(ArrowSchema::new(
        fields.collect::<Result<Vec<_>>>()?,
    )))
}

/// The pass over a file when it is opened.
#[derive(Clone)]
struct Pass {
    parser: Parser,
    header: bool,
    names: Vec<String>,
    nulls: Vec<Vec<u8>>,
    sample_rows: u64,
}

impl Pass {
    async fn run(mut self, object: Object, storage: Storage) -> Result<Found> {
        object.check_unchanged()?;
        let hash = SharedHash::new();
        let mut text = TextBuffer::whole(&object, storage, Some(hash.clone())).await?;
        let mut names: Option<Vec<String>> = None;
        let (mut guesses, mut index, mut rows) = (Vec::new(), TextIndex::default(), 0);
        let seekable = storage.is_seekable();
        while let Some(length) = next_record(&mut self.parser, &mut text).await? {
            if names.is_none() {
                let found = self.column_names(&object, &text)?;
                guesses = vec![Guess::new(); found.len()];
                names = Some(found);
                if self.header {
                    text.take(length, self.parser.breaks());
                    continue;
                }
            }
            let width = guesses.len();
            if self.parser.fields().len() != width {
                return Err(wrong_width(&self.parser, &text, width));
            }
            if rows < self.sample_rows {
                self.guess(&text, &mut guesses);
            }
            index.add(seekable, text.offset(), text.line());
            rows += 1;
            text.take(length, self.parser.breaks());
        }
        let names = match names {
            Some(names) => names,
            // Without a record, given names still say which columns there are.
            None if !self.header && !self.names.is_empty() => {
                guesses = vec![Guess::new(); self.names.len()];
                self.names.clone()
            }
            None => {
                return Err(object.problem(match object.bytes() {
                    0 => "the file is empty (0 bytes); write it again or leave it out",
                    _ => "it holds no record; write it again or leave it out",
                }));
            }
        };
        Ok(Found {
            names,
            guesses,
            index,
            hash: hash.finish(),
        })
    }

    /// The names of the columns, from the first record or as they were given.
    fn column_names(&self, object: &Object, text: &TextBuffer) -> Result<Vec<String>> {
        let width = self.parser.fields().len();
        let names: Vec<String> = if !self.names.is_empty() {
            if self.names.len() != width {
                return Err(text.problem(
                    text.line(),
                    format!(
                        "has {width} fields, but {} names are given; correct the names or the \
                         delimiter",
                        self.names.len()
                    ),
                ));
            }
            self.names.clone()
        } else if self.header {
            let mut scratch = Vec::new();
            let names = self
                .parser
                .fields()
                .iter()
                .enumerate()
                .map(|(place, span)| {
                    let name = self.parser.value(text.rest(), *span, &mut scratch);
                    match std::str::from_utf8(name) {
                        Ok("") => Ok(numbered(place)),
                        Ok(name) => Ok(name.to_owned()),
                        Err(_) => Err(not_utf8(text, text.line(), name)),
                    }
                });
            names.collect::<Result<_>>()?
        } else {
            (0..width).map(numbered).collect()
        };
        let mut seen = BTreeSet::new();
        match names.iter().find(|name| !seen.insert(*name)) {
            None => Ok(names),
            Some(column) => Err(Error::DuplicateColumn {
                operator: format!("read `{}`", object.path.display()),
                column: column.clone(),
            }),
        }
    }

    fn guess(&self, text: &TextBuffer, guesses: &mut [Guess]) {
        let mut scratch = Vec::new();
        for (span, guess) in self.parser.fields().iter().zip(guesses) {
            let value = self.parser.value(text.rest(), *span, &mut scratch);
            let null = self.nulls.iter().any(|null| null == value);
            if !null {
                guess.see(&String::from_utf8_lossy(value));
            }
        }
    }
}

fn numbered(place: usize) -> String {
    format!("column_{}", place + 1)
}

/// The length of the next record, which the parser has cut; `None` at the end of the text.
pub(super) async fn next_record(
    parser: &mut Parser,
    text: &mut TextBuffer,
) -> Result<Option<usize>> {
    loop {
        if let Some(step) = next_in_memory(parser, text)? {
            return Ok(step);
        }
        text.fill().await?;
    }
}

/// Like [`next_record`] with what is in memory; `None` if more is needed.
pub(super) fn next_in_memory(
    parser: &mut Parser,
    text: &mut TextBuffer,
) -> Result<Option<Option<usize>>> {
    loop {
        if text.rest().is_empty() {
            return Ok(text.ended().then_some(None));
        }
        match parser.parse(text.rest(), text.ended()) {
            Parsed::Record(length) => return Ok(Some(Some(length))),
            Parsed::Skip(length) => text.take(length, parser.breaks()),
            Parsed::Incomplete => return Ok(None),
            Parsed::Bad(problem) => {
                return Err(text.problem(
                    text.line(),
                    format!("{problem}; correct it, or read with another quote or none"),
                ));
            }
        }
    }
}

pub(super) fn wrong_width(parser: &Parser, text: &TextBuffer, width: usize) -> Error {
    text.problem(
        text.line(),
        format!(
            "has {} fields, but there are {width} columns; correct it, or the delimiter and quote",
            parser.fields().len()
        ),
    )
}

pub(super) fn not_utf8(text: &TextBuffer, line: u64, value: &[u8]) -> Error {
    text.problem(
        line,
        format!(
            "holds `{}`, which is not UTF-8; give the encoding, such as `latin-1`",
            shown(value)
        ),
    )
}
