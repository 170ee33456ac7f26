//! The order of rows in an output.
//!
//! A row is placed by a key, a function of the seed and of the row's number, and rows stand in the
//! order of their keys. So neither threads nor batches nor the memory at hand can change the
//! order.

mod full;
mod permute;
mod window;

pub(super) use self::full::{ShuffledPart, Shuffler, Spool, Spooled};
pub(super) use self::window::Window;
use super::options::invalid;
use crate::Result;
use crate::hash::hash_bits;

/// In which order rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Shuffle {
    /// In their own.
    #[default]
    None,
    /// Rows change places within windows of so many rows of one partition. One pass and bounded
    /// memory, but rows stay near where they were, and the order depends on the number of
    /// partitions.
    PerPartition {
        /// Decides the order.
        seed: u64,
        /// How many rows are held and change places among themselves.
        window_rows: usize,
    },
    /// Every order of all rows is about equally likely. It depends on the seed and on the order of
    /// the data, not on threads, partitions and memory; only how the rows are divided into files
    /// follows the [`FileLayout`](super::FileLayout).
    ///
    /// The rows are written to temporary files beside the output and read again twice (first as
    /// they come, then divided at random into parts that fit into
    /// [`WriteOptions::with_buffer_bytes`](super::WriteOptions::with_buffer_bytes)), uncompressed:
    /// plan for the size of the data in memory, twice at most, as free disk space.
    Full {
        /// Decides the order.
        seed: u64,
    },
}

impl Shuffle {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Shuffle::PerPartition { window_rows: 0, .. } => {
                Err(invalid("window_rows", "0", "at least 1 row is needed"))
            }
            _ => Ok(()),
        }
    }
}

/// The keys that decide the order: row `i` gets the `i`-th number of `SplitMix64`, in which no
/// number comes twice.
#[derive(Debug, Clone, Copy)]
struct Keys {
    start: u64,
}

impl Keys {
    fn new(seed: u64) -> Keys {
        Keys {
            start: hash_bits(seed ^ 0x5368_7566_666c_6521),
        }
    }

    /// Keys for one of several streams that are shuffled each for itself.
    fn of_stream(seed: u64, number: usize) -> Keys {
        Keys {
            start: hash_bits(Keys::new(seed).key(number as u64)),
        }
    }

    fn key(self, row: u64) -> u64 {
        hash_bits(
            self.start
                .wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        )
    }
}
