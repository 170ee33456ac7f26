use std::path::Path;

use arrow::array::AsArray;
use arrow::array::types::Int32Type;
use datafusion::physical_plan::displayable;
use datafusion::prelude::lit;
use rstest::rstest;

use super::*;
use crate::Dataset;
use crate::io::testing::{
    TestResult, collect_partitions, column, frame, integers, numbered, session, write_parquet,
};

const WITH_ROW_ID: ReadOptions = ReadOptions {
    row_id: true,
    dictionary_strings: false,
};

/// Three files of 7, 50 and 43 rows, with row groups of several lengths; `id` counts all rows.
fn three_files(folder: &Path) -> Dataset {
    write_parquet(folder.join("part_1.parquet"), &numbered(0..7), 3);
    write_parquet(folder.join("part_2.parquet"), &numbered(7..57), 50);
    write_parquet(folder.join("part_10.parquet"), &numbered(57..100), 9);
    Dataset::open(folder).unwrap()
}

/// The same rows in memory, in batches that end elsewhere.
fn in_memory() -> Dataset {
    let batches = vec![numbered(0..41), numbered(41..41), numbered(41..100)];
    Dataset::from_batches(batches[0].schema(), batches).unwrap()
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[case(7)]
#[case(64)]
fn partitions_are_contiguous_and_row_ids_count_all_rows(#[case] partitions: usize) -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(partitions);
    for dataset in [three_files(folder.path()), in_memory()] {
        let found = collect_partitions(&session, frame(&session, &dataset, WITH_ROW_ID));
        assert!(found.len() <= partitions);
        assert!(
            partitions > 7 || found.len() == partitions,
            "{} partitions",
            found.len()
        );
        let all: Vec<i64> = (0..100).collect();
        assert_eq!(integers(found.iter().flatten(), "id"), all);
        assert_eq!(integers(found.iter().flatten(), ROW_ID), all);
    }
    Ok(())
}

#[rstest]
#[case(1)]
#[case(5)]
fn row_ids_survive_filters_that_prune_row_groups(#[case] partitions: usize) -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(partitions);
    for dataset in [three_files(folder.path()), in_memory()] {
        let frame = frame(&session, &dataset, WITH_ROW_ID)
            .filter(column("id").gt_eq(lit(60i64)))?
            .filter(column(ROW_ID).not_eq(lit(77i64)))?
            .select_columns(&[ROW_ID, "id"])?;
        let found = collect_partitions(&session, frame);
        let expected: Vec<i64> = (60..100).filter(|id| *id != 77).collect();
        assert_eq!(integers(found.iter().flatten(), ROW_ID), expected);
        assert_eq!(integers(found.iter().flatten(), "id"), expected);
    }
    Ok(())
}

#[test]
fn only_needed_columns_and_row_groups_are_read() -> TestResult {
    let folder = tempfile::tempdir()?;
    let dataset = three_files(folder.path());
    let session = session(1);
    let frame = frame(&session, &dataset, WITH_ROW_ID)
        .filter(column("id").gt_eq(lit(60i64)))?
        .select_columns(&["id"])?;
    let plan = session.block_on(frame.create_physical_plan())?;
    let context = session.context().task_ctx();
    session.block_on(datafusion::physical_plan::collect(
        Arc::clone(&plan),
        context,
    ))?;
    let text = displayable(&*plan).indent(false).to_string();
    assert!(text.contains("predicate=id@0 >= 60"), "{text}");
    assert!(text.contains("projection=[id]"), "{text}");
    // The last file, all of whose rows match; the row groups of the others are left out.
    let scanned = plan.children()[0]
        .metrics()
        .and_then(|metrics| metrics.output_rows());
    assert_eq!(scanned, Some(43));
    Ok(())
}

#[test]
fn counting_rows_reads_no_rows() -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(2);
    let frame = frame(
        &session,
        &three_files(folder.path()),
        ReadOptions::default(),
    );
    let plan = frame.aggregate(
        vec![],
        vec![datafusion::functions_aggregate::expr_fn::count(lit(1i64))],
    )?;
    let plan = session.block_on(plan.create_physical_plan())?;
    let text = displayable(&*plan).indent(false).to_string();
    assert!(
        text.contains("PlaceholderRowExec") && !text.contains("DataSourceExec"),
        "{text}"
    );
    Ok(())
}

#[test]
fn texts_come_as_dictionaries_on_request() -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(2);
    let options = ReadOptions {
        dictionary_strings: true,
        ..ReadOptions::default()
    };
    for dataset in [three_files(folder.path()), in_memory()] {
        let found = collect_partitions(&session, frame(&session, &dataset, options));
        let mut row = 0;
        for batch in found.iter().flatten() {
            let texts = batch
                .column_by_name("text")
                .unwrap()
                .as_dictionary::<Int32Type>();
            for text in texts.downcast_dict::<arrow::array::StringArray>().unwrap() {
                assert_eq!(text, Some(&*format!("word {}", row % 10)));
                row += 1;
            }
        }
        assert_eq!(row, 100);
    }
    Ok(())
}

#[test]
fn a_data_set_without_rows_has_columns() -> TestResult {
    let folder = tempfile::tempdir()?;
    write_parquet(folder.path().join("a.parquet"), &numbered(0..0), 10);
    let memory = Dataset::from_batches(numbered(0..0).schema(), vec![])?;
    let session = session(3);
    for dataset in [Dataset::open(folder.path())?, memory] {
        let found = collect_partitions(&session, frame(&session, &dataset, WITH_ROW_ID));
        assert_eq!((dataset.num_rows(), found.iter().flatten().count()), (0, 0));
        assert_eq!(dataset.table(WITH_ROW_ID)?.schema().fields().len(), 3);
    }
    Ok(())
}

#[test]
fn a_limit_stops_the_scan() -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(1);
    for dataset in [three_files(folder.path()), in_memory()] {
        let frame = frame(&session, &dataset, WITH_ROW_ID).limit(0, Some(9))?;
        let found = collect_partitions(&session, frame);
        assert_eq!(
            integers(found.iter().flatten(), "id"),
            (0..9).collect::<Vec<_>>()
        );
    }
    Ok(())
}

#[test]
fn damage_found_while_scanning_is_blamed_on_its_row_group() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("b.parquet");
    write_parquet(folder.path().join("a.parquet"), &numbered(0..1000), 1000);
    write_parquet(&path, &numbered(0..1000), 500);
    let whole = std::fs::read(&path)?;
    let session = session(2);
    let mut failures = 0;
    // Damages another place of the pages each time; some of them decode all the same.
    for place in (4..whole.len() - 2000).step_by(101) {
        let mut bytes = whole.clone();
        bytes[place..place + 20].fill(0xff);
        std::fs::write(&path, bytes)?;
        let dataset = Dataset::open(folder.path())?;
        let frame = frame(&session, &dataset, ReadOptions::default());
        let collect = async { frame.collect().await.map_err(Error::query("reading")) };
        let Err(error) = session
            .run("reading", collect)
            .map_err(|error| dataset.blame(error))
        else {
            continue;
        };
        failures += 1;
        let text = error.to_string();
        assert!(
            text.contains("b.parquet`: row group ") && text.contains("is damaged ("),
            "{text}"
        );
    }
    assert!(failures > 3, "{failures} of the damages were noticed");

    let unrelated = Error::Internal("x".into());
    assert!(matches!(
        Dataset::open(folder.path())?.blame(unrelated),
        Error::Internal(_)
    ));
    Ok(())
}

#[test]
fn a_column_with_the_name_of_the_row_id_is_refused() -> TestResult {
    let batch = RecordBatch::try_from_iter([(ROW_ID, numbered(0..1).column(0).clone())])?;
    let dataset = Dataset::from_batches(batch.schema(), vec![batch])?;
    insta::assert_snapshot!(dataset.table(WITH_ROW_ID).unwrap_err(), @"data set with row ids: two columns are called `__row_id`; rename one of them");
    Ok(())
}
