//! The order of shuffled rows.

use super::*;

fn write(
    partitions: &[std::ops::Range<i64>],
    batch_rows: i64,
    threads: usize,
    options: &WriteOptions,
) -> Result<Vec<i64>, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let batches = |range: &std::ops::Range<i64>| {
        let mut start = range.start;
        std::iter::from_fn(|| {
            let end = (start + batch_rows).min(range.end);
            let batch = (start < end).then(|| Ok(numbered(start..end)));
            start = end;
            batch
        })
        .collect()
    };
    let streams = streams(partitions.iter().map(batches).collect());
    let session = session(threads);
    let schema = schema_of(&numbered(0..0));
    session.block_on(write_partitions(streams, &schema, &out, options))?;
    Ok(ids_of(&session, &Dataset::open(&out)?))
}

#[test]
fn a_full_shuffle_depends_on_seed_and_data_alone() -> TestResult {
    let full = |seed| WriteOptions::new().with_shuffle(Shuffle::Full { seed });
    let whole: [std::ops::Range<i64>; 1] = std::array::from_fn(|_| 0..5000);
    let first = write(&whole, 5000, 1, &full(7))?;
    let cut = [0..1, 1..1, 1..2000, 2000..2003, 2003..5000];
    for options in [
        full(7),
        full(7).with_buffer_bytes(2000),
        full(7).with_layout(FileLayout::Files(3)),
        full(7)
            .with_layout(FileLayout::RowsPerFile(700))
            .with_buffer_bytes(100_000),
    ] {
        assert_eq!(write(&cut, 333, 3, &options)?, first, "{options:?}");
    }
    assert_ne!(write(&whole, 5000, 1, &full(8))?, first);
    assert_ne!(first, (0..5000).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_full_shuffle_makes_as_many_files_as_are_asked_for() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let options = WriteOptions::new()
        .with_shuffle(Shuffle::Full { seed: 3 })
        .with_layout(FileLayout::Files(8));
    let data = numbered(0..8000);
    let manifest = write_all(&data, &out, &options)?;
    assert_eq!(manifest.files.len(), 8);
    // The standard deviation of each is 30.
    assert!(
        manifest
            .files
            .iter()
            .all(|file| (850..1150).contains(&file.rows))
    );
    Ok(())
}

/// The chi-square statistic of where the rows of each twentieth went.
fn chi_square(order: &[i64]) -> f64 {
    const PARTS: usize = 20;
    let mut counts = [[0.0; PARTS]; PARTS];
    for (place, id) in order.iter().enumerate() {
        counts[place * PARTS / order.len()][*id as usize * PARTS / order.len()] += 1.0;
    }
    let expected = order.len() as f64 / (PARTS * PARTS) as f64;
    counts
        .iter()
        .flatten()
        .map(|count: &f64| (count - expected).powi(2) / expected)
        .sum()
}

#[test]
fn every_place_is_equally_likely_after_a_full_shuffle() -> TestResult {
    let partitions = [0..3000, 3000..12_000, 12_000..20_000];
    for seed in 0..5 {
        let options = WriteOptions::new()
            .with_shuffle(Shuffle::Full { seed })
            .with_buffer_bytes(200_000);
        let order = write(&partitions, 1000, 2, &options)?;
        // 361 degrees of freedom: a mean of 361, and 450 is exceeded once in a thousand times. A
        // statistic that is far too small would show an order that is too even.
        let statistic = chi_square(&order);
        assert!(
            (280.0..450.0).contains(&statistic),
            "seed {seed}: {statistic}"
        );
        let fixed = order
            .iter()
            .enumerate()
            .filter(|(place, id)| *place as i64 == **id)
            .count();
        assert!(fixed < 8, "seed {seed}: {fixed} rows stayed in their place");
    }
    // The statistic sees an order that is not random.
    assert!(chi_square(&(0..20_000).collect::<Vec<_>>()) > 10_000.0);
    Ok(())
}

#[test]
fn rows_stay_in_their_window_when_partitions_are_shuffled() -> TestResult {
    let options = WriteOptions::new().with_shuffle(Shuffle::PerPartition {
        seed: 5,
        window_rows: 100,
    });
    let partitions = [0..1050, 1050..2000];
    let order = write(&partitions, 77, 2, &options)?;
    assert_eq!(
        write(&partitions, 1000, 1, &options)?,
        order,
        "batches and threads do not matter"
    );
    let windows = (0..2)
        .flat_map(|partition| {
            let range = partitions[partition].clone();
            range.clone().step_by(100).map(move |start| {
                let end = (start + 100).min(range.end);
                start..end
            })
        })
        .collect::<Vec<_>>();
    for window in windows {
        let found = &order[window.start as usize..window.end as usize];
        assert_ne!(found, window.clone().collect::<Vec<_>>());
        let mut found = found.to_vec();
        found.sort_unstable();
        assert_eq!(found, window.collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn lists_and_texts_survive_a_full_shuffle() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let rows = 1000i32;
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|i| (i % 7 != 0).then(|| (0..i % 5).map(move |j| (j != 2).then_some(i + j)))),
    );
    let words: arrow::array::DictionaryArray<Int32Type> = (0..rows)
        .map(|i| (i % 3 != 0).then_some(["a", "long word", ""][i as usize % 3]))
        .collect();
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows));
    let data = batch([
        ("id", ids),
        ("list", Arc::new(lists)),
        ("word", Arc::new(words)),
    ])
    .slice(10, 900);
    let plain = folder.path().join("plain");
    for (path, options) in [
        (&plain, WriteOptions::new()),
        (
            &out,
            WriteOptions::new()
                .with_shuffle(Shuffle::Full { seed: 1 })
                .with_buffer_bytes(3000),
        ),
    ] {
        write_batches(
            [Ok(data.clone())],
            &data.schema(),
            &schema_of(&data),
            path,
            &options,
        )?;
    }
    assert_ne!(rows_of(&out), rows_of(&plain));
    assert_eq!(sorted(rows_of(&out)), sorted(rows_of(&plain)));
    Ok(())
}

/// A shuffle of rows that take long to compress, in a folder, and how far it is.
struct SlowShuffle {
    folder: tempfile::TempDir,
}

impl SlowShuffle {
    fn new() -> SlowShuffle {
        let folder = tempfile::tempdir().unwrap();
        SlowShuffle { folder }
    }

    async fn run(&self, stop: Stop) -> Result<Manifest> {
        let options = WriteOptions::new()
            .with_shuffle(Shuffle::Full { seed: 1 })
            .with_compression(Compression::Brotli(11))
            .with_row_group_rows(1000);
        let parts = [0..1_000_000, 1_000_000..2_000_000];
        let batches = parts.map(|part| vec![Ok(numbered(part))]);
        let out = self.folder.path().join("out");
        let schema = schema_of(&numbered(0..0));
        write_until(streams(batches.into()), &schema, &out, &options, stop).await
    }

    /// Waits until shuffled rows are written, which begins when all others have been read.
    async fn is_merging(&self) {
        let begun = |path: PathBuf| {
            let names = fs::read_dir(path).into_iter().flatten().flatten();
            names
                .map(|entry| entry.file_name().into_string().unwrap())
                .any(|name| name.starts_with("unnamed_"))
        };
        while !names(self.folder.path())
            .iter()
            .any(|name| begun(self.folder.path().join(name)))
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// Far less than the shuffle would take.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

#[test]
fn a_shuffle_that_is_dropped_while_it_merges_stops_at_once() {
    let shuffle = SlowShuffle::new();
    let session = session(2);
    let started = std::time::Instant::now();
    session.block_on(async {
        tokio::select! {
            _ = shuffle.run(Stop::default()) => panic!("it was done too soon"),
            () = shuffle.is_merging() => {}
        }
        let dropped = std::time::Instant::now();
        let metrics = tokio::runtime::Handle::current().metrics();
        while metrics.num_alive_tasks() > 0 {
            assert!(
                dropped.elapsed() < SOON,
                "tasks go on, {:?}",
                started.elapsed()
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    assert_eq!(names(shuffle.folder.path()), Vec::<String>::new());
}

#[test]
fn a_shuffle_that_is_cancelled_while_it_merges_stops_at_once() {
    let shuffle = SlowShuffle::new();
    let progress = crate::Progress::new();
    let outcome = session(2).block_on(async {
        let stop = Stop::when_cancelled(Some(&progress));
        let cancel = async {
            shuffle.is_merging().await;
            progress.cancel();
            tokio::time::sleep(SOON).await;
            panic!("it goes on");
        };
        tokio::select! {
            outcome = shuffle.run(stop) => outcome,
            () = cancel => unreachable!(),
        }
    });
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    assert_eq!(names(shuffle.folder.path()), Vec::<String>::new());
}
