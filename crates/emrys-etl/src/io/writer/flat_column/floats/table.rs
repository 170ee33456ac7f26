//! Numbers for the distinct floats of a column chunk.

use super::float::Float;
use crate::io::writer::flat_column::dictionary::Dictionary;

/// More distinct values than this are too many for dictionaries to save much.
const MOST_FLOATS: usize = 1 << 15;

const FIRST_SLOTS: usize = 1 << 12;

/// Where the table stops growing, though it gets fuller than others.
const MOST_SLOTS: usize = 1 << 16;

/// What is in a slot that is not in use. No value has this number.
const EMPTY: u16 = u16::MAX;

/// Slots that are searched for a value. More are never in use in a row, but for values that were
/// chosen to be.
const LONGEST_SEARCH: usize = 256;

/// The distinct floats of a column chunk, numbered from zero in the order in which they first
/// occur.
pub(in crate::io::writer) struct FloatTable<T> {
    /// By number.
    floats: Vec<T>,
    /// The numbers of floats, each in the slot that its bits choose or in one soon after. Three
    /// of four are empty, so that the first is nearly always the right one: any other comes as a
    /// surprise to the processor.
    slots: Vec<u16>,
    most: usize,
}

impl<T: Float> FloatTable<T> {
    /// A dictionary of at most `most` values.
    pub(super) fn new(most: usize) -> FloatTable<T> {
        FloatTable {
            floats: Vec::new(),
            slots: vec![EMPTY; FIRST_SLOTS],
            most: most.min(MOST_FLOATS),
        }
    }

    /// The number of a value, which it gets if it has none yet; `None` if there is no room for it.
    #[inline(always)]
    fn number_of(&mut self, float: T) -> Option<u16> {
        let slot = home(float.bits(), self.slots.len());
        let number = self.slots[slot];
        match self.floats.get(usize::from(number)) {
            Some(known) if known.bits() == float.bits() => Some(number),
            _ => self.search(float, slot),
        }
    }

    /// The number of a value that is new, or whose first slot is in use by another.
    fn search(&mut self, float: T, first_slot: usize) -> Option<u16> {
        let slots = (first_slot..first_slot + LONGEST_SEARCH).map(|slot| slot % self.slots.len());
        for slot in slots {
            let number = self.slots[slot];
            match self.floats.get(usize::from(number)) {
                None => return self.add(float, slot),
                Some(known) if known.bits() == float.bits() => return Some(number),
                Some(_) => {}
            }
        }
        None
    }

    /// The number of a new value, whose slot is known.
    fn add(&mut self, float: T, slot: usize) -> Option<u16> {
        let count = self.floats.len();
        if count == self.most {
            return None;
        }
        self.floats.push(float);
        self.slots[slot] = count as u16;
        if 4 * self.floats.len() > self.slots.len() && self.slots.len() < MOST_SLOTS {
            self.grow();
        }
        Some(count as u16)
    }

    /// Goes on with more slots.
    fn grow(&mut self) {
        let count = 4 * self.slots.len();
        self.slots = vec![EMPTY; count];
        for (number, float) in self.floats.iter().enumerate() {
            let mut slot = home(float.bits(), count);
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) % count;
            }
            self.slots[slot] = number as u16;
        }
    }
}

impl<T: Float> Dictionary for FloatTable<T> {
    type Value = T;

    const TRIAL: Option<usize> = Some(4_096);

    fn values(&self) -> &[T] {
        &self.floats
    }

    fn number(&mut self, floats: &[T], numbers: &mut Vec<u16>) -> usize {
        let before = numbers.len();
        numbers.resize(before + floats.len(), 0);
        for (at, (&float, number)) in floats.iter().zip(&mut numbers[before..]).enumerate() {
            match self.number_of(float) {
                Some(known) => *number = known,
                None => {
                    numbers.truncate(before + at);
                    return at;
                }
            }
        }
        floats.len()
    }

    fn forget_numbers(&mut self) {
        self.slots = Vec::new();
    }

    fn memory_size(&self) -> usize {
        self.floats.capacity() * size_of::<T>() + self.slots.capacity() * size_of::<u16>()
    }
}

/// The slot in which the search for a value begins, of so many slots, a power of two.
#[inline(always)]
fn home(bits: u64, slots: usize) -> usize {
    // The golden ratio spreads values that are at equal distances. The upper bits of the product
    // depend on all bits of the value.
    let spread = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> (u64::BITS - slots.trailing_zeros())) as usize
}
