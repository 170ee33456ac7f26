//! The training loop.

use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use emrys_loader::{Batch, Loader, LoaderState};

use super::evaluate::Frequencies;
use super::progress::Bar;
use super::{EpochReport, History, Trainer};
use crate::loading::columns_of;
use crate::retrieval::ItemFrequencies;
use crate::{Error, Model, Pass, Result};

/// How far a training has come.
pub(super) struct Run {
    /// The state of the blocks' optimizer; that of the tables is in the tables.
    pub(super) optimizer: ModuleOptimizer,
    /// Batches trained on in all epochs.
    pub(super) steps: u64,
    /// The epoch under way, from 0.
    pub(super) epoch: u64,
    /// Where it stands; `None` at its beginning.
    pub(super) loader: Option<LoaderState>,
    /// Rows of this epoch, the sum of their losses, and the time they took.
    pub(super) rows: u64,
    pub(super) loss: f64,
    pub(super) seconds: f64,
    /// The epochs that are done.
    pub(super) history: History,
}

impl Run {
    fn new(trainer: &Trainer) -> Self {
        Self {
            optimizer: trainer.dense.init(),
            steps: 0,
            epoch: 0,
            loader: None,
            rows: 0,
            loss: 0.0,
            seconds: 0.0,
            history: History::default(),
        }
    }

    /// The report of the epoch that has just ended; the next one begins.
    fn end_epoch(&mut self) -> EpochReport {
        let report = EpochReport {
            epoch: self.epoch + 1,
            rows: self.rows,
            seconds: self.seconds,
            loss: self.loss / self.rows as f64,
            valid: Vec::new(),
        };
        self.epoch += 1;
        self.loader = None;
        (self.rows, self.loss, self.seconds) = (0, 0.0, 0.0);
        report
    }
}

impl Trainer {
    /// Trains a model on batches of `train`, in the order and size that the loader is set to, and
    /// measures it on `valid` after each epoch.
    ///
    /// Only the columns that the model and its tasks read are loaded. With
    /// [checkpoints](Trainer::with_checkpoints), a training that was cut off goes on where the
    /// newest checkpoint was made and ends with the same bits.
    ///
    /// # Errors
    /// [`Error::NoTask`]; [`Error::Diverged`] when the loss is no number any more; a column is
    /// missing, a label or an id cannot be used; reading or writing fails;
    /// [`Error::OtherTraining`], [`Error::NewerFormat`] or [`Error::Checkpoint`] if there is a
    /// checkpoint to resume from that cannot be used. After an error the model is what the last
    /// whole step left.
    pub fn fit(
        &self,
        model: &mut Model,
        train: &Loader,
        valid: Option<&Loader>,
    ) -> Result<History> {
        if model.tasks().is_empty() {
            return Err(Error::NoTask);
        }
        let config = train.config().clone().with_columns(columns_of(model));
        let train = train.with_lookups([])?.with_config(config)?;
        let train = train.with_lookups(model.lookup_specs())?;
        let frequencies = count(model, &train)?;
        let resumed = match &self.checkpoints {
            Some(checkpoints) => checkpoints.resume(self, model)?,
            None => None,
        };
        let mut run = resumed.unwrap_or_else(|| Run::new(self));
        while run.epoch < self.epochs {
            if !self.train_epoch(model, &train, &frequencies, &mut run)? {
                break;
            }
            let mut report = run.end_epoch();
            if let Some(valid) = valid {
                report = report.with_valid(&self.evaluate_with(model, valid, &frequencies)?);
            }
            run.history.push(report);
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.save(self, model, &run)?;
            }
        }
        Ok(run.history)
    }

    /// Trains to the end of the epoch under way; `false` if the steps ran out before.
    fn train_epoch(
        &self,
        model: &mut Model,
        train: &Loader,
        frequencies: &Frequencies,
        run: &mut Run,
    ) -> Result<bool> {
        let mut batches = match &run.loader {
            Some(state) => train.epoch_from(state)?,
            None => train.epoch(run.epoch)?,
        };
        let done = batches.state().batches_done();
        let label = format!("epoch {}/{}", run.epoch + 1, self.epochs);
        let bar = Bar::new(self.progress, label, train.len_batches(), done);
        let (mut resumed, mut seconds) = (Instant::now(), run.seconds);
        loop {
            if self.max_steps.is_some_and(|most| run.steps >= most) {
                return Ok(false);
            }
            let Some(batch) = batches.next() else {
                return Ok(true);
            };
            let batch = batch?;
            let loss = self.step(model, &batch, frequencies, run)?;
            if !loss.is_finite() {
                let batch = batches.state().batches_done();
                return Err(Error::Diverged {
                    loss,
                    epoch: run.epoch + 1,
                    batch,
                });
            }
            let rows = batch.num_rows();
            run.steps += 1;
            run.rows += rows as u64;
            run.loss += f64::from(loss) * rows as f64;
            run.seconds = seconds + resumed.elapsed().as_secs_f64();
            bar.advance();
            bar.say(|| {
                let speed = run.rows as f64 / run.seconds;
                format!("loss {:.4}, {speed:.0} rows/s", run.loss / run.rows as f64)
            });
            if let Some(checkpoints) = self.checkpoints.as_ref().filter(|c| c.is_due(run.steps)) {
                run.loader = Some(batches.state());
                checkpoints.save(self, model, run)?;
                // Saving is not training time.
                (seconds, resumed) = (run.seconds, Instant::now());
            }
        }
    }

    /// One update of all parameters; gives the loss before it. Nothing is changed if the loss is
    /// no number.
    fn step(
        &self,
        model: &mut Model,
        batch: &Batch,
        frequencies: &Frequencies,
        run: &mut Run,
    ) -> Result<f32> {
        let pass = Pass::training(step_seed(self.seed, run.steps));
        let embeddings = model.gather(batch, &pass)?;
        let features = model.features(batch, &embeddings, &pass)?;
        let outputs = model.network().forward(&features, &pass)?;
        let mut loss: Option<Tensor<1>> = None;
        for task in model.tasks() {
            let output = outputs.get(task.name()).clone();
            let of_task = task.loss(output, batch, frequencies.get(task.name()))?;
            loss = Some(match loss {
                Some(loss) => loss + of_task,
                None => of_task,
            });
        }
        let loss = loss.ok_or(Error::NoTask)?;
        let value = loss.clone().into_scalar::<f32>();
        if value.is_finite() {
            let mut gradients = loss.backward();
            let dense = GradientsParams::from_module(&mut gradients, model.network());
            let rate = self.dense.learning_rate();
            model.update_network(|network| run.optimizer.step(rate, network, dense));
            let tables = model.tables_mut();
            tables.apply(batch.plans(), &embeddings, &mut gradients, &self.sparse)?;
        }
        Ok(value)
    }
}

/// Counts the items of the training data for the tasks that need it.
fn count(model: &Model, train: &Loader) -> Result<Frequencies> {
    let mut frequencies = Frequencies::new();
    for task in model.tasks() {
        if let Some(column) = task.frequencies_of() {
            frequencies.insert(
                task.name().to_owned(),
                ItemFrequencies::read(train, column)?,
            );
        }
    }
    Ok(frequencies)
}

/// A seed for each step that has nothing in common with that of the step before (splitmix64).
fn step_seed(seed: u64, step: u64) -> u64 {
    let mut mixed = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
