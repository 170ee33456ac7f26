//! Counts of the entries of a dictionary.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;

/// Rows next to each other are counted apart, as long as that takes little memory: adding to what
/// was just added to is slow.
const LANES: usize = 4;
const MOST_IN_LANES: usize = 1 << 12;

/// How often each entry of a dictionary occurs in batches that share it.
///
/// Counting a row is an addition in an array; the values are [counted](super::ValueCounts) once for
/// each entry.
#[derive(Debug)]
pub(crate) struct EntryCounts {
    pub(super) entries: ArrayRef,
    /// Of each lane, one lane after the other.
    counts: Vec<u32>,
    pub(super) nulls: u64,
    rows: usize,
}

impl EntryCounts {
    /// Of the dictionary of an array with keys of 32 bits.
    pub(crate) fn of(array: &ArrayRef) -> EntryCounts {
        let entries = array.as_dictionary::<Int32Type>().values();
        let lanes = match entries.len() {
            0..=MOST_IN_LANES => LANES,
            _ => 1,
        };
        EntryCounts {
            entries: Arc::clone(entries),
            counts: vec![0; entries.len() * lanes],
            nulls: 0,
            rows: 0,
        }
    }

    /// Whether an array has the same dictionary, and all its rows can be counted.
    pub(crate) fn takes(&self, array: &ArrayRef) -> bool {
        let entries = array.as_dictionary::<Int32Type>().values();
        let is_same = Arc::ptr_eq(&self.entries, entries)
            || self.entries.to_data().ptr_eq(&entries.to_data());
        is_same && u32::try_from(self.rows + array.len()).is_ok()
    }

    /// Counts the rows of an array that it [takes](Self::takes).
    pub(crate) fn add(&mut self, array: &ArrayRef) {
        let keys = array.as_dictionary::<Int32Type>().keys();
        let (entries, counts) = (self.entries.len(), &mut self.counts);
        self.rows += keys.len();
        if let Some(nulls) = keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            self.nulls += nulls.null_count() as u64;
            for row in nulls.valid_indices() {
                counts[keys.value(row) as usize] += 1;
            }
        } else if counts.len() > entries {
            let (groups, rest) = keys.values().as_chunks::<LANES>();
            for group in groups {
                for (lane, key) in group.iter().enumerate() {
                    counts[lane * entries + *key as usize] += 1;
                }
            }
            rest.iter().for_each(|key| counts[*key as usize] += 1);
        } else {
            keys.values()
                .iter()
                .for_each(|key| counts[*key as usize] += 1);
        }
    }

    /// How often each entry occurred.
    pub(super) fn amounts(&self) -> impl Iterator<Item = u64> {
        let entries = self.entries.len();
        let lanes = move |entry| self.counts[entry..].iter().step_by(entries.max(1));
        (0..entries).map(move |entry| lanes(entry).map(|count| u64::from(*count)).sum())
    }
}

/// The entries of an array in which each row has its own, in order: they are the rows.
pub(crate) fn entry_by_row(array: &ArrayRef) -> Option<&ArrayRef> {
    let array = array.as_dictionary_opt::<Int32Type>()?;
    let keys = array.keys();
    let in_order = || keys.values().iter().zip(0..).all(|(key, row)| *key == row);
    (array.values().len() == array.len() && keys.null_count() == 0 && in_order())
        .then(|| array.values())
}
