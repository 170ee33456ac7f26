//! Parquet folders that are either whole or not there.

mod column;
mod encoding;
mod flat_column;
mod hive;
mod options;
mod output;
mod parquet_file;
mod place;
mod remote_folder;
mod shuffle;
mod sink;
mod store;
mod tasks;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use emrys_schema::Schema;
use futures::StreamExt;

pub use self::options::{Compression, FileLayout, WriteOptions};
pub(in crate::io) use self::output::{Output, Writer, Written};
pub use self::shuffle::Shuffle;
pub(in crate::io) use self::store::{is_remote, local_path};
pub(crate) use self::tasks::Stop;
pub(in crate::io) use self::tasks::run_tasks;
use super::manifest::Manifest;
use crate::{Error, Result};

/// Writes the streams of a partitioned query as a parquet folder.
///
/// The folder holds `part_00000.parquet` and so on, `schema.json`, `schema.pbtxt` and the
/// [`Manifest`]. Rows keep their order: the files of one stream come before those of the next. A
/// [`Shuffle`] gives them another, and [`WriteOptions::with_partition_on`] divides them into
/// folders. Streams run at the same time, or one per file where a [`FileLayout`] asks for fewer
/// files than there are streams; each in two tasks, of which one computes a batch while the other
/// encodes the last. Streams without rows get no file, but there is always at least one file.
///
/// # Local folders
/// The folder appears under its name only when it is whole. After an error, or if the future is
/// dropped, nothing of it is left; what a killed process leaves has another name and is deleted
/// by the next one that writes to `path`.
///
/// # Object stores
/// If `path` is an address such as `s3://bucket/clicks`, files are uploaded while they are
/// encoded. Nothing can be renamed there, so an object `_incomplete` stands in the folder from
/// before the first file until after the manifest, which is written after all files: a reader
/// that finds the one or does not find the other has come too early. After an error everything
/// is deleted; what a killed process leaves is deleted by the next one that writes to `path`,
/// except for uploads that were under way, which stores forget by a rule of their own (set one).
/// Credentials come from the environment, as `AWS_ACCESS_KEY_ID`; requests are sent again as
/// [`WriteOptions::with_remote`] says.
///
/// It must run in a tokio runtime, such as [`Session::block_on`](crate::Session::block_on).
///
/// # Errors
/// The error of a stream; [`Error::OutputExists`], [`Error::DiskFull`], [`Error::File`] or
/// [`Error::Io`] naming what cannot be written; [`Error::Data`] if `schema` has other columns
/// than the streams; [`Error::InvalidOption`]; [`Error::UnknownColumn`],
/// [`Error::UnsupportedType`] and [`Error::Data`] for columns that name folders.
pub async fn write_partitions(
    streams: Vec<SendableRecordBatchStream>,
    schema: &Schema,
    path: &Path,
    options: &WriteOptions,
) -> Result<Manifest> {
    write_until(streams, schema, path, options, Stop::default()).await
}

/// The same as [`write_partitions`], of streams that end with an error when the run is stopped.
pub(crate) async fn write_until(
    streams: Vec<SendableRecordBatchStream>,
    schema: &Schema,
    path: &Path,
    options: &WriteOptions,
    stop: Stop,
) -> Result<Manifest> {
    let arrow = common_schema(&streams)?;
    let output = Output::create(&arrow, schema, path, options).await?;
    write_output(streams, path, output.with_stop(stop)).await
}

async fn write_output(
    streams: Vec<SendableRecordBatchStream>,
    path: &Path,
    output: Output<'_>,
) -> Result<Manifest> {
    let activity = format!("writing `{}`", path.display());
    match write_streams(streams, &activity, &output).await {
        Ok(written) => output.finish_all(written, &activity).await,
        Err(error) => Err(output.discard(error).await),
    }
}

async fn write_streams(
    streams: Vec<SendableRecordBatchStream>,
    activity: &str,
    output: &Output<'_>,
) -> Result<Vec<Written>> {
    let groups = output.group(streams);
    let count = groups.len();
    let mut tasks = Vec::with_capacity(count);
    for (number, streams) in groups.into_iter().enumerate() {
        let mut writer = output.writer(number, count)?;
        let activity = activity.to_owned();
        tasks.push(async move {
            match write_group(streams, &activity, &mut writer).await {
                Ok(()) => writer.finish().await,
                Err(error) => {
                    writer.abort().await;
                    Err(error)
                }
            }
        });
    }
    run_tasks(tasks, activity).await
}

async fn write_group(
    streams: Vec<SendableRecordBatchStream>,
    activity: &str,
    writer: &mut Writer,
) -> Result<()> {
    for stream in streams {
        // The next batch is computed while one is encoded, so that a partition that is left alone
        // has two threads, and fewer files than threads are no bottleneck.
        let mut batches = tasks::computed_ahead(stream);
        while let Some(batch) = batches.next().await {
            writer
                .write(&batch.map_err(Error::query(activity))?)
                .await?;
        }
    }
    Ok(())
}

/// The columns of all streams.
pub(in crate::io) fn common_schema(streams: &[SendableRecordBatchStream]) -> Result<SchemaRef> {
    let Some(first) = streams.first() else {
        return Err(Error::Internal("a query has no partitions".into()));
    };
    match streams
        .iter()
        .find(|stream| stream.schema() != first.schema())
    {
        None => Ok(first.schema()),
        Some(other) => Err(Error::Internal(format!(
            "partitions of one query have the schemas {} and {}",
            first.schema(),
            other.schema()
        ))),
    }
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
    let arrow = Arc::clone(arrow_schema);
    tasks::block_on(async {
        let output = Output::create(&arrow, schema, path, options).await?;
        let mut writer = output.writer(0, 1)?;
        let outcome: Result<()> = async {
            for batch in batches {
                writer.write(&batch?).await?;
            }
            Ok(())
        }
        .await;
        let written = match outcome {
            Ok(()) => writer.finish().await,
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        };
        match written {
            Ok(written) => {
                let activity = format!("writing `{}`", path.display());
                output.finish_all(vec![written], &activity).await
            }
            Err(error) => Err(output.discard(error).await),
        }
    })?
}

#[cfg(test)]
mod tests;
