//! Random changes of texts and files.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Pieces on which readers of numbers, strings and structure stumble.
const PIECES: [&[u8]; 24] = [
    b"-1",
    b"0",
    b"4294967296",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"1e400",
    b"NaN",
    b"inf",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\xc3\xb6",
    b",,",
    b"{\"\":",
    b"PAR1",
];

/// Makes inputs from seeds, the same ones for the same target.
pub(crate) struct Mutator {
    random: ChaCha8Rng,
}

impl Mutator {
    pub(crate) fn new(target: &str) -> Mutator {
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        Mutator {
            random: ChaCha8Rng::seed_from_u64(hasher.finish()),
        }
    }

    /// A seed with one to eight changes.
    pub(crate) fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds.choose(&mut self.random).cloned().unwrap_or_default();
        for _ in 0..self.random.random_range(1..=8) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        self.random.random_range(0..=bytes.len())
    }

    /// A piece of up to 32 bytes.
    fn piece(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.place(bytes);
        start..bytes.len().min(start + self.random.random_range(1..=32))
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        match self.random.random_range(0..7) {
            0 => {
                let piece = self.piece(bytes);
                bytes.drain(piece);
            }
            1 => {
                let length = self.place(bytes);
                bytes.truncate(length);
            }
            2 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
            3 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.random.random();
                }
            }
            4 => {
                let piece = bytes[self.piece(bytes)].to_vec();
                let at = self.place(bytes);
                bytes.splice(at..at, piece);
            }
            kind => {
                let piece = PIECES.choose(&mut self.random).copied().unwrap_or_default();
                let at = self.place(bytes);
                // Instead of a piece, or between two bytes.
                let end = if kind == 5 {
                    at
                } else {
                    self.piece(bytes).end.max(at)
                };
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
}
