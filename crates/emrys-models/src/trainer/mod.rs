//! Training, evaluation, prediction and checkpoints: [`Trainer`].

mod checkpoint;
mod evaluate;
mod fit;
mod history;
mod predict;
mod progress;

pub use checkpoint::Checkpoints;
pub use history::{EpochReport, History};
pub use predict::PredictionStream;
pub use progress::Progress;

use crate::optimizers::{DenseOptimizer, SparseOptimizer};

/// Trains models, measures them and predicts with them.
///
/// A trainer is settings only: it can be used for many models, and the same settings, model seed,
/// data and loader seed give the same numbers to the last bit, whatever the number of threads.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use emrys_loader::{Loader, LoaderConfig};
/// use emrys_models::blocks::{Embeddings, Mlp};
/// use emrys_models::models::MlpModel;
/// use emrys_models::tasks::BinaryClassification;
/// use emrys_models::trainer::{Progress, Trainer};
/// use emrys_models::ModelSpec;
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Int32Array, RecordBatch};
/// use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
///
/// let schema = Schema::new([
///     ColumnSchema::new("user", DType::Int32).with_tags([Tag::Categorical]).with_domain(Domain::int(0, 9)),
///     ColumnSchema::new("click", DType::Int32).with_tags([Tag::Target]),
/// ])?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("clicks.parquet");
/// # let user: ArrayRef = Arc::new(Int32Array::from_iter_values((0..2000).map(|row| row % 10)));
/// # let click: ArrayRef = Arc::new(Int32Array::from_iter_values((0..2000).map(|row| (row % 10) / 5)));
/// # let rows = RecordBatch::try_from_iter([("user", user), ("click", click)]).unwrap();
/// # let file = std::fs::File::create(&path).unwrap();
/// # let mut writer = parquet::arrow::ArrowWriter::try_new(file, rows.schema(), None).unwrap();
/// # writer.write(&rows).unwrap();
/// # writer.close().unwrap();
/// let config = LoaderConfig::new(100).with_shuffle(true);
/// let loader = Loader::open_with_schema(path, schema.clone(), config)?;
/// let body = MlpModel::new(Embeddings::new(4), Mlp::new([8]));
/// let spec = ModelSpec::new(body).with_task(BinaryClassification::new("click"));
/// let mut model = spec.build(&schema, &Device::default(), 1)?;
///
/// let trainer = Trainer::new().with_epochs(5).with_learning_rate(0.05).with_progress(Progress::Quiet);
/// let history = trainer.fit(&mut model, &loader, Some(&loader))?;
/// assert!(history.last().unwrap().valid("auc").unwrap() > 0.99);
/// assert!(trainer.evaluate(&model, &loader)?.get("log_loss").unwrap() < 0.2);
/// # Ok::<(), emrys_models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Trainer {
    epochs: u64,
    max_steps: Option<u64>,
    dense: DenseOptimizer,
    sparse: SparseOptimizer,
    seed: u64,
    progress: Progress,
    checkpoints: Option<Checkpoints>,
}

impl Default for Trainer {
    fn default() -> Self {
        Self::new()
    }
}

impl Trainer {
    /// One epoch of Adam for the blocks and lazy Adam for the embedding tables, both with learning
    /// rate 0.001; seed 0; a progress bar on a terminal; no checkpoints.
    pub fn new() -> Self {
        Self {
            epochs: 1,
            max_steps: None,
            dense: DenseOptimizer::adam(),
            sparse: SparseOptimizer::lazy_adam(),
            seed: 0,
            progress: Progress::Auto,
            checkpoints: None,
        }
    }

    /// How often the training data is gone through; 0 trains nothing.
    #[must_use]
    pub fn with_epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// Stops after that many batches in all, also in the middle of an epoch, whose report is then
    /// missing from the history. A resumed training counts the batches before it.
    #[must_use]
    pub fn with_max_steps(mut self, steps: u64) -> Self {
        self.max_steps = Some(steps);
        self
    }

    /// The optimizer of the blocks.
    #[must_use]
    pub fn with_dense(mut self, optimizer: DenseOptimizer) -> Self {
        self.dense = optimizer;
        self
    }

    /// The optimizer of the embedding tables that do not have one of their own.
    #[must_use]
    pub fn with_sparse(mut self, optimizer: SparseOptimizer) -> Self {
        self.sparse = optimizer;
        self
    }

    /// The learning rate of both optimizers.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        self.dense = self.dense.with_learning_rate(rate);
        self.sparse = self.sparse.with_learning_rate(rate);
        self
    }

    /// What is random in training depends on it: dropout. The order of the rows depends on the
    /// loader's seed, the starting parameters on the model's.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether bars are shown.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Saves checkpoints while training, and resumes from the newest one that is there.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }
}
