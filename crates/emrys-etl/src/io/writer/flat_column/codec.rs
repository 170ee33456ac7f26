//! Compression of pages.

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};

/// What the parquet library does within, for the codecs whose libraries it shares with us.
pub(super) enum Codec {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Lz4,
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Codec {
    /// `None` for codecs that are not known here.
    pub(super) fn new(compression: Compression) -> Option<Codec> {
        match compression {
            Compression::UNCOMPRESSED => Some(Codec::None),
            Compression::SNAPPY => Some(Codec::Snappy(Box::new(snap::raw::Encoder::new()))),
            Compression::LZ4_RAW => Some(Codec::Lz4),
            Compression::ZSTD(level) => zstd::bulk::Compressor::new(level.compression_level())
                .ok()
                .map(Codec::Zstd),
            _ => None,
        }
    }

    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<Bytes> {
        let mut compressed = Vec::new();
        let length = match self {
            Codec::None => return Ok(Bytes::copy_from_slice(bytes)),
            Codec::Snappy(encoder) => {
                compressed.resize(snap::raw::max_compress_len(bytes.len()), 0);
                encoder.compress(bytes, &mut compressed)?
            }
            Codec::Lz4 => {
                compressed.resize(lz4_flex::block::get_maximum_output_size(bytes.len()), 0);
                lz4_flex::block::compress_into(bytes, &mut compressed)
                    .map_err(|error| ParquetError::External(Box::new(error)))?
            }
            Codec::Zstd(compressor) => return Ok(compressor.compress(bytes)?.into()),
        };
        compressed.truncate(length);
        compressed.shrink_to_fit();
        Ok(compressed.into())
    }
}
