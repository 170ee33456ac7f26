//! The ids of NVTabular up to 23.05.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use super::decode::Meaning;
use super::layout::VocabularyPlan;
use super::vocabulary::{NULL_ID, Vocabulary};
use crate::hash::hash_tuples;
use crate::lookup::{ABSENT, LookupError};

/// How ids are laid out that start at an index; see
/// [`with_start_index`](super::Categorify::with_start_index).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LegacyIds {
    start: u32,
    /// The number of buckets, if there are any.
    buckets: Option<u32>,
    /// Whether all values go into buckets, because nothing limits the vocabulary.
    hashed: bool,
}

impl LegacyIds {
    pub(super) fn new(start: u32, plan: &VocabularyPlan) -> LegacyIds {
        LegacyIds {
            start,
            buckets: plan.num_buckets,
            hashed: plan.num_buckets.is_some() && plan.freq_threshold == 0 && plan.max_size == 0,
        }
    }

    /// The number of ids, those below the start included.
    pub(super) fn cardinality(self, vocabulary: &Vocabulary) -> u64 {
        let buckets = u64::from(self.buckets.unwrap_or(0));
        let known = match self.hashed {
            true => 0,
            false => 1 + vocabulary.len() as u64,
        };
        u64::from(self.start) + known + buckets
    }

    /// The id of the first value, unless all values are hashed.
    pub(super) fn first_value(self) -> Option<u64> {
        (!self.hashed).then_some(u64::from(self.start) + 1)
    }

    /// What an id stands for; `None` if it is no id. The id that nulls share with unseen values
    /// counts as null.
    pub(super) fn meaning(self, vocabulary: &Vocabulary, id: u64) -> Option<Meaning> {
        if id >= self.cardinality(vocabulary) {
            return None;
        }
        let Some(place) = id.checked_sub(u64::from(self.start)) else {
            return Some(Meaning::Padding);
        };
        Some(match usize::try_from(place).ok()? {
            _ if self.hashed => Meaning::Unseen,
            0 => Meaning::Null,
            known if known <= vocabulary.len() => Meaning::Value(known - 1),
            _ => Meaning::Unseen,
        })
    }

    /// The ids of the rows of a column, or of several columns for tuples.
    ///
    /// The greatest id was compared with the type when the vocabulary was fitted.
    pub(super) fn encode(
        self,
        vocabulary: &Vocabulary,
        columns: &[ArrayRef],
    ) -> Result<Vec<u32>, LookupError> {
        let mut ids = vocabulary.index.lookup(columns)?;
        let hashed: Vec<u32> = match self.buckets {
            None => Vec::new(),
            Some(_) => (0..ids.len() as u32)
                .filter(|row| self.hashed || ids[*row as usize] == ABSENT)
                .collect(),
        };
        let first_id = vocabulary.first_id();
        for id in &mut ids {
            *id = match *id {
                ABSENT | NULL_ID => self.start,
                known => self.start + 1 + (known - first_id),
            };
        }
        if let (Some(buckets), false) = (self.buckets, hashed.is_empty()) {
            let rows = UInt32Array::from(hashed);
            let values = columns
                .iter()
                .enumerate()
                .map(|(at, column)| vocabulary.index.align(at, &take(column, &rows, None)?));
            let values = values.collect::<Result<Vec<_>, LookupError>>()?;
            let first = self.start
                + match self.hashed {
                    true => 0,
                    // The vocabulary was compared with the ids there are.
                    false => 1 + vocabulary.len() as u32,
                };
            for (row, hash) in rows.values().iter().zip(hash_tuples(&values)?) {
                ids[*row as usize] = first + (hash % u64::from(buckets)) as u32;
            }
        }
        Ok(ids)
    }
}
