//! Operators that drop rows or columns, describe them, or give them another shape.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use emrys_etl::ops::{
    Categorify, ColumnSimilarity, DataStats, DropLowCardinality, Dropna, Metric, Normalize, Rename,
    Select, TimePart, TimeParts, ToList,
};
use emrys_etl::{Dataset, FittedWorkflow, Workflow, all_columns, cols, group};
use emrys_schema::{ColumnSchema, DType, Schema, Tag, TimeUnit};
use serde_json::json;

use crate::table::{batch, collect, dataset, error, json as as_json, run};

#[test]
fn nan_and_null_lists_are_missing_and_nulls_in_lists_are_not() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0, 4.0]));
    let lists = batch(&json!({"l": [[1], [2], null, [null]]}));
    let lists = Arc::clone(lists.column(0));
    let batch = RecordBatch::try_from_iter_with_nullable([("x", floats, true), ("l", lists, true)]);
    let batch = batch.unwrap();
    let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
    let fitted = Workflow::new(all_columns() >> Dropna).fit(&data).unwrap();
    assert_eq!(
        as_json(&collect(&fitted, &data)),
        json!({"x": [1.0, 4.0], "l": [[1], [null]]})
    );
}

#[test]
fn statistics_follow_the_rows_that_are_left() {
    let data = json!({"x": [1.0, 100.0, 3.0], "y": [1, null, 1]});
    let node = (cols(["x", "y"]) >> Dropna).subset(["x"]) >> Normalize::default();
    assert_eq!(
        run(node, &data),
        json!({"x": [-1.0 / 2f64.sqrt(), 1.0 / 2f64.sqrt()]})
    );
}

#[test]
fn columns_with_few_categories_go_once_they_are_known() {
    let data = json!({"a": ["x", "x"], "b": ["x", "y"], "v": [1, 2]});
    let ids = cols(["a", "b"]) >> Categorify::default();
    let node = (ids + cols(["v"])) >> DropLowCardinality::default() >> Rename::postfix("_kept");
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(&data);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let expected = json!({"b_kept": [3, 4], "v_kept": [1, 2]});
    assert_eq!(as_json(&collect(&fitted, &data)), expected);
    fitted.save(folder.path().join("w")).unwrap();
    let loaded = FittedWorkflow::load(folder.path().join("w")).unwrap();
    assert_eq!(as_json(&collect(&loaded, &data)), expected);
}

#[test]
fn select_takes_names_and_then_tags() {
    let schema = Schema::new([
        ColumnSchema::new("a", DType::Int64).with_tags([Tag::UserId]),
        ColumnSchema::new("b", DType::Int64),
        ColumnSchema::new("c", DType::Int64).with_tags([Tag::User]),
    ])
    .unwrap();
    let node = all_columns() >> Select::columns(["c"]).with_tags([Tag::User]);
    let output = Workflow::new(node).output_schema(&schema).unwrap();
    assert_eq!(output.names(), ["c", "a"]);
    let node = all_columns() >> Select::columns(["d"]);
    assert_eq!(
        Workflow::new(node)
            .output_schema(&schema)
            .unwrap_err()
            .to_string(),
        "select: column `d` is not in the input (input: a, b, c)"
    );
}

#[test]
fn lists_are_of_one_type_and_keep_what_their_members_share() {
    let schema = Schema::new([
        ColumnSchema::new("a", DType::Int64).with_tags([Tag::Item, Tag::Continuous]),
        ColumnSchema::new("b", DType::Int64).with_tags([Tag::Continuous]),
        ColumnSchema::new("c", DType::String),
    ])
    .unwrap();
    let output = Workflow::new(group(["a", "b"]) >> ToList::default().with_name_sep("-"));
    let output = output.output_schema(&schema).unwrap();
    let column = output.get("a-b").unwrap();
    assert!(column.has_tag(Tag::Continuous) && column.has_tag(Tag::List));
    assert!(!column.has_tag(Tag::Item));
    let mixed = Workflow::new(group(["a", "c"]) >> ToList::default());
    assert_eq!(
        mixed.output_schema(&schema).unwrap_err().to_string(),
        "to_list: column `c` is string, but `a` of the same list is int64; cast one of the two"
    );
}

#[test]
fn texts_become_lists_of_texts() {
    let data = json!({"s": ["x", null, "y"]});
    assert_eq!(
        run(cols(["s"]) >> ToList::default(), &data),
        json!({"s": [["x"], [null], ["y"]]})
    );
}

#[test]
fn every_kind_of_column_is_described() {
    for operator in [
        DataStats::default(),
        DataStats::default().with_approximate(true),
    ] {
        let data = dataset(&described());
        let fitted = Workflow::new(all_columns() >> operator).fit(&data).unwrap();
        assert_eq!(as_json(&collect(&fitted, &data)), described());
        let folder = tempfile::tempdir().unwrap();
        fitted.save(folder.path().join("w")).unwrap();
        let loaded = FittedWorkflow::load(folder.path().join("w")).unwrap();
        assert_eq!(DataStats::of(&loaded), DataStats::of(&fitted));
        let found: Vec<String> = DataStats::of(&fitted)
            .iter()
            .map(|c| {
                let numbers = [c.min, c.max, c.mean].map(|number| number.unwrap_or(-1.0));
                format!(
                    "{} {} {}/{} {:?} {numbers:?}",
                    c.name, c.dtype, c.missing, c.rows, c.cardinality
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "age int64 1/4 Some(3) [20.0, 60.0, 40.0]",
                "flag bool 0/4 Some(2) [0.0, 1.0, 0.75]",
                "price float64 0/4 None [1.5, 4.5, 3.0]",
                "tags int64 1/4 Some(2) [1.0, 2.0, 1.6666666666666667]",
                "user string 1/4 Some(2) [2.0, 3.0, 2.6666666666666665]",
            ]
        );
        assert_eq!(DataStats::of(&fitted)[0].std, Some(20.0));
    }
}

fn described() -> serde_json::Value {
    json!({
        "user": ["ann", "bo", null, "ann"],
        "age": [20, 40, 60, null],
        "price": [1.5, 2.5, 3.5, 4.5],
        "tags": [[1, 2], [], null, [2, null]],
        "flag": [true, false, true, true],
    })
}

fn words() -> RecordBatch {
    let rows: ArrayRef = Arc::new(Int64Array::from(vec![0, 0, 1, 1, 2, 3]));
    let columns: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 0, 2, 2, 1]));
    let data: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 6]));
    RecordBatch::try_from_iter([("row", rows), ("col", columns), ("data", data)]).unwrap()
}

#[test]
fn similar_ids_share_features_and_unknown_ids_have_none() {
    let data = dataset(&json!({"p": [0, 1, 2, 9, null, -1], "q": [1, 1, 3, 0, 0, 0]}));
    let operator = ColumnSimilarity::table(words()).with_metric(Metric::Cosine);
    let fitted = Workflow::new(group(["p", "q"]) >> operator)
        .fit(&data)
        .unwrap();
    let found = as_json(&collect(&fitted, &data));
    let found: Vec<Option<f64>> = found["p_q_sim"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().map(|value| (value * 1e9).round() / 1e9))
        .collect();
    assert_eq!(found, [Some(0.5), Some(1.0), Some(0.0), None, None, None]);
    // The table travels with the workflow.
    let folder = tempfile::tempdir().unwrap();
    fitted.save(folder.path().join("w")).unwrap();
    let loaded = FittedWorkflow::load(folder.path().join("w")).unwrap();
    assert_eq!(collect(&loaded, &data), collect(&fitted, &data));
    let artifacts = folder.path().join("w/artifacts/node_001");
    let files: Vec<_> = fs::read_dir(artifacts)
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(files, ["left_features.parquet"]);
}

#[test]
fn the_second_column_may_have_features_of_its_own() {
    let data = json!({"p": [0, 1], "q": [2, 2]});
    let operator = ColumnSimilarity::table(words())
        .with_right_table(words().slice(0, 5))
        .with_metric(Metric::Inner);
    assert_eq!(
        run(cols(["p", "q"]) >> operator, &data),
        json!({"p_q_sim": [0.0, 1.0]})
    );
}

#[test]
fn what_is_no_pair_of_ids_is_refused() {
    let data = json!({"p": [0], "q": [1.5], "r": [1]});
    let operator = || ColumnSimilarity::table(words());
    assert_eq!(
        error(cols(["p", "q", "r"]) >> operator(), &data),
        "column_similarity: `columns` is a group of 3 (p, q, r), but two columns are compared; put \
         each pair into a group"
    );
    assert_eq!(
        error(group(["p", "q"]) >> operator(), &data),
        "column_similarity: column `q` is float64, but an integer is needed; cast it or leave it out"
    );
}

#[test]
fn times_in_lists_have_parts_too() {
    let data = json!({"ts": [[0, 3600], [], null, [null]]});
    let node = cols(["ts"]) >> TimeParts::new([TimePart::Hour]).with_unit(TimeUnit::Second);
    assert_eq!(
        run(node, &data),
        json!({"ts_hour": [[0, 1], [], null, [null]]})
    );
}

#[test]
fn parts_have_domains_and_circles_have_bounds() {
    let schema = Schema::new([
        ColumnSchema::new("t", DType::Timestamp(TimeUnit::Millisecond))
            .with_tags([Tag::Time, Tag::Session]),
    ])
    .unwrap();
    let parts = TimeParts::new([TimePart::Year, TimePart::Month]).with_cyclic(true);
    let output = Workflow::new(cols(["t"]) >> parts)
        .output_schema(&schema)
        .unwrap();
    assert_eq!(
        output.names(),
        ["t_year", "t_month", "t_month_sin", "t_month_cos"]
    );
    let month = output.get("t_month").unwrap();
    assert_eq!(month.cardinality(), Some(13));
    assert!(month.has_tag(Tag::Session) && !month.has_tag(Tag::Time));
    assert!(output.get("t_month_sin").unwrap().has_tag(Tag::Continuous));
}

#[test]
fn times_that_cannot_be_taken_apart_are_refused() {
    let data = json!({"ts": [0], "s": ["x"]});
    let hour = || TimeParts::new([TimePart::Hour]);
    assert_eq!(
        error(cols(["ts"]) >> hour(), &data),
        "time_parts: column `ts` is int64, but it may count seconds or milliseconds; say which by \
         `unit`"
    );
    assert_eq!(
        error(cols(["s"]) >> hour(), &data),
        "time_parts: column `s` is string, but a timestamp, a date or an integer is needed; cast it \
         or leave it out"
    );
    assert_eq!(
        error(cols(["ts"]) >> hour().with_time_zone("Mars/Olympus"), &data),
        "time_parts: `time_zone` is `Mars/Olympus`, but there is no such zone; use a name such as \
         Europe/Berlin, or an offset such as +02:00"
    );
    let date = Schema::new([ColumnSchema::new("d", DType::Date)]).unwrap();
    let error = Workflow::new(cols(["d"]) >> hour())
        .output_schema(&date)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "time_parts: column `d` is date, but a date has no hour; leave the part out"
    );
}
