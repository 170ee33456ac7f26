//! Area under the ROC curve from a fixed number of thresholds.

use super::{Direction, Metric, Predictions, ScoredRows};

/// The area under the ROC curve through a fixed number of thresholds, as Keras computes it.
///
/// Range 0 to 1; higher is better. [`Auc`](super::Auc) is exact and the one to use; this one takes
/// constant memory, and gives the number that Keras prints. They agree while probabilities are
/// spread over `[0, 1]`. Where many of them crowd between two thresholds the order among those is
/// lost, and this AUC is the lower one.
///
/// # Formula
/// With `n` thresholds `-1e-7, 1 / (n - 1), ..., (n - 2) / (n - 1), 1 + 1e-7`: the area below the
/// lines through the points (false positive rate, true positive rate) of `p > threshold`.
///
/// # Nulls, NaN and empty input
/// NaN without rows, with only one class, or where a probability, label or weight is NaN.
///
/// # Example
/// ```
/// use emrys_models::metrics::{Metric, Predictions, ScoredRows, ThresholdAuc};
///
/// let mut auc = ThresholdAuc::keras();
/// let order_lost = [0.5001, 0.5002];
/// auc.update(ScoredRows::new(Predictions::Probabilities(&order_lost), &[0.0, 1.0]));
/// assert_eq!(auc.value(), 0.5);
/// assert_eq!(auc.name(), "auc_200");
/// ```
#[derive(Debug, Clone)]
pub struct ThresholdAuc {
    /// All but the first, which every probability is above; rising.
    thresholds: Vec<f32>,
    /// Weights of positives and negatives by the number of thresholds that they are above.
    buckets: Vec<[f64; 2]>,
}

impl ThresholdAuc {
    /// An AUC of 200 thresholds, the number of Keras.
    pub fn keras() -> Self {
        Self::new(200)
    }

    /// An AUC of that many thresholds.
    ///
    /// # Panics
    /// If there are less than 3: nothing would be between the ends.
    pub fn new(thresholds: usize) -> Self {
        assert!(thresholds >= 3, "an AUC needs a threshold between its ends");
        let gaps = (thresholds - 1) as f64;
        // Keras compares in single precision.
        let inner = (1..thresholds - 1).map(|index| (index as f64 / gaps) as f32);
        let thresholds: Vec<f32> = inner.chain([1.0 + 1e-7]).collect();
        Self {
            buckets: vec![[0.0; 2]; thresholds.len() + 1],
            thresholds,
        }
    }
}

impl Metric for ThresholdAuc {
    fn name(&self) -> String {
        format!("auc_{}", self.thresholds.len() + 1)
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn update(&mut self, rows: ScoredRows<'_>) {
        let logits = matches!(rows.predictions, Predictions::Logits(_));
        for (prediction, label, weight) in rows.rows() {
            let probability = if logits {
                1.0 / (1.0 + (-prediction).exp())
            } else {
                prediction
            };
            let above = self
                .thresholds
                .partition_point(|threshold| probability > *threshold);
            // A NaN makes its bucket NaN, and with it the value.
            let weight = f64::from(if probability.is_nan() {
                f32::NAN
            } else {
                weight
            });
            let label = f64::from(label);
            self.buckets[above][0] += weight * label;
            self.buckets[above][1] += weight * (1.0 - label);
        }
    }

    fn value(&mut self) -> f64 {
        let (mut positives, mut negatives, mut area) = (0.0, 0.0, 0.0);
        for [tied_positives, tied_negatives] in self.buckets.iter().rev() {
            area += tied_negatives * (positives + tied_positives / 2.0);
            positives += tied_positives;
            negatives += tied_negatives;
        }
        area / (positives * negatives)
    }

    fn reset(&mut self) {
        self.buckets.fill([0.0; 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auc(predictions: Predictions<'_>, labels: &[f32]) -> f64 {
        let mut auc = ThresholdAuc::keras();
        auc.update(ScoredRows::new(predictions, labels));
        auc.value()
    }

    #[test]
    fn it_is_exact_where_no_two_share_a_gap() {
        let labels = [0.0, 0.0, 1.0, 1.0];
        assert_eq!(
            auc(Predictions::Probabilities(&[0.1, 0.4, 0.35, 0.8]), &labels),
            0.75
        );
        assert_eq!(
            auc(Predictions::Logits(&[-2.0, -0.4, -0.6, 1.4]), &labels),
            0.75
        );
        assert_eq!(
            auc(Predictions::Probabilities(&[0.0, 0.0, 1.0, 1.0]), &labels),
            1.0
        );
    }

    #[test]
    fn one_class_no_rows_and_nan_are_nan() {
        assert!(auc(Predictions::Probabilities(&[0.2, 0.7]), &[1.0, 1.0]).is_nan());
        assert!(auc(Predictions::Probabilities(&[]), &[]).is_nan());
        assert!(
            auc(
                Predictions::Probabilities(&[f32::NAN, 0.5, 0.9]),
                &[0.0, 0.0, 1.0]
            )
            .is_nan()
        );
    }
}
