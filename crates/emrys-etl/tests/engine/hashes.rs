//! Hashes and crosses.

use std::collections::BTreeSet;

use emrys_etl::ops::{HashBucket, HashedCross};
use emrys_etl::{Workflow, cols, group};
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use serde_json::{Value, json};

use crate::table::{error, run};

#[test]
fn null_has_a_bucket_and_lists_keep_their_lengths() {
    let data = json!({"s": ["a", null, "a"], "l": [["a", null], [], null]});
    let found = run(cols(["s", "l"]) >> HashBucket::new(1000), &data);
    // 2^64 - 1 modulo 1000 is 615.
    assert_eq!(
        found,
        json!({"s": [504, 615, 504], "l": [[504, 615], [], null]})
    );
}

#[test]
fn columns_without_a_number_of_buckets_pass_through() {
    let data = json!({"a": ["a", "b"], "b": ["a", "b"]});
    let found = run(
        cols(["a", "b"]) >> HashBucket::per_column([("a", 1)]),
        &data,
    );
    assert_eq!(found, json!({"a": [0, 0], "b": ["a", "b"]}));
}

#[test]
fn buckets_are_used_evenly() {
    let values: Vec<i64> = (0..16_000).collect();
    let found = run(cols(["x"]) >> HashBucket::new(16), &json!({ "x": values }));
    let mut counts = [0.0; 16];
    for bucket in found["x"].as_array().unwrap() {
        counts[bucket.as_u64().unwrap() as usize] += 1.0;
    }
    let chi_square: f64 = counts
        .iter()
        .map(|count| (count - 1000f64).powi(2) / 1000.0)
        .sum();
    // The 99.9th percentile of 15 degrees of freedom.
    assert!(chi_square < 37.7, "{counts:?}");
}

#[test]
fn every_group_is_a_cross_of_its_own() {
    let data = json!({"a": [1, 2, 1], "b": ["x", "y", "x"], "c": [7, 7, 8]});
    let node = (group(["a", "b"]) + group(["b", "c"])) >> HashedCross::new(1_000_000);
    let found = run(node, &data);
    let names: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(names, ["a_X_b", "b_X_c"]);
    assert_eq!(found["a_X_b"][0], found["a_X_b"][2]);
    assert_ne!(found["a_X_b"][0], found["a_X_b"][1]);
    assert_ne!(found["b_X_c"][0], found["b_X_c"][2]);
}

#[test]
fn equal_members_do_not_meet_in_one_bucket() {
    let data = json!({"a": (0..100).collect::<Vec<_>>(), "b": (0..100).collect::<Vec<_>>()});
    let found = run(cols(["a", "b"]) >> HashedCross::new(100_000), &data);
    let buckets: BTreeSet<u64> = found["a_X_b"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    assert!(buckets.len() >= 99, "{}", buckets.len());
}

#[test]
fn a_cross_has_a_domain_and_no_tags() {
    let schema = Schema::new(
        ["a", "b"].map(|name| ColumnSchema::new(name, DType::Int64).with_tags([Tag::Categorical])),
    )
    .unwrap();
    let crossed = group(["a", "b"]) >> HashedCross::per_cross([("a_X_b", 10)]);
    let output = Workflow::new(crossed).output_schema(&schema).unwrap();
    let column = output.get("a_X_b").unwrap();
    assert_eq!(
        (column.cardinality(), column.tags().is_empty()),
        (Some(10), true)
    );
}

#[test]
fn what_cannot_be_crossed_is_refused() {
    let data = json!({"a": [1], "l": [[1]]});
    assert_eq!(
        error(cols(["a"]) >> HashedCross::new(10), &data),
        "hashed_cross: `columns` is `a` alone, but a cross needs at least two; put columns into groups"
    );
    assert_eq!(
        error(cols(["a", "l"]) >> HashedCross::new(10), &data),
        "hashed_cross: column `l` is int64[0..], but a single value per row is needed; leave it out"
    );
    assert_eq!(
        error(cols(["a"]) >> HashBucket::new(0), &data),
        "hash_bucket: `num_buckets` is 0, but it must lie between 1 and 2147483647"
    );
}
