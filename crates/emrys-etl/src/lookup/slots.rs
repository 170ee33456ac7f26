//! The slots of hash tables: what one holds, and their memory.

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;
use rayon::prelude::*;

use super::table::BLOCK;

/// A word that holds a key and, above it, a number that is not zero; zero is an empty slot.
///
/// Narrow slots take half the memory, so that more of a table is in the caches.
pub(super) trait Slot: Pod + Eq + Debug + Send + Sync {
    /// A key, as wide as a slot holds it.
    type Key: Copy + Ord + Default + Into<u128> + Debug;

    /// A slot of a key.
    fn new(key: Self::Key, number: u32) -> Self;

    fn key(self) -> Self::Key;

    fn number(self) -> u32;

    /// The key as wide as it is held; `None` if it is too wide.
    fn fit(key: u128) -> Option<Self::Key>;

    /// The slot among `slots` where a key is looked for first.
    fn home_of(key: Self::Key, slots: usize) -> usize;

    /// The same for a block of keys.
    #[inline]
    fn homes_of(keys: &[Self::Key; BLOCK], slots: usize) -> [usize; BLOCK] {
        keys.map(|key| Self::home_of(key, slots))
    }

    fn is_empty(self) -> bool {
        self == Self::zeroed()
    }
}

/// The bits of a wide slot that hold the key.
pub(super) const KEY_MASK: u128 = (1 << 96) - 1;

const MIX_LOW: u64 = 0x9E37_79B9_7F4A_7C15;
const MIX_HIGH: u64 = 0xD1B5_4A32_D192_ED03;

/// Keys of 96 bits.
impl Slot for u128 {
    type Key = u128;

    #[inline]
    fn new(key: u128, number: u32) -> u128 {
        key | u128::from(number) << 96
    }

    #[inline]
    fn key(self) -> u128 {
        self & KEY_MASK
    }

    #[inline]
    fn number(self) -> u32 {
        (self >> 96) as u32
    }

    #[inline]
    fn fit(key: u128) -> Option<u128> {
        Some(key)
    }

    #[inline]
    fn home_of(key: u128, slots: usize) -> usize {
        let (low, high) = (key as u64 ^ MIX_LOW, (key >> 64) as u64 ^ MIX_HIGH);
        slot_of(folded_product(low, high), slots)
    }
}

/// Keys of 32 bits.
impl Slot for u64 {
    type Key = u32;

    #[inline]
    fn new(key: u32, number: u32) -> u64 {
        u64::from(key) | u64::from(number) << 32
    }

    #[inline]
    fn key(self) -> u32 {
        self as u32
    }

    #[inline]
    fn number(self) -> u32 {
        (self >> 32) as u32
    }

    #[inline]
    fn fit(key: u128) -> Option<u32> {
        u32::try_from(key).ok()
    }

    #[inline]
    fn home_of(key: u32, slots: usize) -> usize {
        narrow_home(key, narrow_slots(slots))
    }

    #[inline]
    fn homes_of(keys: &[u32; BLOCK], slots: usize) -> [usize; BLOCK] {
        let slots = narrow_slots(slots);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "the processor has the instructions")]
            // SAFETY: see the reason.
            return unsafe { narrow_homes_avx2(keys, slots) };
        }
        keys.map(|key| narrow_home(key, slots))
    }
}

/// To how many slots the hash of 32 bits of a narrow key points.
#[inline]
fn narrow_slots(slots: usize) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn narrow_homes_avx2(keys: &[u32; BLOCK], slots: u32) -> [usize; BLOCK] {
    keys.map(|key| narrow_home(key, slots))
}

/// The slot that a hash points to by its upper bits. The hash is made of multiplications that
/// vector instructions have: two rounds of multiplying and folding, with the constants of lowbias32
/// (C. Wellons, "Prospecting for Hash Functions", 2018).
#[inline(always)]
fn narrow_home(key: u32, slots: u32) -> usize {
    let folded = (key ^ key >> 16).wrapping_mul(0x7FEB_352D);
    let hash = (folded ^ folded >> 15).wrapping_mul(0x846C_A68B);
    ((u64::from(hash) * u64::from(slots)) >> 32) as usize
}

#[inline]
fn folded_product(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The slot among `slots` that a hash points to, by its upper bits.
#[inline]
pub(super) fn slot_of(hash: u64, slots: usize) -> usize {
    ((u128::from(hash) * slots as u128) >> 64) as usize
}

/// What one entry of the processor's table of addresses covers at most.
const HUGE_PAGE: usize = 2 << 20;

/// Tables from this size on have memory of their own.
const LARGE: usize = 2 * HUGE_PAGE;

/// How much memory a thread asks the system for at once.
const POPULATED_AT_ONCE: usize = 8 * HUGE_PAGE;

/// The slots of a hash table, zero at first.
///
/// A probe of a large table misses the caches, and with small pages it misses the table of
/// addresses as well, which costs as much again. So large tables ask for huge pages, and for all of
/// them at once: pages that come one by one, as slots are read and then written, cost two faults
/// each and an interruption of the other threads.
#[derive(Debug)]
pub(super) struct Slots<W = u128>(Memory<W>);

#[derive(Debug)]
enum Memory<W> {
    Small(Vec<W>),
    /// The first slots of the pages.
    Large {
        pages: MmapMut,
        len: usize,
    },
}

impl<W: Slot> Slots<W> {
    /// A number of empty slots.
    pub(super) fn empty(len: usize) -> Slots<W> {
        Slots::new(len, |pages, bytes| populate(pages, 0, bytes))
    }

    /// The same with the work of rayon's threads, so not for one who holds a lock: a thread that
    /// waits for others may take on other work, which wants the lock.
    pub(super) fn empty_by_threads(len: usize) -> Slots<W> {
        Slots::new(len, |pages, bytes| {
            let parts = bytes.div_ceil(POPULATED_AT_ONCE);
            (0..parts).into_par_iter().for_each(|part| {
                let start = part * POPULATED_AT_ONCE;
                populate(pages, start, POPULATED_AT_ONCE.min(bytes - start));
            });
        })
    }

    fn new(len: usize, populate: impl Fn(&MmapMut, usize)) -> Slots<W> {
        let bytes = len * size_of::<W>();
        if bytes >= LARGE
            && let Ok(pages) = MmapMut::map_anon(bytes.next_multiple_of(HUGE_PAGE))
        {
            // A wish: a system that does not know huge pages gives others.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            populate(&pages, bytes);
            return Slots(Memory::Large { pages, len });
        }
        // Written, not only asked for as zero: pages that are read before they are written to
        // cost two faults each.
        let mut slots = Vec::with_capacity(len);
        slots.resize(len, std::hint::black_box(W::zeroed()));
        Slots(Memory::Small(slots))
    }

    /// Adds an empty slot behind the others.
    pub(super) fn push_empty(&mut self) {
        match &mut self.0 {
            Memory::Small(slots) => slots.push(W::zeroed()),
            Memory::Large { pages, len } if (*len + 1) * size_of::<W>() <= pages.len() => {
                *len += 1;
            }
            Memory::Large { len, .. } => {
                let mut larger = Slots::empty(*len + 1);
                larger[..*len].copy_from_slice(self);
                *self = larger;
            }
        }
    }
}

impl<W: Pod> Deref for Slots<W> {
    type Target = [W];

    #[inline]
    fn deref(&self) -> &[W] {
        match &self.0 {
            Memory::Small(slots) => slots,
            Memory::Large { pages, len } => &bytemuck::cast_slice(pages)[..*len],
        }
    }
}

impl<W: Pod> DerefMut for Slots<W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [W] {
        match &mut self.0 {
            Memory::Small(slots) => slots,
            Memory::Large { pages, len } => &mut bytemuck::cast_slice_mut(pages)[..*len],
        }
    }
}

impl<W: Slot> Clone for Slots<W> {
    fn clone(&self) -> Slots<W> {
        let mut copy = Slots::empty(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

/// Asks for zeroed memory behind addresses, without waiting for their first use. A system that does
/// not know this gives it as it is touched.
fn populate(pages: &MmapMut, start: usize, bytes: usize) {
    #[cfg(target_os = "linux")]
    let _ = pages.advise_range(memmap2::Advice::PopulateWrite, start, bytes);
    #[cfg(not(target_os = "linux"))]
    let _ = (pages, start, bytes);
}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE, KEY_MASK, LARGE, POPULATED_AT_ONCE, Slot, Slots};

    fn large_and_small_are_alike<W: Slot>(last: W) {
        let bytes = size_of::<W>();
        let lens = [1, 1000, LARGE / bytes, 3 * HUGE_PAGE / bytes - 1];
        let longest = POPULATED_AT_ONCE / bytes + 7;
        for len in lens.into_iter().chain([longest]) {
            for mut slots in [Slots::<W>::empty(len), Slots::empty_by_threads(len)] {
                assert!(slots.iter().all(|slot| slot.is_empty()));
                slots[len - 1] = last;
                slots.push_empty();
                slots.push_empty();
                assert_eq!(slots.len(), len + 2);
                assert_eq!(slots[len - 1..], [last, W::zeroed(), W::zeroed()]);
                assert_eq!(slots.clone()[..], slots[..]);
            }
        }
    }

    #[test]
    fn large_and_small_slots_are_alike() {
        large_and_small_are_alike(u128::MAX);
        large_and_small_are_alike(u64::MAX);
    }

    #[test]
    fn slots_hold_keys_and_numbers() {
        for number in [1, 77, u32::MAX] {
            for key in [0, 1, u32::MAX] {
                let slot = <u64 as Slot>::new(key, number);
                assert_eq!((slot.key(), slot.number()), (key, number));
            }
            for key in [0, 1, KEY_MASK] {
                let slot = <u128 as Slot>::new(key, number);
                assert_eq!((slot.key(), slot.number()), (key, number));
            }
        }
        assert_eq!(u64::fit(u128::from(u32::MAX)), Some(u32::MAX));
        assert_eq!(u64::fit(1 << 32), None);
    }
}
