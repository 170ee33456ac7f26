use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::super::build::Limit;
use super::super::vocabulary::{Layout, Vocabulary};
use super::vocabulary::{encode, fit, fit_limited, layout, observed};
use super::{array, letters, strings};
use crate::Result;

fn file(folder: &TempDir, name: &str) -> std::path::PathBuf {
    folder.path().join(name)
}

fn read(vocabulary: &Vocabulary, unique: &Path, meta: Option<&Path>) -> Result<Vocabulary> {
    Vocabulary::read(vocabulary.name(), vocabulary.columns(), None, unique, meta)
}

#[test]
fn a_vocabulary_survives_its_files() {
    let folder = TempDir::new().unwrap();
    let (unique, meta) = (
        file(&folder, "unique.parquet"),
        file(&folder, "meta.parquet"),
    );
    let tuples = [
        letters("xy-x-"),
        array(Float32Array::from(vec![
            Some(1.5),
            None,
            None,
            None,
            Some(3.0),
        ])),
    ];
    let all = [
        fit(&[letters("xyx-b")]),
        fit_limited(&[letters("xyxzxy-")], 5, Limit::MinCount(2)),
        fit_limited(&[letters("xy")], 5, Limit::MinCount(9)),
        fit(&tuples),
        fit(&[array(NullArray::new(2))]),
        fit(&[array(BooleanArray::from(vec![true, false]))]),
        fit(&[array(Date32Array::from(vec![7, 8]))]),
        fit(&[array(UInt64Array::from(vec![u64::MAX, 8]))]),
        fit(&[array(TimestampSecondArray::from(vec![7, 8]))]),
        fit(&[array(LargeBinaryArray::from_iter_values([b"\xff", b"a"]))]),
        Vocabulary::new(layout(1, 1), vec![letters("zyx")], None).unwrap(),
    ];
    for vocabulary in all {
        vocabulary.write_unique(&unique).unwrap();
        vocabulary.write_meta(&meta).unwrap();
        assert_eq!(read(&vocabulary, &unique, Some(&meta)).unwrap(), vocabulary);
        // Without the description the counts are of no use, the ids are the same.
        let read = read(&vocabulary, &unique, None).unwrap();
        assert_eq!(
            (read.values(), read.num_buckets()),
            (vocabulary.values(), vocabulary.num_buckets())
        );
    }
}

#[test]
fn row_groups_are_read_in_order() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "unique.parquet");
    let texts = array(StringArray::from_iter_values(
        (0..20_000).map(|value| format!("value {value}")),
    ));
    let ids = array(Int64Array::from_iter_values(3..20_003));
    let batch = RecordBatch::try_from_iter([("a_index", ids), ("a", Arc::clone(&texts))]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(500));
    let output = std::fs::File::create(&path).unwrap();
    let mut writer =
        ArrowWriter::try_new(output, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let columns = ["a".to_owned()];
    let read = Vocabulary::read("a", &columns, None, &path, None).unwrap();
    assert_eq!(
        read.values()[0].as_string::<i32>(),
        texts.as_string::<i32>()
    );
}

#[test]
fn damaged_files_are_named_with_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let (unique, meta) = (
        file(&folder, "unique.parquet"),
        file(&folder, "meta.parquet"),
    );
    let vocabulary = fit(&[letters("xyx")]);
    let message = |vocabulary: &Vocabulary, meta| {
        let text = read(vocabulary, &unique, meta).unwrap_err().to_string();
        text.replace(folder.path().to_str().unwrap(), "")
    };
    assert_eq!(message(&vocabulary, None), "read `/unique.parquet`");
    std::fs::write(&unique, "text").unwrap();
    assert_eq!(
        message(&vocabulary, None),
        "read `/unique.parquet`: it is corrupt or no parquet file; write or copy it again"
    );

    vocabulary.write_unique(&unique).unwrap();
    let other = Vocabulary::new(
        Layout {
            name: "q".to_owned(),
            columns: vec!["q".to_owned()],
            num_buckets: 1,
        },
        vec![letters("x")],
        None,
    )
    .unwrap();
    assert_eq!(
        message(&other, None),
        "read `/unique.parquet`: column `q` is missing (columns: a_index, a, a_size)"
    );
    fit(&[letters("xyz")]).write_meta(&meta).unwrap();
    assert_eq!(
        message(&vocabulary, Some(&meta)),
        "read `/meta.parquet`: the number of values is 3 here, but 2 in `/unique.parquet`"
    );
    fit_limited(&[letters("xy")], 4, Limit::MinCount(0))
        .write_meta(&meta)
        .unwrap();
    assert_eq!(
        message(&vocabulary, Some(&meta)),
        "read `/meta.parquet`: the first id is 6 here, but 3 in `/unique.parquet`"
    );
}

/// The folder with NVTabular's outputs, if it is there.
fn golden(case: &str) -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("EMRYS_GOLDEN_ETL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/etl"),
        Into::into,
    );
    let categories = folder.join(case).join("expected/categories");
    if categories.is_dir() {
        return Some(categories);
    }
    println!("skipped: {} is not there", categories.display());
    None
}

#[test]
fn files_of_nvtabular_are_read() {
    let read = |case: &str, name: &str, columns: &[&str]| {
        let folder = golden(case)?;
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let unique = folder.join(format!("unique.{name}.parquet"));
        let meta = folder.join(format!("meta.{name}.parquet"));
        Some(Vocabulary::read(name, &columns, None, &unique, Some(&meta)).unwrap())
    };
    if let Some(vocabulary) = read("cat_freq_buckets", "a", &["a"]) {
        assert_eq!(
            (vocabulary.num_buckets(), vocabulary.cardinality()),
            (5, 13)
        );
        assert_eq!(observed(&vocabulary), [0, 15, 8, 60]);
        assert_eq!(
            encode(&vocabulary, &[strings([Some("u00"), Some("u05"), None])]),
            [7, 12, 1]
        );
    }
    if let Some(vocabulary) = read("cat_split_out", "a", &["a"]) {
        assert_eq!(
            encode(&vocabulary, &[strings(["s0", "s3", "s9"])]),
            [3, 6, 12]
        );
    }
    if let Some(vocabulary) = read("cat_combo", "a_b", &["a", "b"]) {
        let asked = [
            letters("x--"),
            array(Int64Array::from(vec![Some(1), Some(2), None])),
        ];
        assert_eq!(encode(&vocabulary, &asked), [3, 9, 1]);
    }
    if let Some(vocabulary) = read("cat_vocabs", "b", &["b"]) {
        assert!(vocabulary.observed().is_none());
        assert_eq!(
            encode(&vocabulary, &[array(Int64Array::from(vec![10, 20]))]),
            [4, 3]
        );
    }
}
