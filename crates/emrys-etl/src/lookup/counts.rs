//! How often each value of a column occurs: the counterpart of [`ValueIndex`](super::ValueIndex)
//! for fitting.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, LargeBinaryArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use foldhash::fast::FixedState;

use super::bytes::{ByteValues, LONG, unpacked};
use super::keys::{integer_of_key, plain_type, with_keys};
use super::slots::Slots;
use super::table::{BLOCK, KEY_MASK, home_of, is_near, prefetch, slot_of};
use super::{Family, LookupError, strict_cast, with_bytes};

/// How often each distinct value of a column occurs.
///
/// Counts are kept in the slots of the hash table, so that counting a row touches one cache line;
/// the cache misses of a block of rows overlap. It needs 24 to 48 bytes for a distinct value, and
/// the bytes of values of more than eleven.
#[derive(Debug)]
pub(crate) struct ValueCounts {
    /// The type of the values, without dictionaries and views.
    plain: DataType,
    nulls: u64,
    /// Numbers, booleans, and short strings.
    packed: PackedCounts,
    long: LongCounts,
    dictionary: Option<DictionaryCounts>,
}

/// The counts of a dictionary's entries, as long as batches share the dictionary.
#[derive(Debug)]
struct DictionaryCounts {
    values: ArrayRef,
    counts: Vec<u32>,
}

impl ValueCounts {
    /// Whether values of a type can be counted.
    pub(crate) fn supports(data_type: &DataType) -> bool {
        let is_fixed = |found: &DataType| matches!(found, DataType::FixedSizeBinary(_));
        let family = Family::of(data_type);
        let known = matches!(
            family,
            Ok(Family::Boolean | Family::Integer | Family::Bytes)
        );
        match data_type {
            DataType::Dictionary(_, values) => known && !is_fixed(values),
            plain => known && !is_fixed(plain),
        }
    }

    /// No values of a type that is [supported](Self::supports).
    pub(crate) fn new(data_type: &DataType) -> ValueCounts {
        ValueCounts {
            plain: plain_type(data_type),
            nulls: 0,
            packed: PackedCounts::with_room_for(0),
            long: LongCounts::with_room_for(0),
            dictionary: None,
        }
    }

    /// Counts the rows of an array of the type.
    ///
    /// # Errors
    /// [`LookupError::Unsupported`] for an array of a type that is not supported.
    pub(crate) fn add(&mut self, values: &ArrayRef) -> Result<(), LookupError> {
        if let DataType::Dictionary(key_type, value_type) = values.data_type() {
            return match **key_type {
                DataType::Int32 => self.add_dictionary(values),
                _ => self.add(&strict_cast(values, value_type)?),
            };
        }
        self.nulls += values.null_count() as u64;
        let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
        match Family::of(values.data_type())? {
            Family::Bytes => with_bytes!(values, bytes => match nulls {
                None => self.add_bytes(&bytes, 0..bytes.len()),
                Some(nulls) => self.add_bytes(&bytes, nulls.valid_indices()),
            }),
            _ => with_keys!(values, keys => match nulls {
                None => self.packed.count(keys),
                Some(nulls) => self.packed.count(valid(keys, nulls)),
            }),
        }
        Ok(())
    }

    fn add_bytes(&mut self, values: &impl ByteValues, rows: impl Iterator<Item = usize>) {
        let mut long = Vec::new();
        self.packed
            .count(rows.filter_map(|row| match values.packed(row) {
                LONG => {
                    long.push(row);
                    None
                }
                key => Some(key),
            }));
        self.long.count(values, &long);
    }

    /// Counts entries of the dictionary; the values are looked at when another one comes.
    fn add_dictionary(&mut self, values: &ArrayRef) -> Result<(), LookupError> {
        let array = values.as_dictionary::<Int32Type>();
        let entries = array.values();
        let is_same = self.dictionary.as_ref().is_some_and(|known| {
            Arc::ptr_eq(&known.values, entries) || known.values.to_data().ptr_eq(&entries.to_data())
        });
        if !is_same {
            self.look_at_dictionary()?;
            self.dictionary = Some(DictionaryCounts {
                counts: vec![0; entries.len()],
                values: Arc::clone(entries),
            });
        }
        let Some(known) = &mut self.dictionary else {
            return Ok(());
        };
        let keys = array.keys();
        let mut is_full = false;
        let mut count = |key: i32| {
            let count = &mut known.counts[key as usize];
            *count += 1;
            is_full |= *count > u32::MAX / 2;
        };
        match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => keys.values().iter().for_each(|key| count(*key)),
            Some(nulls) => {
                self.nulls += nulls.null_count() as u64;
                nulls.valid_indices().for_each(|row| count(keys.value(row)));
            }
        }
        if is_full {
            self.look_at_dictionary()?;
        }
        Ok(())
    }

    /// Counts the values of the dictionary as often as its entries were counted.
    fn look_at_dictionary(&mut self) -> Result<(), LookupError> {
        let Some(DictionaryCounts { values, counts }) = self.dictionary.take() else {
            return Ok(());
        };
        let used = || (0..counts.len()).filter(|entry| counts[*entry] > 0);
        match Family::of(values.data_type())? {
            Family::Bytes => with_bytes!(&values, bytes => for entry in used() {
                let amount = u64::from(counts[entry]);
                match bytes.packed(entry) {
                    _ if values.is_null(entry) => self.nulls += amount,
                    LONG => self.long.add(ByteValues::bytes(&bytes, entry), amount),
                    key => self.packed.add(key, amount),
                }
            }),
            _ => with_keys!(&values, keys => for (entry, key) in keys.enumerate() {
                match u64::from(counts[entry]) {
                    0 => {}
                    amount if values.is_null(entry) => self.nulls += amount,
                    amount => self.packed.add(key, amount),
                }
            }),
        }
        Ok(())
    }

    /// Adds what was counted elsewhere of a column of the same type.
    pub(crate) fn merge(mut self, mut other: ValueCounts) -> Result<ValueCounts, LookupError> {
        self.look_at_dictionary()?;
        other.look_at_dictionary()?;
        if self.packed.len < other.packed.len {
            std::mem::swap(&mut self, &mut other);
        }
        self.nulls += other.nulls;
        self.packed.merge(&other.packed);
        self.long.merge(&other.long);
        Ok(self)
    }

    /// The distinct values, null among them if there was one, and their counts (`Int64`), in no
    /// particular order.
    pub(crate) fn finish(mut self) -> Result<(ArrayRef, ArrayRef), LookupError> {
        self.look_at_dictionary()?;
        let len = self.packed.len + self.long.len + usize::from(self.nulls > 0);
        let mut counts: Vec<i64> = Vec::with_capacity(len);
        counts.extend(self.packed.iter().map(|(_, count)| count as i64));
        counts.extend(self.long.iter().map(|(_, count)| count as i64));
        let mut nulls = None;
        if self.nulls > 0 {
            counts.push(self.nulls as i64);
            let is_value = |row| row + 1 < counts.len();
            nulls = Some((0..counts.len()).map(is_value).collect::<NullBuffer>());
        }
        let keys = self.packed.iter().map(|(key, _)| key);
        let values: ArrayRef = match Family::of(&self.plain)? {
            Family::Bytes => self.byte_values(nulls)?,
            Family::Boolean => {
                let values = keys
                    .map(|key| key != 0)
                    .chain(nulls.as_ref().map(|_| false));
                Arc::new(BooleanArray::new(values.collect(), nulls))
            }
            _ if self.plain.is_unsigned_integer() => {
                let values = keys.map(|key| integer_of_key(key) as u64);
                let values: Vec<u64> = values.chain(nulls.as_ref().map(|_| 0)).collect();
                Arc::new(UInt64Array::new(values.into(), nulls))
            }
            _ => {
                let values = keys.map(|key| integer_of_key(key) as i64);
                let values: Vec<i64> = values.chain(nulls.as_ref().map(|_| 0)).collect();
                Arc::new(Int64Array::new(values.into(), nulls))
            }
        };
        let values = strict_cast(&values, &self.plain)?;
        Ok((values, Arc::new(Int64Array::from(counts))))
    }

    /// Strings as binary values, with 32 bits of offset where that is enough.
    fn byte_values(&self, nulls: Option<NullBuffer>) -> Result<ArrayRef, LookupError> {
        let mut data = Vec::with_capacity(11 * self.packed.len + self.long.arena.len());
        let mut ends = Vec::with_capacity(self.packed.len + self.long.len + 2);
        ends.push(0_i64);
        for (key, _) in self.packed.iter() {
            let (bytes, len) = unpacked(key);
            data.extend_from_slice(&bytes[..len]);
            ends.push(data.len() as i64);
        }
        for (bytes, _) in self.long.iter() {
            data.extend_from_slice(bytes);
            ends.push(data.len() as i64);
        }
        if nulls.is_some() {
            ends.push(data.len() as i64);
        }
        if i32::try_from(data.len()).is_err() {
            let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
            return Ok(Arc::new(LargeBinaryArray::try_new(
                ends,
                data.into(),
                nulls,
            )?));
        }
        let ends: Vec<i32> = ends.into_iter().map(|end| end as i32).collect();
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(Arc::new(BinaryArray::try_new(ends, data.into(), nulls)?))
    }
}

/// The keys of rows that are not null.
fn valid<'a>(
    keys: impl Iterator<Item = u128> + 'a,
    nulls: &'a NullBuffer,
) -> impl Iterator<Item = u128> + 'a {
    keys.zip(nulls)
        .filter_map(|(key, is_valid)| is_valid.then_some(key))
}

/// The bits of a slot above the key.
const COUNT: u32 = 96;
const MOST: u64 = u32::MAX as u64;

/// Counts by keys of 96 bits: slots as those of a [`PackedTable`](super::table::PackedTable), with
/// a count in place of the code.
#[derive(Debug)]
struct PackedCounts {
    slots: Slots,
    len: usize,
    /// What the 32 bits of a slot do not hold.
    carried: BTreeMap<u128, u64>,
}

/// How many slots hold this many keys with at most two of three taken.
fn slots_for(len: usize) -> usize {
    (len + len / 2 + 1).max(2 * BLOCK)
}

impl PackedCounts {
    fn with_room_for(len: usize) -> PackedCounts {
        PackedCounts {
            slots: Slots::empty(slots_for(len)),
            len: 0,
            carried: BTreeMap::new(),
        }
    }

    /// Counts each key once.
    fn count(&mut self, mut keys: impl Iterator<Item = u128>) {
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
    fn add(&mut self, key: u128, amount: u64) {
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

    fn merge(&mut self, other: &PackedCounts) {
        // Keys come in the order of their hashes, which fills a table evenly only if it is large
        // enough for all of them.
        self.reserve(other.len);
        for (key, count) in other.iter() {
            self.add(key, count);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (u128, u64)> {
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

/// The slot behind another; the first comes after the last.
#[inline]
fn next(at: usize, slots: &[u128]) -> usize {
    if at + 1 == slots.len() { 0 } else { at + 1 }
}

/// Counts of values whose bytes do not fit a slot.
///
/// A slot has, from the top, 32 bits that number the value, 32 of its length, 24 of its hash and 40
/// of its place in the arena.
#[derive(Debug)]
struct LongCounts {
    slots: Slots,
    len: usize,
    counts: Vec<u64>,
    arena: Vec<u8>,
}

const PLACE_MASK: u128 = (1 << 40) - 1;
const TAG_MASK: u128 = KEY_MASK - PLACE_MASK;

impl LongCounts {
    fn with_room_for(len: usize) -> LongCounts {
        LongCounts {
            slots: Slots::empty(slots_for(len)),
            len: 0,
            counts: Vec::new(),
            arena: Vec::new(),
        }
    }

    /// Counts some rows once each, in three steps, so that the cache misses of each overlap.
    fn count(&mut self, values: &impl ByteValues, rows: &[usize]) {
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

    fn add(&mut self, bytes: &[u8], amount: u64) {
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
                self.slots[at] = (self.len as u128) << COUNT | tag | self.arena.len() as u128;
                self.len += 1;
                self.counts.push(amount);
                self.arena.extend_from_slice(bytes);
                return;
            }
            if stored(&self.arena, slot) == bytes {
                self.counts[(slot >> COUNT) as usize] += amount;
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

    fn merge(&mut self, other: &LongCounts) {
        self.reserve(other.len);
        for (bytes, count) in other.iter() {
            self.add(bytes, count);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let used = self.slots.iter().filter(|slot| **slot != 0);
        used.map(|slot| {
            let count = self.counts[(slot >> COUNT) as usize];
            (stored(&self.arena, *slot), count)
        })
    }
}

fn stored(arena: &[u8], slot: u128) -> &[u8] {
    let (place, len) = ((slot & PLACE_MASK) as usize, (slot >> 64) as u32 as usize);
    &arena[place..place + len]
}

#[cfg(test)]
mod tests;
