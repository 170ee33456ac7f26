//! Values to the rows that have one.

use arrow::util::bit_chunk_iterator::BitChunks;

use super::word::Word;

/// So many rows are filled at a time.
const ROWS: usize = u64::BITS as usize;

/// For how many more rows there should be room.
pub(super) const SPARE: usize = ROWS;

/// Appends a row for each bit: the next value, or null.
pub(super) fn spread<V: Word>(
    values: &mut Vec<V>,
    null: V,
    present: BitChunks<'_>,
    words: &mut Vec<V>,
) {
    // Then there are always as many values, and rows, as a word has bits.
    values.resize(values.len() + ROWS, null);
    let start = words.len();
    words.resize(start + (present.chunk_len() + 1) * ROWS, null);
    let rows = words[start..].as_chunks_mut().0;
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        #[expect(unsafe_code, reason = "the processor has the instructions")]
        // SAFETY: see the reason.
        unsafe {
            spread_avx512(values, null, &present, rows);
        }
        words.truncate(start + present.chunk_len() * ROWS + present.remainder_len());
        return;
    }
    spread_words(values, &present, rows, |bits, values, rows| {
        spread_word(bits, null, values, rows);
    });
    words.truncate(start + present.chunk_len() * ROWS + present.remainder_len());
}

/// Fills the rows of each word of bits.
#[inline(always)]
fn spread_words<V: Word>(
    mut values: &[V],
    present: &BitChunks<'_>,
    rows: &mut [[V; ROWS]],
    spread_word: impl Fn(u64, &[V; ROWS], &mut [V; ROWS]),
) {
    let words = present.iter().chain([present.remainder_bits()]);
    for (bits, rows) in words.zip(rows) {
        let Some(next) = values.first_chunk() else {
            return;
        };
        spread_word(bits, next, rows);
        values = &values[bits.count_ones() as usize..];
    }
}

/// Takes the same steps for values and nulls: in most columns one cannot be told from the other in
/// advance.
#[inline(always)]
fn spread_word<V: Word>(present: u64, null: V, values: &[V; ROWS], rows: &mut [V; ROWS]) {
    let mut taken = 0;
    for (row, to) in rows.iter_mut().enumerate() {
        let is_present = present >> row & 1;
        *to = null.or(values[taken % ROWS], is_present == 1);
        taken += is_present as usize;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn spread_avx512<V: Word>(values: &[V], null: V, present: &BitChunks<'_>, rows: &mut [[V; ROWS]]) {
    spread_words(values, present, rows, |bits, values, rows| {
        expand(bits, null, values, rows);
    });
}

/// There is an instruction for it, of 64 bytes at a time.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn expand<V: Word>(present: u64, null: V, values: &[V; ROWS], rows: &mut [V; ROWS]) {
    use std::arch::x86_64::{
        _mm512_loadu_si512, _mm512_mask_expand_epi32, _mm512_mask_expand_epi64, _mm512_set1_epi32,
        _mm512_set1_epi64, _mm512_storeu_si512,
    };

    let null = null.as_usize();
    let at_once = 64 / V::BYTES;
    for (part, rows) in rows.chunks_exact_mut(at_once).enumerate() {
        let first = part * at_once;
        // Never more than there are rows before these.
        let taken = (present & ((1 << first) - 1)).count_ones() as usize;
        let next = &values[taken..taken + at_once];
        #[expect(unsafe_code, reason = "the slice has so many bytes")]
        // SAFETY: see the reason.
        let next = unsafe { _mm512_loadu_si512(next.as_ptr().cast()) };
        let bits = present >> first;
        let spread = match V::BYTES {
            4 => _mm512_mask_expand_epi32(_mm512_set1_epi32(null as i32), bits as u16, next),
            _ => _mm512_mask_expand_epi64(_mm512_set1_epi64(null as i64), bits as u8, next),
        };
        #[expect(unsafe_code, reason = "the slice has so many bytes")]
        // SAFETY: see the reason.
        unsafe {
            _mm512_storeu_si512(rows.as_mut_ptr().cast(), spread);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rows of bits from `first` on, one by one.
    fn expected<V: Word>(values: &[V], null: V, bits: &[u8], first: usize, rows: usize) -> Vec<V> {
        let mut values = values.iter();
        let is_present = |row: usize| bits[row / 8] >> (row % 8) & 1 == 1;
        let rows = (first..first + rows).map(|row| match is_present(row) {
            true => *values.next().unwrap(),
            false => null,
        });
        rows.collect()
    }

    fn assert_spreads<V: Word>(value: impl Fn(u64) -> V, bits: &[u8], first: usize, rows: usize) {
        let (values, null) = (
            (1..=rows as u64).map(value).collect::<Vec<V>>(),
            V::usize_as(7),
        );
        let before = vec![V::usize_as(3); 5];
        let expected = [before.clone(), expected(&values, null, bits, first, rows)].concat();
        let mut words = before;
        spread(
            &mut values.clone(),
            null,
            BitChunks::new(bits, first, rows),
            &mut words,
        );
        assert_eq!(words, expected);
        // What processors without the instruction do.
        let mut padded = values.clone();
        padded.resize(values.len() + ROWS, null);
        let present = BitChunks::new(bits, first, rows);
        let mut words = vec![[null; ROWS]; present.chunk_len() + 1];
        spread_words(&padded, &present, &mut words, |bits, values, rows| {
            spread_word(bits, null, values, rows);
        });
        assert_eq!(words.as_flattened()[..rows], expected[5..]);
    }

    proptest! {
        #[test]
        fn values_go_to_the_rows_that_have_one(
            bits in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 50),
            first in 0_usize..20,
            rows in 0_usize..380,
        ) {
            assert_spreads(|value| value as u32, &bits, first, rows);
            assert_spreads(|value| value << 40 | value, &bits, first, rows);
        }
    }
}
