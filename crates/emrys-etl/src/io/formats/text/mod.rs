//! Text files as a stream of UTF-8: decompressed, decoded, and cut where a record ends.

mod decode;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use encoding_rs::Encoding;
use futures::stream::{BoxStream, StreamExt};
use twox_hash::XxHash64;

use crate::io::object::Object;
use crate::io::open_options::FileCompression;
use crate::io::source::SourceFile;
use crate::{Error, Result};
use decode::{decoded, decompressed};

/// A record that is longer is taken for a mistake, such as a quote that is not closed. This bounds
/// the memory of a partition.
pub(crate) const RECORD_BYTES: usize = 32 << 20;

/// Rows of text files are counted in chunks of about this many bytes, at whose beginnings reading
/// can start.
pub(crate) const CHUNK_BYTES: u64 = 1 << 20;

/// How the characters of a file are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TextEncoding {
    Utf8,
    /// ISO 8859-1, whose 256 bytes are the first 256 characters.
    Latin1,
    Other(&'static Encoding),
}

impl TextEncoding {
    /// The encoding of a name such as `latin-1` or `windows-1252`.
    pub(crate) fn parse(name: &str) -> Result<TextEncoding> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(TextEncoding::Utf8),
            // The web takes this name for windows-1252; files mean what it says.
            "latin-1" | "latin1" | "latin_1" | "iso-8859-1" | "iso8859-1" | "iso_8859_1" => {
                Ok(TextEncoding::Latin1)
            }
            _ => match Encoding::for_label(name.as_bytes()) {
                Some(encoding) if encoding == encoding_rs::UTF_8 => Ok(TextEncoding::Utf8),
                Some(encoding) if encoding != encoding_rs::REPLACEMENT => {
                    Ok(TextEncoding::Other(encoding))
                }
                _ => Err(Error::InvalidOption {
                    operator: "csv".into(),
                    option: "encoding".into(),
                    value: format!("`{name}`"),
                    expected: "there is no such encoding; use a name as `utf-8`, `latin-1`, \
                               `windows-1252` or `shift_jis`"
                        .into(),
                }),
            },
        }
    }

    /// Whether each character is one byte, or the text is UTF-8, so that reading may begin at
    /// any record.
    fn is_seekable(self) -> bool {
        match self {
            TextEncoding::Utf8 | TextEncoding::Latin1 => true,
            TextEncoding::Other(encoding) => encoding.is_single_byte(),
        }
    }
}

/// How text is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage {
    pub(crate) compression: FileCompression,
    pub(crate) encoding: TextEncoding,
}

impl Storage {
    /// Whether reading may begin at any record; else a file is read from its beginning, by one
    /// partition.
    pub(crate) fn is_seekable(self) -> bool {
        self.compression == FileCompression::None && self.encoding.is_seekable()
    }
}

/// A chunk of a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where its first record begins, in bytes of the file.
    pub(crate) offset: u64,
    /// The line of its first record, from 1.
    pub(crate) line: u64,
    pub(crate) rows: u64,
}

/// Where the rows of a text file are.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextIndex {
    /// The chunks in order; a file that is read from its beginning has one at most.
    pub(crate) chunks: Vec<Chunk>,
}

impl TextIndex {
    pub(crate) fn rows(&self) -> Vec<u64> {
        self.chunks.iter().map(|chunk| chunk.rows).collect()
    }

    /// The chunk that holds a row, and how many of its rows are before it.
    pub(crate) fn find(&self, row: u64) -> Option<(&Chunk, u64)> {
        let mut first = 0;
        for chunk in &self.chunks {
            if row < first + chunk.rows {
                return Some((chunk, row - first));
            }
            first += chunk.rows;
        }
        None
    }

    /// Counts a row that begins at an offset and a line.
    pub(crate) fn add(&mut self, seekable: bool, offset: u64, line: u64) {
        match self.chunks.last_mut() {
            Some(chunk) if !seekable || offset < chunk.offset + CHUNK_BYTES => chunk.rows += 1,
            _ => self.chunks.push(Chunk {
                offset,
                line,
                rows: 1,
            }),
        }
    }
}

/// A file of texts with the rows that the pass over it found.
pub(crate) fn source_file(
    object: Object,
    storage: Storage,
    index: &TextIndex,
    hash: u64,
    arrow: &SchemaRef,
) -> SourceFile {
    SourceFile {
        object,
        row_groups: index.rows(),
        pieces: if storage.is_seekable() { 8 } else { 1 },
        arrow: Arc::clone(arrow),
        schema_text: None,
        hash: Some(hash),
        column_bytes: None,
        hive: Vec::new(),
    }
}

/// The hash of a file's bytes, while they pass.
#[derive(Clone)]
pub(crate) struct SharedHash(Arc<Mutex<XxHash64>>);

impl SharedHash {
    pub(crate) fn new() -> SharedHash {
        SharedHash(Arc::new(Mutex::new(XxHash64::with_seed(0))))
    }

    fn write(&self, bytes: &[u8]) {
        use std::hash::Hasher;
        let mut hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.write(bytes);
    }

    pub(crate) fn finish(&self) -> u64 {
        use std::hash::Hasher;
        let hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.finish()
    }
}

/// Text of a file, of which the first part is in memory.
pub(crate) struct TextBuffer {
    object: Object,
    source: BoxStream<'static, Result<Bytes>>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
    /// Where the rest begins, in bytes of the file; only for storage that can be sought.
    offset: u64,
    /// The line of the rest, from 1.
    line: u64,
    one_byte_characters: bool,
}

impl TextBuffer {
    /// The whole text of a file, without the mark with which some programs begin their UTF-8
    /// files; its bytes are hashed on their way.
    pub(crate) async fn whole(
        object: &Object,
        storage: Storage,
        hash: Option<SharedHash>,
    ) -> Result<TextBuffer> {
        let bytes = object.stream(0..object.bytes());
        let bytes = match hash {
            None => bytes,
            Some(hash) => bytes
                .inspect(move |block| {
                    if let Ok(block) = block {
                        hash.write(block);
                    }
                })
                .boxed(),
        };
        let mut text = TextBuffer::new(object, storage, bytes, 0, 1)?;
        text.skip_byte_order_mark().await?;
        Ok(text)
    }

    /// The text from the chunk that holds a row, and how many of its rows are before that one;
    /// `None` if the file must be read from its beginning.
    pub(crate) fn near(
        object: &Object,
        storage: Storage,
        index: &TextIndex,
        row: u64,
    ) -> Result<Option<(TextBuffer, u64)>> {
        let Some((chunk, before)) = index.find(row).filter(|_| storage.is_seekable()) else {
            return Ok(None);
        };
        let bytes = object.stream(chunk.offset..object.bytes());
        let text = TextBuffer::new(object, storage, bytes, chunk.offset, chunk.line)?;
        Ok(Some((text, before)))
    }

    fn new(
        object: &Object,
        storage: Storage,
        bytes: BoxStream<'static, Result<Bytes>>,
        offset: u64,
        line: u64,
    ) -> Result<TextBuffer> {
        let bytes = decompressed(object, storage.compression, bytes)?;
        Ok(TextBuffer {
            object: object.clone(),
            source: decoded(object, storage.encoding, bytes),
            text: Vec::new(),
            at: 0,
            ended: false,
            offset,
            line,
            one_byte_characters: !matches!(storage.encoding, TextEncoding::Utf8),
        })
    }

    /// The text in memory that has not been taken.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// Whether nothing follows what is in memory.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Where the rest begins, in bytes of the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The line where the rest begins.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The error for a place of the file.
    pub(crate) fn problem(&self, line: u64, text: impl std::fmt::Display) -> Error {
        self.object.problem(format!("line {line} {text}"))
    }

    /// The error for a file that has fewer rows than when it was opened.
    pub(crate) fn cut_off(&self) -> Error {
        self.problem(
            self.line,
            "is the end, but more rows were there when the data set was opened; open it again",
        )
    }

    /// Takes some text, with the given number of line breaks.
    pub(crate) fn take(&mut self, length: usize, breaks: u64) {
        let taken = &self.text[self.at..self.at + length];
        self.offset += match self.one_byte_characters {
            true => taken.iter().filter(|byte| !is_continuation(**byte)).count() as u64,
            false => length as u64,
        };
        self.line += breaks;
        self.at += length;
    }

    /// Brings more text into memory.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        if self.rest().len() > RECORD_BYTES {
            return Err(self.problem(
                self.line,
                format!(
                    "begins a record of more than {} MiB; look for a quote that is not closed",
                    RECORD_BYTES >> 20
                ),
            ));
        }
        self.text.drain(..self.at);
        self.at = 0;
        match self.source.next().await {
            Some(block) => self.text.extend_from_slice(&block?),
            None => self.ended = true,
        }
        Ok(())
    }

    async fn skip_byte_order_mark(&mut self) -> Result<()> {
        while self.rest().len() < 3 && !self.ended {
            self.fill().await?;
        }
        match self.rest() {
            [0xef, 0xbb, 0xbf, ..] => {
                self.at += 3;
                self.offset += 3;
                Ok(())
            }
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] if !self.one_byte_characters => Err(self
                .object
                .problem("it is UTF-16 and not UTF-8; give the encoding `utf-16le` or `utf-16be`")),
            _ => Ok(()),
        }
    }
}

/// Whether a byte of UTF-8 goes on with a character.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests;
