//! Rows that change places with their neighbours.

use arrow::array::RecordBatch;

use super::Keys;
use super::permute::Permuted;

/// Rows per batch of the output.
const BATCH_ROWS: usize = 8_192;

/// Collects the rows of a stream until a window is full.
pub(in crate::io::writer) struct Window {
    keys: Keys,
    rows: usize,
    held: Vec<RecordBatch>,
    held_rows: usize,
    /// How many rows came before those that are held.
    before: u64,
}

impl Window {
    pub(in crate::io::writer) fn new(seed: u64, stream: usize, rows: usize) -> Window {
        Window {
            keys: Keys::of_stream(seed, stream),
            rows,
            held: Vec::new(),
            held_rows: 0,
            before: 0,
        }
    }

    /// Takes as many rows of a batch as there is room for, and returns the others.
    pub(in crate::io::writer) fn fill(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let taken = batch.num_rows().min(self.rows - self.held_rows);
        self.held.push(batch.slice(0, taken));
        self.held_rows += taken;
        (taken < batch.num_rows()).then(|| batch.slice(taken, batch.num_rows() - taken))
    }

    pub(in crate::io::writer) fn is_full(&self) -> bool {
        self.held_rows == self.rows
    }

    /// Empties the window.
    pub(in crate::io::writer) fn take(
        &mut self,
    ) -> impl Iterator<Item = crate::Result<RecordBatch>> + use<> {
        let rows = std::mem::take(&mut self.held_rows) as u64;
        let keys: Vec<u64> = (self.before..self.before + rows)
            .map(|row| self.keys.key(row))
            .collect();
        self.before += rows;
        Permuted::new(std::mem::take(&mut self.held), &keys, BATCH_ROWS)
    }
}
