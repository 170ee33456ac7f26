//! MovieLens 1M: will a user like a film, and which films should be shown?
//!
//! | step | module |
//! |---|---|
//! | raw files to tables, 80/20 split, features fitted on the training rows | [`features`] |
//! | the hand-composed DLRM of Merlin's tutorial on `rating_binary` | [`ranking`] |
//! | a two-tower on the liked films, searched over the whole catalogue | [`retrieval`] |

mod features;
mod ranking;
mod retrieval;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use clap::ValueEnum;
use emrys_models::Model;
use emrys_models::tasks::TemperatureOn;

/// MovieLens 1M: features, a DLRM that predicts who likes what, and a two-tower that recommends.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the unpacked `ml-1m.zip`; `ratings.parquet` may stand for `ratings.dat`.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The folder for tables, features and models.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Decides the split, the folds, the order of the rows and the initial weights.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Replaces what an earlier run wrote.
    #[arg(long)]
    overwrite: bool,
    /// What the DLRM's logits are divided by, as in the tutorial.
    #[arg(long, default_value_t = 2.0)]
    temperature: f32,
    /// What the temperature divides; `probability` reproduces the figures of the tutorial.
    #[arg(long, value_enum, default_value_t = Temperature::Logits)]
    temperature_on: Temperature,
    /// How often the two-tower sees the liked films.
    #[arg(long, default_value_t = 5)]
    retrieval_epochs: u64,
}

/// What the temperature of the DLRM divides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Temperature {
    Logits,
    Probability,
}

impl From<Temperature> for TemperatureOn {
    fn from(temperature: Temperature) -> TemperatureOn {
        match temperature {
            Temperature::Logits => TemperatureOn::Logits,
            Temperature::Probability => TemperatureOn::Probability,
        }
    }
}

/// Runs the whole workflow and returns its figures.
pub(crate) fn run(args: &Args) -> Result<serde_json::Value, Box<dyn Error>> {
    let started = Instant::now();
    let features = features::write(args)?;

    let ranking = ranking::train(args, &features)?;
    let retrieval = retrieval::train(args, &features)?;
    Ok(serde_json::json!({
        "valid_auc": ranking.auc,
        "valid_log_loss": ranking.log_loss,
        "recall_at_10": retrieval.recall_at_10,
        "popularity_recall_at_10": retrieval.popularity_recall_at_10,
        "seed": args.seed,
        "seconds": started.elapsed().as_secs_f64(),
    }))
}

/// Saves a model, in the place of one that an earlier run left if that is allowed.
fn save_model(args: &Args, model: &Model, name: &str) -> Result<(), Box<dyn Error>> {
    let path = args.out.join(name);
    // Only a folder that is a model is deleted.
    if args.overwrite && Model::load(&path, &Device::default()).is_ok() {
        std::fs::remove_dir_all(&path)?;
    }
    model.save(&path)?;
    wrote(&path, "the model");
    Ok(())
}

/// Says what was written where.
fn wrote(path: &Path, what: impl std::fmt::Display) {
    println!("  wrote {}: {what}", path.display());
}
