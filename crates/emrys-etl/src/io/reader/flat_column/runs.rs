//! Small numbers as runs of equal ones and as packed bits, mixed: what parquet calls `RLE`.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};

use super::unpack::{BLOCK, MOST_BITS, block_bytes, unpack};

/// Packed numbers come in groups of so many.
const GROUP: usize = 8;

/// So many blocks are unpacked at a time: they stay in the nearest cache.
const BLOCKS: usize = 16;

/// The numbers of a page, from the first on.
#[derive(Debug)]
pub(super) struct Runs {
    bytes: Bytes,
    /// Where the next run begins.
    at: usize,
    width: usize,
    run: Run,
}

/// What is left of a run.
#[derive(Debug, Clone, Copy)]
enum Run {
    Equal {
        number: u32,
        left: usize,
    },
    Packed {
        /// Where the run's first number begins.
        start: usize,
        /// The next number, and the end of the numbers.
        next: usize,
        end: usize,
    },
}

/// The next numbers of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Equal(u32, usize),
    Various(&'a [u32]),
}

/// The next numbers of one bit each of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bits<'a> {
    Equal(bool, usize),
    /// The bits from one on, so many.
    Various(&'a [u8], usize, usize),
}

/// Room for numbers while they are unpacked.
#[derive(Debug)]
pub(super) struct Room([[u32; BLOCK]; BLOCKS]);

impl Default for Room {
    fn default() -> Room {
        Room([[0; BLOCK]; BLOCKS])
    }
}

impl Runs {
    /// Numbers of so many bits each.
    pub(super) fn new(bytes: Bytes, width: usize) -> Result<Runs> {
        if width > MOST_BITS {
            return Err(ParquetError::General(format!(
                "numbers of {width} bits in a page"
            )));
        }
        Ok(Runs {
            bytes,
            at: 0,
            width,
            run: Run::Equal { number: 0, left: 0 },
        })
    }

    /// Numbers of one bit each that are all packed, without the length of their run.
    pub(super) fn of_bits(bytes: Bytes) -> Runs {
        Runs {
            at: bytes.len(),
            run: Run::Packed {
                start: 0,
                next: 0,
                end: bytes.len() * 8,
            },
            bytes,
            width: 1,
        }
    }

    /// The next numbers, at least one and at most so many.
    pub(super) fn next<'a>(&mut self, most: usize, room: &'a mut Room) -> Result<Next<'a>> {
        self.begin_run()?;
        match &mut self.run {
            Run::Equal { number, left } => {
                let count = most.min(*left);
                *left -= count;
                Ok(Next::Equal(*number, count))
            }
            Run::Packed { start, next, end } => {
                // Unpacking begins at a whole block.
                let before = *next % BLOCK;
                let count = most.min(*end - *next).min(BLOCK * BLOCKS - before);
                let blocks = &mut room.0[..(before + count).div_ceil(BLOCK)];
                let bytes = &self.bytes[*start + block_bytes(self.width) * (*next / BLOCK)..];
                *next += count;
                let whole = match self.width {
                    0 => blocks.len(),
                    width => blocks.len().min(bytes.len() / block_bytes(width)),
                };
                unpack(self.width, bytes, &mut blocks[..whole]);
                if let Some(last) = blocks.get_mut(whole..).filter(|last| !last.is_empty()) {
                    // The file's last numbers need not fill a block.
                    let bytes = &bytes[whole * block_bytes(self.width)..];
                    let mut filled = [0; block_bytes(MOST_BITS)];
                    let there = bytes.len().min(filled.len());
                    filled[..there].copy_from_slice(&bytes[..there]);
                    unpack(self.width, &filled, last);
                }
                let numbers = blocks.as_flattened();
                Ok(Next::Various(&numbers[before..before + count]))
            }
        }
    }

    /// The next numbers of one bit each, at least one and at most so many.
    pub(super) fn next_bits(&mut self, most: usize) -> Result<Bits<'_>> {
        self.begin_run()?;
        match &mut self.run {
            Run::Equal { number, left } => {
                let count = most.min(*left);
                *left -= count;
                Ok(Bits::Equal(*number != 0, count))
            }
            Run::Packed { start, next, end } => {
                let count = most.min(*end - *next);
                let first = *next;
                *next += count;
                Ok(Bits::Various(&self.bytes[*start..], first, count))
            }
        }
    }

    /// Passes over numbers.
    pub(super) fn skip(&mut self, mut numbers: usize) -> Result<()> {
        while numbers > 0 {
            self.begin_run()?;
            let left = match &mut self.run {
                Run::Equal { left, .. } => {
                    let count = numbers.min(*left);
                    *left -= count;
                    count
                }
                Run::Packed { next, end, .. } => {
                    let count = numbers.min(*end - *next);
                    *next += count;
                    count
                }
            };
            numbers -= left;
        }
        Ok(())
    }

    /// Goes on to the next run that is not empty, if the last one has come to its end.
    fn begin_run(&mut self) -> Result<()> {
        loop {
            match self.run {
                Run::Equal { left: 0, .. } => {}
                Run::Packed { next, end, .. } if next == end => {}
                _ => return Ok(()),
            }
            self.run = self.read_run()?;
        }
    }

    fn read_run(&mut self) -> Result<Run> {
        let header = self.read_length()?;
        let rest = self.bytes.len() - self.at;
        let length = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        if header & 1 == 0 {
            let bytes = self.width.div_ceil(8);
            let number = self.bytes.get(self.at..self.at + bytes).ok_or_else(ended)?;
            let mut filled = [0; 4];
            filled[..bytes].copy_from_slice(number);
            self.at += bytes;
            return Ok(Run::Equal {
                number: u32::from_le_bytes(filled),
                left: length,
            });
        }
        if self.width == 0 {
            return Ok(Run::Equal {
                number: 0,
                left: length.saturating_mul(GROUP),
            });
        }
        // Some writers leave out the end of the last group.
        let bytes = length.saturating_mul(self.width).min(rest);
        let start = self.at;
        self.at += bytes;
        Ok(Run::Packed {
            start,
            next: 0,
            end: length.saturating_mul(GROUP).min(bytes * 8 / self.width),
        })
    }

    /// Seven bits a byte, the lowest first.
    fn read_length(&mut self) -> Result<u64> {
        let mut length = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(ended)?;
            self.at += 1;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(ParquetError::General("a run without length".to_owned()))
    }
}

fn ended() -> ParquetError {
    ParquetError::EOF("a page ends before its numbers do".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of five sevens, two groups of the numbers from 0 on, an empty run, and one of three ones.
    fn page() -> Bytes {
        let packed: u128 = (0..16)
            .map(|number: u128| (number & 7) << (3 * number))
            .sum();
        let mut bytes = vec![5 << 1, 7, 2 << 1 | 1];
        bytes.extend_from_slice(&packed.to_le_bytes()[..6]);
        bytes.extend([0, 2, 3 << 1, 1]);
        bytes.into()
    }

    fn expected() -> Vec<u32> {
        let packed = (0..16).map(|number| number & 7);
        [7; 5].into_iter().chain(packed).chain([1; 3]).collect()
    }

    fn read(runs: &mut Runs, mut count: usize) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        while count > 0 {
            let before = numbers.len();
            match runs.next(count, &mut Room::default())? {
                Next::Equal(number, count) => numbers.extend(std::iter::repeat_n(number, count)),
                Next::Various(various) => numbers.extend_from_slice(various),
            }
            count -= numbers.len() - before;
        }
        Ok(numbers)
    }

    #[test]
    fn numbers_come_in_order_from_wherever_reading_goes_on() {
        for skipped in 0..=24 {
            for first in 0..=24 - skipped {
                let mut runs = Runs::new(page(), 3).unwrap();
                runs.skip(skipped).unwrap();
                let mut numbers = read(&mut runs, first).unwrap();
                numbers.extend(read(&mut runs, 24 - skipped - first).unwrap());
                assert_eq!(numbers, expected()[skipped..], "{skipped} {first}");
                assert!(runs.next(1, &mut Room::default()).is_err());
            }
        }
    }

    #[test]
    fn a_page_that_ends_early_is_an_error() {
        for bytes in 0..page().len() {
            let mut runs = Runs::new(page().slice(..bytes), 3).unwrap();
            assert!(read(&mut runs, 24).is_err(), "{bytes}");
        }
        assert!(Runs::new(Bytes::new(), 33).is_err());
        let endless = Bytes::from_static(&[0x80; 20]);
        assert!(Runs::new(endless, 3).unwrap().skip(1).is_err());
    }

    #[test]
    fn numbers_without_bits_are_zeros() {
        let runs = || Runs::new(Bytes::from_static(&[1 << 1 | 1, 3 << 1]), 0).unwrap();
        assert_eq!(read(&mut runs(), 11).unwrap(), [0; 11]);
        assert!(runs().skip(12).is_err());
    }

    #[test]
    fn bits_are_told_with_their_place() {
        let mut runs =
            Runs::new(Bytes::from_static(&[1 << 1 | 1, 0b0110_1001, 4 << 1, 1]), 1).unwrap();
        let packed: &[u8] = &[0b0110_1001, 8, 1];
        assert_eq!(runs.next_bits(5).unwrap(), Bits::Various(packed, 0, 5));
        assert_eq!(runs.next_bits(5).unwrap(), Bits::Various(packed, 5, 3));
        assert_eq!(runs.next_bits(5).unwrap(), Bits::Equal(true, 4));
        assert!(runs.next_bits(1).is_err());
        let mut runs = Runs::of_bits(Bytes::from_static(&[1, 2]));
        runs.skip(8).unwrap();
        assert_eq!(runs.next_bits(9).unwrap(), Bits::Various(&[1, 2], 8, 8));
        assert!(runs.next_bits(1).is_err());
    }
}
