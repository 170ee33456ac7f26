//! The numbers that columns hold.

use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType};
use parquet::basic::Encoding;
use parquet::file::statistics::Statistics;

/// A number that columns encoded here may hold.
pub(in crate::io::writer) trait Value: ArrowNativeType {
    /// The type of arrays of it.
    type Arrow: ArrowPrimitiveType<Native = Self>;

    /// What parquet calls the encoding of pages that do not refer to a dictionary.
    const ENCODING: Encoding;

    /// Appends values as they are in pages that do not refer to a dictionary.
    fn encode(values: &[Self], bytes: &mut Vec<u8>);

    /// Appends values as they are in dictionaries.
    fn write_plain(values: &[Self], bytes: &mut Vec<u8>);

    /// The least and the greatest value, of those that have an order, of the range and the values.
    fn widen(range: Option<(Self, Self)>, values: &[Self]) -> Option<(Self, Self)>;

    /// Statistics as the parquet library gives.
    fn statistics(range: Option<(Self, Self)>, nulls: u64) -> Statistics;
}

/// Appends values in the bytes of each.
pub(super) fn write_plain<T: Copy, const BYTES: usize>(
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; BYTES],
    bytes: &mut Vec<u8>,
) {
    let start = bytes.len();
    bytes.resize(start + BYTES * values.len(), 0);
    let (slots, _) = bytes[start..].as_chunks_mut();
    for (slot, &value) in slots.iter_mut().zip(values) {
        *slot = to_bytes(value);
    }
}
