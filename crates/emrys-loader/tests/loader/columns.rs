//! How columns of files become columns of batches, and which are loaded.

use std::fs;
use std::sync::Arc;

use crate::fixtures::{numbered_files, numbered_rows, write, write_columns};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, FixedSizeListArray, Float16Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, LargeListArray, ListArray, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use emrys_loader::{Batch, Column, Loader, LoaderConfig, Missing, Values};
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Shape, Tag};
use tempfile::tempdir;

fn lists(rows: Vec<Option<Vec<Option<i64>>>>) -> ListArray {
    ListArray::from_iter_primitive::<Int64Type, _, _>(rows)
}

#[test]
fn narrow_types_widen_and_wide_types_stay() {
    let folder = tempdir().unwrap();
    let halves = cast(&Float64Array::from(vec![0.5, 1.5]), &DataType::Float16).unwrap();
    assert!(halves.as_any().is::<Float16Array>());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(vec![true, false]))),
        ("i8", Arc::new(Int8Array::from(vec![-1, 2]))),
        ("i16", Arc::new(Int16Array::from(vec![-1, 2]))),
        ("i32", Arc::new(Int32Array::from(vec![-1, 2]))),
        ("i64", Arc::new(Int64Array::from(vec![-1, 2]))),
        ("u8", Arc::new(UInt8Array::from(vec![1, 255]))),
        ("u16", Arc::new(UInt16Array::from(vec![1, 65_535]))),
        ("u32", Arc::new(UInt32Array::from(vec![1, u32::MAX]))),
        ("u64", Arc::new(UInt64Array::from(vec![1, 2]))),
        ("f16", halves),
        ("f64", Arc::new(Float64Array::from(vec![0.25, 0.5]))),
        ("date", Arc::new(Date32Array::from(vec![1, 2]))),
        (
            "time",
            Arc::new(TimestampMillisecondArray::from(vec![1, 2])),
        ),
    ];
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let path = folder.path().join("a.parquet");
    write_columns(&path, columns.clone());
    let loader = Loader::open(&path, LoaderConfig::new(2).with_columns(names)).unwrap();
    let batch = loader.sample_batch().unwrap();
    let found: Vec<Values> = batch
        .columns()
        .map(|(_, column)| column.values().clone())
        .collect();
    let expected: [Values; 13] = [
        vec![1, 0].into(),
        vec![-1, 2].into(),
        vec![-1, 2].into(),
        vec![-1, 2].into(),
        vec![-1_i64, 2].into(),
        vec![1, 255].into(),
        vec![1, 65_535].into(),
        vec![1_i64, 4_294_967_295].into(),
        vec![1_i64, 2].into(),
        vec![0.5_f32, 1.5].into(),
        vec![0.25_f64, 0.5].into(),
        vec![1, 2].into(),
        vec![1_i64, 2].into(),
    ];
    assert_eq!(found, expected);
}

#[test]
fn lists_are_ragged_or_fixed_as_the_schema_says() {
    let rows = vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])];
    let ragged = ColumnSchema::new("x", DType::Int64).with_shape(Shape::ragged(0, None));
    let fixed = ColumnSchema::new("x", DType::Int64).with_shape(Shape::fixed(2));
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let arrays: [ArrayRef; 3] = [
        Arc::new(lists(rows.clone())),
        Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>(rows)),
        Arc::new(FixedSizeListArray::new(
            item,
            2,
            Arc::new(Int64Array::from(vec![1, 2, 3, 4])),
            None,
        )),
    ];
    for array in arrays {
        let records = RecordBatch::try_from_iter([("x", array)]).unwrap();
        let read = |column: &ColumnSchema| {
            let schema = Schema::new([column.clone()]).unwrap();
            Batch::from_record_batch(&records, &schema, Missing::Refuse)
                .unwrap()
                .column("x")
                .unwrap()
                .clone()
        };
        assert_eq!(read(&ragged), Column::lists([vec![1_i64, 2], vec![3, 4]]));
        assert_eq!(
            read(&fixed),
            Column::fixed(vec![1_i64, 2, 3, 4], 2).unwrap()
        );
    }
}

#[test]
fn a_null_list_is_empty_even_if_it_covers_items() {
    let schema =
        Schema::new([ColumnSchema::new("x", DType::Int64).with_shape(Shape::ragged(0, None))])
            .unwrap();
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let covering = ListArray::new(
        Arc::clone(&item),
        OffsetBuffer::from_lengths([1, 2, 1]),
        Arc::new(Int64Array::from(vec![1, 8, 9, 2])),
        Some(NullBuffer::from(vec![true, false, true])),
    );
    let fixed = FixedSizeListArray::new(
        item,
        1,
        Arc::new(Int64Array::from(vec![1, 9, 2])),
        Some(NullBuffer::from(vec![true, false, true])),
    );
    for array in [Arc::new(covering) as ArrayRef, Arc::new(fixed)] {
        let records = RecordBatch::try_from_iter([("x", array)]).unwrap();
        let batch = Batch::from_record_batch(&records, &schema, Missing::Refuse).unwrap();
        assert_eq!(
            batch.column("x").unwrap(),
            &Column::lists([vec![1_i64], vec![], vec![2]])
        );
    }
}

#[test]
fn slices_of_record_batches_keep_their_rows() {
    let records = numbered_rows(0..20).slice(5, 9);
    let schema = Schema::from_arrow(&records.schema()).unwrap();
    let batch = Batch::from_record_batch(&records, &schema, Missing::Refuse).unwrap();
    assert_eq!(batch.i64("row").unwrap(), (5..14).collect::<Vec<_>>());
    let expected =
        (5..14).map(|row: i64| (0..row % 4).map(|item| 10 * row + item).collect::<Vec<_>>());
    assert_eq!(batch.column("items").unwrap(), &Column::lists(expected));
}

#[test]
fn columns_of_numbers_are_loaded_and_others_left_out() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_columns(
        &path,
        vec![
            ("name", Arc::new(StringArray::from(vec!["a"])) as ArrayRef),
            ("id", Arc::new(Int32Array::from(vec![1]))),
            ("time", Arc::new(TimestampMillisecondArray::from(vec![1]))),
            ("items", Arc::new(lists(vec![Some(vec![Some(1)])]))),
        ],
    );
    let loader = Loader::open(&path, LoaderConfig::new(1)).unwrap();
    assert_eq!(loader.schema().names(), ["id", "items"]);
}

#[test]
fn schemas_are_found_in_the_folder_and_in_footers() {
    let folder = tempdir().unwrap();
    let described = |name: &str| {
        let column = ColumnSchema::new("x", DType::Int32).with_tags([Tag::Categorical]);
        Schema::new([column.with_domain(Domain::int(0, 9).named(name))]).unwrap()
    };
    let records =
        RecordBatch::try_from_iter([("x", Arc::new(Int32Array::from(vec![1])) as ArrayRef)])
            .unwrap();
    let embedded = described("footer")
        .embed_in(records.schema().as_ref().clone())
        .unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &records.with_schema(Arc::new(embedded)).unwrap(), 1);
    let domain = |path: &std::path::Path| {
        let loader = Loader::open(path, LoaderConfig::new(1)).unwrap();
        loader.schema().get("x").unwrap().domain_name().to_owned()
    };
    assert_eq!(domain(folder.path()), "footer");
    described("folder").write_dir(folder.path()).unwrap();
    assert_eq!(domain(folder.path()), "folder");
    assert_eq!(domain(&path), "footer");

    let given = Loader::open_with_schema(&path, described("given"), LoaderConfig::new(1)).unwrap();
    assert_eq!(given.schema(), &described("given"));
}

#[test]
fn files_are_found_by_folder_glob_and_list() {
    let folder = tempdir().unwrap();
    numbered_files(folder.path(), &[vec![1], vec![2], vec![4]]);
    let deep = folder.path().join("day=1/hour=2");
    fs::create_dir_all(&deep).unwrap();
    write(&deep.join("deep.parquet"), &numbered_rows(7..15), 100);
    for hidden in ["_part.parquet", ".part.parquet", "notes.txt"] {
        fs::write(folder.path().join(hidden), "not parquet").unwrap();
    }
    let rows = |paths: Vec<std::path::PathBuf>| {
        Loader::open(paths, LoaderConfig::new(1))
            .unwrap()
            .num_rows()
    };
    let at = |name: &str| folder.path().join(name);
    assert_eq!(rows(vec![at("")]), 15);
    assert_eq!(rows(vec![at("part_00[12].parquet")]), 6);
    assert_eq!(rows(vec![at("day=*")]), 8);
    assert_eq!(
        rows(vec![at("part_002.parquet"), at("part_000.parquet")]),
        5
    );
}

#[test]
fn files_may_have_their_columns_in_different_orders() {
    let folder = tempdir().unwrap();
    let column = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
    write_columns(
        &folder.path().join("a.parquet"),
        vec![("x", column(1)), ("y", column(2))],
    );
    write_columns(
        &folder.path().join("b.parquet"),
        vec![("y", column(4)), ("x", column(3))],
    );
    let batch = Loader::open(folder.path(), LoaderConfig::new(2))
        .unwrap()
        .sample_batch()
        .unwrap();
    assert_eq!(
        (batch.i32("x").unwrap(), batch.i32("y").unwrap()),
        (&[1, 3][..], &[2, 4][..])
    );
}
