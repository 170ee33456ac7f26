//! The chance of one of two outcomes.

use burn::tensor::{Tensor, activation::sigmoid};
use emrys_loader::Batch;
use serde::{Deserialize, Serialize};

use super::columns;
use super::one_number::OneNumber;
use crate::losses::{binary_cross_entropy, binary_cross_entropy_of_probabilities};
use crate::metrics::{Auc, LogLoss, Metric, Predictions, ThresholdAuc};
use crate::{Problems, Result, Scope};

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
}

impl OneNumber for BinaryClassification {
    const READER: &'static str = "binary_classification";

    fn target(&self) -> &str {
        &self.target
    }

    fn weight(&self) -> Option<&str> {
        self.weight.as_deref()
    }

    fn check_settings(&self, scope: &Scope<'_>) -> Result<(), Problems> {
        columns::check_temperature(self.temperature, scope)
    }

    /// Logits or probabilities, divided by the temperature.
    fn predictions(&self, logits: Tensor<1>) -> Tensor<1> {
        match self.temperature_on {
            TemperatureOn::Logits if self.temperature == 1.0 => logits,
            TemperatureOn::Logits => logits / self.temperature,
            TemperatureOn::Probability => sigmoid(logits) / self.temperature,
        }
    }

    fn row_losses(&self, predictions: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
        match self.temperature_on {
            TemperatureOn::Logits => binary_cross_entropy(predictions, labels),
            TemperatureOn::Probability => {
                binary_cross_entropy_of_probabilities(predictions, labels)
            }
        }
    }

    fn read_labels(&self, batch: &Batch) -> Result<Vec<f32>> {
        let is_label = |label| (0.0..=1.0).contains(&label);
        columns::numbers(
            batch,
            Self::READER,
            &self.target,
            "between 0 and 1",
            is_label,
        )
    }

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        match self.temperature_on {
            TemperatureOn::Logits => Predictions::Logits(scores),
            TemperatureOn::Probability => Predictions::Probabilities(scores),
        }
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
