//! Encodings of a target do not leak it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use emrys_etl::ops::{Folds, TargetEncoding};
use emrys_etl::{Dataset, Workflow, cols, group};
use emrys_schema::Tag;
use serde_json::json;

use crate::table::{collect, dataset, json as as_json, run};

#[test]
fn a_row_does_not_see_its_own_target() {
    // Every category occurs once: out of fold nothing is known of it but the mean.
    let data = json!({"c": ["u", "v", "w", "x"], "y": [1, 0, 1, 0]});
    let node = cols(["c"]) >> TargetEncoding::new("y").with_kfold(2).with_p_smooth(1.0);
    assert_eq!(run(node, &data), json!({"TE_c_y": [0.5, 0.5, 0.5, 0.5]}));
}

#[test]
fn other_data_get_all_training_rows_and_need_no_target() {
    let train = dataset(&json!({"c": ["u", "u", "v", "v"], "y": [1, 1, 0, 1]}));
    let encoding = TargetEncoding::new("y").with_kfold(2).with_p_smooth(0.0);
    let fitted = Workflow::new(cols(["c"]) >> encoding).fit(&train).unwrap();
    let other = dataset(&json!({"c": ["v", "u", "new"]}));
    assert_eq!(
        as_json(&collect(&fitted, &other)),
        json!({"TE_c_y": [0.5, 1.0, 0.75]})
    );
}

#[test]
fn given_folds_are_obeyed() {
    let data = json!({"c": ["u", "u", "u", "u"], "y": [1, 1, 0, 0], "f": [0, 0, 1, 1]});
    let encoding = TargetEncoding::new("y")
        .with_kfold(2)
        .with_p_smooth(0.0)
        .with_folds(Folds::Column("f".to_owned()));
    assert_eq!(
        run(cols(["c"]) >> encoding, &data),
        json!({"TE_c_y": [0.0, 0.0, 1.0, 1.0]})
    );
}

#[test]
fn nulls_are_a_category_or_the_mean() {
    let data = json!({
        "a": ["u", null, null, "u", null],
        "b": [0.5, 0.5, null, null, null],
        "y": [1, 0, 0, 1, 0],
    });
    let encoding = |nulls_as_mean| {
        let encoding = TargetEncoding::new("y").with_kfold(1).with_p_smooth(0.0);
        let encoding = encoding.with_nulls_as_mean(nulls_as_mean);
        let node = (cols(["a", "b"]) + group(["a", "b"])) >> encoding;
        let rows = run(node, &data);
        ["TE_a_y", "TE_b_y", "TE_a_b_y"].map(|name| rows[name].clone())
    };
    assert_eq!(
        encoding(false),
        [
            json!([1.0, 0.0, 0.0, 1.0, 0.0]),
            json!([0.5, 0.5, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0].map(|value: f64| value as f32)),
            json!([1.0, 0.0, 0.0, 1.0, 0.0]),
        ]
    );
    let mean = 0.4_f64 as f32;
    assert_eq!(
        encoding(true),
        [
            json!([1.0, mean, mean, 1.0, mean]),
            json!([0.5, 0.5, mean, mean, mean]),
            json!([1.0, mean, mean, mean, mean]),
        ]
    );
}

#[test]
fn the_target_is_no_tag_of_a_feature() {
    let train = dataset(&json!({"c": ["u", "v"], "y": [1, 0]}));
    let schema = train.schema().clone();
    let tag = |name: &str, tags: [Tag; 2]| schema.get(name).unwrap().clone().with_tags(tags);
    let schema = schema
        .clone()
        .with_column(tag("c", [Tag::UserId, Tag::Categorical]))
        .with_column(tag("y", [Tag::Target, Tag::BinaryClassification]));
    let output = Workflow::new(cols(["c"]) >> TargetEncoding::new("y")).output_schema(&schema);
    let output = output.unwrap();
    let column = output.get("TE_c_y").unwrap();
    assert!(column.has_tag(Tag::User) && column.has_tag(Tag::Continuous));
    assert!(!column.has_tag(Tag::Target) && !column.has_tag(Tag::Id));
}

#[test]
fn a_target_without_values_is_an_error() {
    let data = dataset(&json!({"c": ["u"], "y": [null]}));
    let node = cols(["c"]) >> TargetEncoding::new("y");
    assert_eq!(
        Workflow::new(node).fit(&data).unwrap_err().to_string(),
        "target_encoding (node 1): no row has a value of the target `y`"
    );
}

#[test]
fn folds_by_hash_keep_equal_values_together() {
    let data = json!({
        "c": ["u", "u", "u", "u", "u", "u"],
        "s": ["a", "b", "a", "c", "b", "d"],
        "y": [1.0, 0.0, 0.0, 1.0, 1.0, 0.5],
    });
    let encoding = TargetEncoding::new("y")
        .with_kfold(2)
        .with_p_smooth(1.0)
        .with_fold_column(true)
        .with_folds(Folds::Hash(vec!["s".to_owned()]));
    let rows = run(cols(["c"]) >> encoding, &data);
    let folds = rows["__fold__"].as_array().unwrap();
    assert_eq!((&folds[0], &folds[1]), (&folds[2], &folds[4]));
    // A row's encoding comes from the rows of the other fold alone.
    let (values, targets) = (&rows["TE_c_y"], &data["y"]);
    for (row, fold) in folds.iter().enumerate() {
        let other = (0..6).filter(|other| folds[*other] != *fold);
        let other: Vec<f64> = other.map(|row| targets[row].as_f64().unwrap()).collect();
        let mean = 3.5 / 6.0;
        let expected = (other.iter().sum::<f64>() + mean) / (other.len() as f64 + 1.0);
        assert!((values[row].as_f64().unwrap() - expected).abs() < 1e-6);
    }
}

#[test]
fn a_null_fold_is_the_first() {
    let data = json!({"c": ["u", "u", "u"], "y": [1, 0, 1], "f": [0, null, 1]});
    let encoding = TargetEncoding::new("y")
        .with_kfold(2)
        .with_p_smooth(0.0)
        .with_folds(Folds::Column("f".to_owned()));
    assert_eq!(
        run(cols(["c"]) >> encoding, &data),
        json!({"TE_c_y": [1.0, 1.0, 0.5]})
    );
}

#[test]
fn nan_and_both_zeros_are_categories_once() {
    let floats = Float64Array::from(vec![0.0, -0.0, f64::NAN, 1.0]);
    let nulls = Float64Array::from(vec![Some(0.5), None, Some(1.5), Some(2.0)]);
    let columns: [(&str, ArrayRef); 2] = [("c", Arc::new(floats)), ("y", Arc::new(nulls))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
    let encoding = TargetEncoding::new("y").with_kfold(1).with_p_smooth(0.0);
    let fitted = Workflow::new(cols(["c"]) >> encoding).fit(&data).unwrap();
    assert_eq!(
        as_json(&collect(&fitted, &data)),
        json!({"TE_c_y": [0.5, 0.5, 1.5, 2.0]})
    );
}
