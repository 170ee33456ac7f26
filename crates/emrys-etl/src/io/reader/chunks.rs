//! Parts of a file that have been fetched, in the place of the file.

use std::ops::Range;
use std::sync::Arc;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Parts of a file, such as the column chunks of a row group; clones share them.
#[derive(Debug, Clone)]
pub(in crate::io) struct Chunks {
    /// In the order of their places, with the place of the first byte of each.
    parts: Arc<[(u64, Bytes)]>,
    /// The size of the file.
    file_bytes: u64,
}

impl Chunks {
    /// Parts that do not overlap, with their places.
    pub(in crate::io) fn new(
        parts: impl IntoIterator<Item = (u64, Bytes)>,
        file_bytes: u64,
    ) -> Chunks {
        let mut parts: Vec<(u64, Bytes)> = parts.into_iter().collect();
        parts.sort_unstable_by_key(|(start, _)| *start);
        Chunks {
            parts: parts.into(),
            file_bytes,
        }
    }

    /// The part that holds a byte, and where it is there.
    fn part(&self, at: u64) -> Option<(&Bytes, usize)> {
        let index = self.parts.partition_point(|(start, _)| *start <= at);
        let (start, bytes) = self.parts.get(index.checked_sub(1)?)?;
        let first = usize::try_from(at - start).ok()?;
        (first <= bytes.len()).then_some((bytes, first))
    }

    fn slice(&self, at: u64, range: impl FnOnce(&Bytes, usize) -> Range<usize>) -> Result<Bytes> {
        let found = self.part(at).and_then(|(bytes, first)| {
            let range = range(bytes, first);
            (range.end <= bytes.len()).then(|| bytes.slice(range))
        });
        found.ok_or_else(|| ParquetError::EOF("a page reaches beyond its column chunk".to_owned()))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Chunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Reader<Bytes>> {
        let bytes = self.slice(start, |bytes, first| first..bytes.len())?;
        Ok(bytes.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.slice(start, |_, first| first..first.saturating_add(length))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn bytes_are_those_of_their_place_in_the_file() {
        let parts = [
            (20, Bytes::from_static(b"fghij")),
            (5, Bytes::from_static(b"abcde")),
        ];
        let chunks = Chunks::new(parts, 100);
        assert_eq!(chunks.len(), 100);
        assert_eq!(chunks.get_bytes(5, 5).unwrap(), "abcde");
        assert_eq!(chunks.get_bytes(22, 2).unwrap(), "hi");
        let mut rest = String::new();
        let read = chunks.get_read(8).unwrap().read_to_string(&mut rest);
        assert_eq!((read.unwrap(), rest.as_str()), (2, "de"));
    }

    #[test]
    fn bytes_that_were_not_fetched_are_an_error() {
        let chunks = Chunks::new([(5, Bytes::from_static(b"abcde"))], 100);
        for (start, length) in [(4, 1), (5, 6), (11, 0), (5, usize::MAX), (99, 1)] {
            assert!(chunks.get_bytes(start, length).is_err(), "{start}");
        }
        assert!(chunks.get_read(0).is_err());
        assert!(Chunks::new([], 100).get_bytes(0, 1).is_err());
    }
}
