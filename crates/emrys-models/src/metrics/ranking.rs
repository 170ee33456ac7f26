//! Metrics of ranked lists, cut at k.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A family of metrics over a ranked list of which some places are relevant.
///
/// All range from 0 to 1 and higher is better. `r_i` is 1 where place `i` (from 1) is relevant,
/// `n` the number of relevant items in the whole list, also those beyond place k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankingMetric {
    /// `sum of r_i (i <= k) / clip(n, 1, k)`: a list that puts relevant items in all k places is
    /// perfect, even if there are more of them.
    Recall,
    /// `sum of r_i (i <= k) / k`.
    Precision,
    /// Average precision: `sum over i <= k of r_i precision_at_i / clip(n, 1, k)`.
    Map,
    /// `sum of r_i / log2(i + 1) (i <= k)`, divided by the same of the best possible list.
    Ndcg,
    /// `1 / i` of the first relevant place, 0 if it is beyond k.
    Mrr,
}

impl RankingMetric {
    /// The families in the order in which they are reported.
    pub const ALL: [Self; 5] = [
        Self::Recall,
        Self::Precision,
        Self::Map,
        Self::Ndcg,
        Self::Mrr,
    ];

    /// The metric that looks at the first `k` places.
    ///
    /// # Panics
    /// If `k` is 0.
    pub fn at(self, k: usize) -> RankingAt {
        assert!(k > 0, "a ranking metric looks at one place at least");
        RankingAt { metric: self, k }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::Precision => "precision",
            Self::Map => "map",
            Self::Ndcg => "ndcg",
            Self::Mrr => "mrr",
        }
    }
}

/// A [`RankingMetric`] cut at k, written `recall_at_10`.
///
/// # Ties
/// Pessimistic: among equal scores the relevant items rank last ([`ranked_relevance`]), so that a
/// model that gives one score to everything gets what it deserves. Merlin adds random noise below
/// 1e-6, which vanishes beside scores above 16.
///
/// # Empty input
/// A list without relevant items counts 0 and is part of the mean; the mean of no lists is NaN.
///
/// # Example
/// ```
/// use emrys_models::metrics::{RankingMetric, ranked_relevance};
///
/// let ranked = ranked_relevance(&[0.9, 0.1, 0.5], &[false, false, true]);
/// assert_eq!(ranked, [false, true, false]);
/// assert_eq!(RankingMetric::Recall.at(2).of(&ranked, 1), 1.0);
/// assert_eq!(RankingMetric::Mrr.at(2).of(&ranked, 1), 0.5);
/// assert_eq!(RankingMetric::Mrr.at(2).to_string(), "mrr_at_2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RankingAt {
    metric: RankingMetric,
    k: usize,
}

impl RankingAt {
    /// The family.
    pub fn metric(self) -> RankingMetric {
        self.metric
    }

    /// How many places count.
    pub fn k(self) -> usize {
        self.k
    }

    /// The value of one list: `ranked[i]` says whether place `i` is relevant (at least the first
    /// k places, or the whole list if it is shorter), `relevant` how many items are in all.
    pub fn of(self, ranked: &[bool], relevant: usize) -> f64 {
        let top = &ranked[..self.k.min(ranked.len())];
        let hits = || {
            top.iter()
                .enumerate()
                .filter(|(_, hit)| **hit)
                .map(|(place, _)| place)
        };
        let reachable = relevant.clamp(1, self.k) as f64;
        match self.metric {
            RankingMetric::Recall => hits().count() as f64 / reachable,
            RankingMetric::Precision => hits().count() as f64 / self.k as f64,
            RankingMetric::Map => {
                let precision =
                    |(earlier, place): (usize, usize)| (earlier + 1) as f64 / (place + 1) as f64;
                hits().enumerate().map(precision).sum::<f64>() / reachable
            }
            RankingMetric::Ndcg => {
                let gain = |place: usize| 1.0 / ((place + 2) as f64).log2();
                let best: f64 = (0..relevant.min(self.k)).map(gain).sum();
                if best > 0.0 {
                    hits().map(gain).sum::<f64>() / best
                } else {
                    0.0
                }
            }
            RankingMetric::Mrr => hits().next().map_or(0.0, |place| 1.0 / (place + 1) as f64),
        }
    }
}

impl fmt::Display for RankingAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_at_{}", self.metric.prefix(), self.k)
    }
}

impl FromStr for RankingAt {
    type Err = Error;

    /// Reads `recall_at_10` and its like.
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (prefix, k) = text.rsplit_once("_at_")?;
            let metric = RankingMetric::ALL
                .into_iter()
                .find(|m| m.prefix() == prefix)?;
            k.parse().ok().filter(|k| *k > 0).map(|k| metric.at(k))
        };
        parse().ok_or_else(|| Error::UnknownMetric {
            name: text.to_owned(),
        })
    }
}

impl TryFrom<String> for RankingAt {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RankingAt> for String {
    fn from(metric: RankingAt) -> Self {
        metric.to_string()
    }
}

/// Sorts a list by falling score and says of each place whether it is relevant; among equal
/// scores the relevant items come last.
///
/// A NaN score is the worst one for a relevant item and the best one for any other, so that a
/// diverged model is not rewarded.
///
/// # Panics
/// If the lengths differ.
pub fn ranked_relevance(scores: &[f32], relevant: &[bool]) -> Vec<bool> {
    assert_eq!(scores.len(), relevant.len(), "one flag a score");
    let mut list: Vec<(f32, bool)> = std::iter::zip(scores, relevant)
        .map(|(&score, &hit)| (ranking_score(score, hit), hit))
        .collect();
    list.sort_unstable_by(|a, b| pessimistic_order(*a, *b));
    list.into_iter().map(|(_, hit)| hit).collect()
}

/// The score by which an item is ranked: itself, or the worst case in place of NaN.
pub(crate) fn ranking_score(score: f32, relevant: bool) -> f32 {
    match (score.is_nan(), relevant) {
        (false, _) => score,
        (true, true) => f32::NEG_INFINITY,
        (true, false) => f32::INFINITY,
    }
}

/// Falling score, then irrelevant before relevant. Scores come from [`ranking_score`].
pub(crate) fn pessimistic_order(a: (f32, bool), b: (f32, bool)) -> Ordering {
    b.0.partial_cmp(&a.0)
        .unwrap_or(Ordering::Equal)
        .then(a.1.cmp(&b.1))
}

/// Means of several [`RankingAt`] over many lists.
#[derive(Debug, Clone)]
pub struct RankingMetrics {
    metrics: Vec<RankingAt>,
    sums: Vec<f64>,
    lists: usize,
}

impl RankingMetrics {
    /// Means that have seen no list.
    pub fn new(metrics: impl IntoIterator<Item = RankingAt>) -> Self {
        let metrics: Vec<_> = metrics.into_iter().collect();
        Self {
            sums: vec![0.0; metrics.len()],
            metrics,
            lists: 0,
        }
    }

    /// The greatest k among them; 0 if there is no metric.
    pub fn max_k(&self) -> usize {
        self.metrics
            .iter()
            .map(|metric| metric.k)
            .max()
            .unwrap_or(0)
    }

    /// Takes in one list, as [`RankingAt::of`] does.
    pub fn update(&mut self, ranked: &[bool], relevant: usize) {
        for (metric, sum) in self.metrics.iter().zip(&mut self.sums) {
            *sum += metric.of(ranked, relevant);
        }
        self.lists += 1;
    }

    /// How many lists were taken in.
    pub fn lists(&self) -> usize {
        self.lists
    }

    /// The metrics with their means.
    pub fn values(&self) -> Vec<(RankingAt, f64)> {
        let mean = |sum: &f64| sum / self.lists as f64;
        self.metrics
            .iter()
            .copied()
            .zip(self.sums.iter().map(mean))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked values of the spec: labels, scores, k = 4.
    const LISTS: [([bool; 5], [f32; 5]); 3] = [
        (
            [false, true, false, true, false],
            [10.0, 9.0, 8.0, 7.0, 6.0],
        ),
        ([true, false, false, true, false], [1.0, 4.0, 3.0, 2.0, 5.0]),
        (
            [false, false, false, false, true],
            [10.0, 9.0, 8.0, 7.0, 6.0],
        ),
    ];

    fn means(k: usize) -> Vec<f64> {
        let mut metrics = RankingMetrics::new(RankingMetric::ALL.map(|metric| metric.at(k)));
        for (labels, scores) in LISTS {
            let relevant = labels.iter().filter(|label| **label).count();
            metrics.update(&ranked_relevance(&scores, &labels), relevant);
        }
        metrics
            .values()
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }

    #[test]
    fn worked_values() {
        let expected = [0.5, 0.25, 0.625 / 3.0, 0.304_996_350_793, 0.25];
        for (value, expected) in means(4).into_iter().zip(expected) {
            assert!(
                (value - expected).abs() < 1e-12,
                "{value} is not {expected}"
            );
        }
    }

    #[test]
    fn recall_is_perfect_when_all_places_are_relevant() {
        assert_eq!(RankingMetric::Recall.at(2).of(&[true, true], 5), 1.0);
        assert_eq!(RankingMetric::Ndcg.at(2).of(&[true, true], 5), 1.0);
    }

    #[test]
    fn ties_rank_the_relevant_last_at_any_magnitude() {
        for score in [0.0, 1e-9, 17.0, -3e30] {
            let ranked = ranked_relevance(&[score; 4], &[true, false, true, false]);
            assert_eq!(ranked, [false, false, true, true]);
        }
    }

    #[test]
    fn nan_never_helps() {
        let ranked = ranked_relevance(&[f32::NAN, 1.0, f32::NAN], &[true, false, false]);
        assert_eq!(ranked, [false, false, true]);
    }

    #[test]
    fn a_list_without_relevant_items_counts_zero() {
        for metric in RankingMetric::ALL {
            assert_eq!(metric.at(3).of(&[false; 3], 0), 0.0);
        }
        assert!(
            RankingMetrics::new([RankingMetric::Recall.at(1)]).values()[0]
                .1
                .is_nan()
        );
    }

    #[test]
    fn names_are_read_back() {
        for metric in RankingMetric::ALL {
            let at = metric.at(20);
            assert_eq!(at.to_string().parse::<RankingAt>().unwrap(), at);
        }
        for wrong in ["recall", "recall_at_0", "recall_at_x", "foo_at_3"] {
            assert!(wrong.parse::<RankingAt>().is_err(), "{wrong}");
        }
    }
}
