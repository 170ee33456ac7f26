//! What an epoch gives: every row once, in an order that depends on the seed and the epoch alone.

use crate::fixtures::{batches, numbered_files, row_numbers};
use emrys_loader::{Batch, Loader, LoaderConfig, LoaderState, Missing};
use proptest::prelude::*;
use tempfile::tempdir;

/// 20 rows in 5 row groups, batches of 3, 2 row groups a chunk.
fn small(folder: &std::path::Path, config: LoaderConfig) -> Loader {
    let folder = numbered_files(folder, &[vec![4, 4], vec![4], vec![4, 4]]);
    Loader::open(folder, config.with_parts_per_chunk(2)).unwrap()
}

/// Every column of a row agrees with its number.
fn assert_aligned(batch: &Batch) {
    let items = batch.column("items").unwrap();
    let (values, offsets) = (batch.i64("items").unwrap(), items.offsets().unwrap());
    for (index, row) in batch.i64("row").unwrap().iter().enumerate() {
        assert_eq!(batch.i32("id").unwrap()[index], (row % 7) as i32);
        assert_eq!(batch.f32("half").unwrap()[index], *row as f32 / 2.0);
        let expected: Vec<i64> = (0..row % 4).map(|item| 10 * row + item).collect();
        assert_eq!(
            values[offsets[index] as usize..offsets[index + 1] as usize],
            expected
        );
    }
}

#[test]
fn batches_are_full_but_the_last() {
    let folder = tempdir().unwrap();
    for shuffle in [false, true] {
        let loader = small(folder.path(), LoaderConfig::new(3).with_shuffle(shuffle));
        let sizes: Vec<_> = batches(loader.epoch(0).unwrap())
            .iter()
            .map(Batch::num_rows)
            .collect();
        assert_eq!(sizes, [3, 3, 3, 3, 3, 3, 2]);
        assert_eq!(loader.len_batches(), 7);
    }
}

#[test]
fn drop_last_leaves_the_incomplete_batch_out() {
    let folder = tempdir().unwrap();
    let loader = small(folder.path(), LoaderConfig::new(3).with_drop_last(true));
    let given = batches(loader.epoch(0).unwrap());
    assert_eq!((given.len(), loader.len_batches()), (6, 6));
    assert_eq!(row_numbers(&given), (0..18).collect::<Vec<_>>());
}

#[test]
fn a_batch_larger_than_the_data_holds_all_rows() {
    let folder = tempdir().unwrap();
    let given = batches(
        small(folder.path(), LoaderConfig::new(30))
            .epoch(0)
            .unwrap(),
    );
    assert_eq!(given.iter().map(Batch::num_rows).collect::<Vec<_>>(), [20]);
}

#[test]
fn without_shuffle_rows_come_in_the_order_of_the_files() {
    let folder = tempdir().unwrap();
    let loader = small(folder.path(), LoaderConfig::new(3));
    assert_eq!(
        row_numbers(&batches(loader.epoch(0).unwrap())),
        (0..20).collect::<Vec<_>>()
    );
}

#[test]
fn epochs_and_seeds_differ_and_repeat() {
    let folder = tempdir().unwrap();
    let order = |seed, epoch| {
        let loader = small(
            folder.path(),
            LoaderConfig::new(3).with_shuffle(true).with_seed(seed),
        );
        row_numbers(&batches(loader.epoch(epoch).unwrap()))
    };
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
}

#[test]
fn the_order_stays_the_same_from_release_to_release() {
    let folder = tempdir().unwrap();
    let loader = small(
        folder.path(),
        LoaderConfig::new(20).with_shuffle(true).with_seed(42),
    );
    // Saved states are resumed by later releases, so a change here breaks them.
    assert_eq!(
        row_numbers(&batches(loader.epoch(1).unwrap())),
        [
            7, 5, 6, 4, 8, 9, 11, 10, 14, 18, 19, 13, 17, 15, 16, 12, 0, 3, 1, 2
        ]
    );
}

#[test]
fn the_order_of_row_groups_changes_from_epoch_to_epoch() {
    let folder = tempdir().unwrap();
    let folder = numbered_files(folder.path(), &[vec![1; 20]]);
    let loader = Loader::open(
        folder,
        LoaderConfig::new(5)
            .with_shuffle(true)
            .with_parts_per_chunk(1),
    )
    .unwrap();
    // A chunk has one row, so only the order of the row groups is random here.
    let orders: Vec<_> = (0..3)
        .map(|epoch| row_numbers(&batches(loader.epoch(epoch).unwrap())))
        .collect();
    assert!(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2]);
}

#[test]
fn the_order_does_not_depend_on_the_batch_size() {
    let folder = tempdir().unwrap();
    let order = |batch_size| {
        let loader = small(
            folder.path(),
            LoaderConfig::new(batch_size).with_shuffle(true),
        );
        row_numbers(&batches(loader.epoch(3).unwrap()))
    };
    assert_eq!(order(3), order(20));
}

#[test]
fn the_batches_do_not_depend_on_threads_and_lookahead() {
    let folder = tempdir().unwrap();
    let folder = numbered_files(folder.path(), &[vec![5, 1, 9], vec![2, 7], vec![11, 3]]);
    let given = |threads, parts_ahead, batches_ahead| {
        let config = LoaderConfig::new(4)
            .with_shuffle(true)
            .with_parts_per_chunk(3)
            .with_threads(threads);
        let config = config
            .with_parts_ahead(parts_ahead)
            .with_batches_ahead(batches_ahead);
        batches(Loader::open(&folder, config).unwrap().epoch(0).unwrap())
    };
    let expected = given(1, 1, 1);
    assert_eq!(given(2, 2, 4), expected);
    assert_eq!(given(7, 20, 1), expected);
}

#[test]
fn drop_last_drops_other_rows_in_each_epoch() {
    let folder = tempdir().unwrap();
    let loader = small(
        folder.path(),
        LoaderConfig::new(3).with_shuffle(true).with_drop_last(true),
    );
    let dropped: Vec<Vec<i64>> = (0..8)
        .map(|epoch| {
            let given = row_numbers(&batches(loader.epoch(epoch).unwrap()));
            (0..20).filter(|row| !given.contains(row)).collect()
        })
        .collect();
    assert!(dropped.iter().all(|rows| rows.len() == 2));
    assert!(
        dropped.iter().any(|rows| *rows != dropped[0]),
        "{dropped:?}"
    );
}

#[test]
fn a_resumed_epoch_gives_the_batches_that_were_left() {
    let folder = tempdir().unwrap();
    let loader = small(
        folder.path(),
        LoaderConfig::new(3).with_shuffle(true).with_seed(7),
    );
    let whole = batches(loader.epoch(2).unwrap());
    for done in 0..=whole.len() {
        let mut epoch = loader.epoch(2).unwrap();
        epoch
            .by_ref()
            .take(done)
            .for_each(|batch| drop(batch.unwrap()));
        let saved = serde_json::to_string(&epoch.state()).unwrap();
        drop(epoch);
        let state: LoaderState = serde_json::from_str(&saved).unwrap();
        assert_eq!((state.epoch(), state.batches_done()), (2, done));
        assert_eq!(batches(loader.epoch_from(&state).unwrap()), whole[done..]);
    }
}

#[test]
fn resuming_does_not_read_what_is_done() {
    let folder = tempdir().unwrap();
    let loader = small(folder.path(), LoaderConfig::new(4).with_drop_last(true));
    let mut epoch = loader.epoch(0).unwrap();
    epoch
        .by_ref()
        .take(2)
        .for_each(|batch| drop(batch.unwrap()));
    let state = epoch.state();
    drop(epoch);
    // The first chunk is the first file; it is not needed any more.
    std::fs::remove_file(folder.path().join("part_000.parquet")).unwrap();
    assert_eq!(
        row_numbers(&batches(loader.epoch_from(&state).unwrap())),
        (8..20).collect::<Vec<_>>()
    );
}

#[test]
fn dropping_an_epoch_early_stops_its_threads() {
    let folder = tempdir().unwrap();
    let folder = numbered_files(folder.path(), &vec![vec![50; 10]; 4]);
    let config = LoaderConfig::new(3)
        .with_shuffle(true)
        .with_threads(3)
        .with_batches_ahead(2);
    let loader = Loader::open(folder, config).unwrap();
    for taken in [0, 1, 5] {
        let mut epoch = loader.epoch(0).unwrap();
        epoch
            .by_ref()
            .take(taken)
            .for_each(|batch| drop(batch.unwrap()));
        // Waits for the threads: were one stuck, the test would hang here.
        drop(epoch);
    }
    #[cfg(target_os = "linux")]
    assert_eq!(loader_threads(), 0);
}

/// The loader's threads of this test's thread group that are still there.
#[cfg(target_os = "linux")]
fn loader_threads() -> usize {
    // Other tests of this file run epochs of their own, so only a lasting thread counts.
    let seen = || {
        let tasks = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(Result::ok);
        let loaders = tasks.filter(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            name.starts_with("emrys-loader")
        });
        loaders
            .map(|task| task.file_name())
            .collect::<std::collections::HashSet<_>>()
    };
    let mut lasting = seen();
    for _ in 0..100 {
        if lasting.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = seen();
        lasting.retain(|thread| now.contains(thread));
    }
    lasting.len()
}

#[test]
fn configs_are_read_from_text_with_the_usual_values_left_out() {
    let config: LoaderConfig =
        serde_json::from_str(r#"{"batch_size": 8, "missing": {"fill": 0.5}}"#).unwrap();
    assert_eq!(
        config,
        LoaderConfig::new(8).with_missing(Missing::Fill(0.5))
    );
    let text = serde_json::to_string(&config.clone().with_columns(["a"]).with_threads(3)).unwrap();
    assert_eq!(
        serde_json::from_str::<LoaderConfig>(&text).unwrap(),
        config.with_columns(["a"]).with_threads(3)
    );
}

#[test]
fn a_sample_holds_the_first_rows() {
    let folder = tempdir().unwrap();
    let loader = small(folder.path(), LoaderConfig::new(6).with_shuffle(true));
    let sample = loader.sample_batch().unwrap();
    assert_aligned(&sample);
    assert_eq!(row_numbers(&[sample]), (0..6).collect::<Vec<_>>());
    assert_eq!(
        small(folder.path(), LoaderConfig::new(99))
            .sample_batch()
            .unwrap()
            .num_rows(),
        20
    );
}

#[test]
fn another_config_reads_the_same_files() {
    let folder = tempdir().unwrap();
    let loader = small(folder.path(), LoaderConfig::new(3).with_shuffle(true));
    let narrow = loader
        .with_config(LoaderConfig::new(10).with_columns(["row"]))
        .unwrap();
    assert_eq!(narrow.schema().names(), ["row"]);
    let given = batches(narrow.epoch(0).unwrap());
    assert_eq!(given[0].names().collect::<Vec<_>>(), ["row"]);
    assert_eq!(row_numbers(&given), (0..20).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shuffled_epoch_is_a_permutation_of_aligned_rows(
        files in prop::collection::vec(prop::collection::vec(0_usize..9, 1..5), 1..4),
        batch_size in 1_usize..12,
        parts_per_chunk in 1_usize..6,
        threads in 1_usize..4,
        seed: u64,
        drop_last: bool,
    ) {
        let rows: usize = files.iter().flatten().sum();
        prop_assume!(rows >= batch_size);
        let folder = tempdir().unwrap();
        let folder = numbered_files(folder.path(), &files);
        let config = LoaderConfig::new(batch_size)
            .with_shuffle(true)
            .with_seed(seed)
            .with_drop_last(drop_last)
            .with_parts_per_chunk(parts_per_chunk)
            .with_threads(threads);
        let loader = Loader::open(folder, config).unwrap();
        let given = batches(loader.epoch(0).unwrap());
        prop_assert_eq!(given.len(), loader.len_batches());
        prop_assert!(given[..given.len() - 1].iter().all(|batch| batch.num_rows() == batch_size));
        given.iter().for_each(assert_aligned);
        let mut numbers = row_numbers(&given);
        numbers.sort_unstable();
        if drop_last {
            prop_assert_eq!(numbers.len(), rows / batch_size * batch_size);
            numbers.dedup();
            prop_assert_eq!(numbers.len(), rows / batch_size * batch_size);
            prop_assert!(numbers.iter().all(|row| (0..rows as i64).contains(row)));
        } else {
            prop_assert_eq!(numbers, (0..rows as i64).collect::<Vec<_>>());
        }
    }
}
