//! What the names of folders and their manifests say.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::fixtures::{batches, numbered_rows, row_numbers, write};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use emrys_loader::{Loader, LoaderConfig, Missing, Values};
use emrys_schema::{ColumnSchema, DType, Schema};
use tempfile::{TempDir, tempdir};

/// Twelve numbered rows in folders by `day` and `hour`.
fn by_folders() -> TempDir {
    let folder = tempdir().unwrap();
    for (name, rows) in [
        ("day=1/hour=7", 0..5),
        ("day=1/hour=8", 5..6),
        ("day=2/hour=7", 6..12),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        write(&path.join("part_00000.parquet"), &numbered_rows(rows), 2);
    }
    folder
}

fn config(batch_size: usize) -> LoaderConfig {
    LoaderConfig::new(batch_size).with_columns(["day", "row", "hour"])
}

fn refused(folder: &Path, config: LoaderConfig) -> String {
    let error = Loader::open(folder, config).unwrap_err();
    error
        .to_string()
        .replace(&folder.display().to_string(), "DIR")
}

#[test]
fn folders_give_columns_to_their_files() {
    let folder = by_folders();
    let loader = Loader::open(folder.path(), config(12)).unwrap();
    let batch = loader.sample_batch().unwrap();
    assert_eq!(
        batch.i64("row").unwrap(),
        (0..12).collect::<Vec<_>>().as_slice()
    );
    assert_eq!(
        batch.i64("day").unwrap(),
        [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    );
    assert_eq!(
        batch.i64("hour").unwrap(),
        [7, 7, 7, 7, 7, 8, 7, 7, 7, 7, 7, 7]
    );

    let shuffled = Loader::open(folder.path(), config(5)).unwrap();
    let shuffled = batches(shuffled.epoch(1).unwrap());
    let rows = row_numbers(&shuffled);
    let days: Vec<i64> = shuffled
        .iter()
        .flat_map(|batch| batch.i64("day").unwrap().to_vec())
        .collect();
    let expected: Vec<i64> = rows.iter().map(|row| 1 + row / 6).collect();
    assert_eq!(days, expected);
    // All columns of numbers are loaded, those of folders too; and they may be the only ones.
    let all = Loader::open(folder.path(), LoaderConfig::new(1)).unwrap();
    assert_eq!(
        all.schema().names(),
        ["row", "id", "half", "items", "day", "hour"]
    );
    let only = LoaderConfig::new(12).with_columns(["day"]);
    let only = Loader::open(folder.path(), only).unwrap();
    assert_eq!(only.sample_batch().unwrap().i64("day").unwrap().len(), 12);
}

#[test]
fn globs_and_single_folders_give_what_is_below_them() {
    let folder = by_folders();
    let glob = folder.path().join("day=*").display().to_string();
    let loader = Loader::open(glob, config(12)).unwrap();
    assert_eq!(loader.sample_batch().unwrap().i64("day").unwrap()[11], 2);
    let one = folder.path().join("day=1");
    let loader = Loader::open(&one, LoaderConfig::new(6).with_columns(["hour"])).unwrap();
    assert_eq!(loader.num_rows(), 6);
    assert!(refused(&one, config(6)).contains("day"));
}

#[test]
fn the_schema_gives_the_types_of_folders() {
    let folder = by_folders();
    let schema = Schema::new([
        ColumnSchema::new("day", DType::Float32),
        ColumnSchema::new("hour", DType::Int8),
    ])
    .unwrap();
    schema.write_dir(folder.path()).unwrap();
    let loader = Loader::open(folder.path(), LoaderConfig::new(12)).unwrap();
    let batch = loader.sample_batch().unwrap();
    let values: Vec<Values> = batch
        .columns()
        .map(|(_, column)| column.values().clone())
        .collect();
    let days = vec![
        1.0f32, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0,
    ];
    assert_eq!(values[0], days.into());
    assert_eq!(values[1], vec![7, 7, 7, 7, 7, 8, 7, 7, 7, 7, 7, 7].into());

    fs::rename(
        folder.path().join("day=2"),
        folder.path().join("day=tuesday"),
    )
    .unwrap();
    insta::assert_snapshot!(refused(folder.path(), LoaderConfig::new(12)), @"`DIR/day=tuesday/hour=7/part_00000.parquet`: its directory says `tuesday` for column `day`, which is Float32; correct the schema or the name");
}

#[test]
fn nulls_of_folders_are_nulls() {
    let folder = by_folders();
    fs::rename(
        folder.path().join("day=2"),
        folder.path().join("day=__HIVE_DEFAULT_PARTITION__"),
    )
    .unwrap();
    let days = Schema::new([
        ColumnSchema::new("day", DType::Float64),
        ColumnSchema::new("row", DType::Int64),
    ])
    .unwrap();
    let config = LoaderConfig::new(12).with_missing(Missing::Fill(-1.0));
    let loader = Loader::open_with_schema(folder.path(), days, config).unwrap();
    let batch = loader.sample_batch().unwrap();
    let (_, day) = batch.columns().next().unwrap();
    let expected = vec![
        1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0,
    ];
    assert_eq!(day.values().clone(), Values::from(expected));
}

#[test]
fn what_only_some_folders_say_is_no_column() {
    let folder = by_folders();
    let path = folder.path().join("day=3");
    fs::create_dir(&path).unwrap();
    write(&path.join("part_00000.parquet"), &numbered_rows(0..3), 3);
    let loader = Loader::open(folder.path(), LoaderConfig::new(2)).unwrap();
    assert_eq!(
        loader.schema().names(),
        ["row", "id", "half", "items", "day"]
    );
    let error = Loader::open(folder.path(), config(2)).unwrap_err();
    assert!(error.to_string().contains("`hour`"), "{error}");
}

#[test]
fn a_column_that_is_in_the_files_is_read_from_them() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("row=99");
    fs::create_dir(&path).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let records = RecordBatch::try_from_iter([("row", column)]).unwrap();
    write(&path.join("a.parquet"), &records, 2);
    let loader = Loader::open(folder.path(), LoaderConfig::new(2)).unwrap();
    assert_eq!(loader.sample_batch().unwrap().i64("row").unwrap(), [1, 2]);
}

#[test]
fn a_folder_that_does_not_agree_with_its_manifest_is_refused() {
    let folder = by_folders();
    let bytes = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    let (first, second) = (
        "day=1/hour=7/part_00000.parquet",
        "day=1/hour=8/part_00000.parquet",
    );
    let entry = |name: &str, bytes: u64| serde_json::json!({"name": name, "rows": 1, "bytes": bytes, "xxh64": ""});
    let write_manifest = |files: Vec<serde_json::Value>| {
        let manifest = serde_json::json!({"version": 1, "rows": 12, "files": files});
        fs::write(folder.path().join("_emrys.json"), manifest.to_string()).unwrap();
    };
    let third = "day=2/hour=7/part_00000.parquet";
    let listed = |last: u64| {
        vec![
            entry(first, bytes(first)),
            entry(second, bytes(second)),
            entry(third, last),
        ]
    };
    let open = || refused(folder.path(), LoaderConfig::new(2));
    write_manifest(listed(bytes(third)));
    Loader::open(folder.path(), LoaderConfig::new(2)).unwrap();
    write_manifest(listed(7));
    let size = bytes(third).to_string();
    insta::assert_snapshot!(open().replace(&size, "SIZE"), @"`DIR`: `day=2/hour=7/part_00000.parquet` has SIZE bytes, but its manifest `_emrys.json` says 7; write the data again");
    write_manifest(listed(bytes(third))[..2].to_vec());
    insta::assert_snapshot!(open(), @"`DIR`: `day=2/hour=7/part_00000.parquet` is not in its manifest `_emrys.json`; write the data again");
    let mut more = listed(bytes(third));
    more.push(entry("day=3/part_00000.parquet", 1));
    write_manifest(more);
    insta::assert_snapshot!(open(), @"`DIR`: `day=3/part_00000.parquet` is missing, which its manifest `_emrys.json` lists; write the data again");
    fs::write(folder.path().join("_emrys.json"), "half").unwrap();
    assert!(open().starts_with("`DIR`: `_emrys.json` is not a manifest ("));
    fs::write(folder.path().join("_incomplete"), "").unwrap();
    insta::assert_snapshot!(open(), @"`DIR`: it is the unfinished output of an interrupted run; write the data again");
}
