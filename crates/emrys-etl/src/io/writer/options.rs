//! How a folder is written.

use parquet::basic::ZstdLevel;

use crate::{Error, Result};

/// How a folder is written: row groups, files, compression, and whether it may replace another.
///
/// ```
/// use emrys_etl::io::{Compression, FileLayout, WriteOptions};
///
/// let options = WriteOptions::new()
///     .with_row_group_rows(65_536)
///     .with_layout(FileLayout::RowsPerFile(1_000_000))
///     .with_compression(Compression::Zstd(3))
///     .with_overwrite(true);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    row_group_rows: usize,
    layout: FileLayout,
    compression: Compression,
    overwrite: bool,
}

/// How rows are divided into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FileLayout {
    /// One file for each partition of the query.
    #[default]
    PerPartition,
    /// At most so many files: neighbouring partitions share one. There are never more files than
    /// partitions; a session with more threads has more.
    ///
    /// As many files are written at the same time, so one file keeps one core busy.
    Files(usize),
    /// Every file has so many rows, except the last of each partition, which may have fewer.
    RowsPerFile(usize),
}

/// How the pages of files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy, which every reader of parquet knows.
    #[default]
    Snappy,
    /// LZ4 without frames.
    Lz4,
    /// Zstandard at a level from 1 to 22.
    Zstd(i32),
}

impl WriteOptions {
    /// Row groups of 131072 rows, one file per partition, Snappy, and no overwriting.
    pub fn new() -> WriteOptions {
        WriteOptions::default()
    }

    /// The most rows of a row group.
    ///
    /// Loaders shuffle and hold whole row groups; encoders hold one per partition.
    #[must_use]
    pub fn with_row_group_rows(mut self, rows: usize) -> WriteOptions {
        self.row_group_rows = rows;
        self
    }

    /// How rows are divided into files.
    #[must_use]
    pub fn with_layout(mut self, layout: FileLayout) -> WriteOptions {
        self.layout = layout;
        self
    }

    /// How pages are compressed.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> WriteOptions {
        self.compression = compression;
        self
    }

    /// Whether a folder that Emrys wrote before may be replaced. It stays as it is until the new
    /// one is whole.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> WriteOptions {
        self.overwrite = overwrite;
        self
    }

    pub(crate) fn row_group_rows(&self) -> usize {
        self.row_group_rows
    }

    pub(crate) fn layout(&self) -> FileLayout {
        self.layout
    }

    pub(crate) fn overwrite(&self) -> bool {
        self.overwrite
    }

    pub(super) fn compression(&self) -> Result<parquet::basic::Compression> {
        Ok(match self.compression {
            Compression::None => parquet::basic::Compression::UNCOMPRESSED,
            Compression::Snappy => parquet::basic::Compression::SNAPPY,
            Compression::Lz4 => parquet::basic::Compression::LZ4_RAW,
            Compression::Zstd(level) => {
                let level = ZstdLevel::try_new(level).map_err(|_| {
                    invalid(
                        "compression",
                        &format!("Zstd({level})"),
                        "levels are 1 to 22",
                    )
                })?;
                parquet::basic::Compression::ZSTD(level)
            }
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.row_group_rows == 0 {
            return Err(invalid("row_group_rows", "0", "at least 1 is needed"));
        }
        match self.layout {
            FileLayout::Files(0) => Err(invalid("layout", "Files(0)", "at least 1 file is needed")),
            FileLayout::RowsPerFile(0) => Err(invalid(
                "layout",
                "RowsPerFile(0)",
                "at least 1 row is needed",
            )),
            _ => self.compression().map(|_| ()),
        }
    }
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions {
            row_group_rows: 131_072,
            layout: FileLayout::default(),
            compression: Compression::default(),
            overwrite: false,
        }
    }
}

impl FileLayout {
    /// Puts neighbours that share a file together.
    pub(super) fn group<T>(self, items: Vec<T>) -> Vec<Vec<T>> {
        let groups = match self {
            FileLayout::Files(files) => files.min(items.len()),
            FileLayout::PerPartition | FileLayout::RowsPerFile(_) => items.len(),
        };
        let count = items.len();
        let mut items = items.into_iter();
        (0..groups)
            .map(|i| {
                items
                    .by_ref()
                    .take((i + 1) * count / groups - i * count / groups)
                    .collect()
            })
            .collect()
    }

    pub(super) fn rows_per_file(self) -> Option<usize> {
        match self {
            FileLayout::RowsPerFile(rows) => Some(rows),
            FileLayout::PerPartition | FileLayout::Files(_) => None,
        }
    }
}

fn invalid(option: &str, value: &str, expected: &str) -> Error {
    Error::InvalidOption {
        operator: "write".into(),
        option: option.into(),
        value: value.into(),
        expected: expected.into(),
    }
}
