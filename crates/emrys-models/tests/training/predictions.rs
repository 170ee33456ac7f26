//! Predictions come in the order of the files and outlive a save.

use std::fs::File;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int32Type};
use burn::tensor::Device;
use emrys_loader::LoaderConfig;
use emrys_models::Model;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::data::{Folder, clicks, dlrm, load, quiet};

#[test]
fn rows_come_in_the_order_of_the_file_with_the_columns_that_are_kept() {
    let folder = Folder::new();
    let file = clicks(&folder, "clicks.parquet", 1_300, 1).file;
    let shuffled = load(
        &file,
        LoaderConfig::new(100)
            .with_shuffle(true)
            .with_drop_last(true),
    );
    let (trainer, model) = (quiet(), dlrm());
    let path = folder.path("scores.parquet");
    let stream = trainer
        .predict(&model, &shuffled, &["user", "price"])
        .unwrap();
    assert_eq!(stream.write_parquet(&path).unwrap(), 1_300);

    let read = |path| {
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let batches: Vec<RecordBatch> = file
            .with_batch_size(2_000)
            .build()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
    };
    let (scores, rows) = (read(&path), read(&file));
    let names: Vec<_> = scores
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["user", "price", "click"]);
    let users = |rows: &RecordBatch| {
        rows.column_by_name("user")
            .unwrap()
            .as_primitive::<Int32Type>()
            .clone()
    };
    assert_eq!(users(&scores), users(&rows));
    let scores = scores
        .column_by_name("click")
        .unwrap()
        .as_primitive::<Float32Type>()
        .clone();
    assert!(scores.values().iter().all(|p| (0.0..=1.0).contains(p)));
}

#[test]
fn a_loaded_model_predicts_the_same_bits() {
    let folder = Folder::new();
    let file = clicks(&folder, "clicks.parquet", 1_000, 1).file;
    let data = load(&file, LoaderConfig::new(128));
    let (trainer, mut model) = (quiet(), dlrm());
    trainer.fit(&mut model, &data, None).unwrap();
    model.save(folder.path("model")).unwrap();
    let loaded = Model::load(folder.path("model"), &Device::default()).unwrap();
    let predict = |model: &Model| -> Vec<RecordBatch> {
        trainer
            .predict(model, &data, &[])
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    assert_eq!(predict(&model), predict(&loaded));
}
