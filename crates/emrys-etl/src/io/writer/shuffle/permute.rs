//! Rows of batches in another order.

use std::vec::IntoIter;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;

use crate::{Error, Result};

/// The rows of some batches in the order of their keys, in new batches.
pub(super) struct Permuted {
    batches: Vec<RecordBatch>,
    order: IntoIter<(usize, usize)>,
    batch_rows: usize,
}

impl Permuted {
    /// The keys are those of the rows of all batches, one after another, and all different.
    pub(super) fn new(batches: Vec<RecordBatch>, keys: &[u64], batch_rows: usize) -> Permuted {
        let places = batches
            .iter()
            .enumerate()
            .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)));
        let mut order: Vec<(u64, (usize, usize))> = keys.iter().copied().zip(places).collect();
        order.sort_unstable();
        Permuted {
            batches,
            order: order
                .into_iter()
                .map(|(_, place)| place)
                .collect::<Vec<_>>()
                .into_iter(),
            batch_rows,
        }
    }
}

impl Iterator for Permuted {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let places: Vec<_> = self.order.by_ref().take(self.batch_rows).collect();
        (!places.is_empty()).then(|| gather(&self.batches, &places))
    }
}

/// The rows at some places, each the number of a batch and of a row in it.
pub(super) fn gather(batches: &[RecordBatch], places: &[(usize, usize)]) -> Result<RecordBatch> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&batches, places).map_err(shuffling)
}

/// What Arrow says when rows cannot be moved.
pub(super) fn shuffling(error: ArrowError) -> Error {
    Error::Data {
        operator: "shuffle".into(),
        problem: format!("rows cannot change places ({error}); write without a shuffle"),
    }
}
