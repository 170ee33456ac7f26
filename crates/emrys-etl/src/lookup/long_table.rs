//! The table of values that are too long to be keys.

use std::hash::BuildHasher;

use arrow::buffer::Buffer;
use foldhash::fast::FixedState;

use super::bytes::ByteValues;
use super::fill::{Repeated, fill};
use super::slots::{Slot, Slots, slot_of};
use super::table::{BLOCK, is_near, prefetch};

/// Codes of values whose bytes lie in a buffer.
///
/// A slot has, from the top, 32 bits of code, 32 of length, 24 of the hash and 40 of the place in
/// the buffer. Bytes are compared only where length and hash agree.
#[derive(Debug, Clone)]
pub(super) struct LongTable {
    slots: Slots,
    homes: usize,
    arena: Buffer,
}

const PLACE_BITS: u32 = 40;
const LEN_BIT: u32 = 64;
const PLACE_MASK: u128 = (1 << PLACE_BITS) - 1;
const TAG_MASK: u128 = (1 << 96) - 1 - PLACE_MASK;

impl LongTable {
    pub(super) fn new(capacity: usize, arena: Buffer) -> LongTable {
        let homes = (2 * capacity).max(1);
        LongTable {
            slots: Slots::empty_by_threads(homes + 1),
            homes,
            arena,
        }
    }

    /// How many bytes the slots take.
    pub(super) fn num_bytes(&self) -> usize {
        size_of_val::<[u128]>(&self.slots)
    }

    /// Whether the table fits the nearest caches.
    pub(super) fn is_near(&self) -> bool {
        is_near(&self.slots)
    }

    /// Stores the places and codes of distinct values, of which there is room for all.
    pub(super) fn fill<'v>(
        &mut self,
        values: impl Iterator<Item = (usize, &'v [u8], u32)> + Clone + Send + Sync,
    ) -> Result<(), Repeated> {
        let homes = self.homes;
        let entries = values.map(|(place, bytes, code)| {
            let (tag, home) = tag_and_home(bytes, homes);
            (slot(code, tag, place), home)
        });
        let arena = &self.arena;
        let is_same = |one: u128, other: u128| {
            let len = (one >> LEN_BIT) as u32 as usize;
            (one ^ other) & TAG_MASK == 0 && stored(arena, one, len) == stored(arena, other, len)
        };
        fill(&mut self.slots, homes, entries, is_same)?;
        Ok(())
    }

    /// Stores the code of a value that lies at a place of the buffer, unless it is there; returns
    /// the code that it has now.
    pub(super) fn insert(&mut self, place: usize, bytes: &[u8], code: u32) -> u32 {
        let (tag, home) = tag_and_home(bytes, self.homes);
        let at = self.position(tag, home, bytes);
        if self.slots[at] != 0 {
            return self.slots[at].number();
        }
        self.slots[at] = slot(code, tag, place);
        // Probes stop at an empty slot, so there is always one at the end.
        if at + 1 == self.slots.len() {
            self.slots.push_empty();
        }
        code
    }

    /// Asks for the slot of a value that is to be inserted soon.
    pub(super) fn expect(&self, bytes: &[u8]) {
        prefetch(&self.slots, tag_and_home(bytes, self.homes).1);
    }

    /// The code of a value, zero if it is absent.
    pub(super) fn find(&self, bytes: &[u8]) -> u32 {
        let (tag, home) = tag_and_home(bytes, self.homes);
        self.slots[self.position(tag, home, bytes)].number()
    }

    /// The slot from `at` on that has the value, or is empty.
    fn position(&self, tag: u128, mut at: usize, bytes: &[u8]) -> usize {
        loop {
            at = self.candidate(tag, at);
            let slot = self.slots[at];
            if slot == 0 || stored(&self.arena, slot, bytes.len()) == bytes {
                return at;
            }
            at += 1;
        }
    }

    /// Looks up some rows of a block in three steps, so that the cache misses of each overlap.
    pub(super) fn lookup(
        &self,
        values: &impl ByteValues,
        start: usize,
        rows: &[usize],
        codes: &mut [u32],
    ) {
        let mut block = [(0, 0); BLOCK];
        for (place, row) in block.iter_mut().zip(rows) {
            *place = tag_and_home(values.bytes(start + row), self.homes);
            prefetch(&self.slots, place.1);
        }
        for (tag, at) in &mut block[..rows.len()] {
            *at = self.candidate(*tag, *at);
            prefetch(&self.arena, (self.slots[*at] & PLACE_MASK) as usize);
        }
        for ((tag, at), row) in block.iter().zip(rows) {
            let at = self.position(*tag, *at, values.bytes(start + row));
            codes[*row] = self.slots[at].number();
        }
    }

    /// The next slot from `at` on that is empty or has the tag.
    fn candidate(&self, tag: u128, mut at: usize) -> usize {
        while self.slots[at] != 0 && self.slots[at] & TAG_MASK != tag {
            at += 1;
        }
        at
    }
}

fn slot(code: u32, tag: u128, place: usize) -> u128 {
    u128::new(tag | place as u128 & PLACE_MASK, code)
}

#[inline]
fn tag_and_home(bytes: &[u8], homes: usize) -> (u128, usize) {
    let hash = FixedState::with_seed(0).hash_one(bytes);
    let tag = u128::from(hash & 0xFF_FFFF) << PLACE_BITS | (bytes.len() as u128) << LEN_BIT;
    (tag & TAG_MASK, slot_of(hash, homes))
}

fn stored(arena: &Buffer, slot: u128, len: usize) -> &[u8] {
    let place = (slot & PLACE_MASK) as usize;
    &arena[place..place + len]
}
