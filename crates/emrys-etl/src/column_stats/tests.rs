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
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"column":"price \"a\".b","dtype":"float32","rows":4,"nulls":1,"nan":1,"distinct":2,"min":-2.5,"max":1.5,"mean":-0.5,"std":2.8284271247461903,"quantiles":{"p01":-2.5,"p25":-2.5,"p50":-2.5,"p75":1.5,"p99":1.5}}
    {"column":"item","dtype":"int64","rows":4,"nulls":0,"distinct":3,"min":7,"max":9223372036854775807,"mean":2.305843009213694e+18,"std":4.611686018427388e+18,"quantiles":{"p01":7.0,"p25":7.0,"p50":7.0,"p75":9.0,"p99":9.223372036854776e+18}}
    {"column":"click","dtype":"bool","rows":4,"nulls":1,"distinct":2,"min":false,"max":true,"mean":0.6666666666666666,"std":0.5773502691896257}
    {"column":"city","dtype":"string","rows":4,"nulls":1,"distinct":2,"min":"bern","max":"rome"}
    {"column":"day","dtype":"date","rows":4,"nulls":0,"distinct":4,"min":"1970-01-01","max":"1971-01-01"}
    {"column":"genres","dtype":"int32[0..]","rows":4,"nulls":1,"lengths":{"min":0,"max":4,"mean":2.0}}
    {"column":"pair","dtype":"Struct(\"x\": Int64)","rows":4,"nulls":0}
    "#);
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
