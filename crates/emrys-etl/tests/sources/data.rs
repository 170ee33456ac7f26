//! Files to read, and what comes of them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use emrys_etl::io::{OpenOptions, ReadOptions, RemoteOptions};
use emrys_etl::ops::{Categorify, FillMissing, LogOp, Normalize};
use emrys_etl::{Dataset, Error, Result, Session, SessionOptions, Workflow, cols};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Rows whose values follow from their numbers.
pub fn clicks(range: std::ops::Range<i64>) -> RecordBatch {
    let words = range
        .clone()
        .map(|id| (id % 11 > 0).then(|| format!("word {}", id * id % 101)));
    let prices = range
        .clone()
        .map(|id| (id % 7 > 0).then(|| (id as f64).sqrt()));
    // Text that neither repeats nor compresses, so that its pages are most of a file.
    let noise = range.clone().map(|id| {
        let bits = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some(format!(
            "{bits:016x}{:016x}",
            bits.rotate_left(17) ^ 0x5bd1_e995
        ))
    });
    RecordBatch::try_from_iter_with_nullable([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(range.clone())) as ArrayRef,
            true,
        ),
        ("word", Arc::new(words.collect::<StringArray>()), true),
        ("price", Arc::new(prices.collect::<Float64Array>()), true),
        ("noise", Arc::new(noise.collect::<StringArray>()), true),
    ])
    .unwrap()
}

pub fn write_parquet(path: impl AsRef<Path>, batch: &RecordBatch) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2000))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

pub fn write_csv(path: impl AsRef<Path>, batch: &RecordBatch) {
    let mut writer = arrow::csv::Writer::new(File::create(path).unwrap());
    writer.write(batch).unwrap();
}

pub fn write_json(path: impl AsRef<Path>, batch: &RecordBatch) {
    let mut writer = arrow::json::LineDelimitedWriter::new(File::create(path).unwrap());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

pub fn write_arrow(path: impl AsRef<Path>, batch: &RecordBatch) {
    let file = File::create(path).unwrap();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
    for start in (0..batch.num_rows()).step_by(1000) {
        let rows = 1000.min(batch.num_rows() - start);
        writer.write(&batch.slice(start, rows)).unwrap();
    }
    writer.finish().unwrap();
}

/// Retries without long pauses, and a time-out that a stalled server exceeds soon.
pub fn impatient(retries: usize) -> OpenOptions {
    OpenOptions::new().with_remote(
        RemoteOptions::new()
            .with_retries(retries)
            .with_pause(std::time::Duration::from_millis(5))
            .with_timeout(std::time::Duration::from_millis(700)),
    )
}

fn session(threads: usize) -> Session {
    let options = SessionOptions::new()
        .with_threads(threads)
        .with_batch_size(512);
    Session::new(options).unwrap()
}

/// The given columns of all rows in order.
pub fn rows(dataset: &Dataset, columns: &[&str], threads: usize) -> Result<RecordBatch> {
    let session = session(threads);
    let frame = dataset.to_dataframe(session.context(), Some(columns))?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let collect = async {
        frame
            .collect_partitioned()
            .await
            .map_err(Error::query("reading"))
    };
    let partitions = session
        .run("reading", collect)
        .map_err(|error| dataset.blame(error))?;
    Ok(concat_batches(&schema, partitions.iter().flatten()).unwrap())
}

/// All columns and rows, with the numbers of the rows.
pub fn everything(dataset: &Dataset, threads: usize) -> RecordBatch {
    let session = session(threads);
    let options = ReadOptions {
        row_id: true,
        ..ReadOptions::default()
    };
    let table = dataset.table(options).unwrap();
    let frame = session.context().read_table(table).unwrap();
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let partitions = session.block_on(frame.collect_partitioned()).unwrap();
    concat_batches(&schema, partitions.iter().flatten()).unwrap()
}

/// What a workflow makes of the data, fitted on them.
pub fn transformed(dataset: &Dataset) -> Result<RecordBatch> {
    let node = (cols(["word"]) >> Categorify::default())
        + (cols(["price"]) >> FillMissing::with(0.5) >> LogOp >> Normalize::default())
        + cols(["id"]);
    let options = SessionOptions::new().with_threads(3).with_batch_size(512);
    let fitted = Workflow::new(node).with_options(options).fit(dataset)?;
    let batches = fitted.transform(dataset)?.collect()?;
    Ok(concat_batches(&batches[0].schema(), &batches).unwrap())
}
