//! What is measured of a model's predictions: on the host, in `f64`, exactly.
//!
//! | Metric | of | range | better |
//! |---|---|---|---|
//! | [`Auc`] | scores of any scale | 0 to 1, 0.5 is chance | higher |
//! | [`ThresholdAuc`] | probabilities, as Keras has it | 0 to 1 | higher |
//! | [`LogLoss`] | logits or probabilities | 0 and up, nats | lower |
//! | [`Rmse`] | values | 0 and up, unit of the label | lower |
//! | [`RankingAt`]: recall, precision, MAP, NDCG, MRR at k | ranked lists | 0 to 1 | higher |
//! | [`CatalogueMetrics`]: novelty, popularity bias, coverage at k | recommended ids | see there | - |
//!
//! A metric that is not defined for what it saw (no rows, an AUC of one class) is NaN and never a
//! number that could be taken for a result.

mod auc;
mod catalogue;
mod evaluation;
mod log_loss;
mod ranking;
mod rmse;
mod threshold_auc;

pub use auc::Auc;
pub use catalogue::CatalogueMetrics;
pub use evaluation::Evaluation;
pub use log_loss::LogLoss;
pub use ranking::{RankingAt, RankingMetric, RankingMetrics, ranked_relevance};
pub(crate) use ranking::{pessimistic_order, ranking_score};
pub use rmse::Rmse;
pub use threshold_auc::ThresholdAuc;

/// What a model says about a batch of rows, one number a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Predictions<'a> {
    /// Before the sigmoid. Losses and orders computed from logits do not suffer from
    /// probabilities that round to 0 or 1.
    Logits(&'a [f32]),
    /// Of the positive class, in `[0, 1]`.
    Probabilities(&'a [f32]),
    /// Of a regression.
    Values(&'a [f32]),
}

impl<'a> Predictions<'a> {
    /// The numbers, whatever they mean. Their order is the order of preference in every variant.
    pub fn raw(self) -> &'a [f32] {
        match self {
            Self::Logits(raw) | Self::Probabilities(raw) | Self::Values(raw) => raw,
        }
    }
}

/// A batch of predictions with the truth beside it.
///
/// # Panics
/// Metrics panic in `update` if the lengths differ; the trainer hands over equal ones.
#[derive(Debug, Clone, Copy)]
pub struct ScoredRows<'a> {
    /// One prediction a row.
    pub predictions: Predictions<'a>,
    /// One label a row.
    pub labels: &'a [f32],
    /// One weight a row; `None` counts each row once.
    pub weights: Option<&'a [f32]>,
}

impl<'a> ScoredRows<'a> {
    /// Rows that count once each.
    pub fn new(predictions: Predictions<'a>, labels: &'a [f32]) -> Self {
        Self {
            predictions,
            labels,
            weights: None,
        }
    }

    /// The same rows with weights.
    #[must_use]
    pub fn with_weights(mut self, weights: &'a [f32]) -> Self {
        self.weights = Some(weights);
        self
    }

    /// `(prediction, label, weight)` of each row.
    fn rows(self) -> impl Iterator<Item = (f32, f32, f32)> + 'a {
        let predictions = self.predictions.raw();
        assert_eq!(
            predictions.len(),
            self.labels.len(),
            "one label a prediction"
        );
        if let Some(weights) = self.weights {
            assert_eq!(predictions.len(), weights.len(), "one weight a prediction");
        }
        let weight = move |row: usize| self.weights.map_or(1.0, |weights| weights[row]);
        std::iter::zip(predictions, self.labels)
            .enumerate()
            .map(move |(row, (&prediction, &label))| (prediction, label, weight(row)))
    }
}

/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// As for AUC or recall.
    HigherIsBetter,
    /// As for a loss.
    LowerIsBetter,
}

/// A number computed over all rows of an evaluation, fed batch by batch.
pub trait Metric: Send {
    /// The name in histories and reports, such as `auc`.
    fn name(&self) -> String;

    /// Which values are better.
    fn direction(&self) -> Direction;

    /// Takes in a batch.
    fn update(&mut self, rows: ScoredRows<'_>);

    /// The value over everything taken in since the last [`reset`](Metric::reset); NaN where it is
    /// not defined.
    fn value(&mut self) -> f64;

    /// Forgets everything taken in.
    fn reset(&mut self);
}

/// A weighted mean in f64.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.weight += weight;
    }

    /// 0 / 0 of no rows is the NaN that metrics promise.
    fn value(self) -> f64 {
        self.sum / self.weight
    }
}
