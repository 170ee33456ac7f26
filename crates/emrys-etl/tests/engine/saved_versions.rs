//! Workflows that earlier versions saved: what they were, they remain.
//!
//! `tests/data/saved_vN` holds a workflow of format version N, rows, and the rows that were made of
//! them. These folders never change. A new one is made by
//!
//! ```text
//! EMRYS_NEW_SAVE=tests/data/saved_vN cargo test --release -p emrys -p emrys-etl --test engine -- saved_versions
//! ```
//!
//! before the first change that needs the new version.

use std::fs;
use std::path::{Path, PathBuf};

use emrys_etl::ops::{
    AddMetadata, Bucketize, Categorify, Clip, EncodeType, FillMissing, Filter, IdType,
    JoinExternal, Lambda, LogOp, Normalize, Rename, TagAs, TargetEncoding,
};
use emrys_etl::{FittedWorkflow, Node, Workflow, all_columns, cols};
use serde_json::{Value, json};

use crate::table::{batch, collect, dataset, json as as_json};

/// Every kind of node, and every operator of the first version.
fn graph() -> Node {
    let cities = batch(&json!({"city": ["rome", "oslo"], "country": ["it", "no"]}));
    let kept = all_columns() >> Filter::new("age > 0 or user is null");
    let joined = kept.clone().subset(["city"]) >> JoinExternal::table(cities, ["city"]);
    let places = (joined >> Categorify::default().with_num_buckets(2)).named("places");
    let users = kept.clone().subset(["user", "tags"])
        >> Categorify::default()
            .with_freq_threshold(2)
            .with_id_type(IdType::Int32)
        >> TagAs::USER_FEATURES;
    let pair = kept.clone().subset(["user", "city"]).grouped()
        >> Categorify::default().with_encode_type(EncodeType::Combo);
    let price = kept.clone().subset(["price"]) >> FillMissing::with(1.0).with_flags(true);
    let scaled = price.clone().subset(["price"])
        >> Lambda::new("x * 2.5")
        >> Clip::between(0.0, 50.0)
        >> LogOp
        >> Normalize::default();
    let rates = (kept.clone().subset(["city"]) + kept.clone().subset(["user", "city"]).grouped())
        >> TargetEncoding::new("click")
            .with_kfold(2)
            .with_p_smooth(1.0);
    let rates = rates.depends_on(kept.clone().subset(["click"])) >> Normalize::default();
    let age =
        kept.clone().subset(["age"]) >> Bucketize::new([18.0, 35.0]) >> Rename::postfix("_bucket");
    let click = kept.clone() - ["user", "city", "price", "age", "tags"];
    let click = click >> AddMetadata::default().with_tags(["target"]);
    places
        + users
        + pair
        + (price - cols(["price"]))
        + scaled
        + rates
        + age
        + click
        + (kept.subset(["age"]) >> Normalize::default())
}

fn training_rows() -> Value {
    json!({
        "user": ["u", "v", null, "u", "w", "v", "w", "x"],
        "city": ["rome", "oslo", "rome", null, "bern", "oslo", "rome", "bern"],
        "price": [1.5, null, 7.25, 100.0, 0.1, 3.3, 12.0, null],
        "age": [20, 40, 0, 33, 51, 7, 18, 35],
        "click": [1, 0, 1, 0, 1, 1, 0, 0],
        "tags": [["a"], ["b", "a"], [], null, ["c"], ["a", null], ["b"], ["c", "c"]],
    })
}

fn other_rows() -> Value {
    json!({
        "user": ["x", null, "new", "u"],
        "city": ["oslo", "paris", "rome", null],
        "price": [0.0, null, 33.0, 2.5],
        "age": [18, 60, 1, 34],
        "click": [0, 1, 0, 1],
        "tags": [["a", "z"], [], null, [null, "b"]],
    })
}

fn folders() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let entries = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("saved_v")
        })
        .collect();
    folders.sort();
    folders
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn outputs(fitted: &FittedWorkflow, rows: &Value) -> Value {
    let training = as_json(&collect(fitted, &dataset(&training_rows())));
    let other = as_json(&collect(fitted, &dataset(rows)));
    json!({"training": training, "other": other})
}

#[test]
fn workflows_of_all_versions_give_the_rows_they_gave() {
    assert!(!folders().is_empty());
    for folder in folders() {
        let loaded = FittedWorkflow::load(folder.join("workflow")).unwrap();
        let found = outputs(&loaded, &read(&folder.join("rows.json")));
        assert_eq!(
            found,
            read(&folder.join("expected.json")),
            "{}",
            folder.display()
        );
        let schema = serde_json::to_value(loaded.output_schema()).unwrap();
        let stored = read(&folder.join("workflow/workflow.json"));
        assert_eq!(schema, stored["output_schema"], "{}", folder.display());
        // What was read is written again as it is written today, and read again.
        let again = tempfile::tempdir().unwrap();
        let path = again.path().join("workflow");
        loaded.save(&path).unwrap();
        let again = FittedWorkflow::load(&path).unwrap();
        assert_eq!(outputs(&again, &read(&folder.join("rows.json"))), found);
    }
}

#[test]
fn a_new_save_is_made_when_asked_for() {
    let Some(folder) = std::env::var_os("EMRYS_NEW_SAVE") else {
        let fitted = Workflow::new(graph())
            .fit(&dataset(&training_rows()))
            .unwrap();
        assert_eq!(fitted.output_schema().len(), 12);
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    assert!(!folder.exists(), "saves of old versions never change");
    let fitted = Workflow::new(graph())
        .fit(&dataset(&training_rows()))
        .unwrap();
    fs::create_dir_all(&folder).unwrap();
    fitted.save(folder.join("workflow")).unwrap();
    let write = |name: &str, value: &Value| {
        fs::write(
            folder.join(name),
            serde_json::to_string_pretty(value).unwrap(),
        )
        .unwrap();
    };
    write("rows.json", &other_rows());
    write("expected.json", &outputs(&fitted, &other_rows()));
}
