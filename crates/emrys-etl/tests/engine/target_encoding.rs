//! Encodings of a target do not leak it.

use emrys_etl::ops::{Folds, TargetEncoding};
use emrys_etl::{Workflow, cols};
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
