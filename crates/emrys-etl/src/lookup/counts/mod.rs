//! How often each value of a column occurs: the counterpart of [`ValueIndex`](super::ValueIndex)
//! for fitting.

mod entries;
mod long;
mod packed;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, LargeBinaryArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};

use super::bytes::{ByteValues, LONG, unpacked};
use super::keys::{integer_key, integer_of_key, plain_type, with_keys};
use super::slots::{KEY_MASK, Slot};
use super::table::BLOCK;
use super::{Family, LookupError, strict_cast, with_bytes};
pub(crate) use entries::{EntryCounts, entry_by_row};
use long::LongCounts;
use packed::PackedCounts;

/// How often each distinct value of a column occurs.
///
/// Counts are kept in the slots of the hash table, so that counting a row touches one cache line;
/// the cache misses of a block of rows overlap. It needs 24 to 48 bytes for a distinct value, and
/// the bytes of values of more than eleven; half of that for integers of 32 bits.
#[derive(Debug)]
pub(crate) struct ValueCounts {
    /// The type of the values, without dictionaries and views.
    plain: DataType,
    nulls: u64,
    /// Integers by their distance from the [lowest](lowest), as long as those of all batches were
    /// within 32 bits.
    narrow: PackedCounts<u64>,
    /// Other numbers, and short strings.
    packed: PackedCounts<u128>,
    long: LongCounts,
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
            narrow: PackedCounts::with_room_for(0),
            packed: PackedCounts::with_room_for(0),
            long: LongCounts::with_room_for(0),
        }
    }

    /// Counts the rows of an array of the type.
    ///
    /// # Errors
    /// [`LookupError::Unsupported`] for an array of a type that is not supported.
    pub(crate) fn add(&mut self, values: &ArrayRef) -> Result<(), LookupError> {
        if let DataType::Dictionary(key_type, value_type) = values.data_type() {
            return match **key_type {
                DataType::Int32 => {
                    let mut entries = EntryCounts::of(values);
                    entries.add(values);
                    self.add_entries(&entries)
                }
                _ => self.add(&strict_cast(values, value_type)?),
            };
        }
        self.nulls += values.null_count() as u64;
        let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
        let are_near = are_near(values);
        match Family::of(values.data_type())? {
            Family::Bytes => with_bytes!(values, bytes => match nulls {
                None => self.add_bytes(&bytes, 0..bytes.len()),
                Some(nulls) => self.add_bytes(&bytes, nulls.valid_indices()),
            }),
            _ => with_keys!(values, keys => self.add_integers(keys, nulls, are_near)),
        }
        Ok(())
    }

    /// Counts the keys of integers; `are_near` tells whether they are within 32 bits of the lowest.
    fn add_integers(
        &mut self,
        keys: impl Iterator<Item = u128>,
        nulls: Option<&NullBuffer>,
        are_near: bool,
    ) {
        if are_near && self.packed.len == 0 {
            let distances = keys.map(|key| distance(key, &self.plain) as u32);
            match nulls {
                None => self.narrow.count(distances),
                Some(nulls) => self.narrow.count_valid(distances, nulls),
            }
        } else {
            match nulls {
                None => self.packed.count(keys),
                Some(nulls) => self.packed.count_valid(keys, nulls),
            }
        }
    }

    /// Moves integers that were counted by 32 bits to those that do not fit there, if there are any.
    fn widen(&mut self) {
        if self.packed.len == 0 || self.narrow.len == 0 {
            return;
        }
        let narrow = std::mem::replace(&mut self.narrow, PackedCounts::with_room_for(0));
        for (near, count) in narrow.iter() {
            self.packed.add(key_at(near, &self.plain), count);
        }
    }

    /// Counts the nulls so far as the value of an array of one row.
    pub(crate) fn count_nulls_as(&mut self, value: &ArrayRef) -> Result<(), LookupError> {
        let amount = std::mem::take(&mut self.nulls);
        if amount == 0 {
            return Ok(());
        }
        match Family::of(value.data_type())? {
            Family::Bytes => with_bytes!(value, bytes => match bytes.packed(0) {
                LONG => self.long.add(ByteValues::bytes(&bytes, 0), amount),
                key => self.packed.add(key, amount),
            }),
            _ => with_keys!(value, keys => for key in keys {
                match u64::fit(distance(key, &self.plain)) {
                    Some(near) if self.packed.len == 0 => self.narrow.add(near, amount),
                    _ => self.packed.add(key, amount),
                }
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

    /// Counts the values of a dictionary as often as its entries were counted.
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    pub(crate) fn add_entries(&mut self, counted: &EntryCounts) -> Result<(), LookupError> {
        let entries = &counted.entries;
        self.nulls += counted.nulls;
        let are_near = are_near(entries);
        let amounts = counted.amounts();
        let mut nulls = 0;
        // Those that occur and are not null.
        let mut is_value = |entry: usize, amount: u64| {
            let is_null = entries.is_null(entry);
            nulls += if is_null { amount } else { 0 };
            amount > 0 && !is_null
        };
        match Family::of(entries.data_type())? {
            Family::Bytes => with_bytes!(entries, bytes => {
                let mut long = Vec::new();
                let occurring = amounts.enumerate();
                let occurring = occurring.filter(|(entry, amount)| is_value(*entry, *amount));
                let packed = occurring.filter_map(|(entry, amount)| match bytes.packed(entry) {
                    LONG => {
                        long.push((entry, amount));
                        None
                    }
                    key => Some((key, amount)),
                });
                self.packed.add_all(packed);
                for (entry, amount) in long {
                    self.long.add(ByteValues::bytes(&bytes, entry), amount);
                }
            }),
            _ => with_keys!(entries, keys => {
                let occurring = keys.zip(amounts).enumerate();
                let occurring = occurring.filter(|(entry, (_, amount))| is_value(*entry, *amount));
                let occurring = occurring.map(|(_, counted)| counted);
                if are_near && self.packed.len == 0 {
                    let distances = occurring
                        .map(|(key, amount)| (distance(key, &self.plain) as u32, amount));
                    self.narrow.add_all(distances);
                } else {
                    self.packed.add_all(occurring);
                }
            }),
        }
        self.nulls += nulls;
        Ok(())
    }

    /// Adds what was counted elsewhere of a column of the same type.
    pub(crate) fn merge(mut self, mut other: ValueCounts) -> Result<ValueCounts, LookupError> {
        if self.long.len < other.long.len {
            std::mem::swap(&mut self.long, &mut other.long);
        }
        self.long.merge(&other.long);
        Ok(ValueCounts {
            plain: self.plain,
            nulls: self.nulls + other.nulls,
            narrow: self.narrow.merge(other.narrow),
            packed: self.packed.merge(other.packed),
            long: self.long,
        })
    }

    /// The distinct values, null among them if there was one, and their counts (`Int64`), in no
    /// particular order.
    pub(crate) fn finish(mut self) -> Result<(ArrayRef, ArrayRef), LookupError> {
        self.widen();
        let len = self.narrow.len + self.packed.len + self.long.len;
        let mut counts: Vec<i64> = Vec::with_capacity(len + usize::from(self.nulls > 0));
        counts.extend(self.narrow.iter().map(|(_, count)| count as i64));
        counts.extend(self.packed.iter().map(|(_, count)| count as i64));
        counts.extend(self.long.iter().map(|(_, count)| count as i64));
        let mut nulls = None;
        if self.nulls > 0 {
            counts.push(self.nulls as i64);
            let is_value = |row| row + 1 < counts.len();
            nulls = Some((0..counts.len()).map(is_value).collect::<NullBuffer>());
        }
        let near = self
            .narrow
            .iter()
            .map(|(near, _)| key_at(near, &self.plain));
        let keys = near.chain(self.packed.iter().map(|(key, _)| key));
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

/// Whether all integers of an array are within 32 bits of the [lowest] of their type.
fn are_near(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>().values();
            let bits = values.iter().fold(0, |bits, value| bits | value);
            u32::try_from(bits).is_ok()
        }
        DataType::UInt64 => {
            let values = values.as_primitive::<UInt64Type>().values();
            let bits = values.iter().fold(0, |bits, value| bits | value);
            u32::try_from(bits).is_ok()
        }
        _ => true,
    }
}

/// The integer from which distances are counted: below none that the type holds in 32 bits.
fn lowest(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => i64::from(i32::MIN),
        _ => 0,
    }
}

/// How far the integer of a key is above the lowest; a large number if it is below.
#[inline]
fn distance(key: u128, data_type: &DataType) -> u128 {
    key.wrapping_sub(integer_key(lowest(data_type))) & KEY_MASK
}

/// The key of the integer at a distance from the lowest.
fn key_at(near: u32, data_type: &DataType) -> u128 {
    integer_key(lowest(data_type) + i64::from(near))
}

/// How many slots hold this many keys with at most two of three taken.
fn slots_for(len: usize) -> usize {
    (len + len / 2 + 1).max(2 * BLOCK)
}

/// The slot behind another; the first comes after the last.
#[inline]
fn next<W>(at: usize, slots: &[W]) -> usize {
    if at + 1 == slots.len() { 0 } else { at + 1 }
}

#[cfg(test)]
mod tests;
