//! A number.

use burn::tensor::Tensor;
use emrys_loader::Batch;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{Task, columns};
use crate::blocks::Mlp;
use crate::losses::{Reduction, squared_error};
use crate::metrics::{Metric, Predictions, Rmse};
use crate::retrieval::ItemFrequencies;
use crate::{Problems, Result, RowShape, Scope, Signature, Spec, Value};

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

const READER: &str = "regression";

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

    fn read_labels(&self, batch: &Batch) -> Result<Vec<f32>> {
        columns::numbers(batch, READER, &self.target, "a finite number", |_| true)
    }
}

impl Task for Regression {
    fn name(&self) -> &str {
        &self.target
    }

    fn head(&self) -> Option<Spec> {
        Some(linear_unit())
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
            check_single_unit(output, scope),
        ])
        .map(drop)
    }

    fn loss(&self, output: Value, batch: &Batch, _: Option<&ItemFrequencies>) -> Result<Tensor<1>> {
        let predictions = single_unit(output, READER)?;
        let device = predictions.device();
        let labels = columns::tensor(self.read_labels(batch)?, &device);
        let weights = self
            .weights(batch)?
            .map(|weights| columns::tensor(weights, &device));
        Ok(Reduction::Mean.apply(squared_error(predictions, labels), weights))
    }

    fn scores(&self, output: Value) -> Result<Tensor<1>> {
        single_unit(output, READER)
    }

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        Predictions::Values(scores)
    }

    fn labels(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        self.read_labels(batch).map(Some)
    }

    fn weights(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        columns::weights(batch, READER, self.weight.as_deref())
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        vec![Box::new(Rmse::new())]
    }
}

/// The head of tasks that predict one number.
pub(super) fn linear_unit() -> Spec {
    Mlp::linear(1).into()
}

/// The numbers `[B]` of such a head.
pub(super) fn single_unit(output: Value, reader: &'static str) -> Result<Tensor<1>> {
    Ok(output.into_rank2(reader)?.squeeze_dim(1))
}

/// A problem unless a head gives `[B, 1]`.
pub(super) fn check_single_unit(output: &Signature, scope: &Scope<'_>) -> Result<(), Problems> {
    match output {
        Signature::Tensor(RowShape::Vector(1)) => Ok(()),
        other => Err(scope.problem(format!("expected one number a row, [B, 1], found {other}"))),
    }
}
