//! Arrow's own format, as a file with a footer or as a stream.
//!
//! A file is a stream between two marks, so both are read alike: opening goes from message to
//! message and reads their headers alone, and reading fetches the record batches it needs, after
//! the dictionaries before them. A record batch is read whole, by one partition.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, MessageHeader, MetadataVersion, root_as_message};
use bytes::Bytes;
use emrys_schema::FOOTER_KEY;
use futures::stream::BoxStream;

use super::{Batches, Opened, RowRange, RowReader, Scan, pass_over, stream_of};
use crate::io::object::Object;
use crate::io::plain::plain_schema;
use crate::io::source::SourceFile;
use crate::{Error, Result};

/// What a file begins and ends with; a stream does not.
const MAGIC: &[u8] = b"ARROW1";

/// The length of the mark at the beginning of a file, with the least padding, and with the most
/// that is looked for.
const FILE_START: u64 = 8;
const MOST_PADDING: u64 = 256;

/// What comes before the length of a header.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// How much is read at once while headers are looked for.
const WINDOW: u64 = 64 << 10;

/// The files of a data set and where their messages are.
#[derive(Debug)]
pub(crate) struct ArrowFiles {
    files: Vec<ArrowFile>,
}

#[derive(Debug)]
struct ArrowFile {
    /// The columns with the types in which they are stored.
    schema: SchemaRef,
    version: MetadataVersion,
    messages: Vec<Message>,
}

/// Dictionaries or rows.
#[derive(Debug, Clone, Copy)]
struct Message {
    offset: u64,
    /// The length of the header, with what comes before it.
    header: u32,
    body: u64,
    /// `None` for dictionaries.
    rows: Option<u64>,
}

/// Reads the headers.
pub(crate) async fn open(objects: Vec<Object>) -> Result<Opened> {
    let opened: Vec<(SourceFile, ArrowFile)> =
        pass_over(objects, "reading headers", open_file).await?;
    let (sources, files) = opened.into_iter().unzip();
    Ok(Opened {
        files: sources,
        scan: Scan::Rows(Arc::new(ArrowFiles { files })),
        reading: String::new(),
    })
}

async fn open_file(object: Object) -> Result<(SourceFile, ArrowFile)> {
    object.check_unchanged()?;
    let mut headers = Headers {
        object: &object,
        start: 0,
        bytes: Bytes::new(),
    };
    if object.bytes() == 0 {
        return Err(object.problem("the file is empty (0 bytes); write it again or leave it out"));
    }
    let is_file = headers
        .get(0, FILE_START)
        .await
        .is_ok_and(|start| start.starts_with(MAGIC));
    let mut offset = 0;
    if is_file {
        let mark = MAGIC.len() as u64;
        let end = object.read(object.bytes() - mark..object.bytes()).await?;
        if end != MAGIC {
            return Err(
                object.problem("it is cut off (its last bytes are not `ARROW1`); write it again")
            );
        }
        offset = FILE_START;
        // Writers pad the mark to the alignment of their buffers.
        while offset < MOST_PADDING && headers.word(offset).await? == [0; 4] {
            offset += FILE_START;
        }
    }
    let mut found: Option<ArrowFile> = None;
    loop {
        let Some((prefix, length)) = headers.next(offset).await? else {
            break;
        };
        let bytes = headers.get(offset + prefix, length).await?;
        let message = root_as_message(&bytes)
            .map_err(|error| damaged(&object, format!("a header is not sound: {error}")))?;
        let header = prefix + length;
        let body = u64::try_from(message.bodyLength())
            .map_err(|_| damaged(&object, "a body has a negative length"))?;
        let end = (offset + header).checked_add(body);
        if end.is_none_or(|end| end > object.bytes()) {
            return Err(damaged(&object, "a message is longer than the file"));
        }
        let mut add = |rows: Option<u64>| match &mut found {
            None => Err(damaged(&object, "it does not begin with a schema")),
            Some(file) => {
                file.messages.push(Message {
                    offset,
                    header: u32::try_from(header)
                        .map_err(|_| damaged(&object, "a header is too long"))?,
                    body,
                    rows,
                });
                Ok(())
            }
        };
        match message.header_type() {
            MessageHeader::Schema => {
                let schema = message
                    .header_as_schema()
                    .ok_or_else(|| damaged(&object, "its schema is not sound"))?;
                let schema = catch_unwind(AssertUnwindSafe(|| fb_to_schema(schema)))
                    .map_err(|_| damaged(&object, "its schema is not sound"))?;
                found = Some(ArrowFile {
                    schema: Arc::new(schema),
                    version: message.version(),
                    messages: Vec::new(),
                });
            }
            MessageHeader::DictionaryBatch => add(None)?,
            MessageHeader::RecordBatch => {
                let rows = message
                    .header_as_record_batch()
                    .and_then(|batch| u64::try_from(batch.length()).ok())
                    .ok_or_else(|| damaged(&object, "a record batch is not sound"))?;
                add(Some(rows))?;
            }
            other => {
                return Err(damaged(&object, format!("it holds a message {other:?}")));
            }
        }
        offset += header + body;
    }
    let file = found.ok_or_else(|| damaged(&object, "it has no schema"))?;
    let source = SourceFile {
        row_groups: file.messages.iter().filter_map(|m| m.rows).collect(),
        pieces: 1,
        arrow: plain_schema(&file.schema),
        schema_text: file.schema.metadata().get(FOOTER_KEY).cloned(),
        // Headers say nothing of the values.
        hash: None,
        column_bytes: None,
        hive: Vec::new(),
        object,
    };
    Ok((source, file))
}

fn damaged(object: &Object, problem: impl std::fmt::Display) -> Error {
    object.problem(format!(
        "it is no sound Arrow file or stream ({problem}); write it again"
    ))
}

/// The file in windows, so that headers close to each other are read at once.
struct Headers<'a> {
    object: &'a Object,
    start: u64,
    bytes: Bytes,
}

impl Headers<'_> {
    /// Where the header of the message at `offset` begins after it, and its length; `None` at the
    /// end.
    async fn next(&mut self, offset: u64) -> Result<Option<(u64, u64)>> {
        let mut prefix = 4;
        let mut word = self.word(offset).await?;
        if word == CONTINUATION {
            word = self.word(offset + 4).await?;
            prefix = 8;
        }
        let length = u32::from_le_bytes(word);
        Ok((length > 0).then_some((prefix, u64::from(length))))
    }

    async fn word(&mut self, offset: u64) -> Result<[u8; 4]> {
        let bytes = self.get(offset, 4).await?;
        let mut word = [0; 4];
        word.copy_from_slice(&bytes);
        Ok(word)
    }

    async fn get(&mut self, offset: u64, length: u64) -> Result<Bytes> {
        let end = offset + length;
        if end > self.object.bytes() {
            return Err(damaged(
                self.object,
                "it ends before the mark of its end, so it may be cut off",
            ));
        }
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let window = end.max(offset + WINDOW).min(self.object.bytes());
            self.bytes = self.object.read(offset..window).await?;
            self.start = offset;
        }
        let place = |offset: u64| {
            usize::try_from(offset - self.start)
                .map_err(|_| Error::Internal("a window exceeds the address space".into()))
        };
        Ok(self.bytes.slice(place(offset)?..place(end)?))
    }
}

impl RowReader for ArrowFiles {
    fn read(
        self: Arc<Self>,
        object: &Object,
        range: RowRange,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let file = &self.files[range.file];
        let decoder = FileDecoder::new(Arc::clone(&file.schema), file.version)
            .with_projection(range.columns.clone());
        let reading = Reading {
            object: object.clone(),
            range,
            decoder,
            message: 0,
            first: 0,
            whole: None,
            files: self,
        };
        stream_of(async move { Ok(reading) })
    }
}

/// A file on its way into batches.
struct Reading {
    files: Arc<ArrowFiles>,
    object: Object,
    range: RowRange,
    decoder: FileDecoder,
    /// The next message, and the number of its first row.
    message: usize,
    first: u64,
    /// What is left of the last record batch.
    whole: Option<RecordBatch>,
}

impl Batches for Reading {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(whole) = self.whole.take()
                && whole.num_rows() > 0
            {
                let rows = self.range.batch_rows.clamp(1, whole.num_rows());
                self.whole = Some(whole.slice(rows, whole.num_rows() - rows));
                return Ok(Some(whole.slice(0, rows)));
            }
            let files = Arc::clone(&self.files);
            let file = &files.files[self.range.file];
            let Some(message) = file.messages.get(self.message) else {
                return Ok(None);
            };
            self.message += 1;
            let Some(rows) = message.rows else {
                self.read_dictionary(message).await?;
                continue;
            };
            let (first, end) = (self.first, self.first + rows);
            self.first = end;
            let wanted = self.range.rows.start.max(first)..self.range.rows.end.min(end);
            if first >= self.range.rows.end {
                return Ok(None);
            }
            if wanted.is_empty() {
                continue;
            }
            let batch = self.read_batch(message).await?;
            let place = |row: u64| usize::try_from(row - first).unwrap_or(usize::MAX);
            if batch.num_rows() as u64 != rows {
                return Err(damaged(
                    &self.object,
                    "a record batch has other rows than it says",
                ));
            }
            let (start, end) = (place(wanted.start), place(wanted.end));
            self.whole = Some(batch.slice(start, end - start));
        }
    }
}

impl Reading {
    async fn read_dictionary(&mut self, message: &Message) -> Result<()> {
        let (block, bytes) = self.bytes(message).await?;
        let decoder = &mut self.decoder;
        sound(&self.object, || decoder.read_dictionary(&block, &bytes))
    }

    async fn read_batch(&mut self, message: &Message) -> Result<RecordBatch> {
        let (block, bytes) = self.bytes(message).await?;
        let decoder = &self.decoder;
        sound(&self.object, || decoder.read_record_batch(&block, &bytes))?
            .ok_or_else(|| damaged(&self.object, "a record batch is missing"))
    }

    async fn bytes(&self, message: &Message) -> Result<(Block, Buffer)> {
        self.object.check_unchanged()?;
        let end = message.offset + u64::from(message.header) + message.body;
        let bytes = self.object.read(message.offset..end).await?;
        let too_long = |_| damaged(&self.object, "a message is too long");
        let block = Block::new(
            i64::try_from(message.offset).unwrap_or_default(),
            i32::try_from(message.header).map_err(too_long)?,
            i64::try_from(message.body).map_err(too_long)?,
        );
        Ok((block, Buffer::from(bytes)))
    }
}

/// The result of decoding; the decoder panics on some damaged bodies.
fn sound<T>(object: &Object, decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(decoded) => decoded.map_err(|error| damaged(object, error)),
        Err(_) => Err(damaged(object, "the decoder gave up")),
    }
}

#[cfg(test)]
mod tests;
