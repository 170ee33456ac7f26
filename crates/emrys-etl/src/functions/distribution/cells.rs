//! The cells of a distribution, in memory or in a file that is mapped into it.

use arrow::buffer::ScalarBuffer;

use super::Cell;
use crate::storage::{Sink, Storage};
use crate::{Error, Result};

/// The numbers of a cell: its least and its greatest key, and its count.
const NUMBERS: usize = 3;

/// Cells in rising order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    numbers: ScalarBuffer<u64>,
}

impl Cells {
    pub(super) fn len(&self) -> usize {
        self.numbers.len() / NUMBERS
    }

    pub(super) fn num_bytes(&self) -> usize {
        self.numbers.len() * size_of::<u64>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Cell> {
        let (cells, _) = self.numbers.as_chunks::<NUMBERS>();
        cells
            .iter()
            .map(|&[low, high, count]| Cell { low, high, count })
    }
}

impl From<Vec<Cell>> for Cells {
    fn from(cells: Vec<Cell>) -> Cells {
        cells.into_iter().collect()
    }
}

impl FromIterator<Cell> for Cells {
    fn from_iter<T: IntoIterator<Item = Cell>>(cells: T) -> Cells {
        let numbers = cells.into_iter().flat_map(Cell::numbers);
        Cells {
            numbers: numbers.collect::<Vec<u64>>().into(),
        }
    }
}

impl Cell {
    fn numbers(self) -> [u64; NUMBERS] {
        [self.low, self.high, self.count]
    }
}

/// Takes exact cells in rising order, of which some may be of the same value.
pub(super) struct CellWriter {
    sink: Sink,
    last: Option<Cell>,
}

impl CellWriter {
    /// For at most so many cells, which lie on disk if memory is short.
    pub(super) fn new(storage: &Storage, cells: usize) -> Result<CellWriter> {
        let bytes = cells * NUMBERS * size_of::<u64>();
        Ok(CellWriter {
            sink: storage.sink(storage.is_on_disk(bytes), bytes)?,
            last: None,
        })
    }

    pub(super) fn push(&mut self, cell: Cell) -> Result<()> {
        match &mut self.last {
            Some(last) if last.low == cell.low => last.count += cell.count,
            Some(last) if last.low > cell.low => {
                return Err(Error::Internal("values out of order".to_owned()));
            }
            last => {
                if let Some(before) = last.replace(cell) {
                    self.sink.write_all(&before.numbers())?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Cells> {
        if let Some(last) = self.last {
            self.sink.write_all(&last.numbers())?;
        }
        Ok(Cells {
            numbers: self.sink.finish_numbers()?,
        })
    }
}
