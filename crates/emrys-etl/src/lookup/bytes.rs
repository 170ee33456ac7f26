//! The table of strings and binary values.

use arrow::array::types::{ByteArrayType, ByteViewType};
use arrow::array::{Array, GenericByteArray, GenericByteViewArray};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};

use super::LookupError;
use super::fill::Repeated;
use super::long_table::LongTable;
use super::table::{BLOCK, PackedTable};

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
            DataType::Utf8View => {
                let $values = array.as_string_view();
                $body
            }
            DataType::BinaryView => {
                let $values = array.as_binary_view();
                $body
            }
            _ => $crate::lookup::bytes::with_contiguous_bytes!(array, $values => $body),
        }
    }};
}
pub(crate) use with_bytes;

/// The same for an array that is none of views.
macro_rules! with_contiguous_bytes {
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
            DataType::Binary => {
                let $values = array.as_binary::<i32>();
                $body
            }
            DataType::LargeBinary => {
                let $values = array.as_binary::<i64>();
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
pub(crate) use with_contiguous_bytes;

/// Codes (not zero) of strings or binary values.
#[derive(Debug, Clone)]
pub(super) struct BytesTable {
    short: PackedTable,
    long: LongTable,
}

impl BytesTable {
    /// A table of values that are rows of an array with contiguous bytes, whose buffer it shares.
    pub(super) fn new(values: &dyn Array) -> Result<BytesTable, LookupError> {
        let (long, arena) = with_contiguous_bytes!(values, values => shape_of(values));
        Ok(BytesTable {
            short: PackedTable::with_capacity(values.len() - long),
            long: LongTable::new(long, arena),
        })
    }

    /// How many bytes the slots take; the values themselves are shared.
    pub(super) fn num_bytes(&self) -> usize {
        self.short.num_bytes() + self.long.num_bytes()
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

    /// Stores the codes of the rows of the array that the table was made for, which are distinct:
    /// `first_code` and up, but none for nulls.
    pub(super) fn fill<T: ByteArrayType>(
        &mut self,
        values: &GenericByteArray<T>,
        nulls: Option<&NullBuffer>,
        first_code: u32,
    ) -> Result<(), Repeated> {
        let is_valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        // The caller has checked that there are codes for all rows.
        let code = |row: usize| first_code + row as u32;
        let rows = (0..values.len()).filter(|row| is_valid(*row));
        let keys = rows.clone().map(|row| (row, values.packed(row)));
        let short = keys.filter(|(_, key)| *key != LONG);
        let short = self.short.fill(short.map(|(row, key)| (key, code(row))));
        let long = rows.filter(|row| values.packed(*row) == LONG);
        let long = self.long.fill(long.map(|row| {
            let place = values.value_offsets()[row].as_usize();
            (place, values.value(row).as_ref(), code(row))
        }));
        Repeated::first_of(short.err().into_iter().chain(long.err()))
    }

    /// Asks for the slot of a row that is to be inserted soon.
    pub(super) fn expect<T: ByteArrayType>(&self, values: &GenericByteArray<T>, row: usize) {
        match values.packed(row) {
            LONG => self.long.expect(values.value(row).as_ref()),
            key => self.short.expect(key),
        }
    }

    /// The code of each row, zero where the value is absent.
    pub(super) fn lookup(&self, values: &impl ByteValues, codes: &mut [u32]) {
        if self.short.is_near() && self.long.is_near() {
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
