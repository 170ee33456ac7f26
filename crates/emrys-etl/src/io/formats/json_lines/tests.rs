use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use emrys_schema::DType;
use insta::assert_snapshot;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::io::testing::{
    TestResult, collect_partitions, frame, integers, session, without_folder,
};
use crate::io::{OpenOptions, ROW_ID};
use crate::{Dataset, Error, ReadOptions};

fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn shown(dataset: &Dataset) -> String {
    let session = session(2);
    let frame = frame(&session, dataset, ReadOptions::default());
    let batches: Vec<_> = collect_partitions(&session, frame)
        .into_iter()
        .flatten()
        .collect();
    let rows = concat_batches(dataset.arrow_schema(), &batches).unwrap();
    arrow::util::pretty::pretty_format_batches(&[rows])
        .unwrap()
        .to_string()
}

fn read(path: &PathBuf, format: JsonLinesFormat) -> crate::Result<Vec<RecordBatch>> {
    let dataset = Dataset::open_with(path, &OpenOptions::new().with_format(format))?;
    let session = session(1);
    let frame = frame(&session, &dataset, ReadOptions::default());
    let collect = async { frame.collect().await.map_err(Error::query("reading")) };
    session.run("reading", collect)
}

fn error(content: impl AsRef<[u8]>, format: JsonLinesFormat) -> String {
    let (folder, path) = file(content);
    without_folder(&read(&path, format).unwrap_err(), folder.path())
}

#[test]
fn columns_and_types_are_those_of_the_objects() -> TestResult {
    let (_folder, path) = file(
        r#"{"id": 1, "name": "a\u00e4", "tags": ["x"], "at": {"h": 1, "m": null}, "p": 1}

{"p": 2.5, "id": 2, "tags": []}
{"id": null, "name": "b", "tags": null, "at": {"h": 2}, "p": -1e3, "none": null}"#,
    );
    let dataset = Dataset::open(&path)?;
    assert_snapshot!(shown(&dataset), @r"
    +----+------+------+-------------+---------+------+
    | id | name | tags | at          | p       | none |
    +----+------+------+-------------+---------+------+
    | 1  | aä   | [x]  | {h: 1, m: } | 1.0     |      |
    | 2  |      | []   |             | 2.5     |      |
    |    | b    |      | {h: 2, m: } | -1000.0 |      |
    +----+------+------+-------------+---------+------+
    ");
    Ok(())
}

#[test]
fn what_does_not_fit_is_named_with_its_line() {
    let small = || JsonLinesFormat::new().with_sample_rows(1);
    assert_snapshot!(error("{\"a\": 1}\n{\"a\": 1.5}\n", small()), @r#"read `x.jsonl`: line 2 holds a value in `a` that is not int64, the type its first values have; give the column's type: `{"a": 1.5}`"#);
    assert_snapshot!(error("{\"a\": [1]}\n\n{\"a\": [1, 2.5]}\n", small()), @r#"read `x.jsonl`: line 3 holds a value in `a` that is not List(Int64), the type its first values have; give the column's type: `{"a": [1, 2.5]}`"#);
    assert_snapshot!(error("{\"a\": 1}\n{\"a\": [1]}\n", small()), @r#"read `x.jsonl`: line 2 does not have the types of the columns (Json error: whilst decoding field 'a': expected string got [1]): `{"a": [1]}`; give the types, or raise `sample_rows`"#);
    assert_snapshot!(error("{\"a\": 1}\n{\"a\": 1, \"b\": 2}\n", small()), @"read `x.jsonl`: line 2 has the key `b`, which the first 1 objects of no file have; give its type, or raise `sample_rows`");
    assert_snapshot!(error("{\"a\": 1}\n{\"a\": \n", small()), @r#"read `x.jsonl`: line 2 is no JSON object: `{"a":`; each line must be a whole object, as in JSON lines"#);
    assert_snapshot!(error("{\"a\": 1} {\"a\": 2}\n", JsonLinesFormat::new()), @r#"read `x.jsonl`: its object 1 is not sound (trailing characters at line 1 column 10): `{"a": 1} {"a": 2}`; correct it"#);
    assert_snapshot!(error("[{\"a\": 1}]\n", small()), @r#"read `x.jsonl`: line 1 is no JSON object: `[{"a": 1}]`; each line must be a whole object, as in JSON lines"#);
    assert_snapshot!(error("{\"a\": tru}\n", small()), @r#"read `x.jsonl`: its object 1 is not sound (expected ident at line 1 column 10): `{"a": tru}`; correct it"#);
    assert_snapshot!(error("", small()), @"read `x.jsonl`: no file has an object with a key, so there are no columns; give their types");
}

#[test]
fn keys_that_are_values_are_refused() {
    let lines: String = (0..30_000).map(|id| format!("{{\"{id}\": 1}}\n")).collect();
    assert_snapshot!(error(lines, JsonLinesFormat::new()), @"read `x.jsonl`: line 20001 is where the objects have had more than 20000 different keys; write what varies as values");
}

#[test]
fn types_can_be_given_for_keys_that_come_late() -> TestResult {
    let (_folder, path) = file("{\"a\": 1}\n{\"a\": 2, \"b\": \"2020-01-31\"}\n{\"c\": 7}\n");
    let format = JsonLinesFormat::new()
        .with_sample_rows(1)
        .with_type("a", DType::Float32)
        .with_type("b", DType::Date)
        .with_type("c", DType::Int8);
    let dataset = Dataset::open_with(&path, &OpenOptions::new().with_format(format))?;
    assert_snapshot!(shown(&dataset), @r"
    +-----+------------+---+
    | a   | b          | c |
    +-----+------------+---+
    | 1.0 |            |   |
    | 2.0 | 2020-01-31 |   |
    |     |            | 7 |
    +-----+------------+---+
    ");
    Ok(())
}

#[test]
fn partitions_are_contiguous_whatever_the_threads() -> TestResult {
    let lines: String = (0..40_000)
        .map(|id| format!("{{\"id\": {id}, \"text\": \"{}\"}}\n", "ü".repeat(id % 40)))
        .collect();
    let (_folder, path) = file(&lines);
    let dataset = Dataset::open(&path)?;
    assert!(dataset.files()[0].row_groups.len() > 1);
    let with_row_id = ReadOptions {
        row_id: true,
        ..ReadOptions::default()
    };
    let expected: Vec<i64> = (0..40_000).collect();
    for partitions in [1, 3, 8] {
        let session = session(partitions);
        let found = collect_partitions(&session, frame(&session, &dataset, with_row_id));
        assert_eq!(found.len(), partitions);
        assert_eq!(integers(found.iter().flatten(), "id"), expected);
        assert_eq!(integers(found.iter().flatten(), ROW_ID), expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_bytes_never_panic(
        place in 0usize..2000,
        length in 0usize..5,
        bytes in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let mut text: Vec<u8> = (0..50)
            .flat_map(|id| format!("{{\"id\": {id}, \"l\": [1, null], \"s\": \"\\u00e4\"}}\n").into_bytes())
            .collect();
        let place = place.min(text.len());
        let end = (place + length).min(text.len());
        text.splice(place..end, bytes);
        let (_folder, path) = file(text);
        let read = read(&path, JsonLinesFormat::new());
        let panicked = matches!(read, Err(Error::Panicked { .. } | Error::Internal(_)));
        prop_assert!(!panicked, "{:?}", read.err());
    }
}
