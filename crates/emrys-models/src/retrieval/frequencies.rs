//! How often each item was seen.

use std::collections::HashMap;

use emrys_loader::Loader;

use crate::Result;
use crate::loading::in_file_order;
use crate::tasks::item_ids;

/// How many rows of a data set have each item id.
///
/// Memory grows with the number of distinct ids, not with the rows.
///
/// # Example
/// ```
/// use emrys_models::retrieval::ItemFrequencies;
///
/// let mut frequencies = ItemFrequencies::default();
/// frequencies.add(&[7, 7, 9, 7]);
/// assert_eq!((frequencies.count(7), frequencies.count(1)), (3, 0));
/// assert_eq!(frequencies.log_q(&[7]), [0.75f32.ln()]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemFrequencies {
    counts: HashMap<i64, u64>,
    rows: u64,
}

impl ItemFrequencies {
    /// Counts the ids of one column in one pass over a data set, whatever order the loader is set
    /// to. No other column is read.
    ///
    /// # Errors
    /// The column is missing, does not hold one integer a row, or cannot be read.
    pub fn read(loader: &Loader, column: &str) -> Result<Self> {
        let mut frequencies = Self::default();
        for batch in in_file_order(loader, [column], Vec::new())?.epoch(0)? {
            frequencies.add(&item_ids(&batch?, "item_frequencies", column)?);
        }
        Ok(frequencies)
    }

    /// Counts each of `ids` once more.
    pub fn add(&mut self, ids: &[i64]) {
        for id in ids {
            *self.counts.entry(*id).or_insert(0) += 1;
        }
        self.rows += ids.len() as u64;
    }

    /// How many rows had the id.
    pub fn count(&self, id: i64) -> u64 {
        self.counts.get(&id).copied().unwrap_or(0)
    }

    /// How many rows were counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many distinct ids there were.
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The logarithm of each id's share of the rows: its chance to be drawn as a negative from a
    /// batch. An id that was never counted is taken for one that was counted once.
    pub fn log_q(&self, ids: &[i64]) -> Vec<f32> {
        let rows = self.rows.max(1) as f64;
        ids.iter()
            .map(|id| ((self.count(*id).max(1) as f64 / rows).ln()) as f32)
            .collect()
    }
}
