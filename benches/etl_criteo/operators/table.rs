//! The rows that operators are measured on.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int64Type};
use emrys::etl::Dataset;
use emrys::etl::hash::hash_bits;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::Result;
use crate::arguments::{Arguments, Keys};
use crate::data::files;
use crate::rounds::data;

/// How many rows there are.
pub(super) const ROWS: usize = 500_000;

/// How many values `shelf` and `place` have.
const SHELVES: i64 = 1000;

/// The first rows of the data set with string keys, in memory, with more columns: `time`, `shelf`
/// and `place` (small integers), `items` (lists of up to 8 integers) and `title` (6 words).
pub(super) fn dataset(arguments: &Arguments) -> Result<Dataset> {
    let folder = data(arguments, 2_000_000, Keys::String)?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    for path in files(&folder)? {
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
            let batch = batch?;
            let batch = batch.slice(0, batch.num_rows().min(ROWS - rows));
            batches.push(with_more(&batch, rows as u64)?);
            rows += batch.num_rows();
            if rows == ROWS {
                return Ok(Dataset::from_batches(batches[0].schema(), batches)?);
            }
        }
    }
    Err("the data set is too small".into())
}

fn with_more(batch: &RecordBatch, first: u64) -> Result<RecordBatch> {
    let rows = first..first + batch.num_rows() as u64;
    let random = |row: u64, of: i64| (hash_bits(row) % of as u64) as i64;
    let times: TimestampMillisecondArray = rows
        .clone()
        .map(|row| Some(1_700_000_000_000 + 60_000 * random(row, 1 << 20)))
        .collect();
    let shelves: Int64Array = rows.clone().map(|row| Some(random(row, SHELVES))).collect();
    let places: Int64Array = rows
        .clone()
        .map(|row| Some(random(row << 20, SHELVES)))
        .collect();

    let lengths = rows.clone().map(|row| 1 + random(row, 8) as usize);
    let offsets = OffsetBuffer::from_lengths(lengths);
    let count = offsets.last().copied().unwrap_or(0) as u64;
    let values: Int64Array = (0..count)
        .map(|at| Some(random((first << 24) + at, 50_000)))
        .collect();
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let items = ListArray::try_new(item, offsets, Arc::new(values), None)?;

    let words: Vec<&StringArray> = ["C1", "C2", "C5", "C6", "C8", "C9"]
        .iter()
        .filter_map(|name| batch.column_by_name(name)?.as_string_opt::<i32>())
        .collect();
    let titles: StringArray = (0..batch.num_rows())
        .map(|row| {
            let words = words.iter().filter(|column| column.is_valid(row));
            let words: Vec<&str> = words.map(|column| column.value(row)).collect();
            Some(words.join(" "))
        })
        .collect();

    let more: [(&str, ArrayRef); 5] = [
        ("time", Arc::new(times)),
        ("shelf", Arc::new(shelves)),
        ("place", Arc::new(places)),
        ("items", Arc::new(items)),
        ("title", Arc::new(titles)),
    ];
    let old = batch.schema();
    let old = old.fields().iter().map(|field| field.name().as_str());
    let columns = old.zip(batch.columns().iter().cloned()).chain(more);
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, column)| (name, column, true)),
    )?)
}

/// Features of `shelf` and `place`: sixteen for each value.
pub(super) fn features() -> Result<RecordBatch> {
    let entries = || (0..SHELVES).flat_map(|row| (0..16).map(move |place| (row, place)));
    let column = |(row, place)| (hash_bits((row * 16 + place) as u64) % 500) as i64;
    let rows: Int64Array = entries().map(|(row, _)| Some(row)).collect();
    let columns: Int64Array = entries().map(|entry| Some(column(entry))).collect();
    let values = Float64Array::from(vec![1.0; rows.len()]);
    Ok(RecordBatch::try_from_iter([
        ("row", Arc::new(rows) as ArrayRef),
        ("col", Arc::new(columns)),
        ("data", Arc::new(values)),
    ])?)
}

/// A table to join: a price and a name for each `shelf`.
pub(super) fn external() -> Result<RecordBatch> {
    let shelves: Int64Array = (0..SHELVES).map(Some).collect();
    let shelves = Arc::new(shelves) as ArrayRef;
    let prices: Float64Array = (0..SHELVES).map(|shelf| Some(shelf as f64 / 7.0)).collect();
    let names = shelves.as_primitive::<Int64Type>().values().iter();
    let names: StringArray = names.map(|shelf| Some(format!("shelf {shelf}"))).collect();
    Ok(RecordBatch::try_from_iter([
        ("shelf", shelves),
        ("price", Arc::new(prices)),
        ("shelf_name", Arc::new(names)),
    ])?)
}
