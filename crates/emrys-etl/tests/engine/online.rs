//! Batches and streams give the rows that data sets give.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use emrys_etl::ops::{
    Bucketize, Categorify, Clip, FillMissing, Filter, JoinExternal, Lambda, LogOp, Normalize,
    TargetEncoding,
};
use emrys_etl::{Dataset, Error, FittedWorkflow, Node, SessionOptions, Workflow, cols, group};
use futures::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use serde_json::json;

use crate::table::{batch, collect, json as as_json, parts};

fn row_wise() -> Node {
    let price = cols(["price"])
        >> FillMissing::with(1.5)
        >> Clip::between(0.0, 1e4)
        >> LogOp
        >> Normalize::default();
    (cols(["user", "tags"]) >> Categorify::default())
        + price
        + (group(["user", "age"]) >> TargetEncoding::new("price"))
        + (cols(["age"]) >> Bucketize::new([18.0, 35.0]) >> Lambda::new("x + 1"))
}

fn rows(values: &[(Option<u8>, Option<i16>, i64)]) -> RecordBatch {
    // Values of the first row decide the types, then it goes.
    let mut all = vec![(Some(1), Some(1), 1)];
    all.extend(values);
    let values = all;
    let batch = batch(&json!({
        "user": values.iter().map(|(u, ..)| u.map(|u| format!("u{u}"))).collect::<Vec<_>>(),
        "tags": values.iter().map(|(u, p, _)| match (u, p) {
            (Some(u), Some(p)) => json!([format!("t{u}"), null, format!("t{}", p % 5)]),
            (Some(_), None) => json!([]),
            _ => json!(null),
        }).collect::<Vec<_>>(),
        "price": values.iter().map(|(_, p, _)| p.map(|p| f64::from(p) / 7.0)).collect::<Vec<_>>(),
        "age": values.iter().map(|(.., a)| *a).collect::<Vec<_>>(),
    }));
    batch.slice(1, batch.num_rows() - 1)
}

fn training_rows() -> RecordBatch {
    let values: Vec<_> = (0..97)
        .map(|i| {
            (
                (i % 9 != 0).then_some(i as u8 % 13),
                (i % 5 != 0).then_some(i * 11),
                i64::from(i),
            )
        })
        .collect();
    rows(&values)
}

fn fit(node: Node) -> FittedWorkflow {
    let batch = training_rows();
    let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
    let options = SessionOptions::new().with_threads(2).with_batch_size(16);
    Workflow::new(node)
        .with_options(options)
        .fit(&data)
        .unwrap()
}

fn streamed(fitted: &FittedWorkflow, batch: &RecordBatch, rows: usize) -> RecordBatch {
    let batches = stream::iter(parts(batch, rows)).map(Ok);
    let output = fitted.transform_stream(&batch.schema(), batches).unwrap();
    let batches: Vec<RecordBatch> = futures::executor::block_on(output.try_collect()).unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// The columns alone: plans differ in what they know of nulls.
fn columns(batch: &RecordBatch) -> Vec<ArrayRef> {
    batch.columns().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_batch_and_a_stream_give_the_bits_of_a_data_set(
        values in prop::collection::vec(
            (prop::option::of(0u8..20), prop::option::of(any::<i16>()), 0i64..90), 1..80),
        size in 1usize..30,
    ) {
        let fitted = fit(row_wise());
        prop_assert!(fitted.is_row_wise().unwrap());
        let batch = rows(&values);
        let data = Dataset::from_batches(batch.schema(), parts(&batch, size)).unwrap();
        let expected = columns(&collect(&fitted, &data));
        prop_assert_eq!(&columns(&fitted.transform_batch(&batch).unwrap()), &expected);
        prop_assert_eq!(&columns(&streamed(&fitted, &batch, size)), &expected);
    }
}

#[test]
fn filters_leave_rows_out_without_a_plan() {
    let node = cols(["user", "price", "age"]) >> Filter::new("age > 40 and price is not null");
    let node = node.clone().subset(["age"]) + (node.subset(["user"]) >> Categorify::default());
    let fitted = fit(node);
    assert!(fitted.is_row_wise().unwrap());
    let batch = training_rows();
    let data = Dataset::from_batches(batch.schema(), parts(&batch, 7)).unwrap();
    let expected = columns(&collect(&fitted, &data));
    assert_eq!(columns(&fitted.transform_batch(&batch).unwrap()), expected);
    assert_eq!(columns(&streamed(&fitted, &batch, 10)), expected);
    let none = rows(&[(Some(1), Some(1), 3)]);
    assert_eq!(fitted.transform_batch(&none).unwrap().num_rows(), 0);
}

#[test]
fn joins_that_repeat_rows_go_through_the_engine() {
    let more = batch(&json!({"age": [3, 3, 50], "label": ["a", "b", "c"]}));
    let node = cols(["age", "price"]) >> JoinExternal::table(more, ["age"]);
    let fitted = fit(node);
    assert!(!fitted.is_row_wise().unwrap());
    let batch = training_rows();
    let data = Dataset::from_batches(batch.schema(), parts(&batch, 7)).unwrap();
    let expected = columns(&collect(&fitted, &data));
    assert!(expected[0].len() > batch.num_rows());
    assert_eq!(columns(&fitted.transform_batch(&batch).unwrap()), expected);
    assert_eq!(columns(&streamed(&fitted, &batch, 10)), expected);
    // The engine needs no runtime of the caller, and none of its own is in the way.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let inside = runtime.block_on(async {
        let batches = stream::iter([Ok(batch.clone())]);
        let output = fitted.transform_stream(&batch.schema(), batches).unwrap();
        output.try_collect::<Vec<_>>().await.unwrap()
    });
    let inside = concat_batches(&inside[0].schema(), &inside).unwrap();
    assert_eq!(columns(&inside), expected);
}

#[test]
fn a_stream_is_read_as_it_is_asked_for() {
    let more = batch(&json!({"age": [3, 3], "label": ["a", "b"]}));
    let through_engine = cols(["age"]) >> JoinExternal::table(more, ["age"]);
    for node in [through_engine, cols(["age"]) >> Normalize::default()] {
        let fitted = fit(node);
        let batch = training_rows();
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let rows = batch.clone();
        let batches = stream::iter(0..10_000).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(rows.clone())
        });
        let mut output = fitted.transform_stream(&batch.schema(), batches).unwrap();
        futures::executor::block_on(output.next()).unwrap().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let ahead = read.load(Ordering::Relaxed);
        assert!(ahead < 100, "{ahead} batches were read for one");
        drop(output);
    }
}

#[test]
fn an_error_of_the_source_ends_the_stream() {
    let more = batch(&json!({"age": [3, 3], "label": ["a", "b"]}));
    let through_engine = cols(["age"]) >> JoinExternal::table(more, ["age"]);
    for node in [through_engine, cols(["age"]) >> Normalize::default()] {
        let fitted = fit(node);
        let batch = training_rows();
        let lost = Error::Data {
            operator: "source".to_owned(),
            problem: "the connection was lost".to_owned(),
        };
        let batches = stream::iter([Ok(batch.clone()), Err(lost)]);
        let output = fitted.transform_stream(&batch.schema(), batches).unwrap();
        let results: Vec<_> = futures::executor::block_on(output.collect());
        let error = results.into_iter().find_map(Result::err).unwrap();
        assert_eq!(error.to_string(), "source: the connection was lost");
    }
}

#[test]
fn other_types_are_cast_without_loss_or_refused() {
    let fitted = fit(cols(["age", "user"]) >> Categorify::default());
    let user: ArrayRef = Arc::new(StringArray::from(vec!["u1", "u2"]));
    let age: ArrayRef = Arc::new(Int32Array::from(vec![5, 7]));
    let narrow = RecordBatch::try_from_iter([("user", user), ("age", age)]).unwrap();
    let wide = batch(&json!({"user": ["u1", "u2"], "age": [5, 7]}));
    let output = fitted.transform_batch(&narrow).unwrap();
    assert_eq!(
        columns(&output),
        columns(&fitted.transform_batch(&wide).unwrap())
    );

    let without = batch(&json!({"user": ["u1"]}));
    assert_eq!(
        fitted.transform_batch(&without).unwrap_err().to_string(),
        "transform: column `age` is not in the input (input: user)"
    );
    let text = batch(&json!({"user": ["u1"], "age": ["old"]}));
    assert_eq!(
        fitted.transform_batch(&text).unwrap_err().to_string(),
        "transform: column `age` is string, but it was int64 when the workflow was fitted; cast it"
    );
}

#[test]
fn batches_of_other_columns_than_announced_are_refused() {
    let fitted = fit(cols(["age"]) >> Normalize::default());
    let announced = training_rows();
    let batches = stream::iter([Ok(batch(&json!({"age": [1]})))]);
    let output = fitted
        .transform_stream(&announced.schema(), batches)
        .unwrap();
    let error = futures::executor::block_on(output.try_collect::<Vec<_>>()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "transform: a batch of the stream has the columns age Int64, but user Utf8, \
         tags List(Utf8), price Float64, age Int64 were announced; let all batches have these"
    );
}

#[test]
fn no_rows_give_no_rows() {
    let fitted = fit(row_wise());
    let none = training_rows().slice(0, 0);
    let output = fitted.transform_batch(&none).unwrap();
    assert_eq!(
        (output.num_rows(), output.num_columns()),
        (0, fitted.output_schema().len())
    );
}

#[test]
fn single_rows_are_those_of_the_whole() {
    let fitted = fit(row_wise());
    let batch = training_rows();
    let whole = as_json(&fitted.transform_batch(&batch).unwrap());
    for row in [0, 41, 96] {
        let one = as_json(&fitted.transform_batch(&batch.slice(row, 1)).unwrap());
        for (name, values) in one.as_object().unwrap() {
            assert_eq!(values[0], whole[name][row], "{name} in row {row}");
        }
    }
}
