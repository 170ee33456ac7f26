//! Reading a range of rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use futures::stream::BoxStream;

use super::files::{CsvColumn, CsvFiles, next_in_memory, not_utf8, wrong_width};
use super::parser::Parser;
use super::text_column::{COLUMN_BYTES, TextColumn};
use crate::batch_of::batch_of;
use crate::io::formats::text::TextBuffer;
use crate::io::formats::values::{convert, shown};
use crate::io::formats::{Batches, RowRange, RowReader, stream_of};
use crate::io::object::Object;
use crate::{Error, Result};

impl RowReader for CsvFiles {
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
    files: Arc<CsvFiles>,
    range: RowRange,
    schema: SchemaRef,
    parser: Parser,
    text: TextBuffer,
    /// How many rows are to be left out, and then read.
    skip: u64,
    left: u64,
}

impl Reading {
    async fn start(files: Arc<CsvFiles>, object: Object, range: RowRange) -> Result<Reading> {
        object.check_unchanged()?;
        let file = &files.files[range.file];
        let Range { start, end } = range.rows.clone();
        let mut parser = files.parser.clone();
        let near = TextBuffer::near(&object, file.storage, &file.index, start)?;
        let (text, skip) = match near {
            Some(near) => near,
            None => {
                let mut text = TextBuffer::whole(&object, file.storage, None).await?;
                if files.header {
                    let header = super::files::next_record(&mut parser, &mut text).await?;
                    text.take(header.unwrap_or_default(), parser.breaks());
                }
                (text, start)
            }
        };
        let fields = range.columns.iter().map(|&column| {
            let CsvColumn {
                name, column_type, ..
            } = &files.columns[column];
            Ok(Field::new(name, column_type.arrow(name)?, true))
        });
        let schema = Arc::new(ArrowSchema::new(fields.collect::<Result<Vec<_>>>()?));
        Ok(Reading {
            schema,
            parser,
            text,
            skip,
            left: end - start,
            range,
            files,
        })
    }

    fn array(&self, growing: Growing<'_>, lines: &[u64]) -> Result<ArrayRef> {
        let Growing { column, texts, .. } = growing;
        let texts = match texts.finish() {
            Ok(texts) => texts,
            Err((row, value)) => return Err(not_utf8(&self.text, lines[row], &value)),
        };
        convert(&texts, column.column_type, column.guessed).map_err(|row| {
            let guessed = match column.guessed {
                true => "the type its first rows have; give the column's type",
                false => "the type that was given; give another type",
            };
            self.text.problem(
                lines[row],
                format!(
                    "holds `{}` in column `{}`, which is not {}, {guessed} or name it as a null text",
                    shown(texts.value(row).as_bytes()),
                    column.name,
                    column.column_type,
                ),
            )
        })
    }
}

impl Batches for Reading {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == 0 {
            return Ok(None);
        }
        let files = Arc::clone(&self.files);
        let file = &files.files[self.range.file];
        let most = self.left.min(self.range.batch_rows as u64);
        let capacity = usize::try_from(most).unwrap_or_default();
        let columns = self.range.columns.iter();
        let mut batch: Vec<Growing<'_>> = columns
            .map(|&column| Growing {
                column: &files.columns[column],
                place: file.places[column],
                texts: TextColumn::new(capacity),
            })
            .collect();
        let mut lines = Vec::with_capacity(capacity);
        let mut scratch = Vec::new();
        while (lines.len() as u64) < most {
            let length = match next_in_memory(&mut self.parser, &mut self.text)? {
                None => {
                    self.text.fill().await?;
                    continue;
                }
                Some(None) => return Err(self.text.cut_off()),
                Some(Some(length)) => length,
            };
            if self.parser.fields().len() != file.width {
                return Err(wrong_width(&self.parser, &self.text, file.width));
            }
            if self.skip > 0 {
                self.skip -= 1;
                self.text.take(length, self.parser.breaks());
                continue;
            }
            let mut longest = 0;
            for growing in &mut batch {
                let span = self.parser.fields()[growing.place];
                let value = self.parser.value(self.text.rest(), span, &mut scratch);
                match growing.column.is_null(value, span.quoted) {
                    true => growing.texts.push_null(),
                    false => growing.texts.push(value),
                }
                longest = longest.max(growing.texts.bytes());
            }
            lines.push(self.text.line());
            self.text.take(length, self.parser.breaks());
            if longest > COLUMN_BYTES {
                break;
            }
        }
        self.left -= lines.len() as u64;
        let arrays = batch.into_iter().map(|growing| self.array(growing, &lines));
        let arrays: Vec<ArrayRef> = arrays.collect::<Result<_>>()?;
        batch_of(&self.schema, arrays, lines.len())
            .map(Some)
            .map_err(|error| Error::Internal(format!("a batch of texts does not fit ({error})")))
    }
}

/// A column of the next batch.
struct Growing<'a> {
    column: &'a CsvColumn,
    /// Its place among the fields of a record.
    place: usize,
    texts: TextColumn,
}
