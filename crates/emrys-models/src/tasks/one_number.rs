//! What tasks have in common that predict one number a row, to be near a label.

use burn::tensor::Tensor;
use emrys_loader::Batch;
use emrys_schema::Schema;

use super::{Task, columns};
use crate::blocks::Mlp;
use crate::losses::Reduction;
use crate::metrics::{Metric, Predictions};
use crate::retrieval::ItemFrequencies;
use crate::{Problems, Result, RowShape, Scope, Signature, Spec, Value};

/// A [`Task`] with one linear unit as its head, a target column and perhaps one of weights.
pub(super) trait OneNumber {
    /// The task's name in errors.
    const READER: &'static str;

    fn target(&self) -> &str;
    fn weight(&self) -> Option<&str>;

    /// Problems of the task's own settings.
    fn check_settings(&self, scope: &Scope<'_>) -> Result<(), Problems> {
        let _ = scope;
        Ok(())
    }

    /// The predictions `[B]`, given the head's numbers.
    fn predictions(&self, units: Tensor<1>) -> Tensor<1> {
        units
    }

    /// The loss of each row.
    fn row_losses(&self, predictions: Tensor<1>, labels: Tensor<1>) -> Tensor<1>;

    /// The labels of a batch, checked.
    fn read_labels(&self, batch: &Batch) -> Result<Vec<f32>>;

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a>;
    fn metrics(&self) -> Vec<Box<dyn Metric>>;
}

impl<T: OneNumber> Task for T {
    fn name(&self) -> &str {
        self.target()
    }

    fn head(&self) -> Option<Spec> {
        Some(Mlp::linear(1).into())
    }

    fn columns(&self) -> Vec<&str> {
        std::iter::once(self.target())
            .chain(self.weight())
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
            self.check_settings(scope),
        ])
        .map(drop)
    }

    fn loss(&self, output: Value, batch: &Batch, _: Option<&ItemFrequencies>) -> Result<Tensor<1>> {
        let predictions = self.scores(output)?;
        let device = predictions.device();
        let labels = columns::tensor(self.read_labels(batch)?, &device);
        let weights = self
            .weights(batch)?
            .map(|weights| columns::tensor(weights, &device));
        Ok(Reduction::Mean.apply(self.row_losses(predictions, labels), weights))
    }

    fn scores(&self, output: Value) -> Result<Tensor<1>> {
        let units = output.into_rank2(T::READER)?.squeeze_dim(1);
        Ok(self.predictions(units))
    }

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        OneNumber::scale(self, scores)
    }

    fn labels(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        self.read_labels(batch).map(Some)
    }

    fn weights(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        columns::weights(batch, T::READER, self.weight())
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        OneNumber::metrics(self)
    }
}

/// A problem unless a head gives `[B, 1]`.
fn check_single_unit(output: &Signature, scope: &Scope<'_>) -> Result<(), Problems> {
    match output {
        Signature::Tensor(RowShape::Vector(1)) => Ok(()),
        other => Err(scope.problem(format!("expected one number a row, [B, 1], found {other}"))),
    }
}
