//! How a folder is written.

use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};

use super::shuffle::Shuffle;
use crate::io::open_options::RemoteOptions;
use crate::{Error, Result};

/// How a folder is written: row groups, files, compression, order of the rows, folders by value,
/// and whether it may replace another.
///
/// ```
/// use emrys_etl::io::{Compression, FileLayout, Shuffle, WriteOptions};
///
/// let options = WriteOptions::new()
///     .with_row_group_rows(65_536)
///     .with_layout(FileLayout::RowsPerFile(1_000_000))
///     .with_compression(Compression::Zstd(3))
///     .with_shuffle(Shuffle::Full { seed: 42 })
///     .with_partition_on(["day"])
///     .with_overwrite(true);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    row_group_rows: usize,
    layout: FileLayout,
    compression: Compression,
    shuffle: Shuffle,
    partition_on: Vec<String>,
    open_files: usize,
    buffer_bytes: usize,
    overwrite: bool,
    remote: RemoteOptions,
}

/// How rows are divided into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FileLayout {
    /// One file for each partition of the query.
    #[default]
    PerPartition,
    /// At most so many files: neighbouring partitions share one. There are never more files than
    /// partitions; a session with more threads has more. A full shuffle is not bound by the
    /// partitions and makes just so many.
    ///
    /// As many files are written at the same time, so one file keeps at most two cores busy:
    /// one computes rows, the other encodes them.
    Files(usize),
    /// Every file has so many rows, except the last of each partition, which may have fewer.
    RowsPerFile(usize),
    /// A file is closed when it has about so many bytes; the last of each partition may be
    /// smaller. Sizes are looked at after every batch, and what is not compressed yet counts in
    /// full, so that files come out somewhat smaller where compression achieves much.
    BytesPerFile(u64),
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
    /// Gzip at a level from 0 to 9; for readers that know nothing newer.
    Gzip(u32),
    /// Brotli at a level from 0 to 11: small files, slowly.
    Brotli(u32),
}

impl WriteOptions {
    /// Row groups of 131072 rows, one file per partition, Snappy, rows in their order, one folder,
    /// and no overwriting.
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

    /// In which order the rows are written; by default in theirs.
    #[must_use]
    pub fn with_shuffle(mut self, shuffle: Shuffle) -> WriteOptions {
        self.shuffle = shuffle;
        self
    }

    /// Divides the rows into folders by the values of columns, as Hive does:
    /// `day=2024-05-01/country=it/part_00000.parquet`.
    ///
    /// The columns are not in the files, and come last in the schema, where readers of such
    /// folders put them. They may hold integers, booleans, texts, dates and timestamps. Characters
    /// that file systems and addresses treat specially are written as `%2F` and the like, and nulls
    /// as `__HIVE_DEFAULT_PARTITION__`. A [`FileLayout`] applies in each folder.
    #[must_use]
    pub fn with_partition_on(
        mut self,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> WriteOptions {
        self.partition_on = columns.into_iter().map(Into::into).collect();
        self
    }

    /// How many files of [`with_partition_on`](WriteOptions::with_partition_on) may be open at a
    /// time, over all partitions of the query together; 64 by default.
    ///
    /// When one more is needed, the file that was written to longest ago is closed; rows that
    /// come for its folder later begin another file there. Data sorted by the columns need few.
    #[must_use]
    pub fn with_open_files(mut self, files: usize) -> WriteOptions {
        self.open_files = files;
        self
    }

    /// How many bytes a full shuffle and the open files of
    /// [`with_partition_on`](WriteOptions::with_partition_on) may hold, each about; 256 MiB by
    /// default.
    ///
    /// A full shuffle gives the same order whatever this is. Less memory for open files makes
    /// smaller row groups.
    #[must_use]
    pub fn with_buffer_bytes(mut self, bytes: usize) -> WriteOptions {
        self.buffer_bytes = bytes;
        self
    }

    /// Whether a folder that Emrys wrote before may be replaced.
    ///
    /// A local folder stays as it is until the new one is whole. In an object store nothing can be
    /// renamed: there the former objects are deleted before the first new one is written.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> WriteOptions {
        self.overwrite = overwrite;
        self
    }

    /// How requests to object stores are sent, and sent again.
    #[must_use]
    pub fn with_remote(mut self, remote: RemoteOptions) -> WriteOptions {
        self.remote = remote;
        self
    }

    pub(super) fn remote(&self) -> &RemoteOptions {
        &self.remote
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

    pub(super) fn shuffle(&self) -> Shuffle {
        self.shuffle
    }

    pub(super) fn partition_on(&self) -> &[String] {
        &self.partition_on
    }

    pub(super) fn open_files(&self) -> usize {
        self.open_files
    }

    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
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
            Compression::Gzip(level) => {
                let level = GzipLevel::try_new(level).map_err(|_| {
                    invalid(
                        "compression",
                        &format!("Gzip({level})"),
                        "levels are 0 to 9",
                    )
                })?;
                parquet::basic::Compression::GZIP(level)
            }
            Compression::Brotli(level) => {
                let level = BrotliLevel::try_new(level).map_err(|_| {
                    invalid(
                        "compression",
                        &format!("Brotli({level})"),
                        "levels are 0 to 11",
                    )
                })?;
                parquet::basic::Compression::BROTLI(level)
            }
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.row_group_rows == 0 {
            return Err(invalid("row_group_rows", "0", "at least 1 is needed"));
        }
        if self.open_files == 0 {
            return Err(invalid("open_files", "0", "at least 1 is needed"));
        }
        if self.buffer_bytes == 0 {
            return Err(invalid("buffer_bytes", "0", "at least 1 is needed"));
        }
        self.shuffle.check()?;
        match self.layout {
            FileLayout::Files(0) => Err(invalid("layout", "Files(0)", "at least 1 file is needed")),
            FileLayout::RowsPerFile(0) => Err(invalid(
                "layout",
                "RowsPerFile(0)",
                "at least 1 row is needed",
            )),
            FileLayout::BytesPerFile(0) => Err(invalid(
                "layout",
                "BytesPerFile(0)",
                "at least 1 byte is needed",
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
            shuffle: Shuffle::default(),
            partition_on: Vec::new(),
            open_files: 64,
            buffer_bytes: 256 << 20,
            overwrite: false,
            remote: RemoteOptions::default(),
        }
    }
}

impl FileLayout {
    /// How many tasks write the rows of so many partitions.
    pub(super) fn tasks(self, partitions: usize) -> usize {
        match self {
            FileLayout::Files(files) => files.min(partitions),
            _ => partitions,
        }
    }

    /// Puts neighbours that share a file together.
    pub(super) fn group<T>(self, items: Vec<T>) -> Vec<Vec<T>> {
        let (groups, count) = (self.tasks(items.len()), items.len());
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
}

pub(super) fn invalid(option: &str, value: &str, expected: &str) -> Error {
    Error::InvalidOption {
        operator: "write".into(),
        option: option.into(),
        value: value.into(),
        expected: expected.into(),
    }
}
