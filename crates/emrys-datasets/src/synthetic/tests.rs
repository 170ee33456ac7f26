use std::fs::File;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int32Type};
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// All rows of a folder of part files.
fn read(folder: &Path) -> RecordBatch {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let batches: Vec<RecordBatch> = paths
        .iter()
        .flat_map(|path| {
            ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
                .unwrap()
                .build()
                .unwrap()
        })
        .map(Result::unwrap)
        .collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn small() -> ClickLog {
    ClickLog::new(20_000, 10_000)
        .with_users(300)
        .with_items(100)
        .with_seed(5)
}

#[test]
fn the_seed_alone_decides_the_rows() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let one = small().write(folder.path().join("one"))?;
    let in_parts = small()
        .with_rows_per_part(3_000)
        .write(folder.path().join("parts"))?;
    let other = small().with_seed(6).write(folder.path().join("other"))?;

    assert_eq!(read(&one.train), read(&in_parts.train));
    assert_eq!(read(&one.valid), read(&in_parts.valid));
    assert_eq!(one.attainable_auc, in_parts.attainable_auc);
    assert_eq!(fs::read_dir(&in_parts.train)?.count(), 7);
    assert_ne!(read(&one.train), read(&other.train));
    Ok(())
}

#[test]
fn the_attainable_figures_are_those_of_the_written_labels() -> Result<(), Box<dyn std::error::Error>>
{
    let folder = tempfile::tempdir()?;
    let log = small().write(folder.path())?;
    let rows = read(&log.valid);
    let clicks = rows
        .column_by_name("click")
        .unwrap()
        .as_primitive::<Int32Type>();
    let rate = f64::from(clicks.values().iter().sum::<i32>()) / clicks.len() as f64;
    assert_eq!(rate, log.click_rate);
    assert!((0.2..0.4).contains(&rate), "{rate}");
    assert!((0.80..0.90).contains(&log.attainable_auc), "{log:?}");
    // Knowing everything beats knowing the rate alone.
    let entropy = -rate * rate.ln() - (1.0 - rate) * (1.0 - rate).ln();
    assert!(
        log.attainable_log_loss < 0.9 * entropy,
        "{log:?}, entropy {entropy}"
    );
    Ok(())
}

#[test]
fn continuous_columns_have_nulls_and_heavy_tails() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let rows = read(&small().write(folder.path())?.train);
    for (name, null_share) in [("session_seconds", 0.10), ("price", 0.05)] {
        let column = rows
            .column_by_name(name)
            .unwrap()
            .as_primitive::<Float64Type>();
        let nulls = column.null_count() as f64 / column.len() as f64;
        assert!((nulls - null_share).abs() < 0.01, "{name}: {nulls}");
        let mut values: Vec<f64> = column.iter().flatten().collect();
        values.sort_by(f64::total_cmp);
        let median = values[values.len() / 2];
        let high = values[values.len() * 99 / 100];
        assert!(
            values[0] > 0.0 && high > 5.0 * median,
            "{name}: median {median}, 99% {high}"
        );
    }
    Ok(())
}

#[test]
fn lists_are_ragged_and_some_are_empty() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let rows = read(&small().write(folder.path())?.train);
    let tags = rows.column_by_name("tags").unwrap().as_list::<i32>();
    let lengths: std::collections::BTreeSet<i32> =
        (0..tags.len()).map(|row| tags.value_length(row)).collect();
    assert_eq!(lengths, (0..=4).collect());
    Ok(())
}

#[test]
fn side_features_belong_to_their_user_or_item() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let rows = read(&small().write(folder.path())?.train);
    for (id, feature) in [
        ("user_id", "city"),
        ("item_id", "category"),
        ("item_id", "tags"),
    ] {
        let text = |name: &str, row| {
            array_value_to_string(rows.column_by_name(name).unwrap(), row).unwrap()
        };
        let mut seen = std::collections::HashMap::new();
        for row in 0..rows.num_rows() {
            let value = text(feature, row);
            let first = seen.entry(text(id, row)).or_insert_with(|| value.clone());
            assert_eq!(*first, value, "{feature} of {id} in row {row}");
        }
    }
    Ok(())
}

#[test]
fn an_older_log_is_kept_unless_overwriting_is_allowed() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let log = ClickLog::new(100, 100).with_rows_per_part(10);
    log.write(folder.path())?;
    let error = log.write(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::OutputExists { path } if *path == folder.path().join("train")));

    let log = log
        .with_rows_per_part(50)
        .with_overwrite(true)
        .write(folder.path())?;
    assert_eq!(fs::read_dir(log.train)?.count(), 2);
    Ok(())
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |log: ClickLog| log.write("never-written").unwrap_err().to_string();
    insta::assert_snapshot!(refused(ClickLog::new(0, 1)), @"train_rows is 0, expected at least 1");
    insta::assert_snapshot!(refused(ClickLog::new(1, 0)), @"valid_rows is 0, expected at least 1");
    insta::assert_snapshot!(refused(ClickLog::new(1, 1).with_users(0)), @"users is 0, expected 1 to 10 million");
    insta::assert_snapshot!(
        refused(ClickLog::new(1, 1).with_items(20_000_000)),
        @"items is 20000000, expected 1 to 10 million"
    );
    insta::assert_snapshot!(
        refused(ClickLog::new(1, 1).with_rows_per_part(0)),
        @"rows_per_part is 0, expected at least 1"
    );
}
