//! Parquet folders that are either whole or not there.

mod options;
mod sink;

use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use emrys_schema::{SCHEMA_JSON, Schema};
use futures::StreamExt;
use tokio::task::JoinSet;

pub use self::options::{Compression, FileLayout, WriteOptions};
use self::sink::{Encoding, Part, Sink};
use super::atomic::{AtomicDir, Existing};
use super::manifest::{MANIFEST_FILE, Manifest, ManifestFile};
use crate::{Error, Result};

/// Writes the streams of a partitioned query as a parquet folder.
///
/// The folder holds `part_00000.parquet` and so on, `schema.json`, `schema.pbtxt` and the
/// [`Manifest`]. Rows keep their order: the files of one stream come before those of the next.
/// Streams run at the same time, one task each, or one task per file where a [`FileLayout`] asks
/// for fewer files than there are streams. Streams without rows get no file, but there is always
/// at least one file.
///
/// The folder appears under its name only when it is whole. After an error, or if the future is
/// dropped, nothing of it is left; what a killed process leaves has another name and is deleted
/// by the next one that writes to `path`.
///
/// It must run in a tokio runtime, such as [`Session::block_on`](crate::Session::block_on).
///
/// # Errors
/// The error of a stream; [`Error::OutputExists`], [`Error::DiskFull`], [`Error::File`] or
/// [`Error::Io`] naming what cannot be written; [`Error::Data`] if `schema` has other columns
/// than the streams; [`Error::InvalidOption`].
pub async fn write_partitions(
    streams: Vec<SendableRecordBatchStream>,
    schema: &Schema,
    path: &Path,
    options: &WriteOptions,
) -> Result<Manifest> {
    let Some(first) = streams.first() else {
        return Err(Error::Internal("a query has no partitions".into()));
    };
    let output = Output::create(&first.schema(), schema, path, options)?;
    if let Some(other) = streams
        .iter()
        .find(|stream| stream.schema() != first.schema())
    {
        return Err(Error::Internal(format!(
            "partitions of one query have the schemas {} and {}",
            first.schema(),
            other.schema()
        )));
    }

    let mut tasks = JoinSet::new();
    for (number, streams) in options.layout().group(streams).into_iter().enumerate() {
        let mut sink = output.sink(number);
        let activity = format!("writing `{}`", path.display());
        tasks.spawn(async move {
            for mut stream in streams {
                while let Some(batch) = stream.next().await {
                    // Encoding right where the batch was computed keeps it in the core's cache;
                    // there are as many partitions as threads.
                    sink.write(&batch.map_err(Error::query(activity.as_str()))?)?;
                }
            }
            Ok((number, sink.finish()?))
        });
    }
    let mut parts = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => Err(match error.try_into_panic() {
                Ok(panic) => Error::panicked(format!("writing `{}`", path.display()), &*panic),
                Err(error) => Error::Internal(format!("a writing task was lost: {error}")),
            }),
        };
        match outcome {
            Ok(written) => parts.push(written),
            Err(error) => {
                // The folder is deleted only when no task writes to it any more.
                tasks.shutdown().await;
                return Err(output.at_target(error));
            }
        }
    }
    parts.sort_by_key(|(number, _)| *number);
    output.finish(parts.into_iter().flat_map(|(_, parts)| parts).collect())
}

/// Writes batches as a parquet folder, on the calling thread.
///
/// The same as [`write_partitions`] for one stream.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Int64Array, RecordBatch};
/// use emrys_etl::io::{Dataset, WriteOptions, write_batches};
/// use emrys_schema::{ColumnSchema, DType, Schema, Tag};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("items");
/// let batch = RecordBatch::try_from_iter([("item", Arc::new(Int64Array::from(vec![7, 8])) as _)])?;
/// let schema = Schema::new([ColumnSchema::new("item", DType::Int64).with_tags([Tag::ItemId])])?;
///
/// let manifest = write_batches([Ok(batch.clone())], &batch.schema(), &schema, &path, &WriteOptions::new())?;
/// assert_eq!((manifest.rows, manifest.files.len()), (2, 1));
/// assert!(Dataset::open(&path)?.schema().get("item").unwrap().has_tag(Tag::ItemId));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`write_partitions`], and the first error among the batches.
pub fn write_batches(
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
    arrow_schema: &SchemaRef,
    schema: &Schema,
    path: &Path,
    options: &WriteOptions,
) -> Result<Manifest> {
    let output = Output::create(arrow_schema, schema, path, options)?;
    let mut sink = output.sink(0);
    for batch in batches {
        sink.write(&batch?)
            .map_err(|error| output.at_target(error))?;
    }
    let parts = sink.finish().map_err(|error| output.at_target(error))?;
    output.finish(parts)
}

/// A folder in the making.
struct Output<'a> {
    target: &'a Path,
    folder: AtomicDir,
    encoding: Encoding,
    schema: &'a Schema,
    options: &'a WriteOptions,
}

impl<'a> Output<'a> {
    fn create(
        arrow: &ArrowSchema,
        schema: &'a Schema,
        path: &'a Path,
        options: &'a WriteOptions,
    ) -> Result<Output<'a>> {
        options.check()?;
        let columns: Vec<&str> = arrow
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        if columns != schema.names() {
            return Err(Error::Data {
                operator: "write".into(),
                problem: format!(
                    "the data have the columns {columns:?}, but the schema has {:?}; \
                     let the schema name the columns in their order",
                    schema.names()
                ),
            });
        }
        let encoding = Encoding::new(arrow, schema, options)?;
        let existing = match options.overwrite() {
            true => Existing::ReplaceIfHolds(MANIFEST_FILE),
            false => Existing::Refuse,
        };
        let folder = AtomicDir::create(path, existing)?;
        Ok(Output {
            target: path,
            folder,
            encoding,
            schema,
            options,
        })
    }

    fn sink(&self, number: usize) -> Sink {
        Sink::new(
            self.folder.path().to_owned(),
            number,
            self.encoding.clone(),
            self.options.layout().rows_per_file(),
        )
    }

    /// A full disk is told with the folder that was asked for, not with its temporary name.
    fn at_target(&self, error: Error) -> Error {
        match error {
            Error::DiskFull { action, path } if path.starts_with(self.folder.path()) => {
                Error::DiskFull {
                    action,
                    path: self.target.to_owned(),
                }
            }
            error => error,
        }
    }

    /// Gives the parts their names, adds what describes them, and lets the folder appear.
    fn finish(self, mut parts: Vec<Part>) -> Result<Manifest> {
        if parts.is_empty() {
            // Even without rows, the columns and their types are there to be read.
            parts.push(self.sink(0).finish_without_rows()?);
        }
        let folder = self.folder.path();
        let mut files = Vec::with_capacity(parts.len());
        for (number, part) in parts.into_iter().enumerate() {
            let name = format!("part_{number:05}.parquet");
            fs::rename(&part.path, folder.join(&name)).map_err(Error::io("write", part.path))?;
            files.push(ManifestFile {
                name,
                rows: part.rows,
                bytes: part.bytes,
                xxh64: part.xxh64,
            });
        }
        self.schema.write_dir(folder)?;
        let schema_path = folder.join(SCHEMA_JSON);
        let schema_json =
            fs::read_to_string(&schema_path).map_err(Error::io("read", schema_path))?;
        let manifest = Manifest::new(files, &schema_json);
        manifest.write(folder)?;
        self.folder.commit()?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests;
