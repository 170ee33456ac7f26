//! Values as the bits they have.

use arrow::datatypes::ArrowNativeType;
use bytes::Bytes;

/// The bits of a number: floats and integers of one size are decoded alike.
pub(super) trait Word: ArrowNativeType {
    const BYTES: usize;

    /// Itself or the other one, without a jump.
    fn or(self, other: Self, is_other: bool) -> Self;

    /// Appends the values of so many bytes, the lowest byte of each first.
    fn append(bytes: &[u8], words: &mut Vec<Self>);
}

macro_rules! word {
    ($($word:ty)*) => { $(
        impl Word for $word {
            const BYTES: usize = size_of::<$word>();

            #[inline(always)]
            fn or(self, other: $word, is_other: bool) -> $word {
                self ^ ((self ^ other) & <$word>::from(is_other).wrapping_neg())
            }

            fn append(bytes: &[u8], words: &mut Vec<$word>) {
                let values = bytes.as_chunks().0;
                words.extend(values.iter().map(|bytes| <$word>::from_le_bytes(*bytes)));
            }
        }
    )* };
}

word!(u32 u64);

/// Takes the first values, so many of so many bytes each, away from `bytes`.
pub(super) fn split_values(
    bytes: &mut Bytes,
    count: usize,
    bytes_of_value: usize,
) -> Option<Bytes> {
    let length = count.checked_mul(bytes_of_value)?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}
