//! What bad settings, files and values get: the exact text of each error.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use crate::fixtures::{numbered_files, numbered_rows, write, write_columns};
use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, UInt64Array,
};
use arrow::datatypes::{Float32Type, Int64Type};
use emrys_loader::{Batch, Column, Error, Loader, LoaderConfig, Missing};
use emrys_schema::{ColumnSchema, DType, Schema, Shape, Tag};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

/// The text of an error, the folder's name left out.
fn text(folder: &TempDir, error: &Error) -> String {
    error
        .to_string()
        .replace(&format!("{}/", folder.path().display()), "")
}

/// The error of opening a folder.
fn refused(folder: &TempDir, config: LoaderConfig) -> String {
    text(folder, &Loader::open(folder.path(), config).unwrap_err())
}

/// The error of opening a folder with a schema.
fn refused_with(folder: &TempDir, columns: impl IntoIterator<Item = ColumnSchema>) -> String {
    let schema = Schema::new(columns).unwrap();
    text(
        folder,
        &Loader::open_with_schema(folder.path(), schema, LoaderConfig::new(2)).unwrap_err(),
    )
}

/// The error of an epoch over a folder; there are no batches after it.
fn failed(folder: &TempDir, config: LoaderConfig) -> String {
    let mut epoch = Loader::open(folder.path(), config)
        .unwrap()
        .epoch(0)
        .unwrap();
    let error = epoch.find_map(Result::err).unwrap();
    assert!(epoch.next().is_none());
    text(folder, &error)
}

fn folder_of(columns: Vec<(&str, ArrayRef)>) -> TempDir {
    let folder = tempdir().unwrap();
    write_columns(&folder.path().join("a.parquet"), columns);
    folder
}

fn two_files(first: Vec<(&str, ArrayRef)>, second: Vec<(&str, ArrayRef)>) -> TempDir {
    let folder = folder_of(first);
    write_columns(&folder.path().join("b.parquet"), second);
    folder
}

fn integers(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

#[test]
fn settings_of_zero() {
    let folder = folder_of(vec![("x", integers([1, 2]))]);
    insta::assert_snapshot!(refused(&folder, LoaderConfig::new(0)), @"`batch_size` is 0; it must be at least 1");
    let config = LoaderConfig::new(1).with_parts_per_chunk(0);
    insta::assert_snapshot!(refused(&folder, config), @"`parts_per_chunk` is 0; it must be at least 1");
    let config = LoaderConfig::new(1).with_threads(0);
    insta::assert_snapshot!(refused(&folder, config), @"`threads` is 0; it must be at least 1");
}

#[test]
fn drop_last_of_everything() {
    let folder = folder_of(vec![("x", integers(0..20))]);
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(30).with_drop_last(true)),
        @"drop_last leaves no batch: 20 rows do not fill a batch of 30; lower batch_size or keep the last batch"
    );
}

#[test]
fn states_of_other_runs() {
    let folder = folder_of(vec![("x", integers(0..20))]);
    let open = |config| Loader::open(folder.path(), config).unwrap();
    let state = open(LoaderConfig::new(2).with_seed(1))
        .epoch(0)
        .unwrap()
        .state();
    insta::assert_snapshot!(
        open(LoaderConfig::new(5).with_seed(1)).epoch_from(&state).unwrap_err(),
        @"the saved state has batch_size = 2, this loader has 5; resume with the data and settings of the run that was saved"
    );
    insta::assert_snapshot!(
        open(LoaderConfig::new(2).with_seed(9)).epoch_from(&state).unwrap_err(),
        @"the saved state has seed = 1, this loader has 9; resume with the data and settings of the run that was saved"
    );
}

#[test]
fn nothing_at_the_path() {
    let folder = tempdir().unwrap();
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)).replace(&folder.path().display().to_string(), "folder"),
        @"no parquet file at `folder`; give a file, a directory or a glob such as `data/*.parquet`"
    );
    let open =
        |name: &str| Loader::open(folder.path().join(name), LoaderConfig::new(2)).unwrap_err();
    insta::assert_snapshot!(
        text(&folder, &open("*.parquet")),
        @"no parquet file at `*.parquet`; give a file, a directory or a glob such as `data/*.parquet`"
    );
    insta::assert_snapshot!(text(&folder, &open("a.parquet")), @"cannot read `a.parquet`");
    insta::assert_snapshot!(text(&folder, &open("a[.parquet")), @"`a[.parquet` is not a valid glob pattern");
}

#[test]
fn a_data_set_without_rows() {
    let folder = folder_of(vec![("x", integers([]))]);
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)),
        @"the data set has no rows (1 files); was everything filtered out?"
    );
}

#[test]
fn a_file_that_was_cut_off() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &numbered_rows(0..10), 10);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)),
        @"`a.parquet` is not a whole parquet file; it may have been cut off while it was written or copied"
    );
}

#[test]
fn pages_that_are_corrupt() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &numbered_rows(0..1000), 500);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4..400].fill(0xff);
    fs::write(&path, bytes).unwrap();
    insta::assert_snapshot!(
        failed(&folder, LoaderConfig::new(2)),
        @"row group 0 of `a.parquet` is corrupt; write or copy the file again"
    );
}

#[test]
fn a_file_that_vanishes_after_opening() {
    let folder = tempdir().unwrap();
    let loader = Loader::open(
        numbered_files(folder.path(), &[vec![4], vec![4]]),
        LoaderConfig::new(4),
    )
    .unwrap();
    fs::remove_file(folder.path().join("part_001.parquet")).unwrap();
    let results: Vec<_> = loader
        .with_config(LoaderConfig::new(4).with_parts_per_chunk(1))
        .unwrap()
        .epoch(0)
        .unwrap()
        .collect();
    assert!(results[0].is_ok());
    insta::assert_snapshot!(text(&folder, results[1].as_ref().unwrap_err()), @"cannot read `part_001.parquet`");
    assert_eq!(results.len(), 2);
}

#[test]
fn files_that_differ() {
    let folder = two_files(vec![("x", integers([1]))], vec![("x", texts(&["1"]))]);
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)),
        @"`a.parquet` and `b.parquet` differ in column `x`: Int32 and Utf8; rewrite one of the files or leave it out"
    );
    let folder = two_files(
        vec![("x", integers([1]))],
        vec![("x", integers([1])), ("y", integers([1]))],
    );
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)),
        @"`a.parquet` and `b.parquet` differ in column `y`: absent and Int32; rewrite one of the files or leave it out"
    );
}

#[test]
fn footers_that_carry_different_schemas() {
    let folder = tempdir().unwrap();
    for (name, tag) in [
        ("a.parquet", Tag::Categorical),
        ("b.parquet", Tag::Continuous),
    ] {
        let schema = Schema::new([ColumnSchema::new("x", DType::Int32).with_tags([tag])]).unwrap();
        let records = RecordBatch::try_from_iter([("x", integers([1, 2]))]).unwrap();
        let arrow = Arc::new(schema.embed_in(records.schema().as_ref().clone()).unwrap());
        write(
            &folder.path().join(name),
            &records.with_schema(arrow).unwrap(),
            2,
        );
    }
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)),
        @"`a.parquet` and `b.parquet` carry different schemas of column `x`; transform them with the same workflow, or give the schema"
    );
}

#[test]
fn a_schema_file_that_cannot_be_read() {
    let folder = folder_of(vec![("x", integers([1]))]);
    fs::write(folder.path().join("schema.json"), "{").unwrap();
    let error = refused(&folder, LoaderConfig::new(2));
    insta::assert_snapshot!(
        error.replace(&folder.path().display().to_string(), "folder"),
        @"the schema in `folder` cannot be read"
    );
}

#[test]
fn columns_that_are_not_there() {
    let folder = folder_of(vec![("user_id", integers([1])), ("price", integers([1]))]);
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2).with_columns(["user_idd"])),
        @"column `user_idd` is not in the schema; did you mean `user_id`? (columns: user_id, price)"
    );
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2).with_columns(["price", "price"])),
        @"column `price` occurs twice; rename one of the two"
    );
    insta::assert_snapshot!(
        refused_with(&folder, [ColumnSchema::new("prize", DType::Int32)]),
        @"column `prize` of the schema is not in `a.parquet`; did you mean `price`? (columns: user_id, price)"
    );
}

#[test]
fn types_that_batches_do_not_have() {
    let city = ColumnSchema::new("city", DType::String);
    let folder = folder_of(vec![("city", texts(&["Rome"])), ("x", integers([1]))]);
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2).with_columns(["city"])),
        @"column `city` is Utf8, which cannot be put into a batch; run Categorify first, or leave the column out"
    );
    insta::assert_snapshot!(
        refused_with(&folder, [city.with_tags([Tag::Categorical])]),
        @"column `city` is Utf8, which cannot be put into a batch; run Categorify first, or leave the column out"
    );
    let folder = folder_of(vec![("city", texts(&["Rome"]))]);
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(2)),
        @"there is no numeric column to load (columns: city); run Categorify on text columns, or name the columns to load"
    );
}

#[test]
fn a_schema_that_disagrees_with_the_data() {
    let folder = folder_of(vec![("x", integers([1, 2]))]);
    insta::assert_snapshot!(
        refused_with(&folder, [ColumnSchema::new("x", DType::Float32)]),
        @"column `x` is float32 in the schema but Int32 in the data; cast it in the workflow or correct the schema"
    );
    insta::assert_snapshot!(
        refused_with(&folder, [ColumnSchema::new("x", DType::Int32).with_shape(Shape::ragged(0, Some(5)))]),
        @"column `x` is a list [0..5] in the schema but Int32 in the data; correct the schema's shape"
    );
}

#[test]
fn nulls_among_integers() {
    let folder = folder_of(vec![(
        "id",
        Arc::new(Int64Array::from(vec![Some(1), None, None])),
    )]);
    insta::assert_snapshot!(
        failed(&folder, LoaderConfig::new(2)),
        @"`a.parquet`, row group 0: integer column `id` has 2 nulls, the first at value 1; run Categorify (null becomes id 1) or FillMissing first"
    );
}

#[test]
fn missing_floats() {
    let values: ArrayRef = Arc::new(Float32Array::from(vec![Some(1.0), None, Some(f32::NAN)]));
    let folder = folder_of(vec![("price", values)]);
    insta::assert_snapshot!(
        failed(&folder, LoaderConfig::new(2)),
        @"`a.parquet`, row group 0: float column `price` has 2 values that are null or NaN, the first at value 1; run FillMissing first, or give the loader a value for them (`Missing::Fill`)"
    );
    let read = |missing| {
        let config = LoaderConfig::new(3).with_missing(missing);
        Loader::open(folder.path(), config)
            .unwrap()
            .sample_batch()
            .unwrap()
            .f32("price")
            .unwrap()
            .to_vec()
    };
    assert_eq!(read(Missing::Fill(-1.0)), [1.0, -1.0, -1.0]);
    let kept = read(Missing::KeepNan);
    assert!(kept[0] == 1.0 && kept[1].is_nan() && kept[2].is_nan());
}

#[test]
fn unsigned_values_beyond_the_signed() {
    let folder = folder_of(vec![(
        "hash",
        Arc::new(UInt64Array::from(vec![1, u64::MAX])),
    )]);
    insta::assert_snapshot!(
        failed(&folder, LoaderConfig::new(2)),
        @"`a.parquet`, row group 0: column `hash` has 18446744073709551615, which does not fit int64; run Categorify or HashBucket first"
    );
}

#[test]
fn lists_of_another_length() {
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(1.0), Some(2.0)]),
        Some(vec![Some(3.0)]),
    ]);
    let folder = folder_of(vec![("vector", Arc::new(lists))]);
    let schema =
        Schema::new([ColumnSchema::new("vector", DType::Float32).with_shape(Shape::fixed(2))])
            .unwrap();
    let loader = Loader::open_with_schema(folder.path(), schema, LoaderConfig::new(2)).unwrap();
    insta::assert_snapshot!(
        text(&folder, &loader.sample_batch().unwrap_err()),
        @"`a.parquet`, row group 0: column `vector` is a list of 2 values in the schema but row 1 has 1; run ListSlice with padding, or make the schema ragged"
    );
}

#[test]
fn batches_of_columns_that_do_not_fit_together() {
    let columns = [
        ("a", Column::from(vec![1, 2])),
        ("b", Column::from(vec![1.0_f32])),
    ];
    insta::assert_snapshot!(Batch::new(columns).unwrap_err(), @"column `b` has 1 rows but the batch has 2");
    let columns = [("a", Column::from(vec![1])), ("a", Column::from(vec![2]))];
    insta::assert_snapshot!(Batch::new(columns).unwrap_err(), @"column `a` occurs twice; rename one of the two");
    let batch = Batch::new([("a", Column::from(vec![1, 2]))]).unwrap();
    insta::assert_snapshot!(batch.f32("a").unwrap_err(), @"column `a` is int32, not float32");
    insta::assert_snapshot!(batch.f32("b").unwrap_err(), @"column `b` is not in the batch (columns: a)");
}

#[test]
fn record_batches_that_lack_a_column() {
    let records = RecordBatch::try_from_iter([("x", integers([1]))]).unwrap();
    let schema = Schema::new([ColumnSchema::new("y", DType::Int32)]).unwrap();
    insta::assert_snapshot!(
        Batch::from_record_batch(&records, &schema, Missing::Refuse).unwrap_err(),
        @"column `y` of the schema is not in the record batch (columns: x)"
    );
}

#[test]
fn causes_are_kept() {
    let error =
        Loader::open(Path::new("/nowhere/at/all.parquet"), LoaderConfig::new(1)).unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None])]);
    let folder = folder_of(vec![("x", Arc::new(list))]);
    let error = Loader::open(folder.path(), LoaderConfig::new(1))
        .unwrap()
        .sample_batch()
        .unwrap_err();
    let Error::InRowGroup {
        row_group: 0,
        error,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert!(matches!(
        *error,
        Error::NullInteger {
            count: 1,
            position: 1,
            ..
        }
    ));
}

#[test]
fn files_that_are_not_parquet_are_named() {
    let folder = tempdir().unwrap();
    File::create(folder.path().join("empty.parquet")).unwrap();
    insta::assert_snapshot!(
        refused(&folder, LoaderConfig::new(1)),
        @"`empty.parquet` is not a whole parquet file; it may have been cut off while it was written or copied"
    );
}

#[test]
fn doubles_are_filled_like_singles() {
    let folder = folder_of(vec![(
        "x",
        Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(2.0)])),
    )]);
    let config = LoaderConfig::new(3).with_missing(Missing::Fill(0.5));
    let batch = Loader::open(folder.path(), config)
        .unwrap()
        .sample_batch()
        .unwrap();
    assert_eq!(batch.f64("x").unwrap(), [0.5, 0.5, 2.0]);
}

proptest! {
    // Panics of the parquet reader are caught, but still printed.
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flipped_bytes_give_errors_and_never_stop_a_thread(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..8),
    ) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, &numbered_rows(0..200), 100);
        let mut bytes = fs::read(&path).unwrap();
        for (place, flip) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
        }
        fs::write(&path, bytes).unwrap();
        let Ok(loader) = Loader::open(&path, LoaderConfig::new(50).with_missing(Missing::KeepNan)) else {
            return Ok(());
        };
        for batch in loader.epoch(0).unwrap() {
            prop_assert!(!matches!(batch, Err(Error::ThreadLost)));
        }
    }
}
