//! Small parquet files for the tests of this module.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::{Dataset, Error, ReadOptions, Session, SessionOptions};

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// A batch with a column `id` of the numbers in `range`, and `text` with their last digit as a
/// word.
pub(crate) fn numbered(range: std::ops::Range<i64>) -> RecordBatch {
    let texts = StringArray::from_iter_values(range.clone().map(|id| format!("word {}", id % 10)));
    batch([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(range)) as ArrayRef,
        ),
        ("text", Arc::new(texts)),
    ])
}

pub(crate) fn batch<'a>(columns: impl IntoIterator<Item = (&'a str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(crate) fn write_parquet(path: impl AsRef<Path>, batch: &RecordBatch, row_group_rows: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group_rows))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A session whose partitions may be as small as two rows.
pub(crate) fn session(partitions: usize) -> Session {
    Session::new(
        SessionOptions::new()
            .with_threads(partitions)
            .with_batch_size(2),
    )
    .unwrap()
}

pub(crate) fn frame(session: &Session, dataset: &Dataset, options: ReadOptions) -> DataFrame {
    session
        .context()
        .read_table(dataset.table(options).unwrap())
        .unwrap()
}

/// The batches of every partition.
pub(crate) fn collect_partitions(session: &Session, frame: DataFrame) -> Vec<Vec<RecordBatch>> {
    session.block_on(async {
        let mut partitions = Vec::new();
        for stream in frame.execute_stream_partitioned().await.unwrap() {
            partitions.push(collect(stream).await);
        }
        partitions
    })
}

async fn collect(stream: SendableRecordBatchStream) -> Vec<RecordBatch> {
    stream.try_collect().await.unwrap()
}

/// The values of an `Int64` column over batches in order.
pub(crate) fn integers<'a>(
    batches: impl IntoIterator<Item = &'a RecordBatch>,
    name: &str,
) -> Vec<i64> {
    let columns = batches
        .into_iter()
        .map(|batch| batch.column_by_name(name).unwrap());
    columns
        .flat_map(|column| column.as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

pub(crate) fn column(name: &str) -> Expr {
    datafusion::prelude::ident(name)
}

/// The error's text without the temporary folder, which differs from run to run.
pub(crate) fn without_folder(error: &Error, folder: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", folder.display()), "")
        .replace(&*folder.to_string_lossy(), "FOLDER")
}
