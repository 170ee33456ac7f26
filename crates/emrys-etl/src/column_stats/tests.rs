use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::datatypes::Int32Type;

use super::*;
use crate::session::SessionOptions;

fn dataset() -> Dataset {
    let lists = [
        Some(vec![Some(1), None]),
        Some(vec![]),
        None,
        Some(vec![Some(2), Some(3), Some(4), Some(5)]),
    ];
    let columns: [(&str, ArrayRef); 7] = [
        (
            "price \"a\".b",
            Arc::new(Float32Array::from(vec![
                Some(1.5),
                Some(f32::NAN),
                None,
                Some(-2.5),
            ])),
        ),
        ("item", Arc::new(Int64Array::from(vec![i64::MAX, 7, 7, 9]))),
        (
            "click",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
        (
            "city",
            Arc::new(StringArray::from(vec![
                Some("rome"),
                Some("bern"),
                None,
                Some("rome"),
            ])),
        ),
        ("day", Arc::new(Date32Array::from(vec![0, 1, 2, 365]))),
        (
            "genres",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
        ),
        (
            "pair",
            Arc::new(StructArray::from(vec![(
                Arc::new(arrow::datatypes::Field::new("x", DataType::Int64, true)),
                Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef,
            )])),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

fn stats(dataset: &Dataset, threads: usize, batch_size: usize) -> Vec<ColumnStats> {
    let options = SessionOptions::new()
        .with_threads(threads)
        .with_batch_size(batch_size);
    dataset
        .column_stats(&Session::new(options).unwrap())
        .unwrap()
}

#[test]
fn every_kind_of_column_is_described() {
    let lines: Vec<String> = stats(&dataset(), 1, 8192)
        .iter()
        .map(|column| serde_json::to_string(column).unwrap())
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"");
}

#[test]
fn figures_do_not_depend_on_threads_and_batches() {
    let values: Int64Array = (0..10_000_i64).map(|i| Some(i * i % 4099 - 1000)).collect();
    let halves: Vec<RecordBatch> = [values.slice(0, 3000), values.slice(3000, 7000)]
        .into_iter()
        .map(|part| {
            let floats = part.unary::<_, Float64Type>(|value| value as f64 / 3.0);
            let columns: [(&str, ArrayRef); 2] = [("a", Arc::new(part)), ("b", Arc::new(floats))];
            RecordBatch::try_from_iter(columns).unwrap()
        })
        .collect();
    let dataset = Dataset::from_batches(halves[0].schema(), halves).unwrap();
    let one = stats(&dataset, 1, 8192);
    assert_eq!(one, stats(&dataset, 3, 100));
    let exact = 2050.0;
    let distinct = one[0].distinct.unwrap() as f64;
    assert!((distinct - exact).abs() < 0.03 * exact, "{distinct}");
}

#[test]
fn no_rows_have_no_figures() {
    let dataset = dataset();
    let empty = RecordBatch::new_empty(Arc::clone(dataset.arrow_schema()));
    let empty = Dataset::from_batches(empty.schema(), vec![empty]).unwrap();
    for column in stats(&empty, 2, 8192) {
        assert_eq!((column.rows, column.nulls), (0, 0));
        assert_eq!(
            (&column.min, column.mean, column.std),
            (&Value::Null, None, None)
        );
        assert_eq!((column.quantiles, column.lengths), (None, None));
    }
}
