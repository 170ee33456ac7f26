//! Mean binary cross entropy.

use super::{Direction, Mean, Metric, Predictions, ScoredRows};

/// The mean of `-(y ln p + (1 - y) ln(1 - p))`, in nats.
///
/// Range 0 and up; lower is better; a constant prediction of the base rate scores its entropy.
///
/// # Formula
/// From logits `z`: `max(z, 0) - y z + ln(1 + exp(-|z|))`, exact for every finite `z`. From
/// probabilities: `p` is first limited to `[1e-7, 1 - 1e-7]`, as Keras and the golden cases do,
/// since a probability that rounded to 0 or 1 would make the mean infinite. With weights:
/// `sum of w loss / sum of w`.
///
/// # Nulls, NaN and empty input
/// NaN without rows or where any input is NaN.
///
/// # Example
/// ```
/// use emrys_models::metrics::{LogLoss, Metric, Predictions, ScoredRows};
///
/// let mut log_loss = LogLoss::new();
/// log_loss.update(ScoredRows::new(Predictions::Logits(&[0.0, 0.0]), &[0.0, 1.0]));
/// assert!((log_loss.value() - 2f64.ln()).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Default)]
pub struct LogLoss {
    mean: Mean,
}

/// How near to 0 and 1 a probability may come.
const CLIP: f64 = 1e-7;

impl LogLoss {
    /// A log loss that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Metric for LogLoss {
    fn name(&self) -> String {
        "log_loss".to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn update(&mut self, rows: ScoredRows<'_>) {
        let from_logit =
            |logit: f64, label: f64| logit.max(0.0) - label * logit + (-logit.abs()).exp().ln_1p();
        let from_probability = |probability: f64, label: f64| {
            let probability = probability.clamp(CLIP, 1.0 - CLIP);
            -(label * probability.ln() + (1.0 - label) * (1.0 - probability).ln())
        };
        let logits = matches!(rows.predictions, Predictions::Logits(_));
        for (prediction, label, weight) in rows.rows() {
            let (prediction, label) = (f64::from(prediction), f64::from(label));
            let loss = if prediction.is_nan() {
                // `f64::max` would drop it.
                f64::NAN
            } else if logits {
                from_logit(prediction, label)
            } else {
                from_probability(prediction, label)
            };
            self.mean.add(loss, f64::from(weight));
        }
    }

    fn value(&mut self) -> f64 {
        self.mean.value()
    }

    fn reset(&mut self) {
        self.mean = Mean::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_loss(predictions: Predictions<'_>, labels: &[f32]) -> f64 {
        let mut log_loss = LogLoss::new();
        log_loss.update(ScoredRows::new(predictions, labels));
        log_loss.value()
    }

    #[test]
    fn extreme_logits_cost_their_distance() {
        assert_eq!(log_loss(Predictions::Logits(&[1000.0]), &[0.0]), 1000.0);
        assert_eq!(log_loss(Predictions::Logits(&[-1000.0]), &[1.0]), 1000.0);
        assert_eq!(log_loss(Predictions::Logits(&[1000.0]), &[1.0]), 0.0);
    }

    #[test]
    fn probabilities_and_logits_agree() {
        let from_logit = log_loss(Predictions::Logits(&[3f32.ln()]), &[1.0]);
        let from_probability = log_loss(Predictions::Probabilities(&[0.75]), &[1.0]);
        assert!((from_logit - from_probability).abs() < 1e-7);
        assert!((from_probability + 0.75f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn weights_count_rows_several_times() {
        let mut weighted = LogLoss::new();
        let rows = ScoredRows::new(Predictions::Logits(&[1.0, -2.0]), &[1.0, 1.0]);
        weighted.update(rows.with_weights(&[3.0, 1.0]));
        let repeated = log_loss(Predictions::Logits(&[1.0, 1.0, 1.0, -2.0]), &[1.0; 4]);
        assert!((weighted.value() - repeated).abs() < 1e-15);
    }

    #[test]
    fn no_rows_and_nan_are_nan() {
        assert!(LogLoss::new().value().is_nan());
        assert!(log_loss(Predictions::Logits(&[f32::NAN]), &[1.0]).is_nan());
        assert!(log_loss(Predictions::Probabilities(&[f32::NAN]), &[1.0]).is_nan());
        assert!(log_loss(Predictions::Logits(&[1.0]), &[f32::NAN]).is_nan());
    }
}
