//! Filling a hash table with distinct values, side by side.
//!
//! Each thread has a part of the slots and looks at all rows, so no two threads touch the same
//! memory, and which thread is faster makes no difference. Looking at a row costs little compared
//! with the cache miss of putting it in.

use rayon::prelude::*;

use super::LookupError;
use super::slots::{Slot, Slots};
use super::table::{BLOCK, prefetch};

/// Parts are no smaller: fewer slots are filled faster than a thread wakes up.
const SMALLEST_PART: usize = 1 << 16;

/// The most parts; each costs another look at all rows.
const MOST_PARTS: usize = 16;

/// The numbers of two slots with the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) first: u32,
    pub(super) second: u32,
}

impl Repeated {
    /// The one that comes first, if there is any.
    pub(super) fn first_of(all: impl IntoIterator<Item = Repeated>) -> Result<(), Repeated> {
        match all.into_iter().min_by_key(|repeated| repeated.second) {
            None => Ok(()),
            Some(first) => Err(first),
        }
    }

    /// The error for rows that are numbered from `first_code` on.
    pub(super) fn error(self, first_code: u32) -> LookupError {
        LookupError::Repeated {
            first: self.first.saturating_sub(first_code) as usize,
            second: self.second.saturating_sub(first_code) as usize,
        }
    }
}

/// Puts slots into a table, each with the place where it is looked for first, which is below
/// `homes`; `same` tells slots of the same value. Returns how many there were.
///
/// The table has room for all of them, and empty slots at the end.
pub(super) fn fill<W: Slot>(
    slots: &mut Slots<W>,
    homes: usize,
    entries: impl Iterator<Item = (W, usize)> + Clone + Send + Sync,
    same: impl Fn(W, W) -> bool + Sync,
) -> Result<usize, Repeated> {
    let most = (homes / SMALLEST_PART).clamp(1, MOST_PARTS);
    let size = homes.div_ceil(rayon::current_num_threads().min(most));
    fill_in_parts(slots, homes, size, entries, same)
}

/// The same with a given size of the parts.
fn fill_in_parts<W: Slot>(
    slots: &mut Slots<W>,
    homes: usize,
    size: usize,
    entries: impl Iterator<Item = (W, usize)> + Clone + Send + Sync,
    same: impl Fn(W, W) -> bool + Sync,
) -> Result<usize, Repeated> {
    let parts = slots[..homes].par_chunks_mut(size).enumerate();
    let parts = parts.map(|(part, slots)| fill_part(slots, part * size, entries.clone(), &same));
    let parts: Vec<_> = parts.collect();

    let mut count = 0;
    let mut repeated = Vec::new();
    for part in parts {
        count += part.count;
        repeated.extend(part.repeated);
        // The same value starts in the same part, so these are still in the order of the rows.
        for slot in part.beyond {
            // All slots up to the end of the part are taken.
            if let Err(error) = push(slots, part.end, slot, &same) {
                repeated.push(error);
            }
        }
    }
    Repeated::first_of(repeated).map(|()| count)
}

/// What came of the entries of one part.
struct Filled<W> {
    count: usize,
    /// Where the part ends.
    end: usize,
    /// Slots that found no empty one up to the end.
    beyond: Vec<W>,
    /// The first value that was there before.
    repeated: Option<Repeated>,
}

/// Puts in the entries whose place is among the slots, the first of which is at `start`.
fn fill_part<W: Slot>(
    slots: &mut [W],
    start: usize,
    entries: impl Iterator<Item = (W, usize)>,
    same: &impl Fn(W, W) -> bool,
) -> Filled<W> {
    let mut filled = Filled {
        count: 0,
        end: start + slots.len(),
        beyond: Vec::new(),
        repeated: None,
    };
    let mut block = [(W::zeroed(), 0); BLOCK];
    let mut len = 0;
    for (slot, home) in entries {
        // Whether it is one of this part is hard to predict, so it is written in any case.
        let at = home.wrapping_sub(start);
        block[len] = (slot, at);
        len += usize::from(at < slots.len());
        if len == BLOCK {
            filled.place_block(slots, &block, same);
            len = 0;
            if filled.repeated.is_some() {
                return filled;
            }
        }
    }
    filled.place_block(slots, &block[..len], same);
    filled
}

impl<W: Slot> Filled<W> {
    /// Puts a block of slots in; their cache misses overlap.
    fn place_block(&mut self, slots: &mut [W], block: &[(W, usize)], same: &impl Fn(W, W) -> bool) {
        block.iter().for_each(|(_, at)| prefetch(slots, *at));
        for (slot, at) in block {
            match place(slots, *at, *slot, same) {
                Ok(true) => {}
                Ok(false) => self.beyond.push(*slot),
                Err(repeated) => {
                    self.repeated = Some(repeated);
                    return;
                }
            }
        }
        self.count += block.len();
    }
}

/// Puts a slot into the first empty one from `at` on; `false` if there is none.
pub(super) fn place<W: Slot>(
    slots: &mut [W],
    at: usize,
    slot: W,
    same: impl Fn(W, W) -> bool,
) -> Result<bool, Repeated> {
    for place in &mut slots[at..] {
        if place.is_empty() {
            *place = slot;
            return Ok(true);
        }
        if same(*place, slot) {
            let (first, second) = (place.number(), slot.number());
            return Err(Repeated { first, second });
        }
    }
    Ok(false)
}

/// Puts a slot into the first empty one from `at` on. Probes stop at an empty slot, so there is
/// always one at the end.
fn push<W: Slot>(
    slots: &mut Slots<W>,
    at: usize,
    slot: W,
    same: impl Fn(W, W) -> bool,
) -> Result<(), Repeated> {
    place(slots, at, slot, same)?;
    if slots.last().is_some_and(|last| !last.is_empty()) {
        slots.push_empty();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number of each key, as a probe finds it.
    fn found(slots: &[u128], homes: usize, keys: &[u128]) -> Vec<u32> {
        let number = |key: &u128| {
            let mut at = u128::home_of(*key, homes);
            while !slots[at].is_empty() && slots[at].key() != *key {
                at += 1;
            }
            slots[at].number()
        };
        keys.iter().map(number).collect()
    }

    /// Fills a table of few slots in the same way with many parts.
    fn filled(keys: &[u128], homes: usize, parts: usize) -> (Slots, Result<usize, Repeated>) {
        let mut slots = Slots::empty(homes + 1);
        let entries = keys
            .iter()
            .zip(1..)
            .map(|(key, code)| (u128::new(*key, code), u128::home_of(*key, homes)));
        let result = fill_in_parts(&mut slots, homes, homes.div_ceil(parts), entries, |a, b| {
            a.key() == b.key()
        });
        (slots, result)
    }

    proptest! {
        #[test]
        fn every_value_is_found_whatever_the_parts(
            keys in prop::collection::hash_set(0..u128::from(u16::MAX), 1..300),
            spare in 0..40_usize,
            parts in 1..9_usize,
        ) {
            let keys: Vec<u128> = keys.into_iter().collect();
            let homes = keys.len() + spare;
            let (slots, result) = filled(&keys, homes, parts);
            prop_assert_eq!(result, Ok(keys.len()));
            prop_assert!(slots.last().unwrap().is_empty());
            let codes: Vec<u32> = (1..=keys.len() as u32).collect();
            prop_assert_eq!(found(&slots, homes, &keys), codes);
            prop_assert_eq!(found(&slots, homes, &[1 << 80]), [0]);
        }

        #[test]
        fn the_first_value_that_repeats_is_named(
            keys in prop::collection::vec(0..2000_u128, 2..300),
            spare in 0..40_usize,
            parts in 1..9_usize,
        ) {
            let first = |row: usize| keys[..row].iter().position(|key| *key == keys[row]);
            let expected = (1..keys.len()).find_map(|row| Some((first(row)?, row)));
            let (_, result) = filled(&keys, keys.len() + spare, parts);
            let row = |code: u32| code as usize - 1;
            let found = result.err().map(|error| (row(error.first), row(error.second)));
            prop_assert_eq!(found, expected);
        }
    }
}
