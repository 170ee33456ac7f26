//! Columns of floats.
//!
//! Measured values, counts and prices often have few values within a row group, also where nobody
//! said so. Codecs find that too, byte by byte, which costs several times as much as numbering the
//! values, and saves less. Where values hardly repeat, numbers would save nothing: the first values
//! of a chunk show which it is.

mod float;
mod table;

use parquet::basic::Compression;
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnDescPtr;

use self::float::Float;
use self::table::FloatTable;
use super::FlatColumn;

/// Encodes floats.
pub(in crate::io::writer) type FloatColumn<T> = FlatColumn<FloatTable<T>>;

impl<T: Float> FloatColumn<T> {
    /// Encodes floats, with a dictionary if it saves space, whatever the properties say about it.
    /// Without compression there is none: space seems not to matter, and plain values are read in a
    /// fourth of the time.
    pub(in crate::io::writer) fn of_floats(
        column: ColumnDescPtr,
        properties: &WriterProperties,
    ) -> Result<FloatColumn<T>> {
        let path = column.path();
        let is_compressed = properties.compression(path) != Compression::UNCOMPRESSED;
        let most = match is_compressed {
            true => properties.column_dictionary_page_size_limit(path) / size_of::<T>(),
            false => 0,
        };
        let mut floats = FlatColumn::new(column, properties, FloatTable::new(most))?;
        if !is_compressed {
            floats.leave_dictionary();
        }
        Ok(floats)
    }
}

#[cfg(test)]
mod tests;
