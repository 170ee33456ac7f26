//! Keeps the k best of scores that come in blocks.

use std::cmp::Ordering;
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::metrics::{pessimistic_order, ranking_score};
use crate::{Error, Result};

/// How many rows of the catalogue are scored at a time.
const BLOCK: usize = 4096;

/// A row of the catalogue with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub(super) score: f32,
    pub(super) row: u32,
    pub(super) relevant: bool,
}

impl Entry {
    /// Falling score, then irrelevant before relevant (so that ties never help a metric), then
    /// rising row (so that every selection is the same).
    fn order(&self, other: &Self) -> Ordering {
        pessimistic_order((self.score, self.relevant), (other.score, other.relevant))
            .then(self.row.cmp(&other.row))
    }
}

/// The rows of the catalogue that mean something special to one query; both rising, and disjoint.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    pub(super) relevant: Vec<u32>,
    pub(super) excluded: Vec<u32>,
}

/// The best entries of each query, in order: `k`, or all that are not excluded if they are fewer.
///
/// `scores(rows)` gives the scores of all queries for a block of rows of the catalogue, one query
/// after the other.
///
/// # Errors
/// If `k` is 0 or greater than the catalogue, and those of `scores`.
pub(super) fn best(
    catalogue: usize,
    k: usize,
    marks: Vec<Marks>,
    mut scores: impl FnMut(Range<usize>) -> Result<Vec<f32>>,
) -> Result<Vec<Vec<Entry>>> {
    if k == 0 || k > catalogue {
        return Err(Error::InvalidK {
            k,
            candidates: catalogue,
        });
    }
    let mut selections: Vec<Selection> = marks
        .into_iter()
        .map(|marks| Selection::new(k, marks))
        .collect();
    for start in (0..catalogue).step_by(BLOCK) {
        let rows = start..catalogue.min(start + BLOCK);
        let width = rows.len();
        let block = scores(rows)?;
        selections
            .iter_mut()
            .zip(block.chunks_exact(width))
            .collect::<Vec<_>>()
            .into_par_iter()
            .for_each(|(selection, scores)| selection.offer_block(start, scores));
    }
    Ok(selections
        .into_par_iter()
        .map(Selection::into_sorted)
        .with_min_len(16)
        .collect())
}

/// The best entries that one query has met so far.
#[derive(Debug)]
struct Selection {
    k: usize,
    marks: Marks,
    next_relevant: usize,
    next_excluded: usize,
    /// The k best, and what came since they were last sorted out.
    entries: Vec<Entry>,
    /// The k-th best when they were last sorted out: nothing behind it can be among the best.
    last: Option<Entry>,
}

impl Selection {
    fn new(k: usize, marks: Marks) -> Self {
        let entries = Vec::with_capacity(2 * k);
        Self {
            k,
            marks,
            next_relevant: 0,
            next_excluded: 0,
            entries,
            last: None,
        }
    }

    /// Takes the scores of the rows from `start`; blocks come in the order of their rows.
    fn offer_block(&mut self, start: usize, scores: &[f32]) {
        let row =
            |offset: usize| u32::try_from(start + offset).expect("catalogues have below 2^32 rows");
        let mut offset = 0;
        while offset < scores.len() {
            // Rows up to the next special one need no look at the marks.
            let relevant = self.marks.relevant.get(self.next_relevant).copied();
            let excluded = self.marks.excluded.get(self.next_excluded).copied();
            let special = relevant.into_iter().chain(excluded).min();
            let plain_end = special.map_or(scores.len(), |special| {
                scores.len().min(special as usize - start)
            });
            for (offset, score) in (offset..plain_end).zip(&scores[offset..plain_end]) {
                self.offer(*score, row(offset), false);
            }
            offset = plain_end;
            if offset == scores.len() {
                break;
            }
            if special == relevant {
                self.offer(scores[offset], row(offset), true);
                self.next_relevant += 1;
            } else {
                self.next_excluded += 1;
            }
            offset += 1;
        }
    }

    fn offer(&mut self, score: f32, row: u32, relevant: bool) {
        // Almost every row fails here; NaN does not.
        if self.last.is_some_and(|last| score < last.score) {
            return;
        }
        let entry = Entry {
            score: ranking_score(score, relevant),
            row,
            relevant,
        };
        if self.last.is_some_and(|last| entry.order(&last).is_ge()) {
            return;
        }
        self.entries.push(entry);
        if self.entries.len() >= 2 * self.k {
            self.sort_out();
        }
    }

    fn sort_out(&mut self) {
        let (_, last, _) = self
            .entries
            .select_nth_unstable_by(self.k - 1, Entry::order);
        self.last = Some(*last);
        self.entries.truncate(self.k);
    }

    fn into_sorted(mut self) -> Vec<Entry> {
        self.entries.sort_unstable_by(Entry::order);
        self.entries.truncate(self.k);
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by sorting everything.
    fn naive(scores: &[f32], k: usize, marks: &Marks) -> Vec<Entry> {
        let mut all: Vec<Entry> = (0..)
            .zip(scores)
            .filter(|(row, _)| !marks.excluded.contains(row))
            .map(|(row, score)| {
                let relevant = marks.relevant.contains(&row);
                Entry {
                    score: ranking_score(*score, relevant),
                    row,
                    relevant,
                }
            })
            .collect();
        all.sort_by(Entry::order);
        all.truncate(k);
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_the_head_of_the_sorted_catalogue(
            steps in prop::collection::vec(0i16..40, 1..9000),
            marked in prop::collection::vec((0usize..9000, any::<bool>()), 0..60),
            k in 1usize..50,
            nan in 0usize..9000,
        ) {
            let mut scores: Vec<f32> = steps.iter().map(|step| f32::from(*step) / 8.0).collect();
            if let Some(score) = scores.get_mut(nan) {
                *score = f32::NAN;
            }
            let k = k.min(scores.len());
            let mut marks = Marks::default();
            for (row, relevant) in std::collections::BTreeMap::from_iter(marked) {
                if row < scores.len() {
                    let rows = if relevant { &mut marks.relevant } else { &mut marks.excluded };
                    rows.push(u32::try_from(row).unwrap());
                }
            }
            let both = vec![marks.clone(), Marks::default()];
            let best = best(scores.len(), k, both, |rows| Ok(scores[rows].repeat(2))).unwrap();
            prop_assert_eq!(&best[0], &naive(&scores, k, &marks));
            prop_assert_eq!(&best[1], &naive(&scores, k, &Marks::default()));
        }
    }

    #[test]
    fn more_than_the_catalogue_cannot_be_asked_for() {
        let error = best(3, 4, vec![], |_| Ok(vec![])).unwrap_err();
        insta::assert_snapshot!(error, @"cannot rank the best 4 of 3 candidates; ask for 1 to 3");
        assert!(best(3, 0, vec![], |_| Ok(vec![])).is_err());
    }
}
