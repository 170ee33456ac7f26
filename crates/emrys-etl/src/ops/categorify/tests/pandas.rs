//! What pandas finds in the files of a vocabulary.

use std::fs::File;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::super::Vocabulary;
use super::super::files::PANDAS;
use super::letters;

#[test]
fn the_index_is_described_wherever_pandas_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unique.a.parquet");
    let vocabulary = Vocabulary::from_values("a", &letters("xyz"), 2).unwrap();
    vocabulary.write_unique(&path).unwrap();
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();

    // The Arrow schema in the file, where there is one, hides what stands beside it.
    let in_schema = &file.schema().metadata()[PANDAS];
    let entries = file.metadata().file_metadata().key_value_metadata();
    let beside = entries.unwrap().iter().find(|entry| entry.key == PANDAS);
    assert_eq!(beside.unwrap().value.as_ref(), Some(in_schema));

    let pandas: Value = serde_json::from_str(in_schema).unwrap();
    assert_eq!(
        pandas["index_columns"],
        json!([{"kind": "range", "name": null, "start": 4, "stop": 7, "step": 1}])
    );
    let columns = pandas["columns"].as_array().unwrap();
    let names: Vec<&Value> = columns.iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["a_index", "a"]);
}
