//! Operators that look something up by key learn from more data as if they had seen all at once.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::{
    Categorify, EncodeType, Folds, JoinGroupby, PerColumn, Stat, TargetEncoding, Vocabularies,
};
use crate::fit::testing::fit_and_refit;
use crate::operator::NewIds;
use crate::{Dataset, FittedWorkflow, Node, SessionOptions, cols, group};

type Row = (Option<String>, Option<i64>, Option<f64>);

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let texts: StringArray = rows.iter().map(|row| row.0.as_deref()).collect();
    let numbers: Int64Array = rows.iter().map(|row| row.1).collect();
    let floats: Float64Array = rows.iter().map(|row| row.2).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("text", Arc::new(texts)),
        ("number", Arc::new(numbers)),
        ("float", Arc::new(floats)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .unwrap()
}

pub(super) fn dataset(rows: &[Row]) -> Dataset {
    let batch = batch(rows);
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

pub(super) fn transform(fitted: &FittedWorkflow, rows: &[Row]) -> RecordBatch {
    let batches = fitted.transform(&dataset(rows)).unwrap().collect().unwrap();
    let schema = Arc::new(fitted.output_schema().to_arrow().unwrap());
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    concat_batches(&schema, &batches).unwrap()
}

pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = prop::option::of(prop_oneof!["[a-e]{0,2}", "long text [a-c]{6}"]);
    let float = prop::option::of(prop_oneof![
        (-3..4_i32).prop_map(f64::from),
        -1e9..1e9,
        Just(f64::NAN),
        Just(-0.0)
    ]);
    prop::collection::vec((text, prop::option::of(-3..5_i64), float), 1..60)
}

fn refit(node: &Node, a: &[Row], b: &[Row], ids: NewIds) -> FittedWorkflow {
    let (a, b) = (dataset(a), dataset(b));
    fit_and_refit(node, &a, Some((&b, ids)), SessionOptions::new()).unwrap()
}

fn fit(node: &Node, rows: &[Row]) -> FittedWorkflow {
    fit_and_refit(node, &dataset(rows), None, SessionOptions::new()).unwrap()
}

fn vocabularies(fitted: &FittedWorkflow) -> Vocabularies {
    let state = fitted.states.values().find_map(|state| {
        let any: &dyn Any = &**state;
        any.downcast_ref::<Vocabularies>()
    });
    state.unwrap().clone()
}

/// The files of a saved workflow but for its description, by relative path.
fn artifacts(fitted: &FittedWorkflow) -> BTreeMap<String, Vec<u8>> {
    fn collect(folder: &Path, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, files);
            } else if path.extension().is_some_and(|end| end == "parquet") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow");
    fitted.save(&path).unwrap();
    let mut files = BTreeMap::new();
    collect(&path, &path, &mut files);
    files
}

fn texts(letters: &str) -> Vec<Row> {
    let text = |c: char| (c != '-').then(|| c.to_string());
    letters.chars().map(|c| (text(c), None, None)).collect()
}

fn ids(fitted: &FittedWorkflow, letters: &str) -> Vec<i64> {
    let rows = transform(fitted, &texts(letters));
    rows["text"].as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn known_categories_keep_their_ids_and_new_ones_follow_by_count() {
    let node = cols(["text"]) >> Categorify::new();
    let learned = refit(&node, &texts("aab-"), &texts("dccbb-e"), NewIds::Append);
    assert_eq!(ids(&learned, "abcdex-"), [3, 4, 5, 6, 7, 2, 1]);
    let vocabularies = vocabularies(&learned);
    let observed = vocabularies.iter().next().unwrap().observed().unwrap();
    assert_eq!(observed.counts.values(), &[2, 3, 2, 1, 1]);
    assert_eq!((observed.nulls, observed.left_out), (2, 0));
    assert_eq!(
        learned.output_schema().get("text").unwrap().cardinality(),
        Some(8)
    );
}

#[test]
fn counts_below_the_threshold_are_remembered() {
    let node = cols(["text"]) >> Categorify::new().with_freq_threshold(2);
    let learned = refit(&node, &texts("aab"), &texts("bc"), NewIds::Append);
    assert_eq!(ids(&learned, "abc"), [3, 4, 2]);
    let forgetful = cols(["text"])
        >> Categorify::new()
            .with_freq_threshold(2)
            .with_kept_counts(false);
    let learned = refit(&forgetful, &texts("aab"), &texts("bc"), NewIds::Append);
    assert_eq!(ids(&learned, "abc"), [3, 2, 2]);
}

#[test]
fn numbering_anew_without_the_counts_is_refused() {
    let node = cols(["text"])
        >> Categorify::new()
            .with_freq_threshold(2)
            .with_kept_counts(false);
    let (a, b) = (dataset(&texts("aab")), dataset(&texts("bc")));
    let options = SessionOptions::new();
    let error = fit_and_refit(&node, &a, Some((&b, NewIds::ByCount)), options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "categorify (node 1): `keep_counts` is false, but numbering `text` anew needs the counts of the \
         values that were left out of it; fit it again with keep_counts, or append new values"
    );
}

#[test]
fn a_full_vocabulary_takes_no_new_values() {
    let node = cols(["text"]) >> Categorify::new().with_max_size(5);
    let learned = refit(&node, &texts("aab"), &texts("cccc"), NewIds::Append);
    assert_eq!(ids(&learned, "abc"), [3, 4, 2]);
    let learned = refit(&node, &texts("aab"), &texts("cccc"), NewIds::ByCount);
    assert_eq!(ids(&learned, "abc"), [4, 2, 3]);
}

#[test]
fn a_given_vocabulary_is_extended_only_if_asked() {
    let given = || Categorify::new().with_vocabulary("text", ["q", "a"]);
    let node = cols(["text"]) >> given();
    let fixed = refit(&node, &texts("aab"), &texts("bc"), NewIds::Append);
    assert_eq!(ids(&fixed, "qabc"), [3, 4, 2, 2]);
    let node = cols(["text"]) >> given().with_extended_vocabularies(true);
    let extended = fit(&node, &texts("aabcc-"));
    assert_eq!(ids(&extended, "qabc"), [3, 4, 6, 5]);
    let learned = refit(&node, &texts("aab"), &texts("bcc"), NewIds::ByCount);
    assert_eq!(ids(&learned, "qabc"), [3, 4, 5, 6]);
}

#[test]
fn distinct_values_cannot_be_added_up() {
    let node = cols(["text"]) >> JoinGroupby::of(["number"]).with_stats([Stat::Nunique]);
    let (a, b) = (dataset(&texts("a")), dataset(&texts("b")));
    let options = SessionOptions::new();
    let error = fit_and_refit(&node, &a, Some((&b, NewIds::Append)), options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "join_groupby (node 1): `stats` is a list with nunique, but numbers of distinct values do not add \
         up with those of more data; leave it out, or fit the workflow on all data"
    );
}

pub(super) fn statistics() -> JoinGroupby {
    JoinGroupby::of(["number", "float"]).with_stats([
        Stat::Count,
        Stat::Sum,
        Stat::Mean,
        Stat::Std,
        Stat::Var,
        Stat::Min,
        Stat::Max,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn numbering_anew_is_fitting_on_all(a in rows(), b in rows(), limit in 0..4_u64, by_size in any::<bool>()) {
        let limited = match by_size {
            true => Categorify::new().with_max_size(PerColumn::All(3 + limit)),
            false => Categorify::new().with_freq_threshold(PerColumn::All(limit)),
        };
        let pairs = limited.clone().with_encode_type(EncodeType::Combo);
        let node = (cols(["text", "number", "float"]) >> limited)
            + (group(["text", "number"]) >> pairs);
        let all = [a.clone(), b.clone()].concat();
        let (learned, fitted) = (refit(&node, &a, &b, NewIds::ByCount), fit(&node, &all));
        prop_assert_eq!(learned.output_schema(), fitted.output_schema());
        prop_assert_eq!(transform(&learned, &all), transform(&fitted, &all));
        prop_assert!(artifacts(&learned) == artifacts(&fitted));
    }

    #[test]
    fn appending_keeps_known_ids_and_counts_everything(a in rows(), b in rows(), least in 0..3_u64) {
        let node = cols(["text"]) >> Categorify::new().with_freq_threshold(least);
        let all = [a.clone(), b.clone()].concat();
        let (before, after) = (fit(&node, &a), refit(&node, &a, &b, NewIds::Append));
        let (old, new) = (transform(&before, &all), transform(&after, &all));
        let old = old["text"].as_primitive::<Int64Type>();
        for (old, new) in old.values().iter().zip(new["text"].as_primitive::<Int64Type>().values()) {
            prop_assert!(*old == 2 || old == new);
        }
        // The same values are known as after fitting on all, and all rows are accounted for.
        let fitted = fit(&node, &all);
        let known = |fitted: &FittedWorkflow| {
            let vocabularies = vocabularies(fitted);
            let vocabulary = vocabularies.iter().next().unwrap();
            let mut values: Vec<_> = vocabulary.values()[0].as_string::<i32>().iter()
                .flatten().map(str::to_owned).collect();
            values.sort();
            let observed = vocabulary.observed().unwrap();
            let counted: i64 = observed.counts.values().iter().sum();
            (values, counted as u64 + observed.nulls + observed.left_out)
        };
        let ((appended, total), (all_values, expected)) = (known(&after), known(&fitted));
        prop_assert_eq!(total, expected);
        // Values stay known that are frequent in the first data alone.
        prop_assert!(all_values.iter().all(|value| appended.contains(value)));
    }

    #[test]
    fn encodings_add_up_bit_by_bit(a in rows(), b in rows(), kfold in 1..4_u32) {
        let encoding = TargetEncoding::targets(["number", "float"])
            .with_kfold(kfold)
            .with_folds(Folds::Hash(vec!["text".to_owned(), "float".to_owned()]));
        let node = (cols(["text", "number"]) >> encoding.clone()) + (group(["text", "number"]) >> encoding);
        let all = [a.clone(), b.clone()].concat();
        let has_targets = |rows: &[Row]| {
            rows.iter().any(|row| row.1.is_some())
                && rows.iter().any(|row| row.2.is_some_and(|float| !float.is_nan()))
        };
        prop_assume!(has_targets(&a) && has_targets(&b));
        let (learned, fitted) = (refit(&node, &a, &b, NewIds::Append), fit(&node, &all));
        // Rows that none of both was fitted on: those of a fit are encoded out of fold.
        let others = [all.clone(), all].concat();
        prop_assert_eq!(transform(&learned, &others), transform(&fitted, &others));
    }

    #[test]
    fn statistics_by_key_add_up_bit_by_bit(a in rows(), b in rows()) {
        let node = (cols(["text", "float"]) >> statistics()) + (group(["text", "number"]) >> statistics());
        let all = [a.clone(), b.clone()].concat();
        let (learned, fitted) = (refit(&node, &a, &b, NewIds::Append), fit(&node, &all));
        prop_assert_eq!(transform(&learned, &all), transform(&fitted, &all));
    }
}
