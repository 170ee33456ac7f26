//! The floats that columns hold.

use arrow::datatypes::{Float32Type, Float64Type};
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use crate::io::writer::flat_column::value::{self, Value};

/// A float that columns may hold.
pub(in crate::io::writer) trait Float: Value {
    /// What tells values apart: zeros of both signs, and each NaN.
    fn bits(self) -> u64;
}

/// Values that are compared at the same time.
const LANES: usize = 16;

macro_rules! float {
    ($float:ty, $arrow:ty) => {
        impl Value for $float {
            type Arrow = $arrow;

            const ENCODING: Encoding = Encoding::PLAIN;

            fn encode(values: &[$float], bytes: &mut Vec<u8>) {
                Self::write_plain(values, bytes);
            }

            fn write_plain(values: &[$float], bytes: &mut Vec<u8>) {
                value::write_plain(values, <$float>::to_le_bytes, bytes);
            }

            fn widen(
                range: Option<($float, $float)>,
                values: &[$float],
            ) -> Option<($float, $float)> {
                // Any number takes the place of NaN.
                let (min, max) = range.unwrap_or((<$float>::NAN, <$float>::NAN));
                let (mut mins, mut maxes) = ([min; LANES], [max; LANES]);
                let (blocks, rest) = values.as_chunks::<LANES>();
                for block in blocks {
                    for lane in 0..LANES {
                        mins[lane] = mins[lane].min(block[lane]);
                        maxes[lane] = maxes[lane].max(block[lane]);
                    }
                }
                let min = mins.iter().chain(rest).copied().fold(min, <$float>::min);
                let max = maxes.iter().chain(rest).copied().fold(max, <$float>::max);
                (!min.is_nan()).then_some((min, max))
            }

            fn statistics(range: Option<($float, $float)>, nulls: u64) -> Statistics {
                // Both zeros are in a range that ends with either.
                let or_zero = |value, zero| if value == 0.0 { zero } else { value };
                let min = range.map(|(min, _)| or_zero(min, -0.0));
                let max = range.map(|(_, max)| or_zero(max, 0.0));
                ValueStatistics::new(min, max, None, Some(nulls), false)
                    .with_backwards_compatible_min_max(true)
                    .into()
            }
        }

        impl Float for $float {
            #[inline(always)]
            fn bits(self) -> u64 {
                self.to_bits().into()
            }
        }
    };
}

float!(f32, Float32Type);
float!(f64, Float64Type);
