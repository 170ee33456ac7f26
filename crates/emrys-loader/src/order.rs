//! In which order an epoch gives the rows.
//!
//! The order is a function of the seed, the epoch and the layout of the files, and of nothing else:
//! row groups of all files in random order; `parts_per_chunk` of them at a time form a chunk; the
//! rows of a chunk in random order. Batches cut this sequence, so a batch can begin in one chunk
//! and end in the next, and the rows that `drop_last` drops differ from epoch to epoch. Each
//! chunk's order has a generator of its own, so resuming needs no order of a chunk that is done.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::LoaderConfig;

/// The order of one epoch.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    shuffle: bool,
    seed: u64,
    epoch: u64,
    parts_per_chunk: usize,
}

impl Order {
    pub(crate) fn new(config: &LoaderConfig, epoch: u64) -> Order {
        Order {
            shuffle: config.shuffle(),
            seed: config.seed(),
            epoch,
            parts_per_chunk: config.parts_per_chunk(),
        }
    }

    /// The row groups of each chunk, out of `parts` row groups.
    pub(crate) fn chunks(&self, parts: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..parts).collect();
        if self.shuffle {
            order.shuffle(&mut self.generator(0));
        }
        order
            .chunks(self.parts_per_chunk)
            .map(<[usize]>::to_vec)
            .collect()
    }

    /// The rows of a chunk of `rows` rows.
    pub(crate) fn rows(&self, chunk: usize, rows: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..rows).collect();
        if self.shuffle {
            order.shuffle(&mut self.generator(chunk as u64 + 1));
        }
        order
    }

    fn generator(&self, stream: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([self.seed, self.epoch, stream]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}
