//! The items that fit a query.

use burn::tensor::Tensor;
use emrys_loader::Batch;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{Task, columns};
use crate::losses::{Candidates, FalseNegatives, Reduction, SampledSoftmax};
use crate::metrics::{Metric, Predictions};
use crate::retrieval::ItemFrequencies;
use crate::{Error, Problems, Result, RowShape, Scope, Signature, Spec, Value};

/// Learns vectors whose dot products rank the items that fit a query above all others.
///
/// Every row of the training data is a positive: its query goes with its item. The other items of
/// the batch are the negatives.
///
/// # Shapes
/// - body: a dictionary of `query` `[B, D]` and `candidate` `[B, D]`, as two towers give it
/// - no head, no parameters
/// # Loss and metrics
/// The [`SampledSoftmax`] of each query over the candidates of its batch, reduced by mean. How
/// well items are found is measured over the whole catalogue:
/// [`RetrievalEvaluation`](crate::retrieval::RetrievalEvaluation).
/// # Training and evaluation
/// With [`with_log_q_correction`](Self::with_log_q_correction), the trainer first counts the ids
/// of the training data in one pass over that column; an item's chance to be a negative is its
/// share of the rows.
/// A batch of one row has no negatives: its loss is 0 and moves nothing.
/// # Errors
/// At build: the id column is not in the schema; the towers differ in width; a temperature that is
/// not above 0. In training: an id column that does not hold one integer a row.
/// # Example
/// ```
/// use emrys_models::tasks::ItemRetrieval;
///
/// let task = ItemRetrieval::new("item_id").with_temperature(0.1).with_log_q_correction(true);
/// # let _ = task;
/// ```
/// # References
/// Yi et al. 2019, Sampling-bias-corrected neural modeling for large corpus item recommendations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemRetrieval {
    item_id: String,
    #[serde(default)]
    softmax: SampledSoftmax,
    #[serde(default)]
    log_q_correction: bool,
    #[serde(default)]
    reduction: Reduction,
}

const READER: &str = "item_retrieval";

/// The body's name of the queries' vectors.
pub(crate) const QUERY: &str = "query";
/// The body's name of the items' vectors.
pub(crate) const CANDIDATE: &str = "candidate";

impl ItemRetrieval {
    /// Finds items; `item_id` is the column of their ids.
    pub fn new(item_id: impl Into<String>) -> Self {
        Self {
            item_id: item_id.into(),
            softmax: SampledSoftmax::new(),
            log_q_correction: false,
            reduction: Reduction::Mean,
        }
    }

    /// What scores are divided by, above 0; default 1. For normalised vectors about 0.05 to 0.2.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.softmax = self.softmax.with_temperature(temperature);
        self
    }

    /// Whether the popularity of in-batch negatives is corrected; off at first.
    #[must_use]
    pub fn with_log_q_correction(mut self, correction: bool) -> Self {
        self.log_q_correction = correction;
        self
    }

    /// What happens to negatives that are the row's own item; default they are masked.
    #[must_use]
    pub fn with_false_negatives(mut self, rule: FalseNegatives) -> Self {
        self.softmax = self.softmax.with_false_negatives(rule);
        self
    }

    /// How the losses of the rows become one; default the mean.
    #[must_use]
    pub fn with_reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// The column of the items' ids.
    pub fn item_id(&self) -> &str {
        &self.item_id
    }

    pub(super) fn frequencies_of(&self) -> Option<&str> {
        self.log_q_correction.then_some(&*self.item_id)
    }
}

/// The vectors of queries and candidates, `[B, D]` each.
fn towers(output: Value) -> Result<(Tensor<2>, Tensor<2>)> {
    let mut vectors = output.into_dict(READER)?;
    let available: Vec<String> = vectors.keys().cloned().collect();
    let mut take = |name: &str| {
        vectors
            .remove(name)
            .and_then(super::super::value::AnyTensor::rank2)
            .ok_or_else(|| Error::MissingEntry {
                block: READER,
                name: name.to_owned(),
                available: available.clone(),
            })
    };
    Ok((take(QUERY)?, take(CANDIDATE)?))
}

impl Task for ItemRetrieval {
    fn name(&self) -> &str {
        &self.item_id
    }

    fn head(&self) -> Option<Spec> {
        None
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.item_id]
    }

    fn check(
        &self,
        schema: &Schema,
        output: &Signature,
        scope: &Scope<'_>,
    ) -> Result<(), Problems> {
        let vector = |name| match output {
            Signature::Dict(entries) => match entries.get(name) {
                Some(RowShape::Vector(width)) => Some(*width),
                _ => None,
            },
            _ => None,
        };
        let shapes = match (vector(QUERY), vector(CANDIDATE)) {
            (Some(query), Some(candidate)) if query == candidate => Ok(()),
            (Some(query), Some(candidate)) => Err(scope.problem(format!(
                "the query has {query} numbers a row but the candidate {candidate}; a dot product \
                 needs as many of both: end both towers with one width"
            ))),
            _ => Err(scope.problem(format!(
                "expected vectors `{QUERY}` and `{CANDIDATE}`, found {output}; compose a two-tower \
                 model"
            ))),
        };
        Problems::gather([
            columns::check(schema, self.columns(), scope),
            shapes,
            columns::check_temperature(self.softmax.temperature(), scope),
        ])
        .map(drop)
    }

    fn loss(
        &self,
        output: Value,
        batch: &Batch,
        frequencies: Option<&ItemFrequencies>,
    ) -> Result<Tensor<1>> {
        let (queries, candidates) = towers(output)?;
        let ids = columns::item_ids(batch, READER, &self.item_id)?;
        let log_q = frequencies
            .filter(|_| self.log_q_correction)
            .map(|counted| counted.log_q(&ids));
        let known = Candidates {
            ids: Some(&ids),
            log_q: log_q.as_deref(),
        };
        Ok(self
            .reduction
            .apply(self.softmax.in_batch(queries, candidates, known), None))
    }

    /// The score of each row's own item.
    fn scores(&self, output: Value) -> Result<Tensor<1>> {
        let (queries, candidates) = towers(output)?;
        Ok((queries * candidates).sum_dim(1).squeeze_dim(1) / self.softmax.temperature())
    }

    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        Predictions::Values(scores)
    }

    fn labels(&self, _: &Batch) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    fn weights(&self, _: &Batch) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        Vec::new()
    }
}
