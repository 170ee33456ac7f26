//! The formats of files: one file each.
//!
//! Opening tells the columns of the files and where their rows are. Parquet files are read by
//! [scans](crate::io::table) of the query engine, the other formats by a [`RowReader`].

mod arrow_ipc;
mod csv;
mod json_lines;
pub(crate) mod parquet;
pub(crate) mod text;
pub(crate) mod values;

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::object::Object;
use super::open_options::{FileCompression, FileFormat, OpenOptions};
use super::remote::spawn;
use super::source::SourceFile;
use crate::{Error, Result};

pub use csv::CsvFormat;
pub use json_lines::JsonLinesFormat;

/// How many files are opened at once.
pub(crate) const FILES_AT_ONCE: usize = 16;

/// Files of one format.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) scan: Scan,
    /// How the bytes are read, where they do not say it themselves.
    pub(crate) reading: String,
}

/// Who reads the rows.
#[derive(Debug, Clone)]
pub(crate) enum Scan {
    /// The query engine's scan of parquet files.
    Parquet,
    Rows(Arc<dyn RowReader>),
}

/// Reads rows of a format that the query engine does not read for us.
pub(crate) trait RowReader: Debug + Send + Sync {
    /// The rows of a range in order, with the given columns of the files in that order.
    fn read(
        self: Arc<Self>,
        object: &Object,
        range: RowRange,
    ) -> BoxStream<'static, Result<RecordBatch>>;
}

/// What to read of a file.
#[derive(Debug, Clone)]
pub(crate) struct RowRange {
    /// Which file of the data set.
    pub(crate) file: usize,
    /// Which of its rows.
    pub(crate) rows: Range<u64>,
    /// Which columns.
    pub(crate) columns: Vec<usize>,
    /// How many rows a batch has at most.
    pub(crate) batch_rows: usize,
}

/// Passes over files when they are opened, over some of them at a time.
async fn pass_over<T: Send + 'static, F>(
    objects: Vec<Object>,
    activity: &'static str,
    pass: impl Fn(Object) -> F,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>> + Send + 'static,
{
    stream::iter(objects)
        .map(|object| spawn(activity, pass(object)))
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await
}

/// A file on its way into batches.
pub(crate) trait Batches: Send + 'static {
    /// The next batch; `None` at the end of the range.
    fn next_batch(&mut self) -> impl Future<Output = Result<Option<RecordBatch>>> + Send;
}

/// The batches of a file that is opened when the first of them is asked for.
pub(crate) fn stream_of<B: Batches>(
    start: impl Future<Output = Result<B>> + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    let batches = |reading| {
        stream::try_unfold(reading, |mut reading: B| async move {
            let batch = reading.next_batch().await?;
            Ok(batch.map(|batch| (batch, reading)))
        })
    };
    stream::once(start).map_ok(batches).try_flatten().boxed()
}

/// Opens files of the format that the options or their names tell.
pub(crate) async fn open(objects: Vec<Object>, options: &OpenOptions) -> Result<Opened> {
    let format = format_of(&objects, options)?;
    let compression = |object: &Object| {
        options
            .compression()
            .unwrap_or_else(|| named_compression(&object.path))
    };
    if let FileFormat::Parquet | FileFormat::Arrow = format
        && let Some(object) = objects
            .iter()
            .find(|object| compression(object) != FileCompression::None)
    {
        return Err(object.problem(
            "parquet and arrow files cannot be read when they are compressed as a whole; \
             decompress the file",
        ));
    }
    match format {
        FileFormat::Parquet => parquet::open(objects).await,
        FileFormat::Csv(format) => csv::open(objects, &format, compression).await,
        FileFormat::JsonLines(format) => json_lines::open(objects, &format, compression).await,
        FileFormat::Arrow => arrow_ipc::open(objects).await,
    }
}

fn format_of(objects: &[Object], options: &OpenOptions) -> Result<FileFormat> {
    if let Some(format) = options.format() {
        return Ok(match format {
            FileFormat::Csv(csv) if objects.iter().all(|object| is_tsv(&object.path)) => {
                FileFormat::Csv(csv.clone().or_delimiter("\t"))
            }
            format => format.clone(),
        });
    }
    let mut named = objects
        .iter()
        .map(|object| (object, named_format(&object.path)));
    let Some((first, format)) = named.next() else {
        return Err(Error::Internal("a data set without files is opened".into()));
    };
    let other = named.find(|(_, other)| *other != format);
    match other {
        None => Ok(format.unwrap_or(FileFormat::Parquet)),
        Some((other, _)) => Err(Error::File {
            action: "read",
            path: other.path.clone(),
            problem: format!(
                "its name tells another format than that of `{}`; give the format, or name files of \
                 one format",
                first.path.display()
            ),
        }),
    }
}

/// The format that a file's name tells, if it tells one.
pub(crate) fn named_format(path: &Path) -> Option<FileFormat> {
    match plain_extension(path)?.as_str() {
        "parquet" | "pq" => Some(FileFormat::Parquet),
        "csv" => Some(FileFormat::Csv(CsvFormat::new())),
        "tsv" => Some(FileFormat::Csv(CsvFormat::new().or_delimiter("\t"))),
        "jsonl" | "ndjson" => Some(FileFormat::JsonLines(JsonLinesFormat::new())),
        "arrow" | "arrows" | "feather" | "ipc" => Some(FileFormat::Arrow),
        _ => None,
    }
}

fn is_tsv(path: &Path) -> bool {
    plain_extension(path).is_some_and(|extension| extension == "tsv")
}

fn named_compression(path: &Path) -> FileCompression {
    match extension(path).as_deref() {
        Some("gz" | "gzip") => FileCompression::Gzip,
        Some("bz2") => FileCompression::Bzip2,
        Some("xz") => FileCompression::Xz,
        Some("zst" | "zstd") => FileCompression::Zstd,
        _ => FileCompression::None,
    }
}

/// The extension before that of the compression.
fn plain_extension(path: &Path) -> Option<String> {
    match named_compression(path) {
        FileCompression::None => extension(path),
        _ => extension(Path::new(path.file_stem()?)),
    }
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_and_compression() {
        let told = |name: &str| {
            let path = Path::new(name);
            (named_format(path), named_compression(path))
        };
        let csv = || FileFormat::Csv(CsvFormat::new());
        assert_eq!(
            told("a.PARQUET"),
            (Some(FileFormat::Parquet), FileCompression::None)
        );
        assert_eq!(told("x/a.csv.gz"), (Some(csv()), FileCompression::Gzip));
        assert_eq!(
            told("s3://b/a.tsv.zst"),
            (
                Some(FileFormat::Csv(CsvFormat::new().with_delimiter("\t"))),
                FileCompression::Zstd
            )
        );
        assert_eq!(told("a.feather").0, Some(FileFormat::Arrow));
        assert_eq!(told("a.json"), (None, FileCompression::None));
        assert_eq!(told("a.gz"), (None, FileCompression::Gzip));
    }
}
