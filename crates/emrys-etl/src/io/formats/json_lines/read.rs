//! Reading a range of rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use futures::stream::BoxStream;

use super::files::{JsonFiles, next_line, no_object};
use crate::batch_of::batch_of;
use crate::io::formats::text::TextBuffer;
use crate::io::formats::values::shown;
use crate::io::formats::{Batches, RowRange, RowReader, stream_of};
use crate::io::object::Object;
use crate::{Error, Result};

/// A batch ends when it has so much text.
const BATCH_BYTES: usize = 32 << 20;

impl RowReader for JsonFiles {
    fn read(
        self: Arc<Self>,
        object: &Object,
        range: RowRange,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let object = object.clone();
        stream_of(async move { Reading::start(self, object, range).await })
    }
}

/// A file on its way into batches.
struct Reading {
    files: Arc<JsonFiles>,
    columns: Vec<usize>,
    batch_rows: u64,
    schema: SchemaRef,
    decoded: SchemaRef,
    text: TextBuffer,
    /// How many rows are to be left out, and then read.
    skip: u64,
    left: u64,
}

/// The lines of a batch, which are kept to tell which of them is wrong.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// The number of each line, and where it is.
    lines: Vec<(u64, Range<usize>)>,
}

impl Reading {
    async fn start(files: Arc<JsonFiles>, object: Object, range: RowRange) -> Result<Reading> {
        object.check_unchanged()?;
        let file = &files.files[range.file];
        let Range { start, end } = range.rows.clone();
        let (text, skip) = match TextBuffer::near(&object, file.storage, &file.index, start)? {
            Some(near) => near,
            None => {
                let text = TextBuffer::whole(&object, file.storage, None).await?;
                (text, start)
            }
        };
        let columns = || range.columns.iter().map(|&column| &files.columns[column]);
        let schema: Vec<Field> = columns().map(|column| column.field()).collect();
        let decoded: Vec<Field> = columns().map(|column| column.decoded_field()).collect();
        Ok(Reading {
            schema: Arc::new(ArrowSchema::new(schema)),
            decoded: Arc::new(ArrowSchema::new(decoded)),
            batch_rows: range.batch_rows as u64,
            columns: range.columns,
            text,
            skip,
            left: end - start,
            files,
        })
    }

    /// The next lines that hold something, at most `most` of them.
    async fn lines(&mut self, most: u64) -> Result<Lines> {
        let mut lines = Lines::default();
        while (lines.lines.len() as u64) < most && lines.text.len() < BATCH_BYTES {
            let Some(length) = next_line(&self.text) else {
                if self.text.ended() {
                    return Err(self.text.cut_off());
                }
                self.text.fill().await?;
                continue;
            };
            let line = self.text.rest()[..length].trim_ascii();
            if line.is_empty() {
                self.text.take(length, 1);
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                let start = lines.text.len();
                lines.text.extend_from_slice(line);
                let place = start..lines.text.len();
                lines.lines.push((self.text.line(), place));
            }
            self.text.take(length, 1);
        }
        Ok(lines)
    }

    fn decoder(&self, rows: usize) -> Result<Decoder> {
        ReaderBuilder::new(Arc::clone(&self.decoded))
            // A row more, so that a line with two objects is noticed.
            .with_batch_size(rows + 1)
            .with_coerce_primitive(true)
            .build_decoder()
            .map_err(|error| Error::Internal(format!("JSON cannot be decoded ({error})")))
    }

    /// The error that names the line that cannot be decoded.
    fn blame(&self, lines: &Lines, error: &str) -> Result<Error> {
        for (number, place) in &lines.lines {
            let line = &lines.text[place.clone()];
            let mut decoder = self.decoder(1)?;
            let decoded = decoder.decode(line).and_then(|_| decoder.flush());
            if let Err(error) = decoded {
                return Ok(self.text.problem(
                    *number,
                    format!(
                        "does not have the types of the columns ({error}): `{}`; give the types, or \
                         raise `sample_rows`",
                        shown(line)
                    ),
                ));
            }
        }
        Ok(Error::Internal(format!(
            "lines that decode alone do not decode together ({error})"
        )))
    }
}

impl Batches for Reading {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == 0 {
            return Ok(None);
        }
        let lines = self.lines(self.left.min(self.batch_rows)).await?;
        self.left -= lines.lines.len() as u64;
        let mut decoder = self.decoder(lines.lines.len())?;
        for (number, place) in &lines.lines {
            let line = &lines.text[place.clone()];
            let before = decoder.len();
            let read = decoder.decode(line);
            let whole = read.as_ref().is_ok_and(|read| *read == line.len())
                && decoder.len() == before + 1
                && !decoder.has_partial_record();
            if !whole {
                return Err(no_object(&self.text, *number, line));
            }
        }
        let decoded = match decoder.flush() {
            Ok(Some(decoded)) => decoded,
            Ok(None) => return Err(Error::Internal("a batch of JSON lines is empty".into())),
            Err(error) => return Err(self.blame(&lines, &error.to_string())?),
        };
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (&column, decoded) in self.columns.iter().zip(decoded.columns()) {
            let column = &self.files.columns[column];
            arrays.push(column.convert(decoded).map_err(|row| {
                let (number, place) = &lines.lines[row];
                let guessed = match column.guessed {
                    true => "the type its first values have; give the column's type",
                    false => "the type that was given; give another type",
                };
                self.text.problem(
                    *number,
                    format!(
                        "holds a value in `{}` that is not {}, {guessed}: `{}`",
                        column.name,
                        column.describe(),
                        shown(&lines.text[place.clone()])
                    ),
                )
            })?);
        }
        batch_of(&self.schema, arrays, lines.lines.len())
            .map(Some)
            .map_err(|error| Error::Internal(format!("a batch of JSON does not fit ({error})")))
    }
}
