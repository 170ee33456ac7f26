//! What a workflow reads and does is told before it is done.

use emrys_etl::ops::{Categorify, Filter, LogOp, Normalize, TargetEncoding};
use emrys_etl::{Dataset, Node, Workflow, WriteOptions, cols};
use serde_json::{Value, json};

use crate::table::dataset;

fn data() -> Dataset {
    dataset(&json!({
        "user": ["u", "v", "u"],
        "price": [1.0, 2.0, 4.0],
        "click": [1, 0, 1],
        "unused": [0, 0, 0],
    }))
}

fn graph() -> Node {
    (cols(["user"]) >> Categorify::default())
        + (cols(["price"]) >> LogOp >> Normalize::default())
        + (cols(["user"]) >> TargetEncoding::new("click") >> Normalize::default())
}

#[test]
fn rounds_tell_operators_scans_and_columns() {
    let text = Workflow::new(graph()).explain(&data()).unwrap();
    let outline: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("    "))
        .collect();
    insta::assert_snapshot!(outline.join("\n"), @r"
    data set: 3 rows in memory
    fit round 1: categorify (node 1), normalize (node 4), target_encoding (node 6)
      reads: 3 scans of user, price, click
      counts in one scan: categorify (node 1), user: 1 scan of user
      target_encoding (node 6), user: 1 scan of user, click
      aggregates: 1 scan of price, click
    fit round 2: normalize (node 7)
      reads at most user, click; its queries are known after round 1
    ");
    assert!(text.contains("projection=[user]"), "{text}");
}

#[test]
fn a_fitted_workflow_knows_the_queries_of_all_rounds() {
    let data = data();
    let fitted = Workflow::new(graph()).fit(&data).unwrap();
    let explained = fitted.fit_explanation(&data).unwrap();
    assert_eq!(explained.rounds.len(), 2);
    for round in &explained.rounds {
        assert!(round.known);
        assert!(!round.queries.is_empty());
        let scans: usize = round.queries.iter().map(|query| query.reads.scans).sum();
        assert_eq!(round.reads.scans, scans);
    }
    // The encoding was learned from the clicks; the second round only looks it up.
    assert_eq!(explained.rounds[1].reads.columns, ["user"]);
}

#[test]
fn bytes_are_those_of_the_columns_that_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw");
    let copy = Workflow::new(cols(["user", "price", "click", "unused"]));
    let copy = copy.fit(&data()).unwrap();
    copy.transform(&data())
        .unwrap()
        .write(&path, &WriteOptions::new())
        .unwrap();
    let files = Dataset::open(&path).unwrap();
    let all = files.compressed_bytes(&["user", "price", "click", "unused"]);
    let some = files.compressed_bytes(&["price"]);
    assert!(Some(0) < some && some < all, "{some:?} of {all:?}");

    let workflow = Workflow::new(cols(["price"]) >> Normalize::default());
    let explained = workflow.explanation(&files).unwrap();
    assert_eq!(explained.data.files, 1);
    assert_eq!(explained.data.rows, 3);
    assert_eq!(explained.rounds[0].reads.compressed_bytes, some);
    let transform = workflow.fit(&files).unwrap().explanation(&files).unwrap();
    let transform = transform.transform.unwrap();
    assert_eq!(transform.reads.columns, ["price"]);
    assert_eq!(transform.reads.compressed_bytes, some);
    assert_eq!(transform.phase, "training");
}

#[test]
fn scripts_get_json() {
    let fitted = Workflow::new(cols(["price"]) >> Filter::new("price > 1"))
        .fit(&data())
        .unwrap();
    let explained = fitted.explanation(&data()).unwrap();
    let json: Value = serde_json::from_str(&explained.to_json().unwrap()).unwrap();
    assert_eq!(json["data"], json!({"rows": 3, "files": 0, "bytes": 0}));
    assert_eq!(
        json["transform"]["reads"],
        json!({"scans": 1, "columns": ["price"]})
    );
    assert!(
        json["transform"]["logical"]
            .as_str()
            .unwrap()
            .contains("Filter")
    );
}
