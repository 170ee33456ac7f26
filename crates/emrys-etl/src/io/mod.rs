//! Data sets in, part files out.
//!
//! - [`Dataset`]: files of any format, local or remote, or batches in memory, as one table of known
//!   order and schema; [`OpenOptions`] says how they are read.
//! - [`write_partitions`], [`write_batches`]: parquet folders that are either whole or not there.
//! - [`Split`]: rows for training and rows held out.
//! - [`Manifest`]: what a whole folder holds, with checksums.
//! - [`AtomicDir`]: a folder that appears under its name only when it is complete.

mod atomic;
mod checksum;
mod damage;
mod dataset;
mod formats;
mod generated;
mod hive;
mod manifest;
mod object;
mod open;
mod open_options;
mod paths;
mod plain;
mod ranges;
mod reader;
mod remote;
mod row_order;
mod schema_files;
mod source;
mod split;
mod table;
mod table_file;
#[cfg(test)]
mod testing;
mod writer;

pub(crate) use atomic::INCOMPLETE_MARKER;
pub use atomic::{AtomicDir, Existing};
pub use dataset::Dataset;
pub use formats::{CsvFormat, JsonLinesFormat};
pub use generated::RowGenerator;
pub use manifest::{MANIFEST_FILE, Manifest, ManifestFile};
pub use open_options::{ColumnType, FileCompression, FileFormat, OpenOptions, RemoteOptions};
pub use source::DataFile;
pub use split::{SPLIT_FILE, Split, SplitOutput};
pub(crate) use table::DatasetTable;
pub use table::{ROW_ID, ReadOptions};
pub(crate) use table_file::{TableBatches, TableFile};
pub use writer::{Compression, FileLayout, Shuffle, WriteOptions, write_batches, write_partitions};
pub(crate) use writer::{Stop, write_until};
