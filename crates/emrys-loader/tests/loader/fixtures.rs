//! Small parquet files for the tests.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Int32Array, Int64Array, Int64Builder, ListBuilder, RecordBatch,
};
use arrow::datatypes::Schema as ArrowSchema;
use emrys_loader::{Batch, Epoch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Writes one file with row groups of at most `group_rows` rows.
pub(crate) fn write(path: &Path, records: &RecordBatch, group_rows: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, records.schema(), Some(properties)).unwrap();
    writer.write(records).unwrap();
    writer.close().unwrap();
}

/// Writes one file of the given columns in one row group.
pub(crate) fn write_columns(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let records = RecordBatch::try_from_iter(columns).unwrap();
    write(path, &records, records.num_rows().max(1));
}

/// Rows that can be told apart, of every layout: `row` counts them, and the others follow from it.
pub(crate) fn numbered_rows(rows: std::ops::Range<i64>) -> RecordBatch {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in rows.clone() {
        lists.append_value((0..row % 4).map(|item| Some(10 * row + item)));
    }
    RecordBatch::try_from_iter([
        (
            "row",
            Arc::new(Int64Array::from_iter_values(rows.clone())) as ArrayRef,
        ),
        (
            "id",
            Arc::new(Int32Array::from_iter_values(
                rows.clone().map(|row| (row % 7) as i32),
            )),
        ),
        (
            "half",
            Arc::new(Float32Array::from_iter_values(
                rows.map(|row| row as f32 / 2.0),
            )),
        ),
        ("items", Arc::new(lists.finish())),
    ])
    .unwrap()
}

/// A folder of numbered rows: one file per inner list, one row group per number of rows in it.
pub(crate) fn numbered_files(folder: &Path, files: &[Vec<usize>]) -> PathBuf {
    let mut next = 0;
    for (index, groups) in files.iter().enumerate() {
        let path = folder.join(format!("part_{index:03}.parquet"));
        let schema: Arc<ArrowSchema> = numbered_rows(0..0).schema();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
        for rows in groups {
            let end = next + *rows as i64;
            writer.write(&numbered_rows(next..end)).unwrap();
            writer.flush().unwrap();
            next = end;
        }
        writer.close().unwrap();
    }
    folder.to_owned()
}

/// All batches of an epoch.
pub(crate) fn batches(epoch: Epoch) -> Vec<Batch> {
    epoch.collect::<Result<_, _>>().unwrap()
}

/// The row numbers of an epoch in the order in which it gives them.
pub(crate) fn row_numbers(batches: &[Batch]) -> Vec<i64> {
    batches
        .iter()
        .flat_map(|batch| batch.i64("row").unwrap().to_vec())
        .collect()
}
