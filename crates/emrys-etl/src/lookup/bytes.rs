//! The table of strings and binary values.

use std::hash::BuildHasher;

use arrow::array::types::{ByteArrayType, ByteViewType};
use arrow::array::{Array, AsArray, GenericByteArray, GenericByteViewArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{ArrowNativeType, DataType};
use foldhash::fast::FixedState;

use super::LookupError;
use super::slots::{Slots, slot_of};
use super::table::{BLOCK, PackedTable, is_near, prefetch};

/// Values of up to this many bytes are keys themselves; of longer ones the table holds a tag and
/// the place of the bytes.
const LONGEST_PACKED: usize = 11;

/// What longer values have in the place of a packed key; it is no value's key.
pub(super) const LONG: u128 = 0xFF << 88;

/// An array of strings or binary values.
pub(super) trait ByteValues {
    /// The bytes of a row.
    fn bytes(&self, row: usize) -> &[u8];

    /// The key of a row: the bytes, and above them their number; [`LONG`] if there are too many.
    fn packed(&self, row: usize) -> u128;
}

impl<T: ByteArrayType> ByteValues for &GenericByteArray<T> {
    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }

    #[inline]
    fn packed(&self, row: usize) -> u128 {
        let start = self.value_offsets()[row].as_usize();
        let len = self.value_offsets()[row + 1].as_usize() - start;
        if len > LONGEST_PACKED {
            return LONG;
        }
        // Reading too much and cutting it off is faster than copying the exact bytes.
        let data = self.value_data();
        match data.get(start..start + 16) {
            Some(bytes) => {
                let bytes = u128::from_le_bytes(bytes.try_into().expect("the slice has 16 bytes"));
                bytes & ((1 << (8 * len)) - 1) | (len as u128) << 88
            }
            None => pack(&data[start..start + len]),
        }
    }
}

impl<T: ByteViewType> ByteValues for &GenericByteViewArray<T> {
    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }

    #[inline]
    fn packed(&self, row: usize) -> u128 {
        // A view of a short value: four bytes of length, then the bytes, then zeros.
        let view = self.views()[row];
        let len = view as u32 as usize;
        if len > LONGEST_PACKED {
            LONG
        } else {
            view >> 32 | (len as u128) << 88
        }
    }
}

fn pack(bytes: &[u8]) -> u128 {
    let mut packed = [0; 16];
    packed[..bytes.len()].copy_from_slice(bytes);
    packed[LONGEST_PACKED] = bytes.len() as u8;
    u128::from_le_bytes(packed)
}

/// The bytes of a key that is not [`LONG`], and how many there are.
pub(super) fn unpacked(key: u128) -> ([u8; 16], usize) {
    (key.to_le_bytes(), (key >> 88) as u8 as usize)
}

/// Evaluates an expression with `$values` bound to an array of strings or binary values.
macro_rules! with_bytes {
    ($array:expr, $values:ident => $body:expr) => {{
        use arrow::array::AsArray;
        let array: &dyn arrow::array::Array = $array;
        match array.data_type() {
            DataType::Utf8 => {
                let $values = array.as_string::<i32>();
                $body
            }
            DataType::LargeUtf8 => {
                let $values = array.as_string::<i64>();
                $body
            }
            DataType::Utf8View => {
                let $values = array.as_string_view();
                $body
            }
            DataType::Binary => {
                let $values = array.as_binary::<i32>();
                $body
            }
            DataType::LargeBinary => {
                let $values = array.as_binary::<i64>();
                $body
            }
            DataType::BinaryView => {
                let $values = array.as_binary_view();
                $body
            }
            found => {
                return Err($crate::lookup::LookupError::Unsupported {
                    found: found.clone(),
                });
            }
        }
    }};
}
pub(crate) use with_bytes;

/// Codes (not zero) of strings or binary values.
#[derive(Debug, Clone)]
pub(super) struct BytesTable {
    short: PackedTable,
    long: LongTable,
}

impl BytesTable {
    /// A table of values that are rows of an array with contiguous bytes, whose buffer it shares.
    pub(super) fn new(values: &dyn Array) -> Result<BytesTable, LookupError> {
        let (long, arena) = match values.data_type() {
            DataType::Utf8 => shape_of(values.as_string::<i32>()),
            DataType::LargeUtf8 => shape_of(values.as_string::<i64>()),
            DataType::Binary => shape_of(values.as_binary::<i32>()),
            DataType::LargeBinary => shape_of(values.as_binary::<i64>()),
            found => {
                return Err(LookupError::Unsupported {
                    found: found.clone(),
                });
            }
        };
        Ok(BytesTable {
            short: PackedTable::with_capacity(values.len() - long),
            long: LongTable::new(long, arena),
        })
    }

    /// How many bytes the slots take; the values themselves are shared.
    pub(super) fn num_bytes(&self) -> usize {
        self.short.num_bytes() + size_of_val::<[u128]>(&self.long.slots)
    }

    /// Stores the code of a row of the array that the table was made for, unless the value is
    /// there; returns the code that the value has now.
    pub(super) fn insert<T: ByteArrayType>(
        &mut self,
        values: &GenericByteArray<T>,
        row: usize,
        code: u32,
    ) -> u32 {
        match values.packed(row) {
            LONG => {
                let start = values.value_offsets()[row].as_usize();
                self.long.insert(start, values.value(row).as_ref(), code)
            }
            key => self.short.insert(key, code),
        }
    }

    /// Asks for the slot of a row that is to be inserted soon.
    pub(super) fn expect<T: ByteArrayType>(&self, values: &GenericByteArray<T>, row: usize) {
        match values.packed(row) {
            LONG => {
                let (_, home) = self.long.tag_and_home(values.value(row).as_ref());
                prefetch(&self.long.slots, home);
            }
            key => self.short.expect(key),
        }
    }

    /// The code of each row, zero where the value is absent.
    pub(super) fn lookup(&self, values: &impl ByteValues, codes: &mut [u32]) {
        if self.short.is_near() && is_near(&self.long.slots) {
            for (row, code) in codes.iter_mut().enumerate() {
                *code = match values.packed(row) {
                    LONG => self.long.find(values.bytes(row)),
                    key => self.short.probe(key, self.short.home(key)),
                };
            }
            return;
        }
        let mut block = [(0, 0); BLOCK];
        let mut long_rows = [0; BLOCK];
        for (number, codes) in codes.chunks_mut(BLOCK).enumerate() {
            let start = number * BLOCK;
            let mut long = 0;
            for (index, place) in block[..codes.len()].iter_mut().enumerate() {
                let key = values.packed(start + index);
                long_rows[long] = index;
                long += usize::from(key == LONG);
                *place = (key, self.short.fetch_home(key));
            }
            for (code, (key, home)) in codes.iter_mut().zip(&block) {
                *code = self.short.probe(*key, *home);
            }
            if long > 0 {
                self.long.lookup(values, start, &long_rows[..long], codes);
            }
        }
    }
}

/// How many values are too long to be packed, and the buffer that holds the bytes.
fn shape_of<T: ByteArrayType>(values: &GenericByteArray<T>) -> (usize, Buffer) {
    let lengths = values
        .value_offsets()
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_usize());
    (
        lengths.filter(|len| *len > LONGEST_PACKED).count(),
        values.values().clone(),
    )
}

/// Codes of values whose bytes lie in a buffer.
///
/// A slot has, from the top, 32 bits of code, 32 of length, 24 of the hash and 40 of the place in
/// the buffer. Bytes are compared only where length and hash agree.
#[derive(Debug, Clone)]
struct LongTable {
    slots: Slots,
    homes: usize,
    arena: Buffer,
}

const PLACE_BITS: u32 = 40;
const PLACE_MASK: u128 = (1 << PLACE_BITS) - 1;
const TAG_MASK: u128 = (1 << 96) - 1 - PLACE_MASK;

impl LongTable {
    fn new(capacity: usize, arena: Buffer) -> LongTable {
        let homes = (2 * capacity).max(1);
        LongTable {
            slots: Slots::empty(homes + 1),
            homes,
            arena,
        }
    }

    fn insert(&mut self, place: usize, bytes: &[u8], code: u32) -> u32 {
        let (tag, mut at) = self.tag_and_home(bytes);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            if slot & TAG_MASK == tag && self.stored(slot, bytes.len()) == bytes {
                return (slot >> 96) as u32;
            }
            at += 1;
        }
        self.slots[at] = u128::from(code) << 96 | tag | place as u128 & PLACE_MASK;
        // Probes stop at an empty slot, so there is always one at the end.
        if at + 1 == self.slots.len() {
            self.slots.push_empty();
        }
        code
    }

    /// The code of a value, zero if it is absent.
    fn find(&self, bytes: &[u8]) -> u32 {
        let (tag, home) = self.tag_and_home(bytes);
        self.find_from(tag, home, bytes)
    }

    fn find_from(&self, tag: u128, mut at: usize, bytes: &[u8]) -> u32 {
        loop {
            at = self.candidate(tag, at);
            let slot = self.slots[at];
            if slot == 0 || self.stored(slot, bytes.len()) == bytes {
                return (slot >> 96) as u32;
            }
            at += 1;
        }
    }

    /// Looks up some rows of a block in three steps, so that the cache misses of each overlap.
    fn lookup(&self, values: &impl ByteValues, start: usize, rows: &[usize], codes: &mut [u32]) {
        let mut block = [(0, 0); BLOCK];
        for (place, row) in block.iter_mut().zip(rows) {
            *place = self.tag_and_home(values.bytes(start + row));
            prefetch(&self.slots, place.1);
        }
        for (tag, at) in &mut block[..rows.len()] {
            *at = self.candidate(*tag, *at);
            prefetch(&self.arena, (self.slots[*at] & PLACE_MASK) as usize);
        }
        for ((tag, at), row) in block.iter().zip(rows) {
            codes[*row] = self.find_from(*tag, *at, values.bytes(start + row));
        }
    }

    /// The next slot from `at` on that is empty or has the tag.
    fn candidate(&self, tag: u128, mut at: usize) -> usize {
        while self.slots[at] != 0 && self.slots[at] & TAG_MASK != tag {
            at += 1;
        }
        at
    }

    fn tag_and_home(&self, bytes: &[u8]) -> (u128, usize) {
        let hash = FixedState::with_seed(0).hash_one(bytes);
        let tag = u128::from(hash & 0xFF_FFFF) << PLACE_BITS | (bytes.len() as u128) << 64;
        (tag & TAG_MASK, slot_of(hash, self.homes))
    }

    fn stored(&self, slot: u128, len: usize) -> &[u8] {
        let place = (slot & PLACE_MASK) as usize;
        &self.arena[place..place + len]
    }
}
