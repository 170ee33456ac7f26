//! Data sets in, part files out.
//!
//! - [`Dataset`]: parquet files or batches in memory, as one table of known order and schema.
//! - [`write_partitions`], [`write_batches`]: parquet folders that are either whole or not there.
//! - [`Split`]: rows for training and rows held out.
//! - [`Manifest`]: what a whole folder holds, with checksums.
//! - [`AtomicDir`]: a folder that appears under its name only when it is complete.

mod atomic;
mod checksum;
mod damage;
mod dataset;
mod footer;
mod generated;
mod manifest;
mod paths;
mod ranges;
mod row_order;
mod schema_files;
mod split;
mod table;
#[cfg(test)]
mod testing;
mod writer;

pub use atomic::{AtomicDir, Existing};
pub use dataset::{DataFile, Dataset};
pub use generated::RowGenerator;
pub use manifest::{MANIFEST_FILE, Manifest, ManifestFile};
pub use split::{SPLIT_FILE, Split, SplitOutput};
pub use table::{ROW_ID, ReadOptions};
pub use writer::{Compression, FileLayout, Shuffle, WriteOptions, write_batches, write_partitions};
