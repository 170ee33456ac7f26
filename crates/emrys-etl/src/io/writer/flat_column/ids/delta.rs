//! Integers by their differences: what parquet calls `DELTA_BINARY_PACKED`.

use super::integer::Integer;
use crate::io::writer::flat_column::varint;

/// Differences of one width. Readers unpack so many at a time.
const MINIBLOCK: usize = 64;

const MINIBLOCKS: usize = 4;

/// Differences that are stored by how far they are above the least.
const BLOCK: usize = MINIBLOCK * MINIBLOCKS;

/// Appends the integers.
pub(super) fn encode<T: Integer>(integers: &[T], bytes: &mut Vec<u8>) {
    varint::write(BLOCK as u64, bytes);
    varint::write(MINIBLOCKS as u64, bytes);
    varint::write(integers.len() as u64, bytes);
    let Some((&first, after)) = integers.split_first() else {
        varint::write_signed(0, bytes);
        return;
    };
    varint::write_signed(first.into(), bytes);
    for (before, after) in integers.chunks(BLOCK).zip(after.chunks(BLOCK)) {
        encode_block(before, after, bytes);
    }
}

/// Appends the differences from the integers `before` to those `after` them.
fn encode_block<T: Integer>(before: &[T], after: &[T], bytes: &mut Vec<u8>) {
    let mut differences = [T::default(); BLOCK];
    for ((difference, after), before) in differences.iter_mut().zip(after).zip(before) {
        *difference = after.minus(*before);
    }
    let differences = &differences[..after.len()];
    let least = differences.iter().copied().min().unwrap_or_default();
    let mut offsets = [0; BLOCK];
    for (offset, difference) in offsets.iter_mut().zip(differences) {
        *offset = difference.above(least);
    }
    varint::write_signed(least.into(), bytes);
    let widths = bytes.len();
    bytes.extend_from_slice(&[0; MINIBLOCKS]);
    let (miniblocks, _) = offsets.as_chunks();
    let used = differences.len().div_ceil(MINIBLOCK);
    for (index, offsets) in miniblocks[..used].iter().enumerate() {
        let bits = offsets.iter().fold(0, |bits, offset| bits | offset);
        let width = u64::BITS - u64::leading_zeros(bits);
        bytes[widths + index] = width as u8;
        pack(offsets, width, bytes);
    }
}

/// Appends numbers of `width` bits each, the first in the lowest bits.
fn pack(numbers: &[u64; MINIBLOCK], width: u32, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let end = start + MINIBLOCK * width as usize / 8;
    // Words are written whole; the next one overwrites what is too much.
    bytes.resize(end + size_of::<u64>(), 0);
    let packed = &mut bytes[start..];
    if width <= WIDEST_OF_PAIRS {
        pack_pairs(numbers, width, packed);
    } else {
        pack_wide(numbers, width, packed);
    }
    bytes.truncate(end);
}

/// Two such numbers fit into a word that has up to seven bits in it already.
const WIDEST_OF_PAIRS: u32 = (u64::BITS - 7) / 2;

fn pack_pairs(numbers: &[u64; MINIBLOCK], width: u32, packed: &mut [u8]) {
    let (mut word, mut bits, mut at) = (0, 0, 0);
    let (pairs, _) = numbers.as_chunks();
    for [low, high] in pairs {
        word |= (low | high << width) << bits;
        packed[at..at + size_of::<u64>()].copy_from_slice(&u64::to_le_bytes(word));
        // Whole bytes are done with.
        bits += 2 * width;
        at += bits as usize / 8;
        word >>= bits & !7;
        bits &= 7;
    }
}

fn pack_wide(numbers: &[u64; MINIBLOCK], width: u32, packed: &mut [u8]) {
    let (mut words, mut bits, mut at) = (0, 0, 0);
    for &number in numbers {
        words |= u128::from(number) << bits;
        bits += width;
        if bits >= u64::BITS {
            let (word, next) = (words as u64, at + size_of::<u64>());
            packed[at..next].copy_from_slice(&word.to_le_bytes());
            words >>= u64::BITS;
            bits -= u64::BITS;
            at = next;
        }
    }
}
