//! What a workflow file says besides the graph: where data come from and go to, and with what
//! means.

use std::path::{Path, PathBuf};

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::sizes::parse_bytes;
use crate::io::{Compression, FileLayout, OpenOptions, Shuffle, WriteOptions};
use crate::session::SessionOptions;
use crate::{Error, Result};

/// The window of a shuffle per partition: a row group of the default size.
const SHUFFLE_WINDOW_ROWS: usize = 131_072;

/// The sections of a workflow file besides `nodes`; whatever it does not say is empty.
///
/// ```toml
/// [source]
/// paths = ["train/*.parquet"]   # files, folders and globs
/// schema = "schema.pbtxt"       # tags and domains, where the data do not carry them
/// options = { hive = true }     # what the names of files do not say: see `OpenOptions`
///
/// [session]
/// memory = "1GiB"
/// threads = 4
/// spill_dir = "/tmp/spill"
///
/// [fit]
/// out = "fitted"                # where the fitted workflow is saved
///
/// [write]
/// out = "encoded"               # where transformed rows are written
/// row_group_rows = 131072
/// rows_per_file = 1000000       # or files = 8, or file_size = "256MiB"
/// compression = "zstd:3"        # none, snappy, lz4, zstd:LEVEL, gzip:LEVEL, brotli:LEVEL
/// shuffle = "full"              # or "partition": windows of neighbouring rows
/// seed = 42
/// partition_on = ["day"]        # folders by value
/// ```
///
/// Relative paths start at the folder of the file.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The data set that the workflow is made for.
    pub source: SourceSettings,
    /// Threads and memory.
    pub session: SessionSettings,
    /// Where the fitted workflow goes.
    pub fit: FitSettings,
    /// How rows are written.
    pub write: WriteSettings,
}

/// The section `[source]` of a workflow file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SourceSettings {
    /// Files, folders and globs.
    pub paths: Vec<PathBuf>,
    /// A file or folder with the schema of the data.
    pub schema: Option<PathBuf>,
    /// What the names of the files do not say.
    pub options: OpenOptions,
}

/// The section `[session]` of a workflow file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionSettings {
    /// The memory limit in bytes.
    #[serde(deserialize_with = "bytes")]
    pub memory: Option<usize>,
    /// The number of threads.
    pub threads: Option<usize>,
    /// Where queries spill.
    pub spill_dir: Option<PathBuf>,
    /// The rows of a batch.
    pub batch_size: Option<usize>,
}

/// The section `[fit]` of a workflow file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FitSettings {
    /// The folder of the fitted workflow.
    pub out: Option<PathBuf>,
}

/// The section `[write]` of a workflow file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WriteSettings {
    /// The folder that is written.
    pub out: Option<PathBuf>,
    /// The most rows of a row group.
    pub row_group_rows: Option<usize>,
    /// At most so many files.
    pub files: Option<usize>,
    /// So many rows in each file.
    pub rows_per_file: Option<usize>,
    /// About so many bytes in each file.
    #[serde(deserialize_with = "bytes")]
    pub file_size: Option<usize>,
    /// In which order rows are written.
    pub shuffle: Option<ShuffleSetting>,
    /// The seed of the shuffle, 42 by default.
    pub seed: Option<u64>,
    /// Columns by whose values rows are divided into folders.
    pub partition_on: Vec<String>,
    /// How pages are compressed.
    #[serde(deserialize_with = "compression")]
    pub compression: Option<Compression>,
}

/// The word for a [`Shuffle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ShuffleSetting {
    /// Rows change places within windows of 131072 rows of a partition.
    Partition,
    /// All rows change places.
    Full,
}

impl std::str::FromStr for ShuffleSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<ShuffleSetting, String> {
        match text {
            "partition" => Ok(ShuffleSetting::Partition),
            "full" => Ok(ShuffleSetting::Full),
            _ => Err("write `partition` or `full`".to_owned()),
        }
    }
}

/// A workflow file as seen by what is not the graph.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    source: SourceSettings,
    #[serde(default)]
    session: SessionSettings,
    #[serde(default)]
    fit: FitSettings,
    #[serde(default)]
    write: WriteSettings,
    #[serde(default, rename = "nodes")]
    _nodes: IgnoredAny,
    #[serde(default, rename = "outputs")]
    _outputs: IgnoredAny,
    #[serde(default, rename = "remove_inputs")]
    _remove_inputs: IgnoredAny,
}

impl Settings {
    pub(super) fn from_toml(text: &str) -> Result<Settings, toml::de::Error> {
        let sections: Sections = toml::from_str(text)?;
        Ok(Settings {
            source: sections.source,
            session: sections.session,
            fit: sections.fit,
            write: sections.write,
        })
    }

    /// Lets relative paths start at a folder.
    pub(super) fn in_folder(mut self, folder: &Path) -> Settings {
        let paths = self
            .source
            .paths
            .iter_mut()
            .chain(&mut self.source.schema)
            .chain(&mut self.session.spill_dir)
            .chain(&mut self.fit.out)
            .chain(&mut self.write.out);
        for path in paths {
            let is_url = path.to_str().is_some_and(|path| path.contains("://"));
            if !is_url {
                *path = folder.join(&*path);
            }
        }
        self
    }
}

impl SessionSettings {
    /// The options of a session of these settings.
    pub fn options(&self) -> SessionOptions {
        let mut options = SessionOptions::new();
        if let Some(bytes) = self.memory {
            options = options.with_memory_limit(bytes);
        }
        if let Some(threads) = self.threads {
            options = options.with_threads(threads);
        }
        if let Some(folder) = &self.spill_dir {
            options = options.with_spill_dir(folder);
        }
        if let Some(rows) = self.batch_size {
            options = options.with_batch_size(rows);
        }
        options
    }
}

impl WriteSettings {
    /// The options of a writer of these settings.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if more than one of `files`, `rows_per_file` and `file_size` is
    /// given.
    pub fn options(&self) -> Result<WriteOptions> {
        let mut options = WriteOptions::new();
        if let Some(rows) = self.row_group_rows {
            options = options.with_row_group_rows(rows);
        }
        let layouts = [
            self.files.map(FileLayout::Files),
            self.rows_per_file.map(FileLayout::RowsPerFile),
            self.file_size
                .map(|bytes| FileLayout::BytesPerFile(bytes as u64)),
        ];
        let mut layouts = layouts.into_iter().flatten();
        if let Some(layout) = layouts.next() {
            options = options.with_layout(layout);
        }
        if layouts.next().is_some() {
            return Err(Error::InvalidOption {
                operator: "write".to_owned(),
                option: "files".to_owned(),
                value: "given together with others".to_owned(),
                expected: "only one of `files`, `rows_per_file` and `file_size` can be".to_owned(),
            });
        }
        let seed = self.seed.unwrap_or(42);
        options = options.with_partition_on(&self.partition_on);
        options = options.with_shuffle(match self.shuffle {
            None => Shuffle::None,
            Some(ShuffleSetting::Full) => Shuffle::Full { seed },
            Some(ShuffleSetting::Partition) => Shuffle::PerPartition {
                seed,
                window_rows: SHUFFLE_WINDOW_ROWS,
            },
        });
        if let Some(compression) = self.compression {
            options = options.with_compression(compression);
        }
        Ok(options)
    }

    /// The compression that a text such as `snappy` or `zstd:3` says.
    pub fn parse_compression(text: &str) -> Option<Compression> {
        match text {
            "none" => Some(Compression::None),
            "snappy" => Some(Compression::Snappy),
            "lz4" => Some(Compression::Lz4),
            "zstd" => Some(Compression::Zstd(3)),
            _ => {
                let (codec, level) = text.split_once(':')?;
                match (codec, level.parse().ok()?) {
                    ("zstd", level @ 1..=22) => Some(Compression::Zstd(level)),
                    ("gzip", level @ 0..=9) => Some(Compression::Gzip(level.unsigned_abs())),
                    ("brotli", level @ 0..=11) => Some(Compression::Brotli(level.unsigned_abs())),
                    _ => None,
                }
            }
        }
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(usize),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => Ok(Some(bytes)),
        Size::Text(text) => parse_bytes(&text).map(Some).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no size; write a number of bytes or a text such as \"1GiB\""
            ))
        }),
    }
}

fn compression<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Compression>, D::Error> {
    let text = String::deserialize(deserializer)?;
    WriteSettings::parse_compression(&text)
        .map(Some)
        .ok_or_else(|| {
            D::Error::custom(format!(
                "there is no compression `{text}`; write none, snappy, lz4, zstd:1 to 22, \
                 gzip:0 to 9 or brotli:0 to 11"
            ))
        })
}
