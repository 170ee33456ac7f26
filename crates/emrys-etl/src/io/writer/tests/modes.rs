//! What holds for every way of writing.

use proptest::prelude::*;

use super::*;

/// How the rows of `numbered` are shown by `rows_of`.
fn expected(ids: std::ops::Range<i64>, partition_on: bool) -> Vec<String> {
    sorted(
        ids.map(|id| match partition_on {
            true => format!("{id}, text=word {}", id % 10),
            false => format!("{id}, word {}", id % 10),
        })
        .collect(),
    )
}

fn layouts() -> impl Strategy<Value = FileLayout> {
    prop_oneof![
        Just(FileLayout::PerPartition),
        (1usize..12).prop_map(FileLayout::Files),
        (1usize..20).prop_map(FileLayout::RowsPerFile),
        (1u64..2000).prop_map(FileLayout::BytesPerFile),
    ]
}

fn shuffles() -> impl Strategy<Value = Shuffle> {
    prop_oneof![
        Just(Shuffle::None),
        (any::<u64>(), 1usize..30)
            .prop_map(|(seed, window_rows)| Shuffle::PerPartition { seed, window_rows }),
        any::<u64>().prop_map(|seed| Shuffle::Full { seed }),
    ]
}

/// Partitions of batches of the numbers from 0 on.
fn cut(lengths: &[Vec<i64>]) -> (Vec<Vec<Result<RecordBatch>>>, i64) {
    let mut next = 0;
    let partitions = lengths.iter().map(|batches| {
        let batches = batches.iter().map(|length| {
            next += length;
            Ok(numbered(next - length..next))
        });
        batches.collect()
    });
    (partitions.collect(), next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_mode_keeps_the_rows(
        lengths in prop::collection::vec(prop::collection::vec(0i64..25, 0..5), 1..6),
        layout in layouts(),
        shuffle in shuffles(),
        partition_on in any::<bool>(),
        open_files in 1usize..8,
        buffer_bytes in prop_oneof![1usize..5000, Just(256 << 20)],
        row_group_rows in 1usize..40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let (partitions, rows) = cut(&lengths);
        let session = session(3);
        let mut options = WriteOptions::new()
            .with_layout(layout)
            .with_shuffle(shuffle)
            .with_open_files(open_files)
            .with_buffer_bytes(buffer_bytes)
            .with_row_group_rows(row_group_rows);
        if partition_on {
            options = options.with_partition_on(["text"]);
        }
        let schema = schema_of(&numbered(0..0));
        let streams = streams(partitions);
        let manifest = session
            .block_on(write_partitions(streams, &schema, &out, &options))
            .unwrap();
        prop_assert_eq!(manifest.rows, rows as u64);
        prop_assert_eq!(sorted(rows_of(&out)), expected(0..rows, partition_on));
        prop_assert_eq!(names(folder.path()), ["out"]);
        prop_assert!(names(&out).iter().all(|name| !name.contains("shuffle")));
        if let FileLayout::RowsPerFile(most) = layout {
            prop_assert!(manifest.files.iter().all(|file| file.rows <= most as u64));
        }
    }
}

/// Four partitions of three rows over four files, two per worker: a writer that cuts each
/// partition into `rows / files` rows loses the remainder.
#[test]
fn partitions_that_do_not_divide_evenly_lose_no_rows() -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(2);
    let schema = schema_of(&numbered(0..0));
    let layouts = [
        FileLayout::PerPartition,
        FileLayout::Files(4),
        FileLayout::Files(2),
        FileLayout::Files(5),
        FileLayout::RowsPerFile(2),
        FileLayout::BytesPerFile(1),
    ];
    let shuffles = [
        Shuffle::None,
        Shuffle::PerPartition {
            seed: 1,
            window_rows: 2,
        },
        Shuffle::Full { seed: 1 },
    ];
    for (layout, shuffle) in layouts
        .into_iter()
        .flat_map(|layout| shuffles.map(|shuffle| (layout, shuffle)))
    {
        let out = folder.path().join(format!("{layout:?} {shuffle:?}"));
        let (partitions, _) = cut(&[vec![3], vec![3], vec![3], vec![3]]);
        let options = WriteOptions::new()
            .with_layout(layout)
            .with_shuffle(shuffle);
        let streams = streams(partitions);
        let manifest = session.block_on(write_partitions(streams, &schema, &out, &options))?;
        assert_eq!(manifest.rows, 12, "{layout:?} {shuffle:?}");
        assert_eq!(
            sorted(rows_of(&out)),
            expected(0..12, false),
            "{layout:?} {shuffle:?}"
        );
    }
    Ok(())
}

#[test]
fn files_come_near_the_size_that_is_asked_for() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let noise = |rows: std::ops::Range<u64>| {
        let values = rows.map(|row| crate::hash::hash_bits(row) as f64);
        let column: ArrayRef = Arc::new(arrow::array::Float64Array::from_iter_values(values));
        batch([("id", column)])
    };
    let wanted = 400_000;
    let options = WriteOptions::new()
        .with_layout(FileLayout::BytesPerFile(wanted))
        .with_row_group_rows(30_000);
    let batches = (0..40).map(|i| Ok(noise(i * 10_000..(i + 1) * 10_000)));
    let schema = noise(0..0);
    let manifest = write_batches(
        batches,
        &schema.schema(),
        &schema_of(&schema),
        &out,
        &options,
    )?;
    assert_eq!(manifest.rows, 400_000);
    let (last, others) = manifest.files.split_last().unwrap();
    assert!((6..=9).contains(&others.len()), "{}", others.len());
    for file in others {
        assert!(
            (wanted * 85 / 100..wanted * 125 / 100).contains(&file.bytes),
            "{} bytes",
            file.bytes
        );
    }
    assert!(last.bytes < wanted * 125 / 100);
    Ok(())
}

#[test]
fn addresses_of_files_are_paths() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let rows = numbered(0..5);
    let schema = schema_of(&rows);
    let url = PathBuf::from(format!("file://{}", out.display()));
    write_batches(
        [Ok(rows.clone())],
        &rows.schema(),
        &schema,
        &url,
        &WriteOptions::new(),
    )?;
    assert_eq!(ids_of(&session(1), &Dataset::open(&url)?), [0, 1, 2, 3, 4]);
    assert_eq!(names(folder.path()), ["out"]);
    Ok(())
}
