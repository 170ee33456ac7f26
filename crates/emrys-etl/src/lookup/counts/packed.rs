//! Counts of small keys.

use std::collections::BTreeMap;

use super::{COUNT, next, slots_for};
use crate::lookup::slots::Slots;
use crate::lookup::table::{BLOCK, KEY_MASK, home_of, is_near, prefetch};

/// The most that a slot counts.
pub(super) const MOST: u64 = u32::MAX as u64;

/// Counts by keys of 96 bits: slots as those of a [`PackedTable`](crate::lookup::table::PackedTable), with
/// a count in place of the code.
#[derive(Debug)]
pub(super) struct PackedCounts {
    slots: Slots,
    pub(super) len: usize,
    /// What the 32 bits of a slot do not hold.
    carried: BTreeMap<u128, u64>,
}

impl PackedCounts {
    pub(super) fn with_room_for(len: usize) -> PackedCounts {
        PackedCounts {
            slots: Slots::empty(slots_for(len)),
            len: 0,
            carried: BTreeMap::new(),
        }
    }

    /// Counts each key once.
    pub(super) fn count(&mut self, mut keys: impl Iterator<Item = u128>) {
        let mut block = [(0, 0); BLOCK];
        loop {
            self.reserve(BLOCK);
            let (slots, carried) = (&mut *self.slots, &mut self.carried);
            let (mut filled, mut new) = (0, 0);
            if is_near(slots) {
                for key in keys.by_ref().take(BLOCK) {
                    let home = home_of(key, slots.len());
                    new += usize::from(add(slots, carried, key, home, 1));
                    filled += 1;
                }
            } else {
                for (place, key) in block.iter_mut().zip(keys.by_ref()) {
                    let home = home_of(key, slots.len());
                    prefetch(slots, home);
                    *place = (key, home);
                    filled += 1;
                }
                for (key, home) in &block[..filled] {
                    new += usize::from(add(slots, carried, *key, *home, 1));
                }
            }
            self.len += new;
            if filled < BLOCK {
                return;
            }
        }
    }

    /// Counts a key some times.
    pub(super) fn add(&mut self, key: u128, amount: u64) {
        self.reserve(1);
        let home = home_of(key, self.slots.len());
        let is_new = add(&mut self.slots, &mut self.carried, key, home, amount);
        self.len += usize::from(is_new);
    }

    fn reserve(&mut self, more: usize) {
        let needed = slots_for(self.len + more);
        if needed <= self.slots.len() {
            return;
        }
        let mut larger = Slots::empty(needed.max(2 * self.slots.len()));
        let slots = &mut *larger;
        for slot in self.slots.iter().filter(|slot| **slot != 0) {
            let mut at = home_of(slot & KEY_MASK, slots.len());
            while slots[at] != 0 {
                at = next(at, slots);
            }
            slots[at] = *slot;
        }
        self.slots = larger;
    }

    pub(super) fn merge(&mut self, other: &PackedCounts) {
        // Keys come in the order of their hashes, which fills a table evenly only if it is large
        // enough for all of them.
        self.reserve(other.len);
        for (key, count) in other.iter() {
            self.add(key, count);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u64)> {
        let used = self.slots.iter().filter(|slot| **slot != 0);
        used.map(|slot| {
            let key = slot & KEY_MASK;
            let carried = match self.carried.is_empty() {
                true => 0,
                false => self.carried.get(&key).copied().unwrap_or(0),
            };
            (key, (slot >> COUNT) as u64 + carried)
        })
    }
}

/// Counts a key some times, from its first slot on; whether it is new. One slot must be empty.
#[inline]
fn add(
    slots: &mut [u128],
    carried: &mut BTreeMap<u128, u64>,
    key: u128,
    home: usize,
    amount: u64,
) -> bool {
    let mut at = home;
    loop {
        let slot = slots[at];
        let is_new = slot == 0;
        if is_new || slot & KEY_MASK == key {
            let count = (slot >> COUNT) as u64 + amount;
            if count > MOST {
                carry(carried, key, count - MOST);
            }
            slots[at] = key | u128::from(count.min(MOST)) << COUNT;
            return is_new;
        }
        at = next(at, slots);
    }
}

/// Keeps what the bits of a slot cannot count.
#[cold]
fn carry(carried: &mut BTreeMap<u128, u64>, key: u128, more: u64) {
    *carried.entry(key).or_default() += more;
}
