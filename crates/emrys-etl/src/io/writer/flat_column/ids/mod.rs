//! Columns of ids, for which the schema tells the domain.
//!
//! The parquet library numbers the values of a column with a hash table. Ids are below a known
//! bound, so that a plain table does, which is smaller and misses the cache less. Ids outside of
//! the domain, which a schema may be wrong about, are written too, at the speed of a hash table.
//!
//! Ids of a large domain hardly repeat. They are written by their differences, packed into as many
//! bits as those at hand need.

mod delta;
mod integer;
mod table;

use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnDescPtr;

use self::integer::Integer;
use self::table::IdTable;
use super::FlatColumn;

/// Encodes ids.
pub(in crate::io::writer) type IdColumn<T> = FlatColumn<IdTable<T>>;

impl<T: Integer> IdColumn<T> {
    /// Encodes ids that are mostly in `0..cardinality`.
    pub(in crate::io::writer) fn of_ids(
        column: ColumnDescPtr,
        properties: &WriterProperties,
        cardinality: usize,
    ) -> Result<IdColumn<T>> {
        let path = column.path();
        let has_dictionary = properties.dictionary_enabled(path);
        let most = properties.column_dictionary_page_size_limit(path) / size_of::<T>();
        let dictionary = match has_dictionary {
            true => IdTable::new(cardinality, most),
            false => IdTable::new(0, 0),
        };
        let mut ids = FlatColumn::new(column, properties, dictionary)?;
        if !has_dictionary {
            ids.leave_dictionary();
        }
        Ok(ids)
    }
}

#[cfg(test)]
pub(in crate::io::writer) mod tests;
