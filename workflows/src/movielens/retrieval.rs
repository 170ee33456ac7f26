//! Which films should a user be shown?

use std::error::Error;

use burn::tensor::Device;
use emrys_loader::{Loader, LoaderConfig};
use emrys_models::ModelSpec;
use emrys_models::blocks::{Embeddings, Mlp};
use emrys_models::metrics::Evaluation;
use emrys_models::models::TwoTower;
use emrys_models::optimizers::{DenseOptimizer, SparseOptimizer};
use emrys_models::retrieval::{Catalogue, Interactions, ItemFrequencies, RetrievalEvaluation};
use emrys_models::tasks::ItemRetrieval;
use emrys_models::trainer::Trainer;

use super::features::Features;
use super::{Args, save_model};

/// How many of the films that users like are among the ten that are recommended.
pub(super) struct Retrieval {
    pub(super) recall_at_10: f64,
    pub(super) popularity_recall_at_10: f64,
}

const BATCH_SIZE: usize = 2048;
const DIM: usize = 64;
const ALL_PARTS: usize = 1 << 16;

/// Ids and side features. Encodings of the ratings are left out: a film's differs from row to row in
/// the training data, and a catalogue needs one vector a film.
const COLUMNS: [&str; 7] = [
    "userId",
    "gender",
    "age",
    "occupation",
    "zipcode",
    "movieId",
    "genres",
];

/// Trains a two-tower on the films that were liked, and compares it with recommending the films that
/// most users like to everybody.
pub(super) fn train(args: &Args, features: &Features) -> Result<Retrieval, Box<dyn Error>> {
    println!("3. retrieval: a two-tower over all films");
    let config = LoaderConfig::new(BATCH_SIZE)
        .with_parts_per_chunk(ALL_PARTS)
        .with_seed(args.seed);
    let rated = Loader::open(&features.train, config.clone())?;
    let valid = Loader::open(&features.valid_liked, config.clone())?;
    let train = Loader::open(&features.train_liked, config.with_shuffle(true))?;

    let schema = features.schema.select(COLUMNS)?;
    let tower = Mlp::new([128, DIM]).with_last_linear();
    let spec = ModelSpec::new(TwoTower::new(Embeddings::new(DIM), tower.clone(), tower))
        .with_task(ItemRetrieval::new("movieId").with_log_q_correction(true));
    let mut model = spec.build(&schema, &Device::default(), args.seed)?;

    let history = Trainer::new()
        .with_epochs(args.retrieval_epochs)
        .with_dense(DenseOptimizer::adam())
        .with_sparse(SparseOptimizer::lazy_adam())
        .with_seed(args.seed)
        .fit(&mut model, &train, None)?;
    print!("{history}");
    save_model(args, &model, "two_tower")?;

    // Films that a user has rated, liked or not, are not recommended again.
    let seen = Interactions::read(&rated, "userId", "movieId")?;
    let catalogue = Catalogue::encode(&model, &rated, "movieId")?;
    let evaluation = RetrievalEvaluation::new("userId", "movieId").with_excluded(&seen);
    let two_tower = evaluation.model(&model, &valid, &catalogue)?;
    let liked = ItemFrequencies::read(&train, "movieId")?;
    let popularity = evaluation.popularity(&liked, &valid, &catalogue)?;
    println!("  {} films, {} users", catalogue.len(), two_tower.rows());
    println!("  two-tower:  {two_tower}");
    println!("  popularity: {popularity}");

    let recall = |found: &Evaluation| found.get("recall_at_10").ok_or("recall was not measured");
    Ok(Retrieval {
        recall_at_10: recall(&two_tower)?,
        popularity_recall_at_10: recall(&popularity)?,
    })
}
