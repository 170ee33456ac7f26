//! XXH64 of bytes on their way to a file.

use std::hash::Hasher;
use std::io::{Read, Write};
use std::path::Path;

use twox_hash::XxHash64;

use crate::{Error, Result};

/// Counts and hashes what passes through to the writer within.
pub(crate) struct ChecksumWriter<W> {
    inner: W,
    hasher: XxHash64,
    bytes: u64,
}

impl<W: Write> ChecksumWriter<W> {
    pub(crate) fn new(inner: W) -> ChecksumWriter<W> {
        ChecksumWriter {
            inner,
            hasher: XxHash64::with_seed(0),
            bytes: 0,
        }
    }

    /// The writer within.
    pub(crate) fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Gives the writer within back.
    pub(crate) fn into_inner(self) -> W {
        self.inner
    }

    /// How many bytes have passed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of all bytes that have passed, as in the manifest.
    pub(crate) fn checksum(&self) -> String {
        hex(self.hasher.finish())
    }

    /// The hash of all bytes that have passed.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

impl<W: Write> Write for ChecksumWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.write(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// The checksum of a whole file, in constant memory.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = XxHash64::with_seed(0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hex(hasher.finish())),
            read => hasher.write(&buffer[..read]),
        }
    }
}

/// The checksum of some bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(XxHash64::oneshot(0, bytes))
}

fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values_of_xxh64_come_out() {
        assert_eq!(of_bytes(b""), "ef46db3751d8e999");
        assert_eq!(of_bytes(b"abc"), "44bc2cf5ad770999");
    }

    #[test]
    fn streaming_in_pieces_hashes_the_whole() -> std::io::Result<()> {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut writer = ChecksumWriter::new(Vec::new());
        for piece in bytes.chunks(7) {
            writer.write_all(piece)?;
        }
        assert_eq!(
            (writer.bytes(), writer.checksum()),
            (1000, of_bytes(&bytes))
        );
        assert_eq!(writer.inner, bytes);
        Ok(())
    }
}
