//! The memory of hash tables.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// What one entry of the processor's table of addresses covers at most.
const HUGE_PAGE: usize = 2 << 20;

/// Tables from this size on have memory of their own.
const LARGE: usize = 2 * HUGE_PAGE;

/// The slots of a hash table, zero at first.
///
/// A probe of a large table misses the caches, and with small pages it misses the table of
/// addresses as well, which costs as much again. So large tables ask for huge pages, and for all of
/// them at once: pages that come one by one, as slots are read and then written, cost two faults
/// each and an interruption of the other threads.
#[derive(Debug)]
pub(super) struct Slots(Memory);

#[derive(Debug)]
enum Memory {
    Small(Vec<u128>),
    /// The first slots of the pages.
    Large {
        pages: MmapMut,
        len: usize,
    },
}

impl Slots {
    /// A number of empty slots.
    pub(super) fn empty(len: usize) -> Slots {
        let bytes = len * size_of::<u128>();
        if bytes >= LARGE
            && let Ok(pages) = huge_pages(bytes)
        {
            return Slots(Memory::Large { pages, len });
        }
        // Written, not only asked for as zero: pages that are read before they are written to
        // cost two faults each.
        let mut slots = Vec::with_capacity(len);
        slots.resize(len, std::hint::black_box(0));
        Slots(Memory::Small(slots))
    }

    /// Adds an empty slot behind the others.
    pub(super) fn push_empty(&mut self) {
        match &mut self.0 {
            Memory::Small(slots) => slots.push(0),
            Memory::Large { pages, len } if (*len + 1) * size_of::<u128>() <= pages.len() => {
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

impl Deref for Slots {
    type Target = [u128];

    #[inline]
    fn deref(&self) -> &[u128] {
        match &self.0 {
            Memory::Small(slots) => slots,
            Memory::Large { pages, len } => &bytemuck::cast_slice(pages)[..*len],
        }
    }
}

impl DerefMut for Slots {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u128] {
        match &mut self.0 {
            Memory::Small(slots) => slots,
            Memory::Large { pages, len } => &mut bytemuck::cast_slice_mut(pages)[..*len],
        }
    }
}

impl Clone for Slots {
    fn clone(&self) -> Slots {
        let mut copy = Slots::empty(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

/// Zeroed memory in huge pages where the system has them, and in memory already.
fn huge_pages(bytes: usize) -> std::io::Result<MmapMut> {
    let pages = MmapMut::map_anon(bytes.next_multiple_of(HUGE_PAGE))?;
    // Both are wishes: a system that does not know them gives pages as they are touched.
    #[cfg(target_os = "linux")]
    {
        let _ = pages.advise(memmap2::Advice::HugePage);
        let _ = pages.advise_range(memmap2::Advice::PopulateWrite, 0, bytes);
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE, LARGE, Slots};

    #[test]
    fn large_and_small_slots_are_alike() {
        for len in [1, 1000, LARGE / 16, 3 * HUGE_PAGE / 16 - 1] {
            let mut slots = Slots::empty(len);
            assert!(slots.iter().all(|slot| *slot == 0));
            slots[len - 1] = u128::MAX;
            slots.push_empty();
            slots.push_empty();
            assert_eq!(slots.len(), len + 2);
            assert_eq!(slots[len - 1..], [u128::MAX, 0, 0]);
            assert_eq!(slots.clone()[..], slots[..]);
        }
    }
}
