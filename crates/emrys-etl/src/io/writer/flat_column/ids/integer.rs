//! The integers that ids are.

use std::hash::Hash;

use arrow::datatypes::{Int32Type, Int64Type};
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::delta;
use crate::io::writer::flat_column::value::{self, Value};

/// An integer that ids may be.
pub(in crate::io::writer) trait Integer:
    Value + Ord + Hash + Into<i64>
{
    /// Where the id is in a table of all ids; far beyond its end for negative ones.
    fn place(self) -> usize;

    /// The difference; one that does not fit wraps around, and back when it is added again.
    fn minus(self, other: Self) -> Self;

    /// How far the integer is above `least`.
    fn above(self, least: Self) -> u64;
}

macro_rules! integer {
    ($signed:ty, $unsigned:ty, $arrow:ty) => {
        impl Value for $signed {
            type Arrow = $arrow;

            const ENCODING: Encoding = Encoding::DELTA_BINARY_PACKED;

            fn encode(values: &[$signed], bytes: &mut Vec<u8>) {
                delta::encode(values, bytes);
            }

            fn write_plain(values: &[$signed], bytes: &mut Vec<u8>) {
                value::write_plain(values, <$signed>::to_le_bytes, bytes);
            }

            fn widen(
                range: Option<($signed, $signed)>,
                values: &[$signed],
            ) -> Option<($signed, $signed)> {
                let &first = values.first().or(range.as_ref().map(|(min, _)| min))?;
                let (mut min, mut max) = range.unwrap_or((first, first));
                for &value in values {
                    min = min.min(value);
                    max = max.max(value);
                }
                Some((min, max))
            }

            fn statistics(range: Option<($signed, $signed)>, nulls: u64) -> Statistics {
                let (min, max) = range.unzip();
                ValueStatistics::new(min, max, None, Some(nulls), false)
                    .with_backwards_compatible_min_max(true)
                    .into()
            }
        }

        impl Integer for $signed {
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
        }
    };
}

integer!(i32, u32, Int32Type);
integer!(i64, u64, Int64Type);
