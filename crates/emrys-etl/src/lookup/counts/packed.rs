//! Counts of small keys.

use std::collections::BTreeMap;

use arrow::buffer::NullBuffer;

use super::{next, slots_for};
use crate::lookup::slots::{Slot, Slots};
use crate::lookup::table::{BLOCK, is_near, prefetch};

/// The most that a slot counts.
pub(super) const MOST: u64 = u32::MAX as u64;

/// Counts by keys: slots as those of a [`PackedTable`](crate::lookup::table::PackedTable), with a
/// count in place of the code.
#[derive(Debug)]
pub(super) struct PackedCounts<W: Slot> {
    slots: Slots<W>,
    pub(super) len: usize,
    /// What the 32 bits of a slot do not hold.
    carried: BTreeMap<W::Key, u64>,
}

impl<W: Slot> PackedCounts<W> {
    pub(super) fn with_room_for(len: usize) -> PackedCounts<W> {
        PackedCounts {
            slots: Slots::empty(slots_for(len)),
            len: 0,
            carried: BTreeMap::new(),
        }
    }

    /// Counts each key once.
    pub(super) fn count(&mut self, mut keys: impl Iterator<Item = W::Key>) {
        self.count_blocks(|block| {
            let mut filled = 0;
            for (place, key) in block.iter_mut().zip(keys.by_ref()) {
                *place = key;
                filled += 1;
            }
            filled
        });
    }

    /// Counts the keys of rows that are not null.
    pub(super) fn count_valid(&mut self, keys: impl Iterator<Item = W::Key>, nulls: &NullBuffer) {
        let mut rows = keys.zip(nulls);
        self.count_blocks(|block| {
            let mut filled = 0;
            // The key of a null is overwritten by the next one: where nulls are is hard to predict.
            while filled < BLOCK
                && let Some((key, is_valid)) = rows.next()
            {
                block[filled] = key;
                filled += usize::from(is_valid);
            }
            filled
        });
    }

    /// Counts keys by the block; `fill` makes the next one, and tells how many keys it has: fewer
    /// than there is room for if they are the last.
    ///
    /// Most keys are in their first slot, or new and that slot is empty. All of those take the same
    /// steps, since which it will be is hard to predict; the others come afterwards.
    #[inline]
    fn count_blocks(&mut self, mut fill: impl FnMut(&mut [W::Key; BLOCK]) -> usize) {
        let mut block = [W::Key::default(); BLOCK];
        let mut undecided = [0_u8; BLOCK];
        loop {
            let filled = fill(&mut block);
            self.reserve(BLOCK);
            let (slots, carried) = (&mut *self.slots, &mut self.carried);
            let homes = W::homes_of(&block, slots.len());
            if !is_near(slots) {
                homes.iter().for_each(|home| prefetch(slots, *home));
            }
            let (mut new, mut count) = (0, 0);
            for (row, (key, home)) in block[..filled].iter().zip(&homes).enumerate() {
                let slot = &mut slots[*home];
                let (is_new, before) = (slot.is_empty(), slot.number());
                #[expect(clippy::needless_bitwise_bool, reason = "a jump would be mispredicted")]
                let is_decided = (is_new | (slot.key() == *key)) & (before != MOST as u32);
                let more = W::new(*key, before.wrapping_add(1));
                *slot = if is_decided { more } else { *slot };
                new += usize::from(is_new);
                undecided[count] = row as u8;
                count += usize::from(!is_decided);
            }
            for row in undecided[..count].iter().map(|row| usize::from(*row)) {
                let is_new = add(slots, carried, block[row], homes[row], 1);
                new += usize::from(is_new);
            }
            self.len += new;
            if filled < BLOCK {
                return;
            }
        }
    }

    /// Counts each key some times.
    pub(super) fn add_all(&mut self, mut counted: impl Iterator<Item = (W::Key, u64)>) {
        let mut keys = [W::Key::default(); BLOCK];
        let mut amounts = [0; BLOCK];
        loop {
            let mut filled = 0;
            for ((key, amount), counted) in keys.iter_mut().zip(&mut amounts).zip(counted.by_ref())
            {
                (*key, *amount) = counted;
                filled += 1;
            }
            self.reserve(BLOCK);
            let (slots, carried) = (&mut *self.slots, &mut self.carried);
            let homes = W::homes_of(&keys, slots.len());
            if !is_near(slots) {
                homes.iter().for_each(|home| prefetch(slots, *home));
            }
            for ((key, amount), home) in keys.iter().zip(&amounts).zip(&homes).take(filled) {
                self.len += usize::from(add(slots, carried, *key, *home, *amount));
            }
            if filled < BLOCK {
                return;
            }
        }
    }

    /// Counts a key some times.
    pub(super) fn add(&mut self, key: W::Key, amount: u64) {
        self.reserve(1);
        let home = W::home_of(key, self.slots.len());
        let is_new = add(&mut self.slots, &mut self.carried, key, home, amount);
        self.len += usize::from(is_new);
    }

    fn reserve(&mut self, more: usize) {
        let needed = slots_for(self.len + more);
        if needed <= self.slots.len() {
            return;
        }
        let mut larger = Slots::<W>::empty(needed.max(2 * self.slots.len()));
        let slots = &mut *larger;
        for slot in self.slots.iter().filter(|slot| !slot.is_empty()) {
            let mut at = W::home_of(slot.key(), slots.len());
            while !slots[at].is_empty() {
                at = next(at, slots);
            }
            slots[at] = *slot;
        }
        self.slots = larger;
    }

    /// What both counted.
    pub(super) fn merge(self, other: PackedCounts<W>) -> PackedCounts<W> {
        let (mut larger, smaller) = match self.len < other.len {
            true => (other, self),
            false => (self, other),
        };
        // Keys come in the order of their hashes, which fills a table evenly only if it is large
        // enough for all of them.
        larger.reserve(smaller.len);
        for (key, count) in smaller.iter() {
            larger.add(key, count);
        }
        larger
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (W::Key, u64)> {
        let used = self.slots.iter().filter(|slot| !slot.is_empty());
        used.map(|slot| {
            let key = slot.key();
            let carried = match self.carried.is_empty() {
                true => 0,
                false => self.carried.get(&key).copied().unwrap_or(0),
            };
            (key, u64::from(slot.number()) + carried)
        })
    }
}

/// Counts a key some times, from its first slot on; whether it is new. One slot must be empty.
#[inline]
fn add<W: Slot>(
    slots: &mut [W],
    carried: &mut BTreeMap<W::Key, u64>,
    key: W::Key,
    home: usize,
    amount: u64,
) -> bool {
    let mut at = home;
    loop {
        let slot = slots[at];
        let is_new = slot.is_empty();
        if is_new || slot.key() == key {
            let count = u64::from(slot.number()) + amount;
            if count > MOST {
                carry(carried, key, count - MOST);
            }
            slots[at] = W::new(key, count.min(MOST) as u32);
            return is_new;
        }
        at = next(at, slots);
    }
}

/// Keeps what the bits of a slot cannot count.
#[cold]
fn carry<K: Ord>(carried: &mut BTreeMap<K, u64>, key: K, more: u64) {
    *carried.entry(key).or_default() += more;
}
