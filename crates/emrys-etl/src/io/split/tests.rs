use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::Int32Type;
use insta::assert_snapshot;
use rstest::rstest;

use super::*;
use crate::io::testing::{TestResult, batch, collect_partitions, frame, integers, session};
use crate::io::{FileLayout, ReadOptions, Shuffle};

/// Clicks of nine users at times that are not in order; the row `id` is its number.
fn clicks(rows: i64) -> RecordBatch {
    let hash = |row: i64| crate::hash::hash_bits(row.cast_unsigned());
    let user = (0..rows).map(|row| (row % 50 != 0).then_some((hash(row) % 9).cast_signed()));
    let name: ArrayRef = Arc::new(StringArray::from_iter(
        user.clone()
            .map(|user| user.map(|user| format!("user {user}"))),
    ));
    let time = (0..rows).map(|row| (row % 20 != 1).then_some((hash(row + 1) % 500).cast_signed()));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    batch([
        ("id", ids),
        ("user", Arc::new(user.collect::<Int64Array>())),
        ("name", name),
        ("time", Arc::new(time.collect::<Int64Array>())),
    ])
}

fn in_batches(data: &RecordBatch, rows: usize) -> Dataset {
    let batches = (0..data.num_rows())
        .step_by(rows)
        .map(|start| data.slice(start, rows.min(data.num_rows() - start)));
    Dataset::from_batches(data.schema(), batches.collect()).unwrap()
}

/// The ids in the parts of a split.
fn split_with(
    split: &Split,
    dataset: &Dataset,
    threads: usize,
    options: &WriteOptions,
) -> Result<(Vec<i64>, Vec<i64>)> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let session = session(threads);
    let written = split.write(dataset, &session, &out, options)?;
    let ids = |part: &str, manifest: &Manifest| {
        let dataset = Dataset::open(out.join(part)).unwrap();
        let frame = frame(&session, &dataset, ReadOptions::default());
        let batches = collect_partitions(&session, frame);
        let ids = integers(batches.iter().flatten(), "id");
        assert_eq!(ids.len() as u64, manifest.rows);
        ids
    };
    Ok((ids("train", &written.train), ids("valid", &written.valid)))
}

fn held_out(split: &Split, data: &RecordBatch) -> Vec<i64> {
    let options = WriteOptions::new();
    let (train, valid) = split_with(split, &in_batches(data, 100), 3, &options).unwrap();
    let mut all: Vec<i64> = train.iter().chain(&valid).copied().collect();
    assert!(train.is_sorted() && valid.is_sorted(), "the order is kept");
    all.sort_unstable();
    assert_eq!(all, (0..data.num_rows() as i64).collect::<Vec<_>>());
    valid
}

#[rstest]
#[case::random(Split::random(0.3, 7))]
#[case::by_key(Split::by_key(["user"], 0.4, 7))]
#[case::by_two_keys(Split::by_key(["user", "name"], 0.4, 7))]
#[case::from_time(Split::from_time("time", 400))]
#[case::latest(Split::latest("time", 0.25))]
#[case::last_per_key(Split::last_per_key(["user"], "time", 3))]
#[case::matching(Split::matching("time % 3 = 0 AND name <> 'user 4'"))]
fn a_split_depends_on_rule_and_data_alone(#[case] split: Split) -> TestResult {
    let data = clicks(1000);
    let expected = held_out(&split, &data);
    assert!(
        (100..600).contains(&expected.len()) || expected.len() == 27,
        "{expected:?}"
    );
    for (rows, threads) in [(1000, 1), (7, 2), (333, 5)] {
        let options = WriteOptions::new().with_layout(FileLayout::RowsPerFile(60));
        let (_, valid) = split_with(&split, &in_batches(&data, rows), threads, &options)?;
        assert_eq!(valid, expected, "batches of {rows} rows, {threads} threads");
    }
    let options = WriteOptions::new().with_shuffle(Shuffle::Full { seed: 1 });
    let (_, mut valid) = split_with(&split, &in_batches(&data, 50), 2, &options)?;
    assert_ne!(valid, expected);
    valid.sort_unstable();
    assert_eq!(valid, expected);
    let text = serde_json::to_string(&split)?;
    assert_eq!(serde_json::from_str::<Split>(&text)?, split);
    Ok(())
}

#[test]
fn a_random_split_holds_out_the_exact_number() {
    for (rows, fraction, expected) in [(1000, 0.2, 200), (999, 0.5, 499), (3, 0.1, 0)] {
        let valid = held_out(&Split::random(fraction, 1), &clicks(rows));
        assert_eq!(valid.len(), expected);
    }
    let data = clicks(1000);
    assert_ne!(
        held_out(&Split::random(0.2, 1), &data),
        held_out(&Split::random(0.2, 2), &data)
    );
}

#[test]
fn a_user_is_on_one_side_whatever_the_data() {
    let split = Split::by_key(["user"], 0.4, 3);
    let users = |data: &RecordBatch, ids: &[i64]| -> BTreeSet<Option<i64>> {
        let users = data.column_by_name("user").unwrap();
        let users: Vec<_> =
            arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(users)
                .iter()
                .collect();
        ids.iter().map(|id| users[*id as usize]).collect()
    };
    let data = clicks(1000);
    let valid = held_out(&split, &data);
    let in_valid = users(&data, &valid);
    let train: Vec<i64> = (0..1000).filter(|id| !valid.contains(id)).collect();
    let in_train = users(&data, &train);
    assert!(in_valid.is_disjoint(&in_train));
    assert!(
        in_train.contains(&None),
        "rows without a user are for training"
    );
    assert!((1..9).contains(&in_valid.len()), "{in_valid:?}");
    // Fewer rows of the same users are on the same sides.
    let few = clicks(200);
    assert!(users(&few, &held_out(&split, &few)).is_subset(&in_valid));
}

#[test]
fn about_the_fraction_of_many_users_is_held_out() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let data = batch([("id", Arc::clone(&ids)), ("user", ids)]);
    let valid = held_out(&Split::by_key(["user"], 0.1, 5), &data);
    // The standard deviation is 42.
    assert!((1800..2200).contains(&valid.len()), "{}", valid.len());
}

#[test]
fn time_divides_at_a_point_or_at_a_quantile() -> TestResult {
    let times = [
        Some(3.0),
        Some(1.0),
        None,
        Some(2.0),
        Some(3.0),
        Some(5.0),
        Some(4.0),
        Some(3.0),
    ];
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..8));
    let day: ArrayRef = Arc::new(Date32Array::from_iter(
        times.map(|time| time.map(|time| time as i32)),
    ));
    let time: ArrayRef = Arc::new(Float64Array::from_iter(times));
    let data = batch([("id", ids), ("time", time), ("day", day)]);
    assert_eq!(held_out(&Split::from_time("time", 4), &data), [5, 6]);
    assert_eq!(
        held_out(&Split::from_time("day", "1970-01-05"), &data),
        [5, 6]
    );
    assert_eq!(
        held_out(&Split::from_time("time", 77.5), &data),
        Vec::<i64>::new()
    );
    // A quarter of eight rows are two; three eighths would cut through the rows of time 3.
    assert_eq!(held_out(&Split::latest("time", 0.25), &data), [5, 6]);
    assert_eq!(held_out(&Split::latest("day", 0.3), &data), [5, 6]);
    assert_eq!(held_out(&Split::latest("time", 0.6), &data), [5, 6]);
    assert_eq!(
        held_out(&Split::latest("time", 0.63), &data),
        [0, 4, 5, 6, 7]
    );
    let dataset = in_batches(&data, 3);
    let few = Split::latest("time", 0.1);
    let told = split_with(&few, &dataset, 2, &WriteOptions::new()).unwrap_err();
    assert_snapshot!(told, @"split: the last value of `time` alone has 1 rows, but at most 0 are to be held out; raise the fraction");
    Ok(())
}

#[test]
fn the_last_rows_of_every_user_are_held_out() {
    let data = clicks(1000);
    let valid = held_out(&Split::last_per_key(["user"], "time", 3), &data);
    assert_eq!(valid.len(), 27);
    // A naive reference: sort the rows of every user by time and number.
    let column = |name: &str| {
        let column = data.column_by_name(name).unwrap();
        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(column)
            .iter()
            .collect::<Vec<_>>()
    };
    let (users, times) = (column("user"), column("time"));
    let mut rows: BTreeMap<i64, Vec<(Option<i64>, i64)>> = BTreeMap::new();
    for row in 0..1000 {
        if let Some(user) = users[row] {
            rows.entry(user).or_default().push((times[row], row as i64));
        }
    }
    let mut expected = Vec::new();
    for rows in rows.values_mut() {
        rows.sort_unstable();
        expected.extend(rows[rows.len() - 3..].iter().map(|(_, row)| *row));
    }
    expected.sort_unstable();
    assert_eq!(valid, expected);
}

#[test]
fn users_with_few_rows_stay_for_training() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6));
    let user: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 1, 2, 3]));
    let data = batch([("id", ids), ("user", user)]);
    assert_eq!(
        held_out(&Split::last_per_key(["user"], "id", 1), &data),
        [3, 4]
    );
    assert_eq!(
        held_out(&Split::last_per_key(["user"], "id", 2), &data),
        [1, 3]
    );
}

#[test]
fn null_is_not_a_match() {
    let data = clicks(100);
    let late = held_out(&Split::matching("time >= 250"), &data);
    let early = held_out(&Split::matching("NOT time >= 250"), &data);
    // Five rows have no time.
    assert_eq!(late.len() + early.len(), 95);
}

#[test]
fn a_split_is_one_folder_that_is_whole_or_not_there() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let dataset = in_batches(&clicks(100), 10);
    let session = session(2);
    let write = |split: &Split, overwrite| {
        let options = WriteOptions::new().with_overwrite(overwrite);
        split.write(&dataset, &session, &out, &options)
    };
    let names = |path: &Path| {
        let entries = fs::read_dir(path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<_>>()
    };
    // The division fails at a row in the middle.
    let failing = Split::matching("10 / (id - 50) > 1");
    let told = write(&failing, false).unwrap_err().to_string();
    assert!(told.contains("divides by zero"), "{told}");
    assert_eq!(names(folder.path()), BTreeSet::new());

    let written = write(&Split::random(0.5, 1), false)?;
    assert_eq!(written.train.rows + written.valid.rows, 100);
    assert_eq!(
        names(&out),
        ["_split.json", "train", "valid"].map(String::from).into()
    );
    assert_snapshot!(fs::read_to_string(out.join(SPLIT_FILE))?, @r#"
    {
      "random": {
        "fraction": 0.5,
        "seed": 1
      }
    }
    "#);
    let refused = write(&Split::random(0.1, 1), false).unwrap_err();
    assert!(matches!(refused, Error::OutputExists { .. }), "{refused}");
    write(&failing, true).unwrap_err();
    assert_eq!(Dataset::open(out.join("valid"))?.num_rows(), 50);
    write(&Split::random(0.1, 1), true)?;
    assert_eq!(Dataset::open(out.join("valid"))?.num_rows(), 10);
    assert_eq!(names(folder.path()), ["out".to_owned()].into());
    Ok(())
}

#[test]
fn rules_that_do_not_fit_the_data_are_refused_before_anything_is_written() -> TestResult {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let lists: ArrayRef = Arc::new(lists);
    let price: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let day: ArrayRef = Arc::new(Date32Array::from(vec![1]));
    let data = batch([("list", lists), ("price", price), ("day", day)]);
    let dataset = in_batches(&data, 1);
    let refused = |split: Split| {
        split_with(&split, &dataset, 1, &WriteOptions::new())
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(refused(Split::random(1.0, 1)), @"split: `fraction` is 1, but more than 0 and less than 1 is needed");
    assert_snapshot!(refused(Split::latest("day", f64::NAN)), @"split: `fraction` is NaN, but more than 0 and less than 1 is needed");
    assert_snapshot!(refused(Split::by_key(Vec::<String>::new(), 0.1, 1)), @"split: `columns` is [], but at least 1 column is needed");
    assert_snapshot!(refused(Split::by_key(["prize"], 0.1, 1)), @"split: column `prize` is not in the input; did you mean `price`? (input: list, price, day)");
    assert_snapshot!(refused(Split::by_key(["price"], 0.1, 1)), @"split: column `price` is Float64, but keys are integers, booleans, texts, dates or timestamps; cast it");
    assert_snapshot!(refused(Split::from_time("day", "soon")), @"split: `start` is `soon`, but `day` holds Date32; write it as a value of the column");
    assert_snapshot!(refused(Split::last_per_key(["day"], "day", 0)), @"split: `rows` is 0, but at least 1 row is needed");
    assert_snapshot!(refused(Split::matching("price + 1")), @"split: `expr` is `price + 1`, but it gives Float64; a comparison is needed, which is true or false");
    assert!(refused(Split::matching("prize > 1")).contains("prize"));
    assert!(refused(Split::latest("list", 0.5)).contains("column `list` is List("));
    Ok(())
}
