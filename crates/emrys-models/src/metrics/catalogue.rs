//! Metrics of what is recommended, without regard to whether it is liked.

use std::collections::BTreeSet;

/// How much of the catalogue recommendations reach and how popular they are, cut at k.
///
/// | Value | Formula | Direction |
/// |---|---|---|
/// | [`novelty`](Self::novelty) | mean of `-ln(p + 1e-16)` over the first k of all lists, nats | higher is more novel |
/// | [`popularity_bias`](Self::popularity_bias) | mean of `p` | lower is less biased |
/// | [`item_coverage`](Self::item_coverage) | distinct ids among the first k of all lists / items | higher covers more |
///
/// `p` is an item's share of all interactions: `frequencies[id] / sum of frequencies`.
///
/// # Unseen values
/// An id beyond `frequencies` has `p = 0`.
///
/// # Empty input
/// NaN before the first list; coverage is 0.
///
/// # Example
/// ```
/// use emrys_models::metrics::CatalogueMetrics;
///
/// let mut metrics = CatalogueMetrics::new(&[6, 3, 1], 1);
/// metrics.update(&[0, 1]);
/// metrics.update(&[1, 2]);
/// assert!((metrics.popularity_bias() - 0.45).abs() < 1e-12);
/// assert!((metrics.item_coverage() - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone)]
pub struct CatalogueMetrics {
    probabilities: Vec<f64>,
    k: usize,
    shown: BTreeSet<i64>,
    places: usize,
    surprise: f64,
    probability: f64,
}

/// Keeps the logarithm finite for items nobody ever touched, as Merlin does.
const EPSILON: f64 = 1e-16;

impl CatalogueMetrics {
    /// Metrics over a catalogue whose item `i` was seen `frequencies[i]` times.
    pub fn new(frequencies: &[u64], k: usize) -> Self {
        let all = frequencies.iter().sum::<u64>().max(1) as f64;
        Self {
            probabilities: frequencies
                .iter()
                .map(|count| *count as f64 / all)
                .collect(),
            k,
            shown: BTreeSet::new(),
            places: 0,
            surprise: 0.0,
            probability: 0.0,
        }
    }

    /// Takes in one list of recommended ids, best first; only the first k count.
    pub fn update(&mut self, recommended: &[i64]) {
        for &id in recommended.iter().take(self.k) {
            let known = usize::try_from(id)
                .ok()
                .and_then(|id| self.probabilities.get(id));
            let probability = known.copied().unwrap_or(0.0);
            self.shown.insert(id);
            self.places += 1;
            self.surprise -= (probability + EPSILON).ln();
            self.probability += probability;
        }
    }

    /// The mean surprise of a recommended item, in nats.
    pub fn novelty(&self) -> f64 {
        self.surprise / self.places as f64
    }

    /// The mean share of interactions of a recommended item, 0 to 1.
    pub fn popularity_bias(&self) -> f64 {
        self.probability / self.places as f64
    }

    /// The share of the catalogue that was recommended at all, 0 to 1.
    pub fn item_coverage(&self) -> f64 {
        self.shown.len() as f64 / self.probabilities.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_k_places_count() {
        let mut metrics = CatalogueMetrics::new(&[1, 1, 1, 1], 2);
        metrics.update(&[0, 1, 2, 3]);
        assert_eq!(metrics.item_coverage(), 0.5);
        assert!((metrics.novelty() - 4f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn an_unknown_item_is_as_novel_as_can_be() {
        let mut metrics = CatalogueMetrics::new(&[1, 1], 1);
        metrics.update(&[99]);
        assert_eq!(metrics.popularity_bias(), 0.0);
        assert!((metrics.novelty() + EPSILON.ln()).abs() < 1e-9);
    }
}
