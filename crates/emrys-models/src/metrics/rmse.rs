//! Root mean squared error.

use super::{Direction, Mean, Metric, ScoredRows};

/// The root of the mean squared difference of prediction and label, in the unit of the label.
///
/// Range 0 and up; lower is better. With weights: the root of `sum of w d^2 / sum of w`.
///
/// # Nulls, NaN and empty input
/// NaN without rows or where any input is NaN.
///
/// # Example
/// ```
/// use emrys_models::metrics::{Metric, Predictions, Rmse, ScoredRows};
///
/// let mut rmse = Rmse::new();
/// rmse.update(ScoredRows::new(Predictions::Values(&[1.0, 5.0]), &[1.0, 2.0]));
/// assert_eq!(rmse.value(), 4.5f64.sqrt());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rmse {
    mean: Mean,
}

impl Rmse {
    /// An RMSE that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Metric for Rmse {
    fn name(&self) -> String {
        "rmse".to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn update(&mut self, rows: ScoredRows<'_>) {
        for (prediction, label, weight) in rows.rows() {
            let difference = f64::from(prediction) - f64::from(label);
            self.mean.add(difference * difference, f64::from(weight));
        }
    }

    fn value(&mut self) -> f64 {
        self.mean.value().sqrt()
    }

    fn reset(&mut self) {
        self.mean = Mean::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Predictions;

    #[test]
    fn weights_scale_the_squares() {
        let mut rmse = Rmse::new();
        let rows = ScoredRows::new(Predictions::Values(&[2.0, 0.0]), &[0.0, 0.0]);
        rmse.update(rows.with_weights(&[1.0, 3.0]));
        assert_eq!(rmse.value(), 1.0);
    }

    #[test]
    fn no_rows_and_nan_are_nan() {
        assert!(Rmse::new().value().is_nan());
        let mut rmse = Rmse::new();
        rmse.update(ScoredRows::new(Predictions::Values(&[1.0]), &[f32::NAN]));
        assert!(rmse.value().is_nan());
    }
}
