//! Softmax over a positive and sampled negatives, for retrieval.

use std::collections::HashMap;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::softmax_cross_entropy;

/// What happens to a negative that is the same item as the positive of its row.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FalseNegatives {
    /// It leaves the softmax.
    #[default]
    Mask,
    /// It stays a negative.
    Keep,
    /// Its score before the temperature becomes this one. Merlin's is -655.04, a hundredth of the
    /// least float16.
    Replace(f32),
    /// This is added to its logit. TensorFlow Recommenders adds a hundredth of the least float32.
    Add(f32),
}

/// What is known of a list of candidates besides their vectors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidates<'a> {
    /// Their item ids, by which false negatives are found; without ids there are none.
    pub ids: Option<&'a [i64]>,
    /// The logarithm of the probability with which each is sampled; without it nothing is
    /// corrected.
    pub log_q: Option<&'a [f32]>,
}

/// The sampled softmax of a query against its positive candidate and negatives.
///
/// # Shapes
/// - queries: `[B, D]`; candidates: `[C, D]`
/// - [`in_batch_logits`](Self::in_batch_logits): `[B, C]`, the positive of row `i` in column `i`
/// - [`logits`](Self::logits): `[B, 1 + N]`, the positive in column 0
/// # Formula
/// `<q, c> / temperature - log_q_weight ln Q(c)`, then [`FalseNegatives`]; the loss of a row is
/// the softmax cross entropy of its positive. Subtracting `ln Q` undoes that popular items are
/// drawn as negatives more often than others (they fill the batches): without it the model learns
/// the affinity divided by the popularity.
/// # Compared with Merlin
/// Merlin subtracts `ln Q` before it divides by the temperature, which is
/// `with_log_q_weight(1 / temperature)` here. With its in-batch sampler the positive appears a
/// second time, among the negatives: `logits(queries, positives, positives, ..)`; replaced by
/// -655.04 it does not matter.
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::losses::{Candidates, SampledSoftmax};
///
/// let device = Device::default();
/// let queries = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]], &device);
/// let items = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 2.0], [0.0, 2.0]], &device);
/// // Rows 1 and 2 have the same item, which is no negative for either of them.
/// let ids = Candidates { ids: Some(&[7, 9, 9]), log_q: None };
/// let rows = SampledSoftmax::new().in_batch(queries, items, ids);
/// let rows: Vec<f32> = rows.into_data().try_to_vec().unwrap();
/// assert!((rows[1] - (1.0 + (-2f32).exp()).ln()).abs() < 1e-6);
/// ```
/// # References
/// Yi et al. 2019, Sampling-bias-corrected neural modeling for large corpus item recommendations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampledSoftmax {
    temperature: f32,
    false_negatives: FalseNegatives,
    log_q_weight: f32,
}

impl Default for SampledSoftmax {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            false_negatives: FalseNegatives::Mask,
            log_q_weight: 1.0,
        }
    }
}

impl SampledSoftmax {
    /// Temperature 1, false negatives masked, full logQ correction where probabilities are given.
    pub fn new() -> Self {
        Self::default()
    }

    /// What scores are divided by, above 0; default 1. Normalised vectors need one well below 1.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// The temperature.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// What happens to false negatives; default [`FalseNegatives::Mask`].
    #[must_use]
    pub fn with_false_negatives(mut self, rule: FalseNegatives) -> Self {
        self.false_negatives = rule;
        self
    }

    /// How much of `ln Q` is subtracted; default 1, the unbiased correction.
    #[must_use]
    pub fn with_log_q_weight(mut self, weight: f32) -> Self {
        self.log_q_weight = weight;
        self
    }

    /// The loss of each row `[B]`: its positive is the candidate of its number, all other
    /// candidates are negatives. There may be more candidates than queries. Rows are worked off in
    /// blocks that fit the caches.
    ///
    /// # Panics
    /// As [`in_batch_logits`](Self::in_batch_logits).
    pub fn in_batch(
        &self,
        queries: Tensor<2>,
        candidates: Tensor<2>,
        known: Candidates<'_>,
    ) -> Tensor<1> {
        let rows = queries.dims()[0];
        let shared = self.prepare(rows, &candidates, known);
        let block = (BLOCK_LOGITS / candidates.dims()[0].max(1)).max(1);
        let loss = |first: usize| {
            let last = rows.min(first + block);
            let classes = Tensor::arange(first as i64..last as i64, &queries.device());
            let queries = queries.clone().slice([first..last]);
            let logits = self.block(queries, candidates.clone(), first, &shared);
            softmax_cross_entropy(logits, classes, 0.0)
        };
        // At least one block, so that no rows have no losses.
        let mut losses = vec![loss(0)];
        losses.extend((1..rows.div_ceil(block)).map(|number| loss(number * block)));
        Tensor::cat(losses, 0)
    }

    /// The logits `[B, C]` of [`in_batch`](Self::in_batch).
    ///
    /// # Panics
    /// If there are fewer candidates than queries, or not one id and one probability a candidate.
    pub fn in_batch_logits(
        &self,
        queries: Tensor<2>,
        candidates: Tensor<2>,
        known: Candidates<'_>,
    ) -> Tensor<2> {
        let shared = self.prepare(queries.dims()[0], &candidates, known);
        self.block(queries, candidates, 0, &shared)
    }

    /// What all blocks of a batch share.
    fn prepare<'a>(
        &self,
        rows: usize,
        candidates: &Tensor<2>,
        known: Candidates<'a>,
    ) -> Shared<'a> {
        let columns = candidates.dims()[0];
        assert!(
            columns >= rows,
            "each query has a positive among the candidates"
        );
        known.check(columns);
        let repeated = self
            .searched(known.ids)
            .map(|ids| (ids, Columns::of(ids)))
            .filter(|(ids, columns)| columns.0.len() < ids.len());
        Shared {
            log_q: known.log_q,
            repeated,
        }
    }

    /// The logits of the queries from row `first` on.
    fn block(
        &self,
        queries: Tensor<2>,
        candidates: Tensor<2>,
        first: usize,
        shared: &Shared<'_>,
    ) -> Tensor<2> {
        let rows = queries.dims()[0];
        let same = shared.repeated.as_ref().map(|(ids, columns)| {
            let own = |row: usize| Some(first + row);
            columns.same_item(&ids[first..first + rows], ids.len(), own, &queries.device())
        });
        let scores = queries.matmul(candidates.transpose());
        self.adjust(scores, shared.log_q, same)
    }

    /// The logits `[B, 1 + N]` of given negatives `[N, D]`, shared by all rows; column 0 is the
    /// positive. The loss is [`softmax_cross_entropy`] with class 0.
    ///
    /// # Panics
    /// If there is not one positive a query, or not one id and one probability a candidate.
    pub fn logits(
        &self,
        queries: Tensor<2>,
        positives: Tensor<2>,
        negatives: Tensor<2>,
        known_positives: Candidates<'_>,
        known_negatives: Candidates<'_>,
    ) -> Tensor<2> {
        let device = queries.device();
        known_positives.check(positives.dims()[0]);
        known_negatives.check(negatives.dims()[0]);
        let positive_scores = (queries.clone() * positives).sum_dim(1);
        let negative_scores = queries.matmul(negatives.transpose());
        let same = (self.searched(known_positives.ids).zip(known_negatives.ids)).map(
            |(positives, negatives)| {
                Columns::of(negatives).same_item(positives, negatives.len(), |_| None, &device)
            },
        );
        let negatives = self.adjust(negative_scores, known_negatives.log_q, same);
        // The positives' probabilities differ by row, not by column: adjust their transpose.
        let positives = self.adjust(positive_scores.transpose(), known_positives.log_q, None);
        Tensor::cat(vec![positives.transpose(), negatives], 1)
    }

    /// The ids, if they matter to the rule.
    fn searched<'a>(&self, ids: Option<&'a [i64]>) -> Option<&'a [i64]> {
        ids.filter(|_| self.false_negatives != FalseNegatives::Keep)
    }

    /// Temperature, logQ and false negatives, applied to scores `[B, C]`.
    fn adjust(
        &self,
        scores: Tensor<2>,
        log_q: Option<&[f32]>,
        same: Option<Tensor<2, Bool>>,
    ) -> Tensor<2> {
        let device = scores.device();
        let mut logits = match self.temperature {
            1.0 => scores,
            temperature => scores / temperature,
        };
        if let Some(log_q) = log_q {
            let log_q = Tensor::<1>::from_floats(log_q, &device) * self.log_q_weight;
            logits = logits - log_q.unsqueeze_dim(0);
        }
        let Some(same) = same else { return logits };
        match self.false_negatives {
            FalseNegatives::Keep => logits,
            // Far below every score, and its distance to the greatest is still finite.
            FalseNegatives::Mask => logits.mask_fill(same, f32::MIN / 2.0),
            FalseNegatives::Replace(score) => logits.mask_fill(same, score / self.temperature),
            FalseNegatives::Add(penalty) => logits + same.float() * penalty,
        }
    }
}

impl Candidates<'_> {
    fn check(&self, candidates: usize) {
        let fits = |length: Option<usize>| length.is_none_or(|length| length == candidates);
        assert!(fits(self.ids.map(<[_]>::len)), "one id a candidate");
        assert!(
            fits(self.log_q.map(<[_]>::len)),
            "one probability a candidate"
        );
    }
}

/// How many logits are at work at once: a block of rows of a large batch stays in the caches of a
/// core from the product of the vectors to the loss, and so does its way back.
const BLOCK_LOGITS: usize = 1 << 18;

/// What the blocks of a batch share.
struct Shared<'a> {
    log_q: Option<&'a [f32]>,
    /// The ids of the candidates, if one occurs twice.
    repeated: Option<(&'a [i64], Columns)>,
}

/// The columns of each item.
struct Columns(HashMap<i64, Vec<usize>>);

impl Columns {
    fn of(ids: &[i64]) -> Columns {
        let mut columns: HashMap<i64, Vec<usize>> = HashMap::with_capacity(ids.len());
        for (column, id) in ids.iter().enumerate() {
            columns.entry(*id).or_default().push(column);
        }
        Columns(columns)
    }

    /// Where row and column are the same item, but not in the row's `own` column: `[rows, width]`.
    ///
    /// Made on the host, where a batch's few equal pairs are known without comparing all, and
    /// because not every device compares 64-bit integers.
    fn same_item(
        &self,
        rows: &[i64],
        width: usize,
        own: impl Fn(usize) -> Option<usize>,
        device: &Device,
    ) -> Tensor<2, Bool> {
        let mut same = vec![false; rows.len() * width];
        for (row, id) in rows.iter().enumerate() {
            for column in self.0.get(id).into_iter().flatten() {
                same[row * width + column] = own(row) != Some(*column);
            }
        }
        Tensor::from_data(TensorData::new(same, [rows.len(), width]), device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// The queries, candidates and loss of a test of TensorFlow Recommenders.
    fn small(device: &Device) -> (Tensor<2>, Tensor<2>) {
        let queries = Tensor::from_floats([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], device);
        let candidates = Tensor::from_floats([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]], device);
        (queries, candidates)
    }

    #[test]
    fn the_other_rows_are_negatives() {
        let (queries, candidates) = small(&Device::default());
        let rows = host(SampledSoftmax::new().in_batch(queries, candidates, Candidates::default()));
        let log_sigmoid = |x: f32| -(-x).exp().ln_1p();
        assert!((rows[0] + log_sigmoid(3.0)).abs() < 1e-6);
        assert!((rows[1] + log_sigmoid(-4.0)).abs() < 1e-5);
    }

    #[test]
    fn a_false_negative_is_masked_replaced_penalised_or_kept() {
        let device = Device::default();
        let logits = |rule| {
            let (queries, candidates) = small(&device);
            let softmax = SampledSoftmax::new()
                .with_temperature(2.0)
                .with_false_negatives(rule);
            let ids = Candidates {
                ids: Some(&[1 << 40, 1 << 40]),
                log_q: None,
            };
            host(softmax.in_batch_logits(queries, candidates, ids))
        };
        assert_eq!(logits(FalseNegatives::Keep), [3.0, 1.5, 4.5, 2.5]);
        assert_eq!(
            logits(FalseNegatives::Replace(-10.0)),
            [3.0, -5.0, -5.0, 2.5]
        );
        assert_eq!(
            logits(FalseNegatives::Add(-100.0)),
            [3.0, -98.5, -95.5, 2.5]
        );
        assert_eq!(logits(FalseNegatives::Mask)[1], f32::MIN / 2.0);
    }

    #[test]
    fn ids_are_compared_in_64_bits() {
        let (queries, candidates) = small(&Device::default());
        let ids = Candidates {
            ids: Some(&[5, 5 + (1 << 32)]),
            log_q: None,
        };
        let logits = SampledSoftmax::new().in_batch_logits(queries, candidates, ids);
        assert_eq!(host(logits), [6.0, 3.0, 9.0, 5.0]);
    }

    #[test]
    fn blocks_of_rows_give_the_loss_of_all_rows() {
        let device = Device::default();
        let rows = 2 * BLOCK_LOGITS.isqrt() + 3;
        let vectors = || Tensor::random([rows, 4], Distribution::Default, &device);
        let (queries, candidates): (Tensor<2>, Tensor<2>) = (vectors(), vectors());
        let ids: Vec<i64> = (0..rows as i64).map(|row| row % 100).collect();
        let known = Candidates {
            ids: Some(&ids),
            log_q: None,
        };
        let softmax = SampledSoftmax::new();
        let logits = softmax.in_batch_logits(queries.clone(), candidates.clone(), known);
        let classes = Tensor::arange(0..rows as i64, &device);
        let expected = host(softmax_cross_entropy(logits, classes, 0.0));
        let found = host(softmax.in_batch(queries, candidates, known));
        assert_eq!(found.len(), rows);
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(found.iter().zip(&expected).all(close));
    }

    #[test]
    fn a_batch_of_one_item_has_no_negatives_and_no_loss() {
        let device = Device::default().autodiff();
        let (queries, candidates) = small(&device);
        let queries = queries.require_grad();
        let ids = Candidates {
            ids: Some(&[3, 3]),
            log_q: None,
        };
        let loss = SampledSoftmax::new()
            .in_batch(queries.clone(), candidates, ids)
            .sum();
        let gradient = host(queries.grad(&loss.backward()).unwrap());
        assert_eq!(loss.into_scalar::<f32>(), 0.0);
        assert_eq!(gradient, [0.0; 6]);
    }

    #[test]
    fn log_q_lowers_what_is_sampled_often() {
        let (queries, candidates) = small(&Device::default());
        let log_q = [0.5f32.ln(), 0.25f32.ln()];
        let known = Candidates {
            ids: None,
            log_q: Some(&log_q),
        };
        let softmax = SampledSoftmax::new().with_log_q_weight(2.0);
        let logits = host(softmax.in_batch_logits(queries, candidates, known));
        for (logit, expected) in logits
            .iter()
            .zip([6.0, 3.0, 9.0, 5.0])
            .map(|(l, s)| (*l, s))
        {
            let column = usize::from(expected == 3.0 || expected == 5.0);
            assert!((logit - (expected - 2.0 * log_q[column])).abs() < 1e-5);
        }
    }
}
