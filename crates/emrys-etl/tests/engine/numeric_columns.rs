//! Operators that learn ranges, medians and quantiles of numbers.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::Int32Type;
use emrys_etl::ops::{Bucketize, Cast, FillMedian, NormalizeMinMax, ReduceDtypeSize};
use emrys_etl::{Dataset, FittedWorkflow, Node, SessionOptions, Workflow, all_columns, cols};
use emrys_schema::DType;
use rstest::rstest;
use serde_json::{Value, json};

use crate::table::{batch, collect, dataset, error, json as as_json, run};

fn dtypes(fitted: &FittedWorkflow) -> Vec<String> {
    let columns = fitted.output_schema().iter();
    columns.map(|column| column.dtype().to_string()).collect()
}

#[test]
fn other_data_may_leave_the_range_that_was_fitted() {
    let fitted = Workflow::new(cols(["x"]) >> NormalizeMinMax::default())
        .fit(&dataset(&json!({"x": [-3, 4, 0]})))
        .unwrap();
    let other = dataset(&json!({"x": [10, -10, null]}));
    let found = as_json(&collect(&fitted, &other));
    assert_eq!(found, json!({"x": [13.0 / 7.0, -1.0, null]}));
}

#[rstest]
#[case::constant(json!([0.0, 0.0, null]), json!([0.5, 0.5, null]))]
#[case::nothing(json!([null, null]), json!([null, null]))]
fn ranges_of_odd_columns(#[case] values: Value, #[case] expected: Value) {
    let node = cols(["x"]) >> NormalizeMinMax::default();
    // A whole number in JSON would be an integer, which is no other result.
    assert_eq!(run(node, &json!({"x": values})), json!({"x": expected}));
}

#[test]
fn nan_and_infinity_do_not_count_for_a_range() {
    let values = vec![f64::NAN, f64::INFINITY, 2.0, 4.0, f64::NEG_INFINITY];
    let column: ArrayRef = Arc::new(Float64Array::from(values));
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
    let fitted = Workflow::new(cols(["x"]) >> NormalizeMinMax::default())
        .fit(&data)
        .unwrap();
    let found = collect(&fitted, &data);
    let found: &Float64Array = arrow::array::AsArray::as_primitive(found.column(0));
    assert!(found.value(0).is_nan());
    assert_eq!(
        found.values()[1..],
        [f64::INFINITY, 0.0, 1.0, f64::NEG_INFINITY]
    );
}

#[test]
fn elements_of_lists_share_range_median_and_type() {
    let data = json!({"l": [[0, 5], [], null, [null, 10]]});
    assert_eq!(
        run(cols(["l"]) >> NormalizeMinMax::default(), &data),
        json!({"l": [[0.0, 0.5], [], null, [null, 1.0]]})
    );
    assert_eq!(
        run(cols(["l"]) >> FillMedian::default().with_flags(true), &data),
        json!({"l": [[0, 5], [], null, [5, 10]], "l_filled": [false, false, true, false]})
    );
    assert_eq!(
        run(cols(["l"]) >> Bucketize::quantiles(2), &data),
        json!({"l": [[0, 1], [], null, [1, 1]]})
    );
    let fitted = Workflow::new(cols(["l"]) >> ReduceDtypeSize::default())
        .fit(&dataset(&data))
        .unwrap();
    assert_eq!(dtypes(&fitted), ["int8"]);
}

#[test]
fn a_column_without_values_has_no_median() {
    let data = json!({"x": [null, null], "y": [1, null]});
    let node = cols(["x", "y"]) >> FillMedian::default().with_flags(true);
    assert_eq!(
        run(node, &data),
        json!({
            "x": [null, null], "y": [1, 1],
            "x_filled": [true, true], "y_filled": [false, true],
        })
    );
}

#[rstest]
#[case::exact(false)]
#[case::approximate(true)]
fn nan_is_filled_and_does_not_count(#[case] approximate: bool) {
    let column: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(1.0),
        Some(f64::NAN),
        None,
        Some(4.0),
        Some(9.0),
    ]));
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
    let node = cols(["x"]) >> FillMedian::default().with_approximate(approximate);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    assert_eq!(
        as_json(&collect(&fitted, &data)),
        json!({"x": [1.0, 4.0, 4.0, 4.0, 9.0]})
    );
}

#[test]
fn dictionaries_of_numbers_are_numbers() {
    let values = Arc::new(Int64Array::from(vec![10, 20, 30]));
    let keys = vec![Some(2), None, Some(0), Some(1), Some(1)].into();
    let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, values));
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
    let run = |node: Node| as_json(&collect(&Workflow::new(node).fit(&data).unwrap(), &data));
    assert_eq!(
        run(cols(["x"]) >> FillMedian::default()),
        json!({"x": [30, 20, 10, 20, 20]})
    );
    assert_eq!(
        run(cols(["x"]) >> NormalizeMinMax::default()),
        json!({"x": [1.0, null, 0.0, 0.5, 0.5]})
    );
    assert_eq!(
        run(cols(["x"]) >> ReduceDtypeSize::default()),
        json!({"x": [30, null, 10, 20, 20]})
    );
    assert_eq!(
        run(cols(["x"]) >> Cast::to(DType::String)),
        json!({"x": ["30", null, "10", "20", "20"]})
    );
}

/// Rows, and how they are cut into batches and threads.
fn learned(node: fn() -> Node, rows: usize, threads: usize) -> RecordBatch {
    let values: Vec<f64> = (0..5000)
        .map(|i| f64::from(i * 7919 % 5003).powi(3) / 1e4)
        .collect();
    let whole = batch(&json!({"x": values, "i": (0..5000).map(|i| i % 977).collect::<Vec<_>>()}));
    let parts = (0..whole.num_rows()).step_by(rows);
    let parts = parts
        .map(|at| whole.slice(at, rows.min(whole.num_rows() - at)))
        .collect();
    let data = Dataset::from_batches(whole.schema(), parts).unwrap();
    let options = SessionOptions::default()
        .with_threads(threads)
        .with_batch_size(rows);
    let fitted = Workflow::new(node())
        .with_options(options)
        .fit(&data)
        .unwrap();
    collect(&fitted, &data)
}

#[rstest]
#[case::exact(|| all_columns() >> Bucketize::quantiles(50))]
#[case::approximate(|| all_columns() >> Bucketize::quantiles(50).with_approximate(true))]
fn quantiles_do_not_depend_on_partitions(#[case] node: fn() -> Node) {
    assert_eq!(learned(node, 5000, 1), learned(node, 61, 4));
}

#[test]
fn quantiles_fill_buckets_evenly_and_repeat_none() {
    let data = dataset(&json!({"x": [5, 1, 2, 3, 4, 0], "same": [7, 7, 7, 7, 7, 8]}));
    let fitted = Workflow::new(all_columns() >> Bucketize::quantiles(3))
        .fit(&data)
        .unwrap();
    assert_eq!(
        as_json(&collect(&fitted, &data)),
        json!({"x": [2, 0, 1, 1, 2, 0], "same": [0, 0, 0, 0, 0, 0]})
    );
    let cardinality = |name: &str| fitted.output_schema().get(name).unwrap().cardinality();
    assert_eq!((cardinality("x"), cardinality("same")), (Some(3), Some(1)));
}

#[test]
fn options_of_bucketize_that_make_no_sense_are_refused() {
    let data = json!({"x": [1, 2]});
    assert_eq!(
        error(cols(["x"]) >> Bucketize::quantiles(1), &data),
        "bucketize: `quantiles` is 1, but from 2 to 1048576 buckets can be asked for"
    );
    assert_eq!(
        error(
            cols(["x"]) >> Bucketize::quantiles_per_column([("y", 2)]),
            &data
        ),
        "bucketize: `quantiles` is given by column, but there are none for `x`"
    );
}

#[test]
fn types_are_the_smallest_that_hold_the_values() {
    let data = json!({
        "a": [-128, 127], "b": [0, 255], "c": [0, 65536], "d": [1i64 << 40, 0], "n": [null, null],
        "f": [0.5, 1.5], "s": ["x", "y"],
    });
    let data = dataset(&data);
    let fit = |operator: ReduceDtypeSize| {
        dtypes(&Workflow::new(all_columns() >> operator).fit(&data).unwrap())
    };
    assert_eq!(
        fit(ReduceDtypeSize::default()),
        [
            "int8", "int16", "int32", "int64", "int8", "float32", "string"
        ]
    );
    assert_eq!(
        fit(ReduceDtypeSize::default()
            .with_unsigned(true)
            .with_float_dtype(DType::Float64)),
        [
            "int8", "uint8", "uint32", "uint64", "uint8", "float64", "string"
        ]
    );
}

#[test]
fn an_integer_beyond_the_reduced_type_is_named() {
    let node = cols(["x"]) >> ReduceDtypeSize::default();
    let fitted = Workflow::new(node)
        .fit(&dataset(&json!({"x": [1, 2]})))
        .unwrap();
    let other = dataset(&json!({"x": [3, 300]}));
    let error = fitted.transform(&other).unwrap().collect().unwrap_err();
    assert_eq!(
        error.to_string(),
        "reduce_dtype_size: column `x` holds 300, which is no int8; fit the workflow on data that \
         have such values"
    );
}

#[rstest]
#[case::fraction(json!([1.0, 2.5]), DType::Int32, "2.5, which is no int32")]
#[case::range(json!([1, 300]), DType::Int8, "300, which is no int8")]
#[case::sign(json!([1, -1]), DType::UInt64, "-1, which is no uint64")]
#[case::text(json!(["1", "x"]), DType::Int64, "x, which is no int64")]
#[case::truth(json!([1, 2]), DType::Bool, "2, which is no bool")]
#[case::overflow(json!([1.5, 1e300]), DType::Float32, "1e300, which is no float32")]
#[case::precision(json!([1, 9_007_199_254_740_993i64]), DType::Float64, "9007199254740993, which is no float64")]
fn what_a_cast_would_change_is_named(
    #[case] values: Value,
    #[case] dtype: DType,
    #[case] expected: &str,
) {
    let found = error(cols(["x"]) >> Cast::to(dtype), &json!({ "x": values }));
    assert_eq!(
        found,
        format!("cast: column `x` holds {expected}; choose another type, or allow lossy casts")
    );
}

#[test]
fn casts_keep_what_the_type_can_hold() {
    let data = json!({"x": [1.0, null, 0.1], "l": [[1, 2], [], null], "t": ["01", "2", null]});
    let types = [
        ("x", DType::Float32),
        ("l", DType::UInt8),
        ("t", DType::Int8),
    ];
    let fitted = Workflow::new(all_columns() >> Cast::per_column(types))
        .fit(&dataset(&data))
        .unwrap();
    assert_eq!(dtypes(&fitted), ["float32", "uint8", "int8"]);
    let found = as_json(&collect(&fitted, &dataset(&data)));
    assert_eq!(found["l"], data["l"]);
    assert_eq!(found["t"], json!([1, 2, null]));
    assert_eq!(found["x"][2], json!(f64::from(0.1f32)));
}

#[test]
fn types_that_have_nothing_in_common_are_refused_at_build() {
    let found = error(
        cols(["l"]) >> Cast::to(DType::Date),
        &json!({"l": [true, false]}),
    );
    assert_eq!(
        found,
        "cast: column `l` is bool, but that cannot be cast to date; use an expression"
    );
}
