//! Open-addressing tables of small keys.

use std::ops::Deref;

use super::slots::Slots;

/// The bits of a slot that hold the key.
pub(super) const KEY_MASK: u128 = (1 << 96) - 1;

/// How many rows are hashed before the first of them is looked up; the cache misses of these rows
/// overlap.
pub(super) const BLOCK: usize = 128;

/// Tables up to this many bytes stay in the nearest caches, where fetching ahead only costs.
const NEAR_BYTES: usize = 128 << 10;

/// Codes (not zero) by keys of 96 bits.
///
/// A slot is one `u128`, the code above the key, so that a probe touches one cache line; zero is an
/// empty slot. Collisions go to the next slot. Values put in first are found first, so callers
/// insert the most frequent values first.
///
/// The slots are in memory while the table is made; a table that is only read may have them in a
/// mapped file.
#[derive(Debug, Clone)]
pub(super) struct PackedTable<S = Slots> {
    slots: S,
    /// How many slots a hash can point to; those behind are the overflow of the last one.
    homes: usize,
    len: usize,
}

impl PackedTable<Slots> {
    /// A table with room for `capacity` keys; it grows when more come.
    pub(super) fn with_capacity(capacity: usize) -> PackedTable {
        let homes = (2 * capacity).max(1);
        PackedTable {
            slots: Slots::empty(homes + 1),
            homes,
            len: 0,
        }
    }

    /// Stores the code unless the key is there; returns the code that the key has now.
    pub(super) fn insert(&mut self, key: u128, code: u32) -> u32 {
        debug_assert!(
            key <= KEY_MASK && code != 0,
            "keys have 96 bits and zero means empty"
        );
        if 2 * self.len >= self.homes {
            self.grow();
        }
        let mut at = self.home(key);
        let slots = &mut *self.slots;
        loop {
            let slot = slots[at];
            if slot == 0 {
                break;
            }
            if slot & KEY_MASK == key {
                return code_of(slot);
            }
            at += 1;
        }
        slots[at] = key | u128::from(code) << 96;
        self.len += 1;
        // Probes stop at an empty slot, so there is always one at the end.
        if at + 1 == slots.len() {
            self.slots.push_empty();
        }
        code
    }

    fn grow(&mut self) {
        let mut larger = PackedTable::with_capacity(2 * self.homes);
        for slot in self.slots.iter().filter(|slot| **slot != 0) {
            larger.insert(slot & KEY_MASK, code_of(*slot));
        }
        *self = larger;
    }
}

impl<S: Deref<Target = [u128]>> PackedTable<S> {
    /// A table of slots that are filled already, the last of which is empty.
    pub(super) fn over(slots: S, homes: usize) -> PackedTable<S> {
        PackedTable {
            slots,
            homes,
            len: 0,
        }
    }

    /// How many slots a hash can point to.
    pub(super) fn homes(&self) -> usize {
        self.homes
    }

    /// How many bytes the slots take.
    pub(super) fn num_bytes(&self) -> usize {
        size_of_val::<[u128]>(&self.slots)
    }

    /// The code of each key, zero where it is absent.
    pub(super) fn lookup(&self, mut keys: impl Iterator<Item = u128>, codes: &mut [u32]) {
        let (slots, homes) = (&*self.slots, self.homes);
        if is_near(slots) {
            for (code, key) in codes.iter_mut().zip(keys) {
                *code = probe(slots, key, home_of(key, homes));
            }
            return;
        }
        let mut block = [(0, 0); BLOCK];
        for codes in codes.chunks_mut(BLOCK) {
            for (place, key) in block[..codes.len()].iter_mut().zip(keys.by_ref()) {
                let home = home_of(key, homes);
                prefetch(slots, home);
                *place = (key, home);
            }
            for (code, (key, home)) in codes.iter_mut().zip(&block) {
                *code = probe(slots, *key, *home);
            }
        }
    }

    /// Whether the table fits the nearest caches.
    pub(super) fn is_near(&self) -> bool {
        is_near(&self.slots)
    }

    /// Asks for the first slot of a key, which is to be inserted soon.
    #[inline]
    pub(super) fn expect(&self, key: u128) {
        prefetch(&self.slots, self.home(key));
    }

    /// The first slot of a key, which is on its way from memory when this returns.
    #[inline]
    pub(super) fn fetch_home(&self, key: u128) -> usize {
        let home = self.home(key);
        prefetch(&self.slots, home);
        home
    }

    /// The code of a key whose first slot is `home`.
    #[inline]
    pub(super) fn probe(&self, key: u128, home: usize) -> u32 {
        probe(&self.slots, key, home)
    }

    /// The first slot of a key.
    #[inline]
    pub(super) fn home(&self, key: u128) -> usize {
        home_of(key, self.homes)
    }
}

/// The code of a key whose first slot is `home`, zero if it is absent.
#[inline]
fn probe(slots: &[u128], key: u128, home: usize) -> u32 {
    let mut at = home;
    loop {
        let slot = slots[at];
        // An empty slot looks like key zero with code zero, which is the right answer.
        if slot & KEY_MASK == key || slot == 0 {
            return code_of(slot);
        }
        at += 1;
    }
}

/// The slot among `slots` where a key of 96 bits is looked for first.
#[inline]
pub(super) fn home_of(key: u128, slots: usize) -> usize {
    const LOW: u64 = 0x9E37_79B9_7F4A_7C15;
    const HIGH: u64 = 0xD1B5_4A32_D192_ED03;
    let low = (key as u64) ^ LOW;
    let high = (key >> 64) as u64 ^ HIGH;
    let product = u128::from(low) * u128::from(high);
    slot_of(product as u64 ^ (product >> 64) as u64, slots)
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
        let distance = key.wrapping_sub(self.first) & KEY_MASK;
        (distance < self.codes.len() as u128).then_some(distance as usize)
    }
}

/// Whether slots fit the nearest caches.
pub(super) fn is_near(slots: &[u128]) -> bool {
    size_of_val(slots) <= NEAR_BYTES
}

/// The slot among `slots` that a hash points to, by its upper bits.
pub(super) fn slot_of(hash: u64, slots: usize) -> usize {
    ((u128::from(hash) * slots as u128) >> 64) as usize
}

fn code_of(slot: u128) -> u32 {
    (slot >> 96) as u32
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
