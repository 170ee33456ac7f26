//! The chance of one of two outcomes.

use burn::tensor::{Tensor, activation::sigmoid};
use emrys_loader::Batch;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{Task, columns, regression};
use crate::losses::{Reduction, binary_cross_entropy, binary_cross_entropy_of_probabilities};
use crate::metrics::{Auc, LogLoss, Metric, Predictions, ThresholdAuc};
use crate::retrieval::ItemFrequencies;
use crate::{Problems, Result, Scope, Signature, Spec, Value};

/// What a temperature divides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemperatureOn {
    /// The logit: `p = sigmoid(z / T)`, a softer or sharper model.
    #[default]
    Logits,
    /// The probability: `p = sigmoid(z) / T`, only to reproduce Merlin's tutorials.
    ///
    /// A probability that never exceeds `1 / T` cannot fit a positive: with `T = 2` the minimiser
    /// of the cross entropy is `min(q, 1/2)` for a true chance `q`. All rows with `q > 1/2` are
    /// pushed to saturation, which loses much of the order among them, and each positive costs
    /// `ln 2` at least. What order is left is closer together than the 200 thresholds of Keras'
    /// AUC. That is why the DLRM tutorial of Merlin prints a loss of 0.639 and an AUC of 0.733
    /// where the same model without it reaches 0.535 and 0.796. In this mode the task also
    /// measures that AUC, as `auc_200`; the exact one is about 0.77.
    Probability,
}

/// Predicts the chance that a row's label is 1.
///
/// # Shapes
/// - head: one linear unit on the body's `[B, D]`, giving logits `[B, 1]`
/// - labels: one number in `[0, 1]` a row of the target column, any numeric dtype
/// # Loss and metrics
/// The mean binary cross entropy of the logits, in nats; AUC and log loss, exact.
/// # Nulls, NaN and unseen values
/// A label that is NaN or outside of `[0, 1]` is an error naming column and row.
/// # Errors
/// At build: the target is not in the schema; the body does not give `[B, D]`.
/// # Example
/// ```
/// use emrys_models::tasks::{BinaryClassification, TemperatureOn};
///
/// let task = BinaryClassification::new("click").with_temperature(2.0);
/// assert_eq!(task.temperature(), 2.0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryClassification {
    target: String,
    #[serde(default = "one")]
    temperature: f32,
    #[serde(default)]
    temperature_on: TemperatureOn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<String>,
}

fn one() -> f32 {
    1.0
}

const READER: &str = "binary_classification";

impl BinaryClassification {
    /// Predicts the column `target`.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            temperature: 1.0,
            temperature_on: TemperatureOn::Logits,
            weight: None,
        }
    }

    /// Divides in training, evaluation and prediction alike; above 0, default 1.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// What the temperature divides; default the logits.
    #[must_use]
    pub fn with_temperature_on(mut self, temperature_on: TemperatureOn) -> Self {
        self.temperature_on = temperature_on;
        self
    }

    /// The column with each row's weight, 0 or more, in loss and metrics; default none.
    #[must_use]
    pub fn with_weight(mut self, column: impl Into<String>) -> Self {
        self.weight = Some(column.into());
        self
    }

    /// The temperature.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    fn read_labels(&self, batch: &Batch) -> Result<Vec<f32>> {
        let is_label = |label| (0.0..=1.0).contains(&label);
        columns::numbers(batch, READER, &self.target, "between 0 and 1", is_label)
    }

    /// Logits or probabilities `[B]`, divided by the temperature.
    fn divided(&self, output: Value) -> Result<Tensor<1>> {
        let logits = regression::single_unit(output, READER)?;
        Ok(match self.temperature_on {
            TemperatureOn::Logits if self.temperature == 1.0 => logits,
            TemperatureOn::Logits => logits / self.temperature,
            TemperatureOn::Probability => sigmoid(logits) / self.temperature,
        })
    }
}

impl Task for BinaryClassification {
    fn name(&self) -> &str {
        &self.target
    }

    fn head(&self) -> Option<Spec> {
        Some(regression::linear_unit())
    }

    fn columns(&self) -> Vec<&str> {
        std::iter::once(self.target.as_str())
            .chain(self.weight.as_deref())
            .collect()
    }

    fn check(
        &self,
        schema: &Schema,
        output: &Signature,
        scope: &Scope<'_>,
    ) -> Result<(), Problems> {
        Problems::gather([
            columns::check(schema, self.columns(), scope),
            regression::check_single_unit(output, scope),
            columns::check_temperature(self.temperature, scope),
        ])
        .map(drop)
    }

    fn loss(&self, output: Value, batch: &Batch, _: Option<&ItemFrequencies>) -> Result<Tensor<1>> {
        let predictions = self.divided(output)?;
        let device = predictions.device();
        let labels = columns::tensor(self.read_labels(batch)?, &device);
        let weights = self
            .weights(batch)?
            .map(|weights| columns::tensor(weights, &device));
        let rows = match self.temperature_on {
            TemperatureOn::Logits => binary_cross_entropy(predictions, labels),
            TemperatureOn::Probability => {
                binary_cross_entropy_of_probabilities(predictions, labels)
            }
        };
        Ok(Reduction::Mean.apply(rows, weights))
    }

    fn scores(&self, output: Value) -> Result<Tensor<1>> {
        self.divided(output)
    }

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        match self.temperature_on {
            TemperatureOn::Logits => Predictions::Logits(scores),
            TemperatureOn::Probability => Predictions::Probabilities(scores),
        }
    }

    fn labels(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        self.read_labels(batch).map(Some)
    }

    fn weights(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        columns::weights(batch, READER, self.weight.as_deref())
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        let mut metrics: Vec<Box<dyn Metric>> =
            vec![Box::new(Auc::new()), Box::new(LogLoss::new())];
        if self.temperature_on == TemperatureOn::Probability {
            metrics.push(Box::new(ThresholdAuc::keras()));
        }
        metrics
    }
}
