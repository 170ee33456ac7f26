//! Will a user like a film?

use std::error::Error;

use burn::tensor::Device;
use emrys_loader::{Loader, LoaderConfig};
use emrys_models::blocks::{
    Concat, ContinuousFeatures, DotProductInteraction, Embeddings, Filter, Mlp, Parallel,
};
use emrys_models::optimizers::{DenseOptimizer, SparseOptimizer};
use emrys_models::tasks::BinaryClassification;
use emrys_models::trainer::Trainer;
use emrys_models::{Compose, Initializer, ModelSpec, Spec};

use super::features::Features;
use super::{Args, Temperature, save_model, wrote};

/// What the DLRM reaches on the held-out ratings.
pub(super) struct Ranking {
    pub(super) auc: f64,
    pub(super) log_loss: f64,
}

const BATCH_SIZE: usize = 1024;
/// The width of all embeddings, and of the vector made of the continuous columns.
const DIM: usize = 64;
/// More row groups than there are, so that rows are shuffled over the whole set: the ratings of a
/// user lie together in the files.
const ALL_PARTS: usize = 1 << 16;

/// Trains for one epoch.
pub(super) fn train(args: &Args, features: &Features) -> Result<Ranking, Box<dyn Error>> {
    println!("2. ranking: a DLRM from parts");
    let config = LoaderConfig::new(BATCH_SIZE)
        .with_parts_per_chunk(ALL_PARTS)
        .with_seed(args.seed);
    let train = Loader::open(&features.train, config.clone().with_shuffle(true))?;
    let valid = Loader::open(&features.valid, config)?;

    let task = BinaryClassification::new("rating_binary")
        .with_temperature(args.temperature)
        .with_temperature_on(args.temperature_on.into());
    let spec = ModelSpec::new(dlrm()).with_task(task);
    let mut model = spec.build(&features.schema, &Device::default(), args.seed)?;

    let history = Trainer::new()
        .with_epochs(1)
        .with_dense(DenseOptimizer::adam())
        .with_sparse(SparseOptimizer::lazy_adam())
        .with_seed(args.seed)
        .fit(&mut model, &train, Some(&valid))?;
    print!("{history}");

    save_model(args, &model, "dlrm")?;
    let path = args.out.join("dlrm.csv");
    history.write_csv(&path)?;
    wrote(&path, "its history");

    let epoch = history.last().ok_or("no epoch was trained")?;
    let metric = |name| {
        epoch
            .valid(name)
            .ok_or_else(|| format!("`{name}` was not measured"))
    };
    // The tutorial measures the curve at 200 thresholds. That hides the order among the two thirds
    // of the rows that dividing probabilities crowds together, so only like is compared with like.
    let auc = match args.temperature_on {
        Temperature::Logits => "auc",
        Temperature::Probability => "auc_200",
    };
    Ok(Ranking {
        auc: metric(auc)?,
        log_loss: metric("log_loss")?,
    })
}

/// The DLRM that Merlin's tutorial composes: all pairs of one vector made of the continuous columns
/// and four embeddings interact, and that vector goes beside their products into the top layers.
fn dlrm() -> Spec {
    let continuous = ContinuousFeatures::of(["TE_movieId_rating", "TE_zipcode_rating"])
        .connect(Concat::new())
        .connect(Mlp::new([DIM]));
    let embeddings = Embeddings::new(DIM)
        .of(["gender", "movieId", "title", "userId"])
        .with_initializer(Initializer::TruncatedNormal {
            mean: 0.0,
            std: 0.05,
        });
    Parallel::new([
        ("deep_continuous", Spec::from(continuous)),
        ("embeddings", embeddings.into()),
    ])
    .connect_with_shortcut(
        DotProductInteraction::new(),
        Filter::names(["deep_continuous"]),
    )
    .connect(Concat::new())
    .connect(Mlp::new([64, 128, 512]))
    .into()
}
