//! From the bytes of a file to UTF-8.

use std::io::Read;

use bytes::Bytes;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use encoding_rs::DecoderResult;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::runtime::Handle;

use super::TextEncoding;
use crate::io::object::Object;
use crate::io::open_options::FileCompression;
use crate::io::remote;
use crate::{Error, Result};

/// How much decompressed text is handed on at once.
const BLOCK_BYTES: usize = 1 << 20;

/// The bytes of a file without their compression.
pub(super) fn decompressed(
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

/// The bytes of a file as UTF-8.
pub(super) fn decoded(
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
