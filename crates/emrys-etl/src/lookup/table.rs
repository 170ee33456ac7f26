//! Open-addressing tables of small keys.

use std::marker::PhantomData;
use std::ops::Deref;

use super::fill::{Repeated, fill};
use super::keys::integer_of_key;
use super::slots::{KEY_MASK, Slot, Slots};

/// How many rows are hashed before the first of them is looked up; the cache misses of these rows
/// overlap.
pub(super) const BLOCK: usize = 128;

/// Tables up to this many bytes stay in the nearest caches, where fetching ahead only costs.
const NEAR_BYTES: usize = 128 << 10;

/// Codes (not zero) by keys: of 96 bits in slots of `u128`, of 32 bits in slots of `u64`.
///
/// A slot is one word, the code above the key, so that a probe touches one cache line; zero is an
/// empty slot. Collisions go to the next slot. Values put in first are found first, so callers
/// insert the most frequent values first.
///
/// The slots are in memory while the table is made; a table that is only read may have them in a
/// mapped file.
#[derive(Debug, Clone)]
pub(super) struct PackedTable<W = u128, S = Slots<W>> {
    slots: S,
    /// How many slots a hash can point to; those behind are the overflow of the last one.
    homes: usize,
    len: usize,
    words: PhantomData<W>,
}

impl<W: Slot> PackedTable<W> {
    /// A table with room for `capacity` keys; it grows when more come.
    pub(super) fn with_capacity(capacity: usize) -> PackedTable<W> {
        // Emptier tables have shorter probes, but in memory that is far their size matters more.
        let sparse = 4 * capacity;
        let homes = match sparse * size_of::<W>() <= NEAR_BYTES {
            true => sparse,
            false => 2 * capacity,
        };
        let homes = homes.max(1);
        PackedTable::over(Slots::empty_by_threads(homes + 1), homes)
    }

    /// Stores the code unless the key is there; returns the code that the key has now.
    pub(super) fn insert(&mut self, key: W::Key, code: u32) -> u32 {
        let new = checked_slot(key, code);
        if 2 * self.len >= self.homes {
            self.grow();
        }
        let mut at = W::home_of(key, self.homes);
        let slots = &mut *self.slots;
        loop {
            let slot = slots[at];
            if slot.is_empty() {
                break;
            }
            if slot.key() == key {
                return slot.number();
            }
            at += 1;
        }
        slots[at] = new;
        self.len += 1;
        // Probes stop at an empty slot, so there is always one at the end.
        if at + 1 == slots.len() {
            self.slots.push_empty();
        }
        code
    }

    /// Stores the codes of distinct keys, of which there is room for all.
    pub(super) fn fill(
        &mut self,
        keys: impl Iterator<Item = (W::Key, u32)> + Clone + Send + Sync,
    ) -> Result<(), Repeated> {
        let homes = self.homes;
        let entries = keys.map(|(key, code)| (checked_slot(key, code), W::home_of(key, homes)));
        let is_same = |one: W, other: W| one.key() == other.key();
        self.len += fill(&mut self.slots, homes, entries, is_same)?;
        Ok(())
    }

    fn grow(&mut self) {
        let mut larger = PackedTable::with_capacity(2 * self.homes);
        for slot in self.slots.iter().filter(|slot| !slot.is_empty()) {
            larger.insert(slot.key(), slot.number());
        }
        *self = larger;
    }
}

impl<W: Slot, S: Deref<Target = [W]>> PackedTable<W, S> {
    /// A table of slots that are filled already, the last of which is empty.
    pub(super) fn over(slots: S, homes: usize) -> PackedTable<W, S> {
        PackedTable {
            slots,
            homes,
            len: 0,
            words: PhantomData,
        }
    }

    /// How many slots a hash can point to.
    pub(super) fn homes(&self) -> usize {
        self.homes
    }

    /// How many bytes the slots take.
    pub(super) fn num_bytes(&self) -> usize {
        size_of_val::<[W]>(&self.slots)
    }

    /// The code of each key, zero where it is absent.
    pub(super) fn lookup(&self, mut keys: impl Iterator<Item = u128>, codes: &mut [u32]) {
        let mut block = [W::Key::default(); BLOCK];
        for codes in codes.chunks_mut(BLOCK) {
            let mut too_wide = Vec::new();
            for (row, (place, key)) in block[..codes.len()]
                .iter_mut()
                .zip(keys.by_ref())
                .enumerate()
            {
                *place = W::fit(key).unwrap_or_else(|| {
                    too_wide.push(row);
                    W::Key::default()
                });
            }
            self.lookup_block(&block, codes);
            too_wide.into_iter().for_each(|row| codes[row] = 0);
        }
    }

    /// The codes of at most [`BLOCK`] keys, as many as there are codes.
    ///
    /// Most keys are decided by their first slot. All of those take the same steps, found or not,
    /// since which it will be is hard to predict; the others come afterwards.
    #[inline]
    fn lookup_block(&self, keys: &[W::Key; BLOCK], codes: &mut [u32]) {
        let slots = &*self.slots;
        let homes = W::homes_of(keys, self.homes);
        if !is_near(slots) {
            homes.iter().for_each(|home| prefetch(slots, *home));
        }
        let mut undecided = [0_u8; BLOCK];
        let mut count = 0;
        let places = keys.iter().zip(&homes);
        for (row, (code, (key, home))) in codes.iter_mut().zip(places).enumerate() {
            let slot = slots[*home];
            // An empty slot looks like key zero with code zero, which is the right answer.
            let is_found = slot.key() == *key;
            *code = if is_found { slot.number() } else { 0 };
            undecided[count] = row as u8;
            count += usize::from(!is_found & !slot.is_empty());
        }
        for row in undecided[..count].iter().map(|row| usize::from(*row)) {
            codes[row] = probe(slots, keys[row], homes[row] + 1);
        }
    }

    /// Whether the table fits the nearest caches.
    pub(super) fn is_near(&self) -> bool {
        is_near(&self.slots)
    }

    /// Asks for the first slot of a key, which is to be inserted soon.
    #[inline]
    pub(super) fn expect(&self, key: W::Key) {
        prefetch(&self.slots, self.home(key));
    }

    /// The first slot of a key, which is on its way from memory when this returns.
    #[inline]
    pub(super) fn fetch_home(&self, key: W::Key) -> usize {
        let home = self.home(key);
        prefetch(&self.slots, home);
        home
    }

    /// The code of a key whose first slot is `home`.
    #[inline]
    pub(super) fn probe(&self, key: W::Key, home: usize) -> u32 {
        probe(&self.slots, key, home)
    }

    /// The first slot of a key.
    #[inline]
    pub(super) fn home(&self, key: W::Key) -> usize {
        W::home_of(key, self.homes)
    }
}

/// The slot of a key that is put in.
#[inline]
fn checked_slot<W: Slot>(key: W::Key, code: u32) -> W {
    debug_assert!(
        key.into() <= KEY_MASK && code != 0,
        "keys have at most 96 bits and zero means empty"
    );
    W::new(key, code)
}

/// The code of a key whose first slot is `home`, zero if it is absent.
#[inline]
fn probe<W: Slot>(slots: &[W], key: W::Key, home: usize) -> u32 {
    let mut at = home;
    loop {
        let slot = slots[at];
        // An empty slot looks like key zero with code zero, which is the right answer.
        if slot.key() == key || slot.is_empty() {
            return slot.number();
        }
        at += 1;
    }
}

/// Codes (not zero) of integers in a narrow range, one for each integer of the range.
#[derive(Debug, Clone)]
pub(super) struct DenseTable {
    first: u128,
    codes: Vec<u32>,
}

impl DenseTable {
    /// The number of integers in a range, if a dense table of it is no larger than a hash table of
    /// `count` keys.
    pub(super) fn worthwhile(first: i128, last: i128, count: usize) -> Option<usize> {
        let range = usize::try_from(last.checked_sub(first)?)
            .ok()?
            .checked_add(1)?;
        (range <= count.saturating_mul(8)).then_some(range)
    }

    /// A table for `range` integers whose first has the given key.
    pub(super) fn new(first: u128, range: usize) -> DenseTable {
        DenseTable {
            first,
            codes: vec![0; range],
        }
    }

    /// Stores the code unless the key is there; returns the code that the key has now.
    pub(super) fn insert(&mut self, key: u128, code: u32) -> u32 {
        let at = self
            .place(key)
            .expect("keys were measured when the table was made");
        let place = &mut self.codes[at];
        if *place == 0 {
            *place = code;
        }
        *place
    }

    /// Stores the codes of distinct keys.
    pub(super) fn fill(&mut self, keys: impl Iterator<Item = (u128, u32)>) -> Result<(), Repeated> {
        for (key, second) in keys {
            let first = self.insert(key, second);
            if first != second {
                return Err(Repeated { first, second });
            }
        }
        Ok(())
    }

    /// The code of each key, zero where it is absent.
    pub(super) fn lookup(&self, keys: impl Iterator<Item = u128>, codes: &mut [u32]) {
        for (code, key) in codes.iter_mut().zip(keys) {
            *code = self.place(key).map_or(0, |at| self.codes[at]);
        }
    }

    /// How many bytes the codes take.
    pub(super) fn num_bytes(&self) -> usize {
        size_of_val::<[u32]>(&self.codes)
    }

    fn place(&self, key: u128) -> Option<usize> {
        let distance = distance(self.first, key);
        (distance < self.codes.len() as u128).then_some(distance as usize)
    }
}

/// Codes (not zero) of integers that are less than 2^32 apart, by their distance from the least.
#[derive(Debug, Clone)]
pub(super) struct NarrowTable {
    first: u128,
    table: PackedTable<u64>,
}

impl NarrowTable {
    /// Whether a table holds a range of integers.
    pub(super) fn holds(first: i128, last: i128) -> bool {
        last.checked_sub(first)
            .is_some_and(|range| range <= i128::from(u32::MAX))
    }

    /// A table for integers from the one with the given key on.
    pub(super) fn new(first: u128, capacity: usize) -> NarrowTable {
        NarrowTable {
            first,
            table: PackedTable::with_capacity(capacity),
        }
    }

    /// Stores the code unless the key is there; returns the code that the key has now.
    pub(super) fn insert(&mut self, key: u128, code: u32) -> u32 {
        self.table.insert(near(self.distance(key)), code)
    }

    /// Stores the codes of distinct keys, of which there is room for all.
    pub(super) fn fill(
        &mut self,
        keys: impl Iterator<Item = (u128, u32)> + Clone + Send + Sync,
    ) -> Result<(), Repeated> {
        let first = self.first;
        let keys = keys.map(|(key, code)| (near(distance(first, key)), code));
        self.table.fill(keys)
    }

    /// Asks for the first slot of a key, which is to be inserted soon.
    pub(super) fn expect(&self, key: u128) {
        // Keys of nulls are arbitrary, and not inserted.
        self.table.expect(self.distance(key) as u32);
    }

    /// The code of each key, zero where it is absent.
    pub(super) fn lookup(&self, keys: impl Iterator<Item = u128>, codes: &mut [u32]) {
        self.table.lookup(keys.map(|key| self.distance(key)), codes);
    }

    /// The code of each integer, zero where it is absent.
    pub(super) fn lookup_integers<T: Copy + Into<i64>>(&self, values: &[T], codes: &mut [u32]) {
        let Ok(first) = i64::try_from(integer_of_key(self.first)) else {
            // All of them are below the first.
            return codes.fill(0);
        };
        let distance = |value: T| value.into().wrapping_sub(first) as u64;
        let mut keys = [0; BLOCK];
        for (codes, values) in codes.chunks_mut(BLOCK).zip(values.chunks(BLOCK)) {
            let mut bits = 0;
            for (key, value) in keys.iter_mut().zip(values) {
                let distance = distance(*value);
                bits |= distance;
                *key = distance as u32;
            }
            self.table.lookup_block(&keys, codes);
            if bits > u64::from(u32::MAX) {
                for (code, value) in codes.iter_mut().zip(values) {
                    if distance(*value) > u64::from(u32::MAX) {
                        *code = 0;
                    }
                }
            }
        }
    }

    /// How many bytes the slots take.
    pub(super) fn num_bytes(&self) -> usize {
        self.table.num_bytes()
    }

    #[inline]
    fn distance(&self, key: u128) -> u128 {
        distance(self.first, key)
    }
}

#[inline]
fn distance(first: u128, key: u128) -> u128 {
    key.wrapping_sub(first) & KEY_MASK
}

/// The distance of a key that is put into a narrow table.
#[inline]
fn near(distance: u128) -> u32 {
    u64::fit(distance).expect("keys were measured when the table was made")
}

/// Whether slots fit the nearest caches.
pub(super) fn is_near<W>(slots: &[W]) -> bool {
    size_of_val(slots) <= NEAR_BYTES
}

/// Asks for the cache line of an element, without waiting for it.
#[inline]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = slice.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(
            unsafe_code,
            reason = "prefetching has no safe form; it reads nothing, and the address is of a live element"
        )]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}
