//! Counts of long values.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::{next, slots_for};
use crate::lookup::bytes::ByteValues;
use crate::lookup::slots::{KEY_MASK, Slots, slot_of};
use crate::lookup::table::{BLOCK, prefetch};

/// Counts of values whose bytes do not fit a slot.
///
/// A slot has, from the top, 32 bits that number the value, 32 of its length, 24 of its hash and 40
/// of its place in the arena.
#[derive(Debug)]
pub(super) struct LongCounts {
    slots: Slots,
    pub(super) len: usize,
    counts: Vec<u64>,
    pub(super) arena: Vec<u8>,
}

/// The bits of a slot below the number of the value.
const NUMBER: u32 = 96;
const PLACE_MASK: u128 = (1 << 40) - 1;
const TAG_MASK: u128 = KEY_MASK - PLACE_MASK;

impl LongCounts {
    pub(super) fn with_room_for(len: usize) -> LongCounts {
        LongCounts {
            slots: Slots::empty(slots_for(len)),
            len: 0,
            counts: Vec::new(),
            arena: Vec::new(),
        }
    }

    /// Counts some rows once each, in three steps, so that the cache misses of each overlap.
    pub(super) fn count(&mut self, values: &impl ByteValues, rows: &[usize]) {
        let mut block = [(0, 0); BLOCK];
        for rows in rows.chunks(BLOCK) {
            self.reserve(BLOCK);
            for (place, row) in block.iter_mut().zip(rows) {
                *place = self.tag_and_home(values.bytes(*row));
                prefetch(&self.slots, place.1);
            }
            for (tag, at) in &mut block[..rows.len()] {
                *at = self.candidate(*tag, *at);
                prefetch(&self.arena, (self.slots[*at] & PLACE_MASK) as usize);
            }
            for ((tag, at), row) in block.iter().zip(rows) {
                self.add_from(*tag, *at, values.bytes(*row), 1);
            }
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8], amount: u64) {
        self.reserve(1);
        let (tag, home) = self.tag_and_home(bytes);
        self.add_from(tag, home, bytes, amount);
    }

    fn add_from(&mut self, tag: u128, home: usize, bytes: &[u8], amount: u64) {
        let mut at = home;
        loop {
            at = self.candidate(tag, at);
            let slot = self.slots[at];
            if slot == 0 {
                // A slot in use has a tag, as its length is not zero.
                self.slots[at] = (self.len as u128) << NUMBER | tag | self.arena.len() as u128;
                self.len += 1;
                self.counts.push(amount);
                self.arena.extend_from_slice(bytes);
                return;
            }
            if stored(&self.arena, slot) == bytes {
                self.counts[(slot >> NUMBER) as usize] += amount;
                return;
            }
            at = next(at, &self.slots);
        }
    }

    /// The next slot from `at` on that is empty or has the tag.
    fn candidate(&self, tag: u128, mut at: usize) -> usize {
        while self.slots[at] != 0 && self.slots[at] & TAG_MASK != tag {
            at = next(at, &self.slots);
        }
        at
    }

    fn tag_and_home(&self, bytes: &[u8]) -> (u128, usize) {
        let hash = FixedState::with_seed(0).hash_one(bytes);
        let tag = u128::from(hash & 0xFF_FFFF) << 40 | (bytes.len() as u128) << 64;
        (tag & TAG_MASK, slot_of(hash, self.slots.len()))
    }

    fn reserve(&mut self, more: usize) {
        let needed = slots_for(self.len + more);
        if needed <= self.slots.len() {
            return;
        }
        let larger = Slots::empty(needed.max(2 * self.slots.len()));
        let old = std::mem::replace(&mut self.slots, larger);
        for slot in old.iter().filter(|slot| **slot != 0) {
            let (_, mut at) = self.tag_and_home(stored(&self.arena, *slot));
            while self.slots[at] != 0 {
                at = next(at, &self.slots);
            }
            self.slots[at] = *slot;
        }
    }

    pub(super) fn merge(&mut self, other: &LongCounts) {
        self.reserve(other.len);
        for (bytes, count) in other.iter() {
            self.add(bytes, count);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let used = self.slots.iter().filter(|slot| **slot != 0);
        used.map(|slot| {
            let count = self.counts[(slot >> NUMBER) as usize];
            (stored(&self.arena, *slot), count)
        })
    }
}

fn stored(arena: &[u8], slot: u128) -> &[u8] {
    let (place, len) = ((slot & PLACE_MASK) as usize, (slot >> 64) as u32 as usize);
    &arena[place..place + len]
}
