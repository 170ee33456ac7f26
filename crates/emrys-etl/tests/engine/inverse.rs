//! Ids become the values that they stand for.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch};
use emrys_etl::operator::Markers;
use emrys_etl::ops::{Categorify, EncodeType, Filter, IdType, LogOp, Rename, TagAs};
use emrys_etl::{Dataset, Node, Workflow, cols, group};
use serde_json::{Value, json};

use crate::table::{batch, collect, dataset, json as as_json};

/// Transforms the data and turns the ids back.
fn there_and_back(node: Node, data: &Value, markers: Markers) -> Value {
    let data = dataset(data);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let inverse = fitted.inverse().unwrap().with_markers(markers);
    let ids = collect(&fitted, &data);
    let back = as_json(&inverse.batch(&ids).unwrap());
    let written = Dataset::from_batches(ids.schema(), vec![ids]).unwrap();
    let decoded = inverse.dataset(&written).unwrap().collect().unwrap();
    assert_eq!(
        as_json(&decoded[0]),
        back,
        "a data set gives what a batch gives"
    );
    back
}

#[test]
fn values_come_back_in_their_type() {
    let data = json!({"user": ["u", "v", null, "u"], "year": [1999, 2001, 1999, null]});
    let node = cols(["user", "year"]) >> Categorify::default();
    assert_eq!(there_and_back(node, &data, Markers::new()), data);
}

#[test]
fn lists_come_back_as_lists() {
    let data = json!({"tags": [["a"], ["b", null, "a"], [], null]});
    let node = cols(["tags"]) >> Categorify::default().with_id_type(IdType::Int32);
    assert_eq!(there_and_back(node, &data, Markers::new()), data);
}

#[test]
fn members_of_a_combination_come_back_one_by_one() {
    let data = json!({"a": ["x", "y", null], "b": [1, 2, null]});
    let node = group(["a", "b"]) >> Categorify::default().with_encode_type(EncodeType::Combo);
    assert_eq!(
        there_and_back(node, &data, Markers::new()),
        json!({"a_b.a": ["x", "y", null], "a_b.b": [1, 2, null]})
    );
}

#[test]
fn shared_vocabularies_and_tables_are_told_apart() {
    let data = json!({"a": ["x", "y"], "b": ["y", "z"], "c": ["p", "q"]});
    let joint = group(["a", "b"]) >> Categorify::default();
    assert_eq!(
        there_and_back(
            joint,
            &json!({"a": ["x", "y"], "b": ["y", "z"]}),
            Markers::new()
        ),
        json!({"a": ["x", "y"], "b": ["y", "z"]})
    );
    let single = cols(["a", "b", "c"]) >> Categorify::default().with_single_table(true);
    assert_eq!(there_and_back(single, &data, Markers::new()), data);
}

#[test]
fn ids_survive_names_tags_and_filters() {
    let data = dataset(&json!({"user": ["u", "v", "u"], "price": [1.0, 2.0, 3.0]}));
    let ids = cols(["user"]) >> Categorify::default() >> TagAs::USER_ID;
    let node = (ids + (cols(["price"]) >> LogOp)) >> Filter::new("price > 0.8");
    let node = node.clone().subset("price") + (node.subset("user") >> Rename::to("user_id"));
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let inverse = fitted.inverse().unwrap();
    assert_eq!(inverse.columns().collect::<Vec<_>>(), ["user_id"]);
    let back = as_json(&inverse.batch(&collect(&fitted, &data)).unwrap());
    assert_eq!(back["user_id"], json!(["v", "u"]));
}

#[test]
fn ids_without_a_value_are_null_or_marked() {
    let data = dataset(&json!({"user": ["u", "v"], "year": [1999, 2001]}));
    let node = cols(["user", "year"]) >> Categorify::default().with_num_buckets(2);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![
        Some(0),
        Some(1),
        Some(2),
        Some(3),
        Some(4),
        None,
    ]));
    let plain = fitted.inverse_transform("user", &ids).unwrap();
    let plain: Vec<_> = plain.as_string::<i32>().iter().collect();
    assert_eq!(plain, [None, None, None, None, Some("u"), None]);

    let markers = Markers::new()
        .with_padding("<pad>")
        .with_null("<null>")
        .with_unseen("<new>");
    let inverse = fitted.inverse().unwrap().with_markers(markers.clone());
    let marked = inverse.values("user", &ids).unwrap();
    let marked: Vec<_> = marked.as_string::<i32>().iter().flatten().collect();
    assert_eq!(marked, ["<pad>", "<null>", "<new>", "<new>", "u", "<null>"]);
    insta::assert_snapshot!(inverse.values("year", &ids).unwrap_err(), @"inverse_transform: `marker` is <pad>, <null>, <new>, but the values are Int64: Cast error: Cannot cast string '<pad>' to value of Int64 type");

    let inverse = inverse.with_markers(Markers::new().with_unseen("-1"));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![2, 5]));
    let years = as_json(
        &RecordBatch::try_from_iter([("y", inverse.values("year", &ids).unwrap())]).unwrap(),
    );
    assert_eq!(years, json!({"y": [-1, 2001]}));
}

/// What the ids of an output stand for.
fn meanings(node: Node, data: &Value, column: &str, ids: std::ops::Range<i64>) -> Value {
    let fitted = Workflow::new(node).fit(&dataset(data)).unwrap();
    let markers = Markers::new()
        .with_padding("<pad>")
        .with_null("<null>")
        .with_unseen("<new>");
    let inverse = fitted.inverse().unwrap().with_markers(markers);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let values = RecordBatch::try_from_iter([(column, ids)]).unwrap();
    as_json(&inverse.batch(&values).unwrap())
}

#[test]
fn every_id_of_the_older_convention_has_its_meaning() {
    let data = json!({"a": ["x", "y", "x", "z", "y", "x"]});
    let of = |categorify: Categorify, ids| {
        meanings(cols(["a"]) >> categorify, &data, "a", ids)["a"].clone()
    };
    let from = |start| Categorify::default().with_start_index(start);
    assert_eq!(of(from(0), 0..4), json!(["<null>", "x", "y", "z"]));
    assert_eq!(
        of(from(2).with_freq_threshold(2).with_num_buckets(2), 0..7),
        json!(["<pad>", "<pad>", "<null>", "x", "y", "<new>", "<new>"])
    );
    // Null and two buckets leave room for one value.
    assert_eq!(
        of(from(1).with_max_size(4).with_num_buckets(2), 0..5),
        json!(["<pad>", "<null>", "x", "<new>", "<new>"])
    );
    assert_eq!(
        of(from(1).with_num_buckets(2), 0..3),
        json!(["<pad>", "<new>", "<new>"]),
        "without a limit all values are hashed"
    );
    assert_eq!(
        of(
            Categorify::default().with_max_size(5).with_num_buckets(2),
            0..5
        ),
        json!(["<pad>", "<null>", "<new>", "<new>", "x"]),
        "the usual convention"
    );
}

#[test]
fn values_come_back_from_ids_of_the_older_convention() {
    let data = json!({"a": ["x", "y", null, "x"], "b": [1, 2, null, 1], "l": [["p"], ["q", null], [], null]});
    let plain = cols(["a", "b", "l"]) >> Categorify::default().with_start_index(3);
    assert_eq!(there_and_back(plain, &data, Markers::new()), data);
    let pair = group(["a", "b"])
        >> Categorify::default()
            .with_start_index(1)
            .with_encode_type(EncodeType::Combo);
    assert_eq!(
        there_and_back(pair, &data, Markers::new()),
        json!({"a_b.a": ["x", "y", null, "x"], "a_b.b": [1, 2, null, 1]})
    );
    let joint = group(["a", "c"]) >> Categorify::default().with_start_index(1);
    let texts = json!({"a": ["x", "y", null], "c": ["z", "x", "x"]});
    assert_eq!(there_and_back(joint, &texts, Markers::new()), texts);
}

#[test]
fn ids_beyond_the_older_convention_are_errors() {
    let data = dataset(&json!({"user": ["u", "v"]}));
    let failed = |categorify: Categorify, id: i64| {
        let node = cols(["user"]) >> categorify.with_start_index(1);
        let fitted = Workflow::new(node).fit(&data).unwrap();
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
        let error = fitted.inverse_transform("user", &ids).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        failed(Categorify::default(), 4),
        "categorify: 4 is no id of `user`, whose values have the ids 2 to 3"
    );
    assert_eq!(
        failed(Categorify::default().with_num_buckets(2), 3),
        "categorify: 3 is no id of `user`, none of whose ids stands for one value"
    );
}

#[test]
fn what_is_no_id_is_an_error() {
    let data = dataset(&json!({"user": ["u", "v"], "price": [1.0, 2.0]}));
    let node = (cols(["user"]) >> Categorify::default()) + cols(["price"]);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let failed = |column: &str, ids: Value| {
        let ids = batch(&json!({ "ids": ids }));
        let error = fitted.inverse_transform(column, ids.column(0)).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        failed("user", json!([99])),
        "categorify: 99 is no id of `user`, whose values have the ids 3 to 4"
    );
    assert_eq!(
        failed("user", json!([-1])),
        "categorify: -1 is no id of `user`, whose values have the ids 3 to 4"
    );
    assert_eq!(
        failed("user", json!(["u"])),
        "inverse_transform: column `user` is Utf8, but ids are integers, or lists of integers"
    );
    assert_eq!(
        failed("price", json!([3])),
        "inverse_transform: column `price` is not in the input (input: user)"
    );
}
