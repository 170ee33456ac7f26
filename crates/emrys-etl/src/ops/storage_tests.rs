//! Where fitted tables lie, and how much memory fitting had, changes no bit of what comes out.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use proptest::prelude::*;

use super::refit_tests::{dataset, rows, statistics, transform};
use super::{
    Bucketize, Categorify, DataStats, EncodeType, FillMedian, JoinGroupby, Rename, Stat,
    TargetEncoding, Vocabularies,
};
use crate::fit::testing::fit_and_refit;
use crate::operator::NewIds;
use crate::{Dataset, FittedWorkflow, Node, SessionOptions, StateStorage, Workflow, cols, group};

fn everything() -> Node {
    let ids = || Categorify::new().with_freq_threshold(2).with_num_buckets(3);
    let pairs = ids().with_encode_type(EncodeType::Combo);
    let encoding = || TargetEncoding::targets(["number"]).with_kfold(3);
    let distinct = JoinGroupby::of(["float", "number"])
        .with_stats([Stat::Nunique])
        .with_name_sep("|");
    (cols(["text", "number", "float"]) >> ids())
        + (group(["text", "number"]) >> pairs)
        + (cols(["text", "float"]) >> encoding())
        + (group(["number", "float"]) >> encoding())
        + (cols(["text", "number"]) >> statistics())
        + (group(["float", "text"]) >> distinct)
}

/// What reads medians, quantiles and numbers of distinct values from all that there are.
fn exact() -> Node {
    (cols(["number", "float"]) >> FillMedian::default())
        + (cols(["number", "float"]) >> Bucketize::quantiles(7) >> Rename::postfix("_bucket"))
        + (cols(["number", "text"]) >> DataStats::default() >> Rename::postfix("_same"))
}

fn options(storage: StateStorage, limit: Option<usize>) -> SessionOptions {
    let options = SessionOptions::new()
        .with_threads(2)
        .with_batch_size(16)
        .with_state_storage(storage);
    match limit {
        Some(limit) => options.with_memory_limit(limit),
        None => options,
    }
}

fn saved_and_loaded(fitted: &FittedWorkflow, options: SessionOptions) -> FittedWorkflow {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow");
    fitted.save(&path).unwrap();
    FittedWorkflow::load_with(path, options).unwrap()
}

/// Rows with many distinct values in all columns.
fn many(rows: i64) -> Dataset {
    let hash = |row: i64| crate::hash::hash_bits(row.cast_unsigned());
    let value = |row: i64| (hash(row) % (rows.cast_unsigned() / 2)).cast_signed();
    let texts = (0..rows).map(|row| match value(row) % 3 {
        0 => format!("a text that is long: {}", value(row)),
        _ => format!("{}", value(row)),
    });
    let texts = StringArray::from_iter_values(texts);
    let numbers = Int64Array::from_iter((0..rows).map(|row| (row % 11 != 0).then(|| value(row))));
    let floats = Float64Array::from_iter_values((0..rows).map(|row| value(row + 7) as f64 / 3.0));
    let columns: [(&str, ArrayRef); 3] = [
        ("text", Arc::new(texts)),
        ("number", Arc::new(numbers)),
        ("float", Arc::new(floats)),
    ];
    let columns = columns.map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

#[test]
fn little_memory_gives_the_same_rows() {
    let data = many(60_000);
    let fit = |options: SessionOptions| {
        let fitted = Workflow::new(everything()).with_options(options).fit(&data);
        let fitted = fitted.unwrap();
        let rows = fitted.transform(&data).unwrap().collect().unwrap();
        // Batches are smaller where memory is limited.
        let rows = concat_batches(&rows[0].schema(), &rows).unwrap();
        (fitted.output_schema().clone(), rows)
    };
    let unlimited = fit(SessionOptions::new().with_threads(2));
    for (mebibytes, threads) in [(24, 2), (16, 2), (48, 4), (72, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let limited = SessionOptions::new()
            .with_threads(threads)
            .with_memory_limit(mebibytes << 20)
            .with_spill_dir(folder.path());
        assert_eq!(fit(limited), unlimited, "{mebibytes} MiB");
        // Spilled results and tables have no names, and the engine removes its files.
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn exact_distributions_give_the_same_bits_from_disk() {
    let (first, more) = (many(30_000), many(50_000));
    let fit = |storage, limit, threads| {
        let options = options(storage, limit)
            .with_batch_size(1024)
            .with_threads(threads);
        fit_and_refit(&exact(), &first, Some((&more, NewIds::Append)), options).unwrap()
    };
    let known = |fitted: &FittedWorkflow| {
        let rows = fitted.transform(&more).unwrap().collect().unwrap();
        let rows = concat_batches(&rows[0].schema(), &rows).unwrap();
        (DataStats::of(fitted), rows)
    };
    let memory = known(&fit(StateStorage::Memory, None, 2));
    let distinct: Vec<_> = memory.0.iter().map(|of| of.cardinality).collect();
    assert!(
        distinct.iter().all(|count| *count > Some(20_000)),
        "{distinct:?}"
    );
    for (storage, limit) in [
        (StateStorage::Disk, None),
        (StateStorage::Auto, Some(16 << 20)),
        (StateStorage::Disk, Some(24 << 20)),
    ] {
        let fitted = fit(storage, limit, 2);
        assert_eq!(known(&fitted), memory);
        let again = options(storage, limit);
        assert_eq!(known(&saved_and_loaded(&fitted, again)), memory);
    }
}

#[test]
fn tables_that_exceed_a_quarter_of_the_limit_lie_on_disk() {
    let data = many(200_000);
    let fit = |options: SessionOptions| {
        let node = cols(["text"]) >> Categorify::new();
        let fitted = Workflow::new(node)
            .with_options(options)
            .fit(&data)
            .unwrap();
        let states = fitted.states.values().map(|state| -> &dyn Any { &**state });
        let mut vocabularies = states.filter_map(|state| state.downcast_ref::<Vocabularies>());
        let vocabularies = vocabularies.next().unwrap();
        vocabularies
            .iter()
            .map(|vocabulary| vocabulary.index_bytes())
            .sum::<usize>()
    };
    assert_eq!(
        fit(options(StateStorage::Auto, Some(16 << 20)).with_batch_size(8192)),
        0
    );
    assert!(fit(options(StateStorage::Auto, Some(200 << 20)).with_batch_size(8192)) > 0);
    assert!(fit(options(StateStorage::Memory, Some(24 << 20)).with_batch_size(8192)) > 0);
    assert_eq!(fit(options(StateStorage::Disk, None)), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn tables_on_disk_give_the_same_bits(train in rows(), more in rows(), other in rows()) {
        prop_assume!(train.iter().any(|row| row.1.is_some()));
        let data = dataset(&train);
        let fit = |storage, limit| {
            fit_and_refit(&everything(), &data, None, options(storage, limit)).unwrap()
        };
        let memory = fit(StateStorage::Memory, None);
        let seen = transform(&memory, &train);
        let unseen = transform(&memory, &other);
        for (storage, limit) in [
            (StateStorage::Disk, None),
            (StateStorage::Disk, Some(64 << 20)),
            (StateStorage::Auto, Some(64 << 20)),
        ] {
            let fitted = fit(storage, limit);
            prop_assert_eq!(fitted.output_schema(), memory.output_schema());
            prop_assert_eq!(&transform(&fitted, &train), &seen);
            prop_assert_eq!(&transform(&fitted, &other), &unseen);
            let loaded = saved_and_loaded(&fitted, options(StateStorage::Disk, None));
            prop_assert_eq!(&transform(&loaded, &other), &unseen);
            let loaded = saved_and_loaded(&fitted, options(StateStorage::Memory, None));
            prop_assert_eq!(&transform(&loaded, &other), &unseen);
        }
        // They learn alike, too.
        prop_assume!(more.iter().any(|row| row.1.is_some()));
        let more = dataset(&more);
        let node = (cols(["text", "float"]) >> Categorify::new().with_freq_threshold(2))
            + (cols(["text"]) >> statistics());
        for ids in [NewIds::Append, NewIds::ByCount] {
            let learn = |storage, limit| {
                let second = Some((&more, ids));
                fit_and_refit(&node, &data, second, options(storage, limit)).unwrap()
            };
            let expected = transform(&learn(StateStorage::Memory, None), &other);
            prop_assert_eq!(transform(&learn(StateStorage::Disk, None), &other), expected.clone());
            prop_assert_eq!(transform(&learn(StateStorage::Disk, Some(64 << 20)), &other), expected);
        }
    }
}
