//! What bad input gets.

use burn::tensor::Device;
use emrys_loader::{Loader, LoaderConfig};
use emrys_models::ModelSpec;
use emrys_models::blocks::{Embeddings, Mlp};
use emrys_models::models::MlpModel;
use emrys_models::optimizers::{DenseOptimizer, SparseOptimizer};
use emrys_models::tasks::{BinaryClassification, Regression};
use emrys_schema::{ColumnSchema, DType, Schema, Tag};

use crate::data::{Folder, click_schema, clicks, dlrm, dlrm_spec, floats, ints, load, quiet};

#[test]
fn a_target_that_is_not_in_the_schema_is_found_at_build() {
    let spec = dlrm_spec(BinaryClassification::new("clik"));
    let error = spec
        .build(&click_schema(), &Device::default(), 0)
        .unwrap_err();
    insta::assert_snapshot!(error, @"dlrm.heads.clik: column `clik` is not in the schema; did you mean `click`? (columns: user, item, price, click)");
}

#[test]
fn a_target_that_is_not_in_the_data_is_found_before_training() {
    let folder = Folder::new();
    let columns = vec![
        ("user", ints([0, 1])),
        ("item", ints([0, 1])),
        ("price", floats([0.5, 1.0])),
    ];
    let file = folder.write("clicks.parquet", columns);
    let schema = click_schema().excluding(["click"]);
    let data = Loader::open_with_schema(file, schema, LoaderConfig::new(2)).unwrap();
    let error = quiet().fit(&mut dlrm(), &data, None).unwrap_err();
    insta::assert_snapshot!(error, @"column `click` is not in the schema (columns: user, item, price)");
}

#[test]
fn a_model_without_task_cannot_be_trained() {
    let folder = Folder::new();
    let file = clicks(&folder, "clicks.parquet", 10, 1).file;
    let body = MlpModel::new(Embeddings::new(4), Mlp::new([4]));
    let mut model = ModelSpec::new(body)
        .build(&click_schema(), &Device::default(), 0)
        .unwrap();
    let error = quiet()
        .fit(&mut model, &load(&file, LoaderConfig::new(2)), None)
        .unwrap_err();
    insta::assert_snapshot!(error, @"the model has no task; give it one with `ModelSpec::with_task`");
}

/// Trains a regression of `rating` on labels that the loader lets through.
fn fit_ratings(task: impl Into<emrys_models::tasks::TaskSpec>, ratings: [f32; 3]) -> String {
    let folder = Folder::new();
    let columns = vec![
        ("price", floats([0.5, 1.0, 1.5])),
        ("rating", floats(ratings)),
    ];
    let file = folder.write("ratings.parquet", columns);
    let schema = Schema::new([
        ColumnSchema::new("price", DType::Float32).with_tags([Tag::Continuous]),
        ColumnSchema::new("rating", DType::Float32).with_tags([Tag::Target]),
    ])
    .unwrap();
    let config = LoaderConfig::new(3).with_missing(emrys_loader::Missing::KeepNan);
    let data = Loader::open_with_schema(file, schema.clone(), config).unwrap();
    let body = MlpModel::new(Embeddings::new(4), Mlp::new([4]));
    let mut model = ModelSpec::new(body)
        .with_task(task)
        .build(&schema, &Device::default(), 0)
        .unwrap();
    match quiet().fit(&mut model, &data, None) {
        Ok(_) => "trained".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn labels_that_are_no_numbers_or_no_chances_are_refused() {
    let ratings = [4.0, f32::NAN, 3.0];
    insta::assert_snapshot!(fit_ratings(Regression::new("rating"), ratings), @"column `rating`: NaN in row 1 of the batch, expected a finite number; filter such rows or fill the column in the workflow");
    let ratings = [1.0, 0.0, 3.0];
    insta::assert_snapshot!(fit_ratings(BinaryClassification::new("rating"), ratings), @"column `rating`: 3 in row 2 of the batch, expected between 0 and 1; filter such rows or fill the column in the workflow");
    assert_eq!(
        fit_ratings(Regression::new("rating"), [1.0, 2.0, 3.0]),
        "trained"
    );
}

#[test]
fn a_loss_that_is_no_number_ends_the_training() {
    let folder = Folder::new();
    let file = clicks(&folder, "clicks.parquet", 1_000, 1).file;
    let trainer = quiet()
        .with_dense(DenseOptimizer::sgd())
        .with_sparse(SparseOptimizer::sgd())
        .with_learning_rate(1e30);
    let data = load(&file, LoaderConfig::new(100));
    let error = trainer.fit(&mut dlrm(), &data, None).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("the loss became ") && text.contains(" in epoch 1, batch "),
        "{text}"
    );
}
