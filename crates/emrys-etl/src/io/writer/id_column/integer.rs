//! The integers that ids are.

use std::hash::Hash;

use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType, Int32Type, Int64Type};
use parquet::file::statistics::{Statistics, ValueStatistics};

/// An integer that ids may be.
pub(in crate::io::writer) trait Integer:
    ArrowNativeType + Ord + Hash + Into<i64>
{
    /// The type of arrays of it.
    type Arrow: ArrowPrimitiveType<Native = Self>;

    /// Where the id is in a table of all ids; far beyond its end for negative ones.
    fn place(self) -> usize;

    /// The difference; one that does not fit wraps around, and back when it is added again.
    fn minus(self, other: Self) -> Self;

    /// How far the integer is above `least`.
    fn above(self, least: Self) -> u64;

    /// Appends integers as parquet stores them in `PLAIN` pages.
    fn write_plain(integers: &[Self], bytes: &mut Vec<u8>);

    /// Statistics as the parquet library gives for signed integers.
    fn statistics(range: Option<(Self, Self)>, nulls: u64) -> Statistics;
}

macro_rules! integer {
    ($signed:ty, $unsigned:ty, $arrow:ty) => {
        impl Integer for $signed {
            type Arrow = $arrow;

            #[inline(always)]
            fn place(self) -> usize {
                self as $unsigned as usize
            }

            #[inline(always)]
            fn minus(self, other: $signed) -> $signed {
                self.wrapping_sub(other)
            }

            #[inline(always)]
            fn above(self, least: $signed) -> u64 {
                u64::from(self.wrapping_sub(least) as $unsigned)
            }

            fn write_plain(integers: &[$signed], bytes: &mut Vec<u8>) {
                let start = bytes.len();
                bytes.resize(start + size_of_val(integers), 0);
                let (slots, _) = bytes[start..].as_chunks_mut();
                for (slot, integer) in slots.iter_mut().zip(integers) {
                    *slot = integer.to_le_bytes();
                }
            }

            fn statistics(range: Option<($signed, $signed)>, nulls: u64) -> Statistics {
                let (min, max) = range.unzip();
                ValueStatistics::new(min, max, None, Some(nulls), false)
                    .with_backwards_compatible_min_max(true)
                    .into()
            }
        }
    };
}

integer!(i32, u32, Int32Type);
integer!(i64, u64, Int64Type);
