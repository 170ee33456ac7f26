//! How well labels can be predicted by the probabilities that they were drawn with.

/// The true probabilities and the labels of the rows.
#[derive(Default)]
pub(super) struct Attainable {
    probabilities: Vec<f64>,
    clicks: Vec<bool>,
}

impl Attainable {
    pub(super) fn push(&mut self, probability: f64, clicked: bool) {
        self.probabilities.push(probability);
        self.clicks.push(clicked);
    }

    pub(super) fn click_rate(&self) -> f64 {
        self.positives() as f64 / self.clicks.len() as f64
    }

    /// The mean negative log-likelihood in nats.
    pub(super) fn log_loss(&self) -> f64 {
        let loss: f64 = self
            .probabilities
            .iter()
            .zip(&self.clicks)
            .map(|(probability, clicked)| {
                if *clicked {
                    -probability.ln()
                } else {
                    -(-probability).ln_1p()
                }
            })
            .sum();
        loss / self.clicks.len() as f64
    }

    /// The share of pairs of a clicked and an unclicked row that the probabilities put in order, ties
    /// counting one half; NaN without such pairs.
    pub(super) fn auc(&self) -> f64 {
        let mut order: Vec<usize> = (0..self.clicks.len()).collect();
        order.sort_unstable_by(|a, b| self.probabilities[*a].total_cmp(&self.probabilities[*b]));

        let (mut negatives_below, mut ordered_pairs) = (0u64, 0.0);
        for ties in order.chunk_by(|a, b| {
            self.probabilities[*a]
                .total_cmp(&self.probabilities[*b])
                .is_eq()
        }) {
            let positives = ties.iter().filter(|row| self.clicks[**row]).count() as u64;
            let negatives = ties.len() as u64 - positives;
            ordered_pairs += positives as f64 * (negatives_below as f64 + negatives as f64 / 2.0);
            negatives_below += negatives;
        }
        ordered_pairs / (self.positives() as f64 * negatives_below as f64)
    }

    fn positives(&self) -> usize {
        self.clicks.iter().filter(|clicked| **clicked).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attainable(rows: &[(f64, bool)]) -> Attainable {
        let mut attainable = Attainable::default();
        rows.iter()
            .for_each(|(probability, clicked)| attainable.push(*probability, *clicked));
        attainable
    }

    #[test]
    fn auc_counts_ordered_pairs_and_half_of_the_ties() {
        // Pairs of a clicked with an unclicked row: 0.7 over 0.5 and 0.2, 0.5 ties 0.5 and is over 0.2.
        let rows = attainable(&[(0.7, true), (0.5, false), (0.5, true), (0.2, false)]);
        assert!((rows.auc() - 3.5 / 4.0).abs() < 1e-15);
    }

    #[test]
    fn auc_without_both_classes_is_nan() {
        assert!(attainable(&[(0.7, true), (0.5, true)]).auc().is_nan());
    }

    #[test]
    fn log_loss_is_the_mean_over_both_classes() {
        let rows = attainable(&[(0.8, true), (0.5, false)]);
        assert!((rows.log_loss() - (-(0.8f64.ln()) - 0.5f64.ln()) / 2.0).abs() < 1e-15);
    }
}
