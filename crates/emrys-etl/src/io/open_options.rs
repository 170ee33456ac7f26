//! How files are to be read where their names do not say it.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::datatypes::DataType;
use emrys_schema::{ColumnSchema, DType};
use serde::{Deserialize, Serialize};

use super::formats::{CsvFormat, JsonLinesFormat};
use crate::{Error, Result};

/// How the files of a [`Dataset`](super::Dataset) are to be read.
///
/// Whatever is left out is found from the files: the format and the compression from the
/// extension of their names, hive folders from their `key=value` names.
///
/// ```
/// use emrys_etl::Dataset;
/// use emrys_etl::io::{CsvFormat, OpenOptions};
/// use emrys_schema::DType;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ratings.dat");
/// std::fs::write(&path, "1::1193::5\n1::661::3\n")?;
/// let format = CsvFormat::new()
///     .with_delimiter("::")
///     .with_names(["user", "movie", "rating"])
///     .with_type("rating", DType::Float32);
/// let ratings = Dataset::open_with(&path, &OpenOptions::new().with_format(format))?;
/// assert_eq!(ratings.num_rows(), 2);
/// assert_eq!(ratings.schema().get("rating").map(|column| column.dtype()), Some(DType::Float32));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenOptions {
    format: Option<FileFormat>,
    compression: Option<FileCompression>,
    hive: Option<bool>,
    hive_types: BTreeMap<String, ColumnType>,
    remote: RemoteOptions,
}

/// The format of the files of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileFormat {
    /// Apache Parquet: `*.parquet`, `*.pq`.
    Parquet,
    /// Text with one record per line: `*.csv`, `*.tsv`.
    Csv(CsvFormat),
    /// One JSON object per line: `*.jsonl`, `*.ndjson`.
    JsonLines(JsonLinesFormat),
    /// Arrow's own format, as file or as stream: `*.arrow`, `*.feather`, `*.ipc`, `*.arrows`.
    ///
    /// A record batch is read whole, by one partition: a file of one batch makes one partition.
    Arrow,
}

impl From<CsvFormat> for FileFormat {
    fn from(format: CsvFormat) -> FileFormat {
        FileFormat::Csv(format)
    }
}

impl From<JsonLinesFormat> for FileFormat {
    fn from(format: JsonLinesFormat) -> FileFormat {
        FileFormat::JsonLines(format)
    }
}

/// The compression of whole text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileCompression {
    /// Not compressed.
    None,
    /// `*.gz`.
    Gzip,
    /// `*.bz2`.
    Bzip2,
    /// `*.xz`.
    Xz,
    /// `*.zst`.
    Zstd,
}

impl OpenOptions {
    /// Everything as the files' names say.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// The format of all files; by default the one of their extension, and parquet for
    /// extensions that are not known.
    #[must_use]
    pub fn with_format(mut self, format: impl Into<FileFormat>) -> OpenOptions {
        self.format = Some(format.into());
        self
    }

    /// The compression of text files; by default the one of their extension.
    #[must_use]
    pub fn with_compression(mut self, compression: FileCompression) -> OpenOptions {
        self.compression = Some(compression);
        self
    }

    /// Whether `key=value` folders are partitions; by default they are if there are any.
    ///
    /// With `false` subfolders are not looked at.
    #[must_use]
    pub fn with_hive(mut self, hive: bool) -> OpenOptions {
        self.hive = Some(hive);
        self
    }

    /// The type of a hive column; by default integers where all values are whole numbers without
    /// leading zeros, else strings.
    #[must_use]
    pub fn with_hive_type(
        mut self,
        column: impl Into<String>,
        column_type: impl Into<ColumnType>,
    ) -> OpenOptions {
        self.hive_types.insert(column.into(), column_type.into());
        self
    }

    /// Retries and time-outs of remote files.
    #[must_use]
    pub fn with_remote(mut self, remote: RemoteOptions) -> OpenOptions {
        self.remote = remote;
        self
    }

    pub(crate) fn format(&self) -> Option<&FileFormat> {
        self.format.as_ref()
    }

    pub(crate) fn compression(&self) -> Option<FileCompression> {
        self.compression
    }

    pub(crate) fn hive(&self) -> Option<bool> {
        self.hive
    }

    pub(crate) fn hive_types(&self) -> &BTreeMap<String, ColumnType> {
        &self.hive_types
    }

    pub(crate) fn remote(&self) -> &RemoteOptions {
        &self.remote
    }
}

/// Retries and time-outs of requests to object stores and web servers.
///
/// What is not safe to assume comes from the environment: see
/// [`Dataset::open`](super::Dataset::open).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteOptions {
    retries: usize,
    retry_for_ms: u64,
    pause_ms: u64,
    timeout_ms: u64,
    connect_timeout_ms: u64,
}

impl Default for RemoteOptions {
    fn default() -> RemoteOptions {
        RemoteOptions {
            retries: 8,
            retry_for_ms: 180_000,
            pause_ms: 100,
            timeout_ms: 60_000,
            connect_timeout_ms: 5_000,
        }
    }
}

impl RemoteOptions {
    /// 8 retries within 3 minutes, the first after 0.1 seconds and each later one after about
    /// twice as long; 5 seconds for a connection, 60 for an answer of at most 8 MiB.
    pub fn new() -> RemoteOptions {
        RemoteOptions::default()
    }

    /// How often a request is sent again after a server's error (5xx, or 429), a broken
    /// connection, a time-out or a body that is cut off; 0 for never.
    #[must_use]
    pub fn with_retries(mut self, retries: usize) -> RemoteOptions {
        self.retries = retries;
        self
    }

    /// For how long after its first try a request may be sent again.
    #[must_use]
    pub fn with_retry_for(mut self, time: Duration) -> RemoteOptions {
        self.retry_for_ms = milliseconds(time);
        self
    }

    /// The pause before the first retry; later ones are longer.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> RemoteOptions {
        self.pause_ms = milliseconds(pause);
        self
    }

    /// How long a request may take until its whole answer is there.
    #[must_use]
    pub fn with_timeout(mut self, time: Duration) -> RemoteOptions {
        self.timeout_ms = milliseconds(time);
        self
    }

    /// How long connecting may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, time: Duration) -> RemoteOptions {
        self.connect_timeout_ms = milliseconds(time);
        self
    }

    pub(crate) fn retries(&self) -> usize {
        self.retries
    }

    pub(crate) fn retry_for(&self) -> Duration {
        Duration::from_millis(self.retry_for_ms)
    }

    pub(crate) fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (option, value) in [
            ("timeout_ms", self.timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
        ] {
            if value == 0 {
                return Err(Error::InvalidOption {
                    operator: "remote files".into(),
                    option: option.into(),
                    value: "0".into(),
                    expected: "a request needs some time; give at least 1".into(),
                });
            }
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The type of a column of texts, as `int32` or `timestamp[us]`, or `hex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ColumnType {
    /// A type of schemas.
    Plain(DType),
    /// Hexadecimal digits, at most eight; they become the `int32` of the same 32 bits, as Merlin
    /// reads the categories of Criteo's files.
    Hex,
}

impl From<DType> for ColumnType {
    fn from(dtype: DType) -> ColumnType {
        ColumnType::Plain(dtype)
    }
}

impl From<ColumnType> for String {
    fn from(column_type: ColumnType) -> String {
        column_type.to_string()
    }
}

impl TryFrom<String> for ColumnType {
    type Error = emrys_schema::Error;

    fn try_from(name: String) -> Result<ColumnType, emrys_schema::Error> {
        match name.as_str() {
            "hex" => Ok(ColumnType::Hex),
            name => name.parse().map(ColumnType::Plain),
        }
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnType::Plain(dtype) => dtype.fmt(f),
            ColumnType::Hex => f.pad("hex"),
        }
    }
}

impl ColumnType {
    /// The Arrow type of the values.
    pub(crate) fn arrow(self, column: &str) -> Result<DataType> {
        let unreadable = |found: &str| Error::UnsupportedType {
            operator: "type of a column of texts".into(),
            column: column.to_owned(),
            found: found.to_owned(),
            expected: "texts are read as bool, numbers, strings, dates, timestamps or hex; \
                       give one of these"
                .into(),
        };
        match self {
            ColumnType::Hex => Ok(DataType::Int32),
            ColumnType::Plain(dtype @ (DType::Unknown | DType::Binary)) => {
                Err(unreadable(&dtype.to_string()))
            }
            ColumnType::Plain(dtype) => {
                let field = ColumnSchema::new(column, dtype).to_arrow()?;
                Ok(field.data_type().clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use emrys_schema::TimeUnit;

    use super::*;

    #[test]
    fn options_are_read_from_text_as_they_are_written() -> Result<(), Box<dyn std::error::Error>> {
        let options = OpenOptions::new()
            .with_format(
                CsvFormat::new()
                    .with_delimiter("::")
                    .with_type("a", ColumnType::Hex)
                    .with_type("b", DType::Timestamp(TimeUnit::Second)),
            )
            .with_compression(FileCompression::Gzip)
            .with_remote(RemoteOptions::new().with_retries(1));
        let text = serde_json::to_string(&options)?;
        assert_eq!(serde_json::from_str::<OpenOptions>(&text)?, options);
        let short: OpenOptions =
            serde_json::from_str(r#"{"format": {"csv": {"types": {"a": "hex"}}}}"#)?;
        assert_eq!(
            short,
            OpenOptions::new().with_format(CsvFormat::new().with_type("a", ColumnType::Hex))
        );
        assert!(serde_json::from_str::<OpenOptions>(r#"{"fromat": "parquet"}"#).is_err());
        Ok(())
    }

    #[test]
    fn time_outs_of_zero_are_refused() {
        let error = RemoteOptions::new()
            .with_timeout(Duration::ZERO)
            .check()
            .unwrap_err();
        insta::assert_snapshot!(error, @"remote files: `timeout_ms` is 0, but a request needs some time; give at least 1");
    }

    #[test]
    fn raw_bytes_are_no_type_of_texts() {
        let error = ColumnType::Plain(DType::Binary).arrow("a").unwrap_err();
        insta::assert_snapshot!(error, @"type of a column of texts: column `a` is binary, but texts are read as bool, numbers, strings, dates, timestamps or hex; give one of these");
    }
}
