//! From raw rows to a trained model, in six steps:
//!
//! 1. draw a click log whose best attainable AUC is known,
//! 2. describe the features as a graph, fit it on the training rows, transform all rows,
//! 3. open the results as shuffled batches,
//! 4. build a DLRM from their schema,
//! 5. train it and measure it,
//! 6. save it, load it and predict the same.
//!
//! ```text
//! cargo run --release --example quickstart [FOLDER]
//! ```
//!
//! Without a folder, everything is written to a temporary one, which is named and kept.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use arrow::array::RecordBatch;
use burn::tensor::Device;
use emrys::datasets::synthetic::ClickLog;
use emrys::etl::ops::IdType;
use emrys::models::blocks::{Embeddings, Mlp};
use emrys::models::models::Dlrm;
use emrys::models::optimizers::{DenseOptimizer, SparseOptimizer};
use emrys::models::tasks::BinaryClassification;
use emrys::models::trainer::Trainer;
use emrys::models::{Model, ModelSpec};
use emrys::prelude::*;

// Twice as fast as the default allocator here: the tensors of a step are large and short-lived.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => tempfile::Builder::new()
            .prefix("emrys-quickstart-")
            .tempdir()?
            .keep(),
    };
    println!("writing to {}", folder.display());

    println!("\n1. a click log with long-tailed users and items, nulls, lists and heavy tails");
    let log = ClickLog::new(400_000, 100_000)
        .with_users(2_000)
        .with_items(1_000)
        .with_overwrite(true)
        .write(folder.join("raw"))?;
    println!(
        "   {} rows to train, {} held out, {:.1}% clicked",
        log.train_rows,
        log.valid_rows,
        100.0 * log.click_rate
    );

    println!("\n2. features");
    let categories = cols(["user_id", "city", "device", "item_id", "category", "tags"])
        >> Categorify::new().with_id_type(IdType::Int32);
    let numbers = cols(["price", "session_seconds"])
        >> LogOp
        >> Normalize::default()
        >> FillMissing::with(0.0);
    let click_rates =
        cols(["user_id", "item_id"]) >> TargetEncoding::new("click") >> Normalize::default();
    let click = cols(["click"]) >> TagAs::BINARY_TARGET;

    let (train, valid) = (Dataset::open(&log.train)?, Dataset::open(&log.valid)?);
    let workflow = Workflow::new(categories + numbers + click_rates + click).fit(&train)?;
    workflow.save(folder.join("workflow"))?;
    let options = WriteOptions::new().with_overwrite(true);
    workflow
        .transform(&train)?
        .write(folder.join("train"), &options)?;
    workflow
        .transform(&valid)?
        .write(folder.join("valid"), &options)?;
    let schema = workflow.output_schema();
    println!("{schema}");

    println!("\n3. batches");
    let config = LoaderConfig::new(1024).with_shuffle(true);
    let train = Loader::open(folder.join("train"), config.clone())?;
    let valid = Loader::open(folder.join("valid"), config)?;
    println!(
        "   {} to train, {} held out",
        train.len_batches(),
        valid.len_batches()
    );

    println!("\n4. a DLRM");
    let body = Dlrm::new(Embeddings::new(16))
        .with_bottom(Mlp::new([32, 16]))
        .with_top(Mlp::new([64, 32]));
    let mut model = ModelSpec::new(body)
        .with_task(BinaryClassification::new("click"))
        .build(schema, &Device::default(), 42)?;

    println!("\n5. training");
    let trainer = Trainer::new()
        .with_epochs(2)
        .with_dense(DenseOptimizer::adam())
        .with_sparse(SparseOptimizer::lazy_adam());
    let history = trainer.fit(&mut model, &train, Some(&valid))?;
    print!("{history}");
    let auc = history
        .last()
        .and_then(|epoch| epoch.valid("auc"))
        .ok_or("no AUC was measured")?;
    println!(
        "   AUC {auc:.4}; knowing everything but the dice, {:.4}",
        log.attainable_auc
    );

    println!("\n6. saved, loaded, predicted");
    model.save(folder.join("model"))?;
    let loaded = Model::load(folder.join("model"), &Device::default())?;
    let predict = |model: &Model| -> emrys::models::Result<Vec<RecordBatch>> {
        trainer.predict(model, &valid, &[])?.collect()
    };
    if predict(&model)? != predict(&loaded)? {
        return Err("the loaded model predicts something else".into());
    }
    println!(
        "   the loaded model gives the same {} predictions",
        log.valid_rows
    );

    let seconds = started.elapsed().as_secs_f64();
    println!(
        "\n{}",
        serde_json::json!({"auc": auc, "attainable_auc": log.attainable_auc, "seconds": seconds})
    );
    Ok(())
}
