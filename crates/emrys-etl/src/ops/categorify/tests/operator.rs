use std::path::Path;

use arrow::array::*;
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
use serde_json::json;
use tempfile::TempDir;

use super::super::{Categorify, EncodeType, IdType};
use super::{array, dataset, fit, id_lists, ids, letters, lists, strings, transform};
use crate::ops::PerColumn;
use crate::{FittedWorkflow, Node, Workflow, cols, group};

fn message(node: Node, schema: &[(&str, DType)]) -> String {
    let columns = schema
        .iter()
        .map(|(name, dtype)| ColumnSchema::new(*name, *dtype));
    Workflow::new(node)
        .output_schema(&Schema::new(columns).unwrap())
        .unwrap_err()
        .to_string()
}

#[test]
fn ids_up_to_23_05_start_with_null_and_unseen_values() {
    let data = [("a", letters("xyxzxy-"))];
    let fit_with = |categorify: Categorify| fit(cols(["a"]) >> categorify, &data);
    let encoded = |categorify: Categorify| {
        let fitted = fit_with(categorify);
        let cardinality = fitted.output_schema().get("a").unwrap().cardinality();
        (
            ids(&transform(&fitted, &[("a", letters("xyzq-"))]), "a"),
            cardinality,
        )
    };
    let plain = encoded(Categorify::new().with_start_index(0));
    assert_eq!(plain, (vec![1, 2, 3, 0, 0], Some(4)));
    let shifted = encoded(Categorify::new().with_start_index(5).with_max_size(3));
    assert_eq!(shifted, (vec![6, 7, 5, 5, 5], Some(8)));
    let (some, cardinality) = encoded(
        Categorify::new()
            .with_start_index(0)
            .with_freq_threshold(2)
            .with_num_buckets(4),
    );
    assert_eq!(
        (&some[..2], some[4], cardinality),
        (&[1, 2][..], 0, Some(7))
    );
    assert!(some[2..4].iter().all(|id| (3..7).contains(id)), "{some:?}");
    let (hashed, cardinality) = encoded(Categorify::new().with_start_index(0).with_num_buckets(4));
    assert!(hashed.iter().all(|id| (0..4).contains(id)), "{hashed:?}");
    assert_eq!(cardinality, Some(4));
}

#[test]
fn a_joint_group_uses_its_buckets() {
    let columns = [("a", letters("xy")), ("b", letters("yz"))];
    let node = group(["a", "b"])
        >> Categorify::new()
            .with_freq_threshold(2)
            .with_num_buckets(1_000);
    let batch = transform(&fit(node, &columns), &columns);
    assert_eq!(ids(&batch, "a")[1], 1_002);
    assert_eq!(ids(&batch, "b")[0], 1_002);
    assert!(ids(&batch, "a")[0] != ids(&batch, "b")[1]);
    assert!(ids(&batch, "a")[0] < 1_002 && ids(&batch, "b")[1] < 1_002);
}

#[test]
fn another_separator_does_not_disturb_the_counts() {
    let columns = [("a", letters("zzzabc")), ("b", letters("111111"))];
    let options = Categorify::new()
        .with_name_sep("|")
        .with_encode_type(EncodeType::Combo)
        .with_max_size(4);
    let node = (cols(["a"]) + group(["a", "b"])) >> options;
    let batch = transform(&fit(node, &columns), &columns);
    assert_eq!(ids(&batch, "a"), [3, 3, 3, 2, 2, 2]);
    assert_eq!(ids(&batch, "a|b"), [3, 3, 3, 2, 2, 2]);
}

#[test]
fn given_vocabularies_are_numbered_in_their_order() {
    let columns = [
        ("a", letters("xxx")),
        ("b", array(Int64Array::from(vec![10, 20, 30]))),
    ];
    let options = Categorify::new()
        .with_vocabulary("a", ["z", "y", "x"])
        .with_vocabulary("b", [20, 10]);
    let workflow = fit(cols(["a", "b"]) >> options, &columns);
    let asked = [
        ("a", letters("xy-xk")),
        ("b", array(Int64Array::from(vec![10, 20, 30, 1, 2]))),
    ];
    let batch = transform(&workflow, &asked);
    assert_eq!(ids(&batch, "a"), [5, 4, 1, 5, 2]);
    assert_eq!(ids(&batch, "b"), [4, 3, 2, 2, 2]);
    assert_eq!(
        workflow.output_schema().column("a").unwrap().cardinality(),
        Some(6)
    );

    let config = json!({"vocabs": {"a": ["y", null, "x"]}, "num_buckets": 4});
    let options: Categorify = serde_json::from_value(config).unwrap();
    let workflow = fit(cols(["a"]) >> options, &columns[..1]);
    let batch = transform(&workflow, &[("a", letters("yxq"))]);
    assert_eq!(ids(&batch, "a")[..2], [6, 7]);
    assert_eq!(
        workflow.output_schema().column("a").unwrap().cardinality(),
        Some(8)
    );
}

#[test]
fn a_given_vocabulary_may_come_from_a_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("unique.a.parquet");
    let columns = [("a", letters("xyx"))];
    let first = fit(cols(["a"]) >> Categorify::new(), &columns);
    first.save(folder.path().join("workflow")).unwrap();
    std::fs::copy(
        find(&folder.path().join("workflow"), "unique.a.parquet"),
        &path,
    )
    .unwrap();
    let options = Categorify::new()
        .with_vocabulary_file("a", &path)
        .with_num_buckets(2);
    let second = fit(cols(["a"]) >> options, &[("a", letters("q"))]);
    assert_eq!(
        ids(&transform(&second, &[("a", letters("xy-"))]), "a"),
        [4, 5, 1]
    );
}

/// The file of a name somewhere in a folder.
fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("no {name} in {}", folder.display())
}

#[test]
fn a_single_table_shares_its_reserved_ids() {
    let columns = [("a", letters("xyx-")), ("b", letters("qqrs"))];
    let options = Categorify::new()
        .with_single_table(true)
        .with_num_buckets(PerColumn::ByColumn(
            [("b".to_owned(), 2)].into_iter().collect(),
        ));
    let workflow = fit(cols(["a", "b"]) >> options, &columns);
    let batch = transform(&workflow, &columns);
    assert_eq!(ids(&batch, "a"), [4, 5, 4, 1]);
    assert_eq!(ids(&batch, "b"), [6, 6, 7, 8]);
    let unseen = transform(&workflow, &[("a", letters("?")), ("b", letters("-"))]);
    assert!((2..4).contains(&ids(&unseen, "a")[0]));
    assert_eq!(ids(&unseen, "b"), [1]);
    for column in workflow.output_schema() {
        assert_eq!(column.cardinality(), Some(9));
        assert_eq!(column.domain_name(), "a_b");
    }
}

#[test]
fn the_schema_tells_tags_domain_options_and_embedding_size() {
    let columns = [
        ("a", letters("xy-x-")),
        ("b", letters("yz-qx")),
        ("c", letters("abcde")),
    ];
    let node = (group(["a", "b"]) + cols(["c"])) >> Categorify::new().with_freq_threshold(1);
    let workflow = fit(node, &columns);
    let schema = workflow.output_schema();
    assert_eq!(schema.names(), ["c", "a", "b"]);
    for name in ["a", "b"] {
        let column = schema.column(name).unwrap();
        assert!(column.has_tag(Tag::Categorical));
        assert_eq!(column.dtype(), DType::Int64);
        assert_eq!(column.domain(), Some(&Domain::int(0, 6).named("a_b")));
        let properties = column.properties();
        assert_eq!(properties["num_buckets"], json!(null));
        assert_eq!(properties["freq_threshold"], json!(1));
        assert_eq!(properties["max_size"], json!(0));
        assert_eq!(properties["cat_path"], json!("unique.a_b.parquet"));
        assert_eq!(
            properties["embedding_sizes"],
            json!({"cardinality": 7, "dimension": 16})
        );
    }
    assert_eq!(
        schema.column("c").unwrap().domain(),
        Some(&Domain::int(0, 7).named("c"))
    );
}

#[test]
fn a_saved_workflow_gives_the_same_ids_wherever_it_is_moved() {
    let columns = [
        ("a", letters("xyx-")),
        (
            "b",
            array(Int64Array::from(vec![Some(1), None, Some(7), Some(7)])),
        ),
        ("l", lists([Some("pq"), None, Some(""), Some("p-")])),
        ("name/with\\separators", letters("mnno")),
    ];
    let options = Categorify::new()
        .with_num_buckets(3)
        .with_encode_type(EncodeType::Combo);
    let node = (cols(["a", "b", "l", "name/with\\separators"]) + group(["a", "b"])) >> options;
    let workflow = fit(node, &columns);
    let folder = TempDir::new().unwrap();
    workflow.save(folder.path().join("here")).unwrap();
    std::fs::rename(folder.path().join("here"), folder.path().join("there")).unwrap();
    let loaded = FittedWorkflow::load(folder.path().join("there")).unwrap();
    assert_eq!(transform(&loaded, &columns), transform(&workflow, &columns));
    assert_eq!(loaded.output_schema(), workflow.output_schema());

    std::fs::remove_file(find(&folder.path().join("there"), "unique.a_b.parquet")).unwrap();
    let error = FittedWorkflow::load(folder.path().join("there"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("unique.a_b.parquet") && error.contains("is missing"),
        "{error}"
    );
}

#[test]
fn columns_of_nothing_but_nulls_fit() {
    let columns = [
        ("a", letters("---")),
        ("l", lists([None, Some(""), Some("-")])),
    ];
    let workflow = fit(cols(["a", "l"]) >> Categorify::new(), &columns);
    let batch = transform(&workflow, &columns);
    assert_eq!(ids(&batch, "a"), [1, 1, 1]);
    assert_eq!(id_lists(&batch["l"]), [None, Some(vec![]), Some(vec![1])]);
    assert_eq!(
        workflow.output_schema().column("a").unwrap().cardinality(),
        Some(3)
    );
}

#[test]
fn configurations_read_nvtabulars_names() {
    let config = json!({
        "freq_threshold": {"a": 3}, "max_size": 0, "num_buckets": 4, "encode_type": "combo",
        "name_sep": "-", "dtype": "int32", "split_out": 2,
    });
    let options: Categorify = serde_json::from_value(config).unwrap();
    let expected = Categorify::new()
        .with_freq_threshold(PerColumn::ByColumn(
            [("a".to_owned(), 3)].into_iter().collect(),
        ))
        .with_num_buckets(4)
        .with_encode_type(EncodeType::Combo)
        .with_name_sep("-")
        .with_id_type(IdType::Int32);
    assert_eq!(options, expected);
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<Categorify>(&text).unwrap(), options);
    assert!(serde_json::from_value::<Categorify>(json!({"frequency": 3})).is_err());
}

#[test]
fn options_that_make_no_sense_are_refused_before_data_are_read() {
    let text = [("a", DType::String), ("b", DType::Int64)];
    let case = |options: Categorify| message(cols(["a", "b"]) >> options, &text);
    insta::assert_snapshot!(case(Categorify::new().with_freq_threshold(2).with_max_size(9)), @"categorify: `max_size` is given together with freq_threshold, but only one of them can limit a vocabulary; set the other to 0");
    insta::assert_snapshot!(case(Categorify::new().with_num_buckets(0)), @"categorify: `num_buckets` is 0, but unseen values need an id; use 1 or leave it out");
    insta::assert_snapshot!(case(Categorify::new().with_max_size(4).with_num_buckets(3)), @"categorify: `max_size` is 4, but `a` needs at least 5 ids: padding, null and 3 for unseen values; raise it, or lower num_buckets");
    let typo = PerColumn::ByColumn([("aa".to_owned(), 2)].into_iter().collect());
    insta::assert_snapshot!(case(Categorify::new().with_freq_threshold(typo)), @"categorify: column `aa` is not in the input (input: a, b)");
    insta::assert_snapshot!(case(Categorify::new().with_vocabulary("q", ["x"])), @"categorify: column `q` is not in the input (input: a, b)");
    insta::assert_snapshot!(message(group(["a", "b"]) >> Categorify::new(), &text), @"categorify: column `b` is int64, but it shares a vocabulary with `a`, which holds strings; cast one of them");
    let twice = (cols(["a"]) + group(["a", "c"])) >> Categorify::new();
    insta::assert_snapshot!(message(twice, &[("a", DType::String), ("c", DType::String)]), @"categorify: two columns are called `a`; rename one of them");
    let disagreeing = PerColumn::ByColumn(
        [("a".to_owned(), 2), ("c".to_owned(), 3)]
            .into_iter()
            .collect(),
    );
    let joint = group(["a", "c"]) >> Categorify::new().with_max_size(disagreeing);
    insta::assert_snapshot!(message(joint, &[("a", DType::String), ("c", DType::String)]), @"categorify: `max_size` is 2 for `a` and 3 for `c`, but they share one vocabulary; give one value for `a_c`");
    let given = group(["a", "b"])
        >> Categorify::new()
            .with_encode_type(EncodeType::Combo)
            .with_vocabulary("a_b", ["x"]);
    insta::assert_snapshot!(message(given, &text), @"categorify: `vocabs` is given for `a_b`, but vocabularies of combinations cannot be given; leave it out");
}

#[test]
fn given_values_of_another_type_are_refused() {
    let columns = [("a", letters("xy"))];
    let fails = |options: Categorify| {
        Workflow::new(cols(["a"]) >> options)
            .fit(&dataset(&columns))
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(fails(Categorify::new().with_vocabulary("a", [1, 2])), @"categorify (node 1): column `a` is Utf8, but its vocabulary holds integers; cast one of them");
    insta::assert_snapshot!(fails(Categorify::new().with_vocabulary("a", [json!(1), json!("x")])), @"categorify (node 1): `vocabs` is a list of different things for `a`, but the values must be all strings, all numbers or all booleans");
    insta::assert_snapshot!(fails(Categorify::new().with_vocabulary("a", ["x", "y", "x"])), @"categorify (node 1): `a`: the value in row 2 is the same as in row 0; values must be distinct");
}

#[test]
fn given_dates_are_written_as_strings() {
    let columns = [(
        "a",
        array(Date32Array::from(vec![Some(0), Some(365), None])),
    )];
    let options = Categorify::new().with_vocabulary("a", ["1971-01-01", "1970-01-01"]);
    assert_eq!(
        ids(
            &transform(&fit(cols(["a"]) >> options, &columns), &columns),
            "a"
        ),
        [4, 3, 1]
    );
}

#[test]
fn integers_of_other_widths_and_whole_floats_keep_their_ids() {
    let columns = [("a", array(Int64Array::from(vec![5, 6, 5])))];
    let workflow = fit(cols(["a"]) >> Categorify::new(), &columns);
    let floats = [(
        "a",
        array(Float64Array::from(vec![
            Some(6.0),
            None,
            Some(f64::NAN),
            Some(9.0),
        ])),
    )];
    assert_eq!(ids(&transform(&workflow, &floats), "a"), [4, 1, 1, 2]);
    let narrow = [("a", array(Int8Array::from(vec![5, 7])))];
    assert_eq!(ids(&transform(&workflow, &narrow), "a"), [3, 2]);
    let text = dataset(&[("a", strings(["5"]))]);
    assert!(
        workflow
            .transform(&text)
            .and_then(crate::Transformed::collect)
            .is_err()
    );
}
