//! The page that rows are being added to.

use arrow::array::NullBufferBuilder;

use super::hybrid;
use super::value::Value;

/// The page that rows are being added to.
pub(super) struct OpenPage<T> {
    pub(super) rows: usize,
    pub(super) validity: NullBufferBuilder,
    pub(super) values: Values<T>,
    /// Memory of pages before, for this one to be put together in.
    pub(super) bytes: Vec<u8>,
}

/// The values of a page that are not null.
pub(super) enum Values<T> {
    /// By their numbers in the dictionary.
    Numbers(Vec<u16>),
    /// Themselves, since the dictionary was found full, or was found to save no space.
    Plain(Vec<T>),
}

impl<T: Value> OpenPage<T> {
    /// A page that will have so many rows.
    pub(super) fn new(rows: usize) -> OpenPage<T> {
        OpenPage {
            rows: 0,
            validity: NullBufferBuilder::new(rows),
            values: Values::Numbers(Vec::new()),
            bytes: Vec::new(),
        }
    }

    /// Begins the bytes of the page with which rows are null, and returns of how many that is true.
    pub(super) fn encode_levels(&mut self, is_nullable: bool) -> usize {
        let validity = self.validity.finish();
        let bytes = &mut self.bytes;
        bytes.clear();
        if is_nullable {
            bytes.extend_from_slice(&[0; size_of::<u32>()]);
            match &validity {
                Some(validity) => {
                    let levels: Vec<u16> = validity.iter().map(u16::from).collect();
                    hybrid::encode(&levels, 1, bytes);
                }
                None => hybrid::write_run(1, self.rows, 1, bytes),
            }
            let length = (bytes.len() - size_of::<u32>()) as u32;
            bytes[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
        }
        validity.map_or(0, |nulls| nulls.null_count())
    }

    pub(super) fn memory_size(&self) -> usize {
        self.validity.allocated_size() + self.values.memory_size() + self.bytes.capacity()
    }
}

impl<T: Value> Values<T> {
    pub(super) fn len(&self) -> usize {
        match self {
            Values::Numbers(numbers) => numbers.len(),
            Values::Plain(values) => values.len(),
        }
    }

    /// The same values, without their dictionary.
    pub(super) fn make_plain(&mut self, dictionary: &[T]) {
        if let Values::Numbers(numbers) = self {
            *self = Values::Plain(look_up(numbers, dictionary));
        }
    }

    fn memory_size(&self) -> usize {
        match self {
            Values::Numbers(numbers) => numbers.capacity() * size_of::<u16>(),
            Values::Plain(values) => values.capacity() * size_of::<T>(),
        }
    }
}

/// The values that have these numbers.
pub(super) fn look_up<T: Value>(numbers: &[u16], dictionary: &[T]) -> Vec<T> {
    let values = numbers
        .iter()
        .map(|&number| dictionary[usize::from(number)]);
    values.collect()
}

/// Whether nearly every value that follows another one is new, as if values were sorted, given how
/// many values the numbers refer to.
pub(super) fn is_in_order(numbers: &[u16], values: usize) -> bool {
    let neighbours = numbers.iter().zip(numbers.iter().skip(1));
    let changes = neighbours.filter(|(before, after)| before != after).count();
    10 * values >= 9 * changes
}
