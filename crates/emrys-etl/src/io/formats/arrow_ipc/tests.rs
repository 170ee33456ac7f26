use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int64Array};
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use insta::assert_snapshot;
use rstest::rstest;

use super::*;
use crate::io::ROW_ID;
use crate::io::testing::{
    TestResult, batch, collect_partitions, column, frame, integers, numbered, session,
    without_folder,
};
use crate::{Dataset, ReadOptions};

fn write(path: &Path, batches: &[RecordBatch], stream: bool, compression: Option<CompressionType>) {
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap();
    let file = std::fs::File::create(path).unwrap();
    let schema = batches[0].schema();
    match stream {
        true => {
            let mut writer = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        false => {
            let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
    }
}

/// Batches with a column of dictionaries, which are written apart.
fn batches() -> Vec<RecordBatch> {
    let with_words = |range: std::ops::Range<i64>| {
        let words: DictionaryArray<Int32Type> = range
            .clone()
            .map(|id| ["odd", "even", "zero"][usize::try_from(id % 3).unwrap()])
            .collect();
        batch([
            (
                "id",
                Arc::new(Int64Array::from_iter_values(range)) as ArrayRef,
            ),
            ("word", Arc::new(words)),
        ])
    };
    // The writer of files wants one dictionary for all.
    let whole = with_words(0..100);
    vec![whole.slice(0, 40), whole.slice(40, 1), whole.slice(41, 59)]
}

#[rstest]
#[case(false, None)]
#[case(true, None)]
#[case(false, Some(CompressionType::LZ4_FRAME))]
#[case(true, Some(CompressionType::ZSTD))]
fn files_and_streams_are_read_in_order(
    #[case] stream: bool,
    #[case] compression: Option<CompressionType>,
) -> TestResult {
    let folder = tempfile::tempdir()?;
    write(
        &folder.path().join("x.arrow"),
        &batches(),
        stream,
        compression,
    );
    let dataset = Dataset::open(folder.path())?;
    assert_eq!(dataset.files()[0].row_groups, [40, 1, 59]);
    let with_row_id = ReadOptions {
        row_id: true,
        ..ReadOptions::default()
    };
    let expected: Vec<i64> = (0..100).collect();
    for partitions in [1, 2, 5] {
        let session = session(partitions);
        let found = collect_partitions(&session, frame(&session, &dataset, with_row_id));
        assert_eq!(integers(found.iter().flatten(), "id"), expected);
        assert_eq!(integers(found.iter().flatten(), ROW_ID), expected);
        let words: Vec<&str> = found
            .iter()
            .flatten()
            .flat_map(|batch| batch.column(1).as_string_view().iter().flatten())
            .collect();
        assert_eq!(words.len(), 100);
        assert_eq!(words[..3], ["odd", "even", "zero"]);
    }
    let session = session(2);
    let some = frame(&session, &dataset, ReadOptions::default())
        .filter(column("id").gt(datafusion::prelude::lit(90i64)))?
        .select_columns(&["word"])?;
    let rows = session.block_on(some.collect())?;
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 9);
    Ok(())
}

#[test]
fn the_fingerprint_sees_values() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.feather");
    write(&path, &[numbered(0..10)], false, None);
    let first = Dataset::open(&path)?.fingerprint()?;
    write(&path, &[numbered(1..11)], false, None);
    assert_ne!(first, Dataset::open(&path)?.fingerprint()?);
    Ok(())
}

#[test]
fn dictionaries_may_be_replaced_within_a_stream() -> TestResult {
    let folder = tempfile::tempdir()?;
    let words = |words: [&str; 2]| {
        let words: DictionaryArray<Int32Type> = words.into_iter().collect();
        batch([("word", Arc::new(words) as ArrayRef)])
    };
    let path = folder.path().join("x.arrows");
    write(&path, &[words(["a", "b"]), words(["c", "d"])], true, None);
    let session = session(2);
    let dataset = Dataset::open(&path)?;
    let found = collect_partitions(&session, frame(&session, &dataset, ReadOptions::default()));
    let found: Vec<&str> = found
        .iter()
        .flatten()
        .flat_map(|batch| batch.column(0).as_string_view().iter().flatten())
        .collect();
    assert_eq!(found, ["a", "b", "c", "d"]);
    Ok(())
}

#[test]
fn damaged_files_are_named_and_never_panic() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path: PathBuf = folder.path().join("x.arrow");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Dataset::open(&path)
    };
    let text = |bytes: &[u8]| without_folder(&open(bytes).unwrap_err(), folder.path());
    write(&path, &batches(), false, None);
    let file = std::fs::read(&path)?;
    write(&path, &batches(), true, None);
    let stream = std::fs::read(&path)?;
    assert_snapshot!(text(b""), @"read `x.arrow`: the file is empty (0 bytes); write it again or leave it out");
    assert_snapshot!(text(b"a,b\n1,2\n"), @"read `x.arrow`: it is no sound Arrow file or stream (it ends before the mark of its end, so it may be cut off); write it again");
    assert_snapshot!(text(&file[..file.len() / 2]), @"read `x.arrow`: it is cut off (its last bytes are not `ARROW1`); write it again");
    assert_snapshot!(text(&stream[..stream.len() - 8]), @"read `x.arrow`: it is no sound Arrow file or stream (it ends before the mark of its end, so it may be cut off); write it again");
    for bytes in [&file, &stream] {
        for place in (0..bytes.len()).step_by(37) {
            let mut damaged = bytes.clone();
            let end = (place + 3).min(damaged.len());
            damaged[place..end].fill(0xff);
            let Ok(dataset) = open(&damaged) else {
                continue;
            };
            let session = session(2);
            let frame = frame(&session, &dataset, ReadOptions::default());
            let collect = async { frame.collect().await.map_err(Error::query("reading")) };
            if let Err(error) = session.run("reading", collect) {
                let text = error.to_string();
                assert!(text.contains("x.arrow`: it is no sound Arrow"), "{text}");
            }
        }
    }
    Ok(())
}
