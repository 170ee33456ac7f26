//! What a workflow file says besides the graph: where data come from and go to, and with what
//! means.

use std::path::{Path, PathBuf};

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::sizes::parse_bytes;
use crate::io::{Compression, FileLayout, WriteOptions};
use crate::session::SessionOptions;
use crate::{Error, Result};

/// The sections of a workflow file besides `nodes`; whatever it does not say is empty.
///
/// ```toml
/// [source]
/// paths = ["train/*.parquet"]   # files, folders and globs
/// schema = "schema.pbtxt"       # tags and domains, where the data do not carry them
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
/// rows_per_file = 1000000       # or files = 8
/// compression = "zstd:3"        # none, snappy, lz4, zstd:LEVEL
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
    /// How pages are compressed.
    #[serde(deserialize_with = "compression")]
    pub compression: Option<Compression>,
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
    /// [`Error::InvalidOption`] if both `files` and `rows_per_file` are given.
    pub fn options(&self) -> Result<WriteOptions> {
        let mut options = WriteOptions::new();
        if let Some(rows) = self.row_group_rows {
            options = options.with_row_group_rows(rows);
        }
        match (self.files, self.rows_per_file) {
            (None, None) => {}
            (Some(files), None) => options = options.with_layout(FileLayout::Files(files)),
            (None, Some(rows)) => options = options.with_layout(FileLayout::RowsPerFile(rows)),
            (Some(files), Some(_)) => {
                return Err(Error::InvalidOption {
                    operator: "write".to_owned(),
                    option: "files".to_owned(),
                    value: files.to_string(),
                    expected: "`rows_per_file` is given too; leave one of them out".to_owned(),
                });
            }
        }
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
                let level = text.strip_prefix("zstd:")?.parse().ok()?;
                (1..=22)
                    .contains(&level)
                    .then_some(Compression::Zstd(level))
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
                "there is no compression `{text}`; write none, snappy, lz4 or zstd:LEVEL with a \
                 level from 1 to 22"
            ))
        })
}
