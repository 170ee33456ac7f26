//! A number.

use burn::tensor::Tensor;
use emrys_loader::Batch;
use serde::{Deserialize, Serialize};

use super::columns;
use super::one_number::OneNumber;
use crate::Result;
use crate::losses::squared_error;
use crate::metrics::{Metric, Predictions, Rmse};

/// Predicts a number, such as a rating.
///
/// # Shapes
/// - head: one linear unit on the body's `[B, D]`, giving predictions `[B, 1]`
/// - labels: one number a row of the target column, any numeric dtype
/// # Loss and metrics
/// The mean squared error; RMSE.
/// # Nulls, NaN and unseen values
/// A label that is NaN or infinite is an error naming column and row.
/// # Errors
/// At build: the target is not in the schema; the body does not give `[B, D]`.
/// # Example
/// ```
/// use emrys_models::tasks::{Regression, TaskSpec};
///
/// assert_eq!(TaskSpec::from(Regression::new("rating")).columns(), ["rating"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<String>,
}

impl Regression {
    /// Predicts the column `target`.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            weight: None,
        }
    }

    /// The column with each row's weight, 0 or more, in loss and metrics; default none.
    #[must_use]
    pub fn with_weight(mut self, column: impl Into<String>) -> Self {
        self.weight = Some(column.into());
        self
    }
}

impl OneNumber for Regression {
    const READER: &'static str = "regression";

    fn target(&self) -> &str {
        &self.target
    }

    fn weight(&self) -> Option<&str> {
        self.weight.as_deref()
    }

    fn row_losses(&self, predictions: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
        squared_error(predictions, labels)
    }

    fn read_labels(&self, batch: &Batch) -> Result<Vec<f32>> {
        let is_label = |_| true;
        columns::numbers(
            batch,
            Self::READER,
            &self.target,
            "a finite number",
            is_label,
        )
    }

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        Predictions::Values(scores)
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        vec![Box::new(Rmse::new())]
    }
}
