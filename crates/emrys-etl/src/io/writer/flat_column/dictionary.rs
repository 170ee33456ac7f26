//! What numbers the values of a column chunk.

use super::value::Value;

/// The distinct values of a column chunk, numbered from zero in the order in which they first
/// occur.
pub(in crate::io::writer) trait Dictionary {
    type Value: Value;

    /// How many values, the first of a chunk, show whether numbers save space; `None` if it is
    /// known that they do.
    const TRIAL: Option<usize>;

    /// The values by their numbers.
    fn values(&self) -> &[Self::Value];

    /// Appends the numbers of values and returns of how many, from the first on; the next one found
    /// the dictionary full.
    fn number(&mut self, values: &[Self::Value], numbers: &mut Vec<u16>) -> usize;

    /// No more values will come to be numbered. Those that were keep their numbers.
    fn forget_numbers(&mut self);

    fn memory_size(&self) -> usize;
}
