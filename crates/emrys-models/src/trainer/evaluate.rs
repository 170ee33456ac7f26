//! Loss and metrics over a data set.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use emrys_loader::Loader;

use super::Trainer;
use super::progress::Bar;
use crate::loading::{columns_of, in_file_order};
use crate::metrics::{Evaluation, Metric, ScoredRows};
use crate::retrieval::ItemFrequencies;
use crate::tasks::TaskSpec;
use crate::{Model, Pass, Result};

/// How often each item came in the training data, by the name of the task that asks for it.
pub(super) type Frequencies = BTreeMap<String, ItemFrequencies>;

impl Trainer {
    /// Measures a model on a data set: `loss`, and the metrics of its task.
    ///
    /// Every row counts once, whatever the loader is set to. With several tasks, `loss` is their
    /// sum and the others are called `<task>/<metric>`. The loss of batches is averaged over rows;
    /// metrics are exact over all rows.
    ///
    /// # Errors
    /// A missing column, a label that cannot be used, and what reading gives.
    pub fn evaluate(&self, model: &Model, data: &Loader) -> Result<Evaluation> {
        self.evaluate_with(model, data, &Frequencies::new())
    }

    pub(super) fn evaluate_with(
        &self,
        model: &Model,
        data: &Loader,
        frequencies: &Frequencies,
    ) -> Result<Evaluation> {
        let started = Instant::now();
        let loader = in_file_order(data, columns_of(model), model.lookup_specs())?;
        let (network, pass) = (model.network().valid(), Pass::evaluation());
        let mut measured: Vec<Measured> = model.tasks().iter().map(Measured::new).collect();
        let bar = Bar::new(
            self.progress,
            "evaluate".to_owned(),
            loader.len_batches(),
            0,
        );
        let mut rows = 0;
        for batch in loader.epoch(0)? {
            let batch = batch?;
            let lookup = model.gather(&batch, &pass)?;
            let features = model.features(&batch, &lookup, &pass)?;
            let outputs = network.forward(&features, &pass)?;
            for measured in &mut measured {
                let (task, output) = (measured.task, outputs.get(measured.task.name()));
                let loss = task.loss(output.clone(), &batch, frequencies.get(task.name()))?;
                measured.loss += f64::from(loss.into_scalar::<f32>()) * batch.num_rows() as f64;
                if let Some(labels) = task.labels(&batch)? {
                    let scores = to_host(task.scores(output.clone())?);
                    let weights = task.weights(&batch)?;
                    let scored = ScoredRows {
                        predictions: task.scale(&scores),
                        labels: &labels,
                        weights: weights.as_deref(),
                    };
                    measured
                        .metrics
                        .iter_mut()
                        .for_each(|metric| metric.update(scored));
                }
            }
            rows += batch.num_rows();
            bar.advance();
        }
        Ok(Evaluation::new(
            rows,
            started.elapsed(),
            values(measured, rows),
        ))
    }
}

/// What is measured of one task.
struct Measured<'a> {
    task: &'a TaskSpec,
    /// The sum of the batches' losses, each times its rows.
    loss: f64,
    metrics: Vec<Box<dyn Metric>>,
}

impl<'a> Measured<'a> {
    fn new(task: &'a TaskSpec) -> Self {
        Self {
            task,
            loss: 0.0,
            metrics: task.metrics(),
        }
    }
}

/// Names and values, the whole loss first.
fn values(measured: Vec<Measured<'_>>, rows: usize) -> Vec<(String, f64)> {
    let one = measured.len() == 1;
    let mean = |loss: f64| loss / rows as f64;
    let mut values = vec![(
        "loss".to_owned(),
        mean(measured.iter().map(|task| task.loss).sum()),
    )];
    for mut measured in measured {
        let name = |metric: String| match one {
            true => metric,
            false => format!("{}/{metric}", measured.task.name()),
        };
        if !one {
            values.push((name("loss".to_owned()), mean(measured.loss)));
        }
        values.extend(
            measured
                .metrics
                .iter_mut()
                .map(|metric| (name(metric.name()), metric.value())),
        );
    }
    values
}

/// The numbers of a tensor.
pub(super) fn to_host(tensor: Tensor<1>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec()
        .expect("models compute in f32")
}
