//! Numbers of few bits each, side by side, the first in the lowest bits.

/// Numbers are unpacked in blocks of so many, which are whole words however wide they are.
pub(super) const BLOCK: usize = 32;

/// The bits of the widest numbers.
pub(super) const MOST_BITS: usize = 32;

/// The bytes of a block.
pub(super) const fn block_bytes(width: usize) -> usize {
    width * BLOCK / 8
}

/// Unpacks blocks of numbers of `width` bits, at most 32.
///
/// `bytes` holds the blocks; what is behind them is not looked at.
pub(super) fn unpack(width: usize, bytes: &[u8], blocks: &mut [[u32; BLOCK]]) {
    macro_rules! of_width {
        ($($bits:literal)*) => {
            match width {
                $($bits => unpack_blocks::<$bits>(bytes, blocks),)*
                _ => blocks.fill([0; BLOCK]),
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

fn unpack_blocks<const WIDTH: usize>(bytes: &[u8], blocks: &mut [[u32; BLOCK]]) {
    for (bytes, block) in bytes.chunks_exact(block_bytes(WIDTH)).zip(blocks) {
        unpack_block::<WIDTH>(bytes, block);
    }
}

/// With width and place known, so are word and shift: each number takes a few instructions.
#[inline(always)]
fn unpack_block<const WIDTH: usize>(bytes: &[u8], block: &mut [u32; BLOCK]) {
    let words = &bytes.as_chunks().0[..WIDTH];
    let mask = u32::MAX >> (MOST_BITS - WIDTH);
    macro_rules! at_places {
        ($($place:literal)*) => { $(
            let (word, shift) = ($place * WIDTH / 32, $place * WIDTH % 32);
            let mut bits = u32::from_le_bytes(words[word]) >> shift;
            if shift + WIDTH > 32 {
                bits |= u32::from_le_bytes(words[word + 1]) << (32 - shift);
            }
            block[$place] = bits & mask;
        )* };
    }
    at_places!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit.
    fn pack(width: usize, numbers: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; (numbers.len() * width).div_ceil(8)];
        for (place, number) in numbers.iter().enumerate() {
            for bit in 0..width {
                let at = place * width + bit;
                bytes[at / 8] |= ((number >> bit & 1) as u8) << (at % 8);
            }
        }
        bytes
    }

    #[test]
    fn every_width_is_unpacked() {
        for width in 0..=MOST_BITS {
            let mask = u32::MAX
                .checked_shr((MOST_BITS - width) as u32)
                .unwrap_or(0);
            let numbers: Vec<u32> = (0..3 * BLOCK as u32)
                .map(|number| number.wrapping_mul(0x9E37_79B9).rotate_left(number) & mask)
                .collect();
            let mut blocks = [[u32::MAX; BLOCK]; 3];
            unpack(width, &pack(width, &numbers), &mut blocks);
            assert_eq!(blocks.as_flattened(), numbers, "{width}");
        }
    }
}
