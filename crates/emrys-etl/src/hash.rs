//! The hash that puts values into buckets: a function of the value alone.
//!
//! It is the one of pandas' `hash_array`, so that buckets agree with what was computed there:
//! strings and binary values start from SipHash-2-4 of their bytes under a fixed key, numbers from
//! their 64 bits, and both are mixed by the finalizer of `SplitMix64`. It does not depend on the
//! machine, the build, the row, or on how Arrow holds the value: integers hash alike in every
//! width (as 64-bit two's complement, which differs from pandas for negative integers of fewer
//! bits), floats as doubles with one NaN and one zero, booleans as 0 and 1, dates and timestamps as
//! nanoseconds since 1970, dictionaries as their values.
//!
//! ```
//! use emrys_etl::hash::{hash_bits, hash_bytes};
//!
//! assert_eq!(hash_bytes(b"item_42") % 1000, 283);
//! assert_ne!(hash_bits(42), hash_bits(43));
//! ```

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use siphasher::sip::SipHasher24;

use crate::lookup::{
    Family, LookupError, canonical, plain_type, strict_cast, with_bytes, with_keys,
};

/// The hash of a null of any type.
pub const NULL_HASH: u64 = u64::MAX;

/// The key that pandas hashes strings with.
const KEY: &[u8; 16] = b"0123456789123456";

/// The hash of a string (its UTF-8 bytes) or of a binary value.
pub fn hash_bytes(value: &[u8]) -> u64 {
    hash_bits(SipHasher24::new_with_key(KEY).hash(value))
}

/// The hash of a number, given by its 64 bits: two's complement for an integer, IEEE 754 for a
/// float.
pub fn hash_bits(mut bits: u64) -> u64 {
    bits ^= bits >> 30;
    bits = bits.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits ^= bits >> 27;
    bits = bits.wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

/// The hash of each row of an array that is not a list; [`NULL_HASH`] for null and NaN.
pub(crate) fn hash_array(values: &ArrayRef) -> Result<Vec<u64>, LookupError> {
    let values = match values.data_type() {
        DataType::Dictionary(_, _) | DataType::FixedSizeBinary(_) => {
            strict_cast(values, &plain_type(values.data_type()))?
        }
        _ => canonical(values),
    };
    let mut hashes: Vec<u64> = match Family::of(values.data_type())? {
        Family::Null => return Ok(vec![NULL_HASH; values.len()]),
        Family::Bytes => with_bytes!(&values, bytes => {
            bytes.iter().map(|value| value.map_or(NULL_HASH, |value| {
                #[allow(clippy::useless_asref, reason = "these lines serve strings too")]
                let value: &[u8] = value.as_ref();
                hash_bytes(value)
            })).collect()
        }),
        // The lower 64 bits of a key are the number's own.
        _ => with_keys!(&values, keys => keys.map(|key| hash_bits(key as u64)).collect()),
    };
    if let Some(nulls) = values.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (hash, is_valid) in hashes.iter_mut().zip(nulls) {
            *hash = if is_valid { *hash } else { NULL_HASH };
        }
    }
    Ok(hashes)
}

/// The hash of each row of several columns: the exclusive or of the members' hashes.
pub(crate) fn hash_tuples(columns: &[ArrayRef]) -> Result<Vec<u64>, LookupError> {
    let mut hashes = vec![0; columns.first().map_or(0, |column| column.len())];
    for column in columns {
        for (hash, member) in hashes.iter_mut().zip(hash_array(column)?) {
            *hash ^= member;
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Float16Type, Int32Type};

    use super::*;

    fn hashes(values: impl Array + 'static) -> Vec<u64> {
        hash_array(&(Arc::new(values) as ArrayRef)).unwrap()
    }

    #[test]
    fn strings_and_numbers_hash_as_in_pandas() {
        // The numbers are those of `pandas.util.hash_array`, pandas 1.5.3.
        assert_eq!(
            hashes(StringArray::from(vec!["a", ""])),
            [13_950_350_942_979_735_504, 1_760_245_841_805_064_774]
        );
        assert_eq!(
            hashes(Int64Array::from(vec![0, 1, -1])),
            [0, 6_238_072_747_940_578_789, 13_029_008_266_876_403_067]
        );
        assert_eq!(
            hashes(BooleanArray::from(vec![false, true])),
            [0, 6_238_072_747_940_578_789]
        );
    }

    #[test]
    fn hash_depends_on_the_value_and_not_on_its_type_or_row() {
        let expected = hashes(Int64Array::from(vec![Some(-7), None, Some(300)]));
        assert_eq!(
            hashes(Int16Array::from(vec![Some(-7), None, Some(300)])),
            expected
        );
        assert_eq!(expected[1], NULL_HASH);
        assert_eq!(hashes(Int64Array::from(vec![300, -7]))[1], expected[0]);
        assert_eq!(
            hashes(UInt8Array::from(vec![7])),
            hashes(Int64Array::from(vec![7]))
        );

        let strings = vec![
            Some("x"),
            None,
            Some("a long string of many bytes"),
            Some("x"),
        ];
        let expected = hashes(StringArray::from(strings.clone()));
        assert_eq!(hashes(LargeStringArray::from(strings.clone())), expected);
        assert_eq!(hashes(StringViewArray::from(strings.clone())), expected);
        assert_eq!(
            hashes(strings.into_iter().collect::<DictionaryArray<Int32Type>>()),
            expected
        );
        assert_eq!(expected[0], expected[3]);

        assert_eq!(
            hashes(TimestampSecondArray::from(vec![86_400])),
            hashes(Date32Array::from(vec![1]))
        );
    }

    #[test]
    fn floats_have_one_nan_and_one_zero() {
        let doubles = hashes(Float64Array::from(vec![
            0.0,
            -0.0,
            f64::NAN,
            -f64::NAN,
            1.5,
        ]));
        assert_eq!(doubles[0], doubles[1]);
        assert_eq!(doubles[2..4], [NULL_HASH; 2]);
        assert_eq!(hashes(Float32Array::from(vec![1.5]))[0], doubles[4]);
        assert_eq!(
            hashes(Float16Array::from_iter_values([
                <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(1.5)
            ]))[0],
            doubles[4]
        );
    }

    #[test]
    fn buckets_are_filled_evenly() {
        // Chi-square with 255 degrees of freedom: 330 is exceeded once in a thousand times.
        let chi_square = |hashes: Vec<u64>| {
            let mut counts = [0.0; 256];
            let expected = hashes.len() as f64 / 256.0;
            hashes
                .iter()
                .for_each(|hash| counts[(hash % 256) as usize] += 1.0);
            counts
                .iter()
                .map(|count: &f64| (count - expected).powi(2) / expected)
                .sum::<f64>()
        };
        assert!(chi_square(hashes(Int64Array::from_iter_values(0..100_000))) < 330.0);
        assert!(
            chi_square(hashes(Int64Array::from_iter_values(
                (0..100_000).map(|i| i * 4096)
            ))) < 330.0
        );
        assert!(
            chi_square(hashes(Float64Array::from_iter_values(
                (0..100_000).map(f64::from)
            ))) < 330.0
        );
        let strings = (0..100_000).map(|i| format!("user_{i}"));
        assert!(chi_square(hashes(StringArray::from_iter_values(strings))) < 330.0);
    }

    #[test]
    fn one_changed_bit_changes_half_of_the_bits() {
        for bit in 0..64 {
            let flipped: u32 = (0..1000u64)
                .map(|i| (hash_bits(i) ^ hash_bits(i ^ 1 << bit)).count_ones())
                .sum();
            assert!(
                (28_000..36_000).contains(&flipped),
                "bit {bit}: {flipped} of 64000"
            );
        }
    }

    #[test]
    fn lists_are_refused() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
        assert!(hash_array(&(Arc::new(lists) as ArrayRef)).is_err());
    }
}
