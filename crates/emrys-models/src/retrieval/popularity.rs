//! The baseline: the same items for everybody.

use std::ops::Range;

use emrys_loader::Loader;

use super::top_k::best;
use super::{Catalogue, ItemFrequencies, RetrievalEvaluation};
use crate::Result;
use crate::metrics::Evaluation;

/// How many users are ranked at a time.
const USERS: usize = 256;

impl RetrievalEvaluation<'_> {
    /// What ranking the catalogue by popularity reaches, on the same users, with the same
    /// exclusions and the same rule for ties: the number that a model has to beat.
    ///
    /// # Errors
    /// See [`RetrievalEvaluation`].
    pub fn popularity(
        &self,
        frequencies: &ItemFrequencies,
        held_out: &Loader,
        catalogue: &Catalogue,
    ) -> Result<Evaluation> {
        let scores: Vec<f32> = catalogue
            .ids()
            .iter()
            .map(|id| frequencies.count(*id) as f32)
            .collect();
        let mut evaluated = self.start(held_out, catalogue)?;
        let users = evaluated.users().to_vec();
        for users in users.chunks(USERS) {
            let marks = users.iter().map(|user| evaluated.marks(*user)).collect();
            let repeated = |rows: Range<usize>| Ok(scores[rows].repeat(users.len()));
            let lists = best(catalogue.len(), evaluated.max_k(), marks, repeated)?;
            for (user, best) in users.iter().zip(lists) {
                evaluated.update(*user, &best);
            }
        }
        evaluated.finish()
    }
}
