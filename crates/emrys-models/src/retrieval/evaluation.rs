//! How well the items that fit a query are found among all.

use std::time::Instant;

use emrys_loader::Loader;

use super::catalogue::encode;
use super::top_k::{Entry, Marks};
use super::{Catalogue, Interactions, UniqueRows};
use crate::metrics::{Evaluation, RankingAt, RankingMetric, RankingMetrics};
use crate::tasks::QUERY;
use crate::{Error, Model, Result};

/// Measures recommendations for users against what they were held out to like, over the whole
/// catalogue.
///
/// Each user of the held-out data is one query, encoded from the first of its rows; all its items
/// there are relevant. Every item of the catalogue competes, except those excluded for the user,
/// which are usually the ones seen in training.
///
/// # Ties
/// Pessimistic, see [`RankingAt`].
/// # Unseen values
/// A held-out item that is not in the catalogue is a miss. One that is excluded for the user is
/// neither recommended nor asked for; a user who has no other is left out.
/// # Memory and time
/// The catalogue and the held-out pairs; scores exist for one batch of users and 4096 items at a
/// time. Two passes over the held-out data: one for the pairs, one for the users' features.
/// # Errors
/// [`Error::InvalidK`] if a metric looks at more places than the catalogue has,
/// [`Error::NothingHeldOut`] if no user is left to be evaluated.
/// # Example
/// ```no_run
/// # use emrys_loader::Loader;
/// # use emrys_models::{Model, metrics::RankingMetric, retrieval::*};
/// # fn run(model: &Model, train: &Loader, valid: &Loader) -> emrys_models::Result<()> {
/// let catalogue = Catalogue::encode(model, train, "item_id")?;
/// let seen = Interactions::read(train, "user_id", "item_id")?;
/// let evaluation = RetrievalEvaluation::new("user_id", "item_id")
///     .with_metrics([RankingMetric::Recall.at(10), RankingMetric::Ndcg.at(10)])
///     .with_excluded(&seen);
/// println!("{}", evaluation.model(model, valid, &catalogue)?);
/// let popularity = evaluation.popularity(&ItemFrequencies::read(train, "item_id")?, valid, &catalogue)?;
/// println!("{popularity}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RetrievalEvaluation<'a> {
    user_id: String,
    item_id: String,
    metrics: Vec<RankingAt>,
    excluded: Option<&'a Interactions>,
}

impl<'a> RetrievalEvaluation<'a> {
    /// Recall, NDCG and MRR at 10; nothing excluded. The arguments are the columns of the ids.
    pub fn new(user_id: impl Into<String>, item_id: impl Into<String>) -> Self {
        let metrics = [
            RankingMetric::Recall,
            RankingMetric::Ndcg,
            RankingMetric::Mrr,
        ];
        Self {
            user_id: user_id.into(),
            item_id: item_id.into(),
            metrics: metrics.map(|metric| metric.at(10)).to_vec(),
            excluded: None,
        }
    }

    /// Other metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: impl IntoIterator<Item = RankingAt>) -> Self {
        self.metrics = metrics.into_iter().collect();
        self
    }

    /// The items that are not recommended to a user, usually those of the training data.
    #[must_use]
    pub fn with_excluded(mut self, seen: &'a Interactions) -> Self {
        self.excluded = Some(seen);
        self
    }

    /// What the model's query tower finds in a catalogue of its candidate tower's vectors.
    ///
    /// # Errors
    /// See [`RetrievalEvaluation`]; also if the model has no tower `query` or its columns are not
    /// in the data.
    pub fn model(
        &self,
        model: &Model,
        held_out: &Loader,
        catalogue: &Catalogue,
    ) -> Result<Evaluation> {
        let tower = model.tower(QUERY)?;
        let mut evaluated = self.start(held_out, catalogue)?;
        let users = UniqueRows::new(
            held_out,
            &self.user_id,
            tower.input_columns(),
            tower.lookup_specs(),
        )?;
        for rows in users {
            let (users, batch) = rows?;
            let queries = encode(&tower, &batch)?;
            let marks = users.iter().map(|user| evaluated.marks(*user)).collect();
            let k = evaluated.metrics.max_k();
            for (user, best) in users.iter().zip(catalogue.best(queries, k, marks)?) {
                evaluated.update(*user, &best);
            }
        }
        evaluated.finish()
    }

    pub(super) fn start<'c>(
        &'c self,
        held_out: &Loader,
        catalogue: &'c Catalogue,
    ) -> Result<Evaluated<'c>> {
        let metrics = RankingMetrics::new(self.metrics.iter().copied());
        let (k, candidates) = (metrics.max_k(), catalogue.len());
        if k > candidates {
            return Err(Error::InvalidK { k, candidates });
        }
        Ok(Evaluated {
            started: Instant::now(),
            held_out: Interactions::read(held_out, &self.user_id, &self.item_id)?,
            excluded: self.excluded,
            catalogue,
            metrics,
        })
    }
}

/// An evaluation under way.
pub(super) struct Evaluated<'a> {
    started: Instant,
    held_out: Interactions,
    excluded: Option<&'a Interactions>,
    catalogue: &'a Catalogue,
    metrics: RankingMetrics,
}

impl Evaluated<'_> {
    /// The users to be evaluated, rising.
    pub(super) fn users(&self) -> &[i64] {
        self.held_out.users()
    }

    pub(super) fn max_k(&self) -> usize {
        self.metrics.max_k()
    }

    /// The rows of the catalogue that are relevant to a user, and those that are not shown.
    pub(super) fn marks(&self, user: i64) -> Marks {
        let excluded = self.excluded.map_or(&[][..], |seen| seen.items(user));
        Marks {
            relevant: self.catalogue.rows_of(&self.relevant(user)),
            excluded: self.catalogue.rows_of(excluded),
        }
    }

    fn relevant(&self, user: i64) -> Vec<i64> {
        let excluded = self.excluded.map_or(&[][..], |seen| seen.items(user));
        let shown = |item: &i64| excluded.binary_search(item).is_err();
        self.held_out
            .items(user)
            .iter()
            .copied()
            .filter(shown)
            .collect()
    }

    pub(super) fn update(&mut self, user: i64, best: &[Entry]) {
        let relevant = self.relevant(user).len();
        if relevant > 0 {
            let ranked: Vec<bool> = best.iter().map(|entry| entry.relevant).collect();
            self.metrics.update(&ranked, relevant);
        }
    }

    pub(super) fn finish(self) -> Result<Evaluation> {
        if self.metrics.lists() == 0 {
            return Err(Error::NothingHeldOut);
        }
        let values = self
            .metrics
            .values()
            .into_iter()
            .map(|(metric, value)| (metric.to_string(), value));
        Ok(Evaluation::new(
            self.metrics.lists(),
            self.started.elapsed(),
            values,
        ))
    }
}
