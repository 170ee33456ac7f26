//! Numbers for the distinct ids of a column chunk.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::integer::Integer;
use crate::io::writer::flat_column::dictionary::Dictionary;

/// The most ids that 16-bit numbers tell apart.
const MOST_IDS: usize = 1 << 16;

/// A domain up to this size has its table from the beginning.
const SMALL_DOMAIN: usize = 4_096;

/// A larger one has it once one of so many of its ids has occurred: many files may be open at a
/// time, with few rows each.
const SPARSE: usize = 32;

/// Ids that are looked up together before it is known whether all have numbers.
const BLOCK: usize = 16;

/// The distinct ids of a column chunk, numbered from zero in the order in which they first occur.
pub(in crate::io::writer) struct IdTable<T> {
    /// The first `count` are by their numbers.
    ids: Vec<T>,
    count: usize,
    /// Ids are mostly below it.
    cardinality: usize,
    /// By id, its number plus one; zero if it has none. Empty while few ids have occurred.
    places: Vec<u16>,
    /// The numbers that `places` does not hold: of ids beyond its end, and the highest number.
    others: HashMap<T, u16, FixedState>,
    most: usize,
}

impl<T: Integer> IdTable<T> {
    /// A dictionary of at most `most` ids, mostly from `0..cardinality`.
    pub(super) fn new(cardinality: usize, most: usize) -> IdTable<T> {
        IdTable {
            ids: Vec::new(),
            count: 0,
            cardinality,
            places: match cardinality <= SMALL_DOMAIN {
                true => vec![0; cardinality],
                false => Vec::new(),
            },
            others: HashMap::default(),
            most: most.min(MOST_IDS),
        }
    }

    /// Whether all ids have numbers, which are written then.
    #[inline(always)]
    fn look_up(&self, ids: &[T], numbers: &mut [u16]) -> bool {
        for (id, number) in ids.iter().zip(numbers.iter_mut()) {
            *number = self.places.get(id.place()).copied().unwrap_or(0);
        }
        let are_known = numbers.iter().all(|number| *number != 0);
        for number in numbers {
            *number = number.wrapping_sub(1);
        }
        are_known
    }

    /// Writes the numbers of ids, of which some may be new; the error is of how many there are
    /// numbers if the dictionary was found full.
    fn number_block(&mut self, ids: &[T], numbers: &mut [u16]) -> Result<(), usize> {
        let are_in_domain = ids.iter().all(|id| id.place() < self.places.len());
        if are_in_domain && self.count + BLOCK < self.most {
            self.number_fast(ids, numbers);
            return Ok(());
        }
        for (at, (&id, number)) in ids.iter().zip(numbers).enumerate() {
            *number = self.number_of(id).ok_or(at)?;
        }
        Ok(())
    }

    /// Writes the numbers of ids of the domain, for which there is room. It takes the same steps
    /// for new ids as for others, since which of them comes next is hard to predict.
    fn number_fast(&mut self, ids: &[T], numbers: &mut [u16]) {
        if self.ids.len() < self.count + BLOCK {
            self.ids.resize(2 * self.ids.len() + BLOCK, T::default());
        }
        let (known, places) = (self.ids.as_mut_slice(), self.places.as_mut_slice());
        let mut count = self.count;
        for (&id, number) in ids.iter().zip(numbers) {
            let place = &mut places[id.place()];
            known[count] = id;
            count += usize::from(*place == 0);
            *place = if *place == 0 { count as u16 } else { *place };
            *number = *place - 1;
        }
        self.count = count;
    }

    /// The number of an id, which it gets if it has none yet; `None` if there is no room for it.
    fn number_of(&mut self, id: T) -> Option<u16> {
        let place = self.places.get_mut(id.place());
        if let Some(number) = place.as_ref().and_then(|place| place.checked_sub(1)) {
            return Some(number);
        }
        if let Some(number) = self.others.get(&id) {
            return Some(*number);
        }
        if self.count == self.most {
            return None;
        }
        let number = self.count as u16;
        self.ids.truncate(self.count);
        self.ids.push(id);
        self.count += 1;
        match (place, number.checked_add(1)) {
            (Some(place), Some(next)) => *place = next,
            _ => {
                self.others.insert(id, number);
                if self.places.is_empty() && self.others.len() * SPARSE >= self.cardinality {
                    self.lay_out();
                }
            }
        }
        Some(number)
    }

    /// Makes the table of all ids of the domain, which takes over the numbers of those that
    /// occurred.
    fn lay_out(&mut self) {
        let mut places = vec![0; self.cardinality];
        self.others.retain(|id, number| {
            match (places.get_mut(id.place()), number.checked_add(1)) {
                (Some(place), Some(next)) => {
                    *place = next;
                    false
                }
                _ => true,
            }
        });
        self.others.shrink_to_fit();
        self.places = places;
    }
}

impl<T: Integer> Dictionary for IdTable<T> {
    type Value = T;

    /// Ids of small domains repeat.
    const TRIAL: Option<usize> = None;

    fn values(&self) -> &[T] {
        &self.ids[..self.count]
    }

    fn number(&mut self, ids: &[T], numbers: &mut Vec<u16>) -> usize {
        let before = numbers.len();
        numbers.resize(before + ids.len(), 0);
        let blocks = ids.chunks(BLOCK).zip(numbers[before..].chunks_mut(BLOCK));
        for (at, (ids, numbers_of_block)) in blocks.enumerate() {
            if !self.look_up(ids, numbers_of_block)
                && let Err(numbered) = self.number_block(ids, numbers_of_block)
            {
                let numbered = at * BLOCK + numbered;
                numbers.truncate(before + numbered);
                return numbered;
            }
        }
        ids.len()
    }

    fn forget_numbers(&mut self) {
        self.places = Vec::new();
        self.others = HashMap::default();
    }

    fn memory_size(&self) -> usize {
        self.places.capacity() * size_of::<u16>()
            + self.ids.capacity() * size_of::<T>()
            + self.others.capacity() * size_of::<(T, u16)>()
    }
}
