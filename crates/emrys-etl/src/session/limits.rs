//! What a session does with its limit of memory, so that sorts can always go on.
//!
//! All tasks of a query that can spill get the same share of the memory, and there are up to four
//! for each partition. In its share a sort must have room for a batch and for what it is sorted
//! by, and an aggregate for the buffers of texts among its keys, which are four mebibytes however
//! few texts there are. What merges spilled files takes a batch and as much again for each file,
//! and cannot give it back while others want memory. So the less memory there is for a partition,
//! the fewer rows has a batch and the fewer files are merged at once; and where there is too little
//! for all threads, there are fewer partitions.

use crate::{Error, Result};

/// The least limit of memory: that of a single partition, which has fewer tasks than one of many.
const LEAST_BYTES: usize = 16 << 20;

/// With less than this for each, there are fewer partitions than threads.
const PARTITION_BYTES: usize = 24 << 20;

/// The rows of a batch where there is room for them, and where there is not.
const MOST_ROWS: usize = 8192;
const LEAST_ROWS: usize = 256;

/// With so many more bytes for a partition, a batch has one row more.
const BYTES_FOR_ROW: usize = 8 << 10;

/// The part of the memory of a partition that a sort sets aside to merge what it spilled, and the
/// most of it.
const MERGE_SHARE: usize = 8;
const MERGE_BYTES: usize = 10 << 20;

/// How many spilled files are merged at once: one more with so many more bytes for a partition.
const BYTES_FOR_FILE: usize = 8 << 20;
const LEAST_FILES: usize = 8;
const MOST_FILES: usize = 64;

/// How a limit of memory is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) partitions: usize,
    pub(super) batch_rows: usize,
    /// What each sort sets aside to merge what it spilled.
    pub(super) merge_bytes: usize,
    /// How many spilled files it merges at once; the more, the less is left for others.
    pub(super) merge_files: usize,
}

impl Limits {
    pub(super) fn new(bytes: usize, threads: usize) -> Limits {
        let partitions = (bytes / PARTITION_BYTES).clamp(1, threads.max(1));
        let each = bytes / partitions;
        let rows = (each / BYTES_FOR_ROW).clamp(LEAST_ROWS, MOST_ROWS);
        Limits {
            partitions,
            // Powers of two, since row groups and files are mostly cut at their multiples.
            batch_rows: 1 << rows.ilog2(),
            merge_bytes: (each / MERGE_SHARE).min(MERGE_BYTES),
            merge_files: (each / BYTES_FOR_FILE).clamp(LEAST_FILES, MOST_FILES),
        }
    }
}

/// Refuses a limit with which not even one partition can work.
pub(super) fn check(bytes: usize) -> Result<()> {
    match bytes < LEAST_BYTES {
        false => Ok(()),
        true => Err(Error::InvalidOption {
            operator: "session".into(),
            option: "memory_limit".into(),
            value: format!("{bytes} bytes"),
            expected: format!(
                "at least {LEAST_BYTES} bytes ({} MiB) are needed; leave it out for no limit",
                LEAST_BYTES >> 20
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_memory_makes_small_batches_and_then_fewer_partitions() {
        let limits = |mib: usize, threads| {
            let limits = Limits::new(mib << 20, threads);
            (limits.partitions, limits.batch_rows, limits.merge_bytes)
        };
        assert_eq!(limits(4096, 4), (4, 8192, 10 << 20));
        assert_eq!(limits(128, 2), (2, 8192, 8 << 20));
        assert_eq!(limits(48, 16), (2, 2048, 3 << 20));
        assert_eq!(limits(16, 16), (1, 2048, 2 << 20));
    }

    #[test]
    fn a_limit_that_is_too_low_is_refused_with_the_least() {
        assert!(check(LEAST_BYTES).is_ok());
        insta::assert_snapshot!(check(1 << 20).unwrap_err(), @"session: `memory_limit` is 1048576 bytes, but at least 16777216 bytes (16 MiB) are needed; leave it out for no limit");
    }
}
