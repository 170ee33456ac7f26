//! Text files as a stream of UTF-8: decompressed, decoded, and cut where a record ends.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use encoding_rs::{DecoderResult, Encoding};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::runtime::Handle;
use twox_hash::XxHash64;

use crate::io::object::Object;
use crate::io::open_options::FileCompression;
use crate::io::remote;
use crate::{Error, Result};

/// How much decompressed text is handed on at once.
const BLOCK_BYTES: usize = 1 << 20;

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
    /// The whole text of a file; its bytes are hashed on their way.
    pub(crate) fn whole(
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
        TextBuffer::new(object, storage, bytes, 0, 1)
    }

    /// The text from a chunk on.
    pub(crate) fn from_chunk(
        object: &Object,
        storage: Storage,
        chunk: &Chunk,
    ) -> Result<TextBuffer> {
        let bytes = object.stream(chunk.offset..object.bytes());
        TextBuffer::new(object, storage, bytes, chunk.offset, chunk.line)
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

    /// Skips the mark with which some programs begin their UTF-8 files.
    pub(crate) async fn skip_byte_order_mark(&mut self) -> Result<()> {
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

fn decompressed(
    object: &Object,
    compression: FileCompression,
    bytes: BoxStream<'static, Result<Bytes>>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let (kind, name) = match compression {
        FileCompression::None => return Ok(bytes),
        FileCompression::Gzip => (FileCompressionType::GZIP, "gzip"),
        FileCompression::Bzip2 => (FileCompressionType::BZIP2, "bzip2"),
        FileCompression::Xz => (FileCompressionType::XZ, "xz"),
        FileCompression::Zstd => (FileCompressionType::ZSTD, "zstd"),
    };
    let runtime = remote::handle()?;
    let object = object.clone();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let source = BlockingStream {
        runtime: runtime.clone(),
        source: bytes,
        block: Bytes::new(),
    };
    runtime.spawn_blocking(move || {
        let mut reader = match kind.convert_read(source) {
            Ok(reader) => reader,
            Err(error) => {
                let _ = sender.blocking_send(Err(Error::query("decompressing")(error)));
                return;
            }
        };
        loop {
            let mut block = Vec::with_capacity(BLOCK_BYTES);
            let read = reader
                .by_ref()
                .take(BLOCK_BYTES as u64)
                .read_to_end(&mut block);
            let message = match read {
                // An empty block tells that this is the end, and not a thread that broke off.
                Ok(_) => Ok(Bytes::from(block)),
                Err(error) => Err(decompression_error(&object, name, error)),
            };
            let last = message.as_ref().map_or(true, Bytes::is_empty);
            // Nobody waits any more when the query has ended.
            if sender.blocking_send(message).is_err() || last {
                return;
            }
        }
    });
    Ok(stream::try_unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Some(Ok(block)) if block.is_empty() => Ok(None),
            Some(block) => block.map(|block| Some((block, receiver))),
            None => Err(Error::Panicked {
                activity: "decompressing".into(),
                message: "its thread broke off".into(),
            }),
        }
    })
    .boxed())
}

fn decompression_error(object: &Object, name: &str, error: std::io::Error) -> Error {
    let problem = format!("its {name} data are damaged or cut off ({error}); write it again");
    match error.into_inner().map(|inner| inner.downcast::<Error>()) {
        Some(Ok(ours)) => *ours,
        _ => object.problem(problem),
    }
}

/// A stream of blocks, read by a thread that may wait.
struct BlockingStream {
    runtime: Handle,
    source: BoxStream<'static, Result<Bytes>>,
    block: Bytes,
}

impl Read for BlockingStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.block.is_empty() {
            match self.runtime.block_on(self.source.next()) {
                None => return Ok(0),
                Some(Err(error)) => return Err(std::io::Error::other(error)),
                Some(Ok(block)) => self.block = block,
            }
        }
        let length = buffer.len().min(self.block.len());
        buffer[..length].copy_from_slice(&self.block.split_to(length));
        Ok(length)
    }
}

fn decoded(
    object: &Object,
    encoding: TextEncoding,
    bytes: BoxStream<'static, Result<Bytes>>,
) -> BoxStream<'static, Result<Bytes>> {
    match encoding {
        TextEncoding::Utf8 => bytes,
        TextEncoding::Latin1 => bytes
            .map(|block| {
                let block = block?;
                let mut text = vec![0; block.len() * 2];
                let length = encoding_rs::mem::convert_latin1_to_utf8(&block, &mut text);
                text.truncate(length);
                Ok(text.into())
            })
            .boxed(),
        TextEncoding::Other(encoding) => {
            let decoder = encoding.new_decoder_with_bom_removal();
            let object = object.clone();
            stream::try_unfold(Some((bytes, decoder)), move |state| {
                let object = object.clone();
                async move {
                    let Some((mut bytes, mut decoder)) = state else {
                        return Ok(None);
                    };
                    let block = bytes.next().await.transpose()?;
                    let last = block.is_none();
                    let text = decode(&object, &mut decoder, &block.unwrap_or_default(), last)?;
                    Ok(Some((text, (!last).then_some((bytes, decoder)))))
                }
            })
            .boxed()
        }
    }
}

fn decode(
    object: &Object,
    decoder: &mut encoding_rs::Decoder,
    mut bytes: &[u8],
    last: bool,
) -> Result<Bytes> {
    let mut text = Vec::new();
    loop {
        let most = decoder
            .max_utf8_buffer_length_without_replacement(bytes.len())
            .ok_or_else(|| Error::Internal("a block exceeds the address space".into()))?;
        let start = text.len();
        text.resize(start + most, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut text[start..], last);
        text.truncate(start + written);
        match result {
            DecoderResult::InputEmpty => return Ok(text.into()),
            DecoderResult::OutputFull => bytes = &bytes[read..],
            DecoderResult::Malformed(length, after) => {
                let end = read.saturating_sub(usize::from(after));
                let start = end.saturating_sub(usize::from(length));
                let shown: Vec<String> = bytes[start..end]
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                return Err(object.problem(format!(
                    "it is not {} (its bytes `{}` are no character); give its encoding",
                    decoder.encoding().name(),
                    shown.join(" ")
                )));
            }
        }
    }
}

#[cfg(test)]
mod tests;
