//! Workflows survive being saved, moved and loaded; what is wrong with a saved one is said.

use std::fs;
use std::path::Path;

use emrys_etl::ops::{
    AddMetadata, Bucketize, Categorify, Clip, FillMissing, Filter, JoinExternal, JoinGroupby,
    Lambda, LogOp, Normalize, Rename, TagAs, TargetEncoding,
};
use emrys_etl::{FittedWorkflow, Node, Workflow, cols, group};
use serde_json::{Value, json};

use crate::table::{batch, collect, dataset};

fn everything() -> Node {
    let cities = batch(&json!({"city": ["rome", "oslo"], "country": ["it", "no"]}));
    let kept = cols(["user", "city", "price", "age", "click", "tags"]) >> Filter::new("age > 0");
    let joined = kept.clone().subset(["city"]) >> JoinExternal::table(cities, ["city"]);
    let ids = joined >> Categorify::default() >> TagAs::USER_FEATURES;
    let pair = kept.clone().subset(["user", "tags"]) >> Categorify::default();
    let price = kept.clone().subset(["price"])
        >> FillMissing::with(1.0).with_flags(true)
        >> Lambda::new("cast(x as double) * 2.5");
    let scaled = price.clone().subset(["price"])
        >> Clip::between(0.0, 50.0)
        >> LogOp
        >> Normalize::default();
    let encoded =
        kept.clone().subset(["user"]) >> TargetEncoding::new("click") >> Normalize::default();
    let age =
        kept.clone().subset(["age"]) >> Bucketize::new([18.0, 35.0]) >> Rename::postfix("_bucket");
    let counted =
        kept.clone().subset(["user"]) >> JoinGroupby::of(["age"]) >> Rename::postfix("_of_user");
    let click = kept.subset(["click"]) >> AddMetadata::default().with_tags(["target"]);
    ids + pair
        + counted
        + (scaled >> Rename::to("price_scaled"))
        + encoded
        + age
        + click.named("target")
}

fn data() -> serde_json::Value {
    json!({
        "user": ["u", "v", null, "u", "w", "v"],
        "city": ["rome", "oslo", "rome", null, "bern", "oslo"],
        "price": [1.5, null, 7.25, 100.0, 0.1, 3.3],
        "age": [20, 40, 0, 33, 51, 7],
        "click": [1, 0, 1, 0, 1, 1],
        "tags": [["a"], ["b", "a"], [], null, ["c"], ["a", null]],
    })
}

#[test]
fn a_moved_workflow_gives_the_same_rows() {
    let data = dataset(&data());
    let fitted = Workflow::new(everything()).fit(&data).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    fitted.save(&first).unwrap();
    fs::rename(&first, &second).unwrap();
    let loaded = FittedWorkflow::load(&second).unwrap();
    assert_eq!(loaded.output_schema(), fitted.output_schema());
    assert_eq!(collect(&loaded, &data), collect(&fitted, &data));
}

#[test]
fn a_workflow_fitted_twice_is_stored_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = ["a", "b"]
        .map(|name| {
            let path = folder.path().join(name);
            Workflow::new(everything())
                .fit(&dataset(&data()))
                .unwrap()
                .save(&path)
                .unwrap();
            fs::read_to_string(path.join("workflow.json")).unwrap()
        })
        .into();
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_missing_artifact_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow");
    let node = group(["user", "city"]) >> TargetEncoding::new("click");
    Workflow::new(node)
        .fit(&dataset(&data()))
        .unwrap()
        .save(&path)
        .unwrap();
    fs::remove_file(path.join("artifacts/node_001/target_encoding_000.parquet")).unwrap();
    let error = FittedWorkflow::load(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "artifact `artifacts/node_001/target_encoding_000.parquet` is missing; save it again"
        ),
        "{error}"
    );
}

#[test]
fn states_that_are_not_of_their_operator_are_refused() {
    let categories = || group(["user", "city"]) >> Categorify::default();
    let rates = || cols(["user"]) >> TargetEncoding::new("click");
    let ages = || cols(["user"]) >> JoinGroupby::of(["age"]);
    for (node, place, value, problem) in [
        (
            categories(),
            "state",
            json!([]),
            "it has no vocabulary `user_city`; fit the workflow again",
        ),
        (
            categories(),
            "state/0/columns",
            json!([]),
            "the vocabulary `user_city` is of no column; fit again",
        ),
        (
            rates(),
            "state/targets",
            json!([]),
            "has other columns than expected",
        ),
        (
            rates(),
            "state/groups",
            json!([]),
            "it was not fitted on `user`; fit the workflow again",
        ),
        (
            rates(),
            "state/groups/0/members",
            json!([]),
            "is of no column; fit again",
        ),
        (
            rates(),
            "state/groups/0/folds",
            json!(0),
            "has 0 folds; fit again",
        ),
        (
            rates(),
            "config/kfold",
            json!(2),
            "it was not fitted on `user`; fit the workflow again",
        ),
        (
            ages(),
            "state/0/columns/0/name",
            json!("price"),
            "has other columns than expected",
        ),
        (
            ages(),
            "config/stats",
            json!(["var"]),
            "it was not fitted on `user`; fit the workflow again",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workflow");
        let fitted = Workflow::new(node).fit(&dataset(&data())).unwrap();
        fitted.save(&path).unwrap();
        edit(&path, &format!("/steps/1/operator/{place}"), value);
        let error = FittedWorkflow::load(&path).unwrap_err().to_string();
        assert!(error.ends_with(problem), "{place}: {error}");
    }
}

/// Replaces a value in a workflow's file.
fn edit(path: &Path, pointer: &str, value: Value) {
    let file = path.join("workflow.json");
    let mut saved: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    match saved.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => panic!("no {pointer} in {saved:#}"),
    }
    fs::write(&file, saved.to_string()).unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("workflow.json"),
        r#"{"emrys_workflow": 99, "x": 1}"#,
    )
    .unwrap();
    let error = FittedWorkflow::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "format version 99 is newer than 2, the newest this version reads; update emrys"
        ),
        "{error}"
    );
}
