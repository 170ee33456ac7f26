//! Differences between rows.

use emrys_etl::ops::{DifferenceLag, Filter, LogOp};
use emrys_etl::{Dataset, SessionOptions, Workflow, WriteOptions, cols};
use proptest::prelude::*;
use serde_json::json;

use crate::table::{batch, collect, error, fit_parts, json as table, run, split};

#[test]
fn rows_before_are_found_over_the_borders_of_partitions() {
    let data = json!({"u": [1, 1, 1, 2, 2, 1], "t": [1, 3, 6, 10, 15, 21]});
    let node = cols(["u"]) + (cols(["t"]) >> DifferenceLag::new(["u"]).with_shifts([1, -2]));
    let expected = json!({
        "u": [1, 1, 1, 2, 2, 1],
        "t_difference_lag_1": [null, 2.0, 3.0, null, 5.0, null],
        "t_difference_lag_-2": [-5.0, null, null, null, null, null],
    });
    assert_eq!(run(node.clone(), &data), expected);
    for rows in 1..6 {
        let (fitted, data) = fit_parts(&node, &batch(&data), rows, 3);
        assert_eq!(table(&collect(&fitted, &data)), expected);
    }
}

#[test]
fn rows_that_were_filtered_are_not_the_row_before() {
    let data = json!({"u": [1, 1, 1, 1], "t": [1, 100, 3, 7], "ok": [1, 0, 1, 1]});
    let kept = cols(["u", "t", "ok"]) >> Filter::new("ok = 1");
    let lag = kept.subset(["t"]) >> DifferenceLag::new(["u"]);
    assert_eq!(
        run(lag, &data),
        json!({"t_difference_lag_1": [null, 2.0, 4.0]})
    );
}

#[test]
fn missing_values_have_no_difference() {
    let data = json!({"u": [1, null, null, 2, 2], "t": [1, 2, 3, null, 5]});
    let lag = cols(["t"]) >> DifferenceLag::new(["u"]);
    assert_eq!(
        run(lag, &data),
        json!({"t_difference_lag_1": [null, null, null, null, null]})
    );
    let all = cols(["t"]) >> DifferenceLag::new(Vec::<String>::new());
    assert_eq!(
        run(all, &data),
        json!({"t_difference_lag_1": [null, 1.0, 1.0, null, null]})
    );
}

#[test]
fn large_integers_are_subtracted_before_they_are_rounded() {
    let start = 1_700_000_000_000_000_000i64;
    let data = json!({"t": [start, start + 5]});
    let lag = cols(["t"]) >> DifferenceLag::new(Vec::<String>::new()) >> LogOp;
    let found = run(lag, &data)["t_difference_lag_1"][1].as_f64().unwrap();
    assert!((found - 6f64.ln()).abs() < 1e-6, "{found}");
}

#[test]
fn files_are_read_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 5_000i64;
    let data = batch(&json!({
        "u": (0..rows).map(|row| row / 7).collect::<Vec<_>>(),
        "t": (0..rows).map(|row| row * row).collect::<Vec<_>>(),
    }));
    let copy = Workflow::new(cols(["u", "t"]))
        .fit(&split(&data, 700))
        .unwrap();
    let path = folder.path().join("data");
    let options = WriteOptions::default().with_row_group_rows(300);
    copy.transform(&split(&data, 700))
        .unwrap()
        .write(&path, &options)
        .unwrap();
    let node = cols(["t"]) >> DifferenceLag::new(["u"]);
    let memory = split(&data, 5_000);
    let in_memory = Workflow::new(node.clone()).fit(&memory).unwrap();
    let files = Dataset::open(&path).unwrap();
    let options = SessionOptions::new().with_threads(4).with_batch_size(64);
    let from_files = Workflow::new(node)
        .with_options(options)
        .fit(&files)
        .unwrap();
    assert_eq!(collect(&from_files, &files), collect(&in_memory, &memory));
    // The order is known, so that rows pass through instead of being sorted.
    let plan = from_files.explain(&files).unwrap();
    let physical = plan.trim_end().rsplit("\n\n").next().unwrap();
    assert!(physical.contains("SortPreservingMergeExec"), "{plan}");
    assert!(!physical.contains("SortExec"), "{plan}");
}

#[test]
fn sums_of_lags_and_other_columns_stand_in_one_row() {
    let data = json!({"u": [1, 1, 2], "t": [1, 3, 6], "x": [1.0, 4.0, 9.0]});
    let t = cols(["t"]) >> DifferenceLag::new(["u"]);
    let x = cols(["x"]) >> DifferenceLag::new(Vec::<String>::new()).with_shifts([-1]);
    let of_lag = t.clone() >> DifferenceLag::new(Vec::<String>::new());
    let found = run(cols(["u"]) + t + x + of_lag, &data);
    assert_eq!(
        found,
        json!({
            "u": [1, 1, 2], "t_difference_lag_1": [null, 2.0, null],
            "x_difference_lag_-1": [-3.0, -5.0, null],
            "t_difference_lag_1_difference_lag_1": [null, null, null],
        })
    );
}

#[test]
fn shifts_must_be_other_rows() {
    let data = json!({"t": [1]});
    for (shifts, found) in [(vec![], "empty"), (vec![1, 0], "0"), (vec![2, 2], "2")] {
        let lag = DifferenceLag::new(Vec::<String>::new()).with_shifts(shifts);
        assert_eq!(
            error(cols(["t"]) >> lag, &data),
            format!(
                "difference_lag: `shift` is {found}, but at least one number is needed, each other \
                 than 0 and once"
            )
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn differences_are_those_of_one_sequence_of_rows(
        rows in prop::collection::vec((0u8..3, prop::option::weighted(0.8, -9i64..9)), 1..100),
        part in 1usize..40,
        threads in 1usize..5,
        shift in prop::sample::select(vec![-3i64, -1, 1, 2]),
    ) {
        let rows: Vec<(u8, Option<i64>)> = rows.into_iter().chain([(0, Some(1))]).collect();
        let expected: Vec<Option<f64>> = rows
            .iter()
            .enumerate()
            .map(|(row, (key, value))| {
                let other = rows.get(usize::try_from(row as i64 - shift).ok()?)?;
                (other.0 == *key).then_some(())?;
                Some(((*value)? - other.1?) as f64)
            })
            .collect();
        let data = batch(&json!({
            "k": rows.iter().map(|(k, _)| k).collect::<Vec<_>>(),
            "x": rows.iter().map(|(_, x)| x).collect::<Vec<_>>(),
        }));
        let node = cols(["x"]) >> DifferenceLag::new(["k"]).with_shifts([shift]);
        let (fitted, data) = fit_parts(&node, &data, part, threads);
        let found = table(&collect(&fitted, &data));
        prop_assert_eq!(&found[format!("x_difference_lag_{shift}")], &json!(expected));
    }
}
