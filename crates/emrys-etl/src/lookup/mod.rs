//! From values, or tuples of values, to small numbers: the hash tables behind the operators that
//! look something up for each row (Categorify, `TargetEncoding`, `JoinGroupby`).
//!
//! A [`ValueIndex`] is built once from Arrow arrays of distinct values and then asked for batches
//! of rows, without copying a value and without a join. The tables are made for this one use: a
//! slot holds a whole key of up to eleven bytes, so that most values cost one cache miss, and the
//! misses of a block of rows overlap. Tables that are too large for memory lie in mapped files.

pub(crate) mod bytes;
mod column;
mod counts;
mod disk;
mod fill;
mod index;
mod keyed_table;
pub(crate) mod keys;
mod long_table;
mod slots;
mod table;

#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;

pub(crate) use bytes::with_bytes;
pub(crate) use counts::{EntryCounts, ValueCounts, entry_by_row};
pub(crate) use disk::DiskIndexBuilder;
pub(crate) use index::ValueIndex;
pub(crate) use keyed_table::{KeyRuns, KeyedTable, Records, Word, WordKind, key_columns, key_name};
pub(crate) use keys::{
    Family, align, all_null, canonical, common_type, plain_type, strict_cast, with_keys,
};

/// The code of a value that is not in an index.
pub(crate) const ABSENT: u32 = 0;

/// Why values cannot be indexed or looked up; the caller adds operator and column.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error(
        "values of type {found} cannot be looked up; cast to an integer, float, boolean, string, \
         binary, date or timestamp"
    )]
    Unsupported { found: DataType },
    #[error("values are {found} here, but the known ones are {expected}; cast one of the two")]
    Mismatch {
        found: DataType,
        expected: &'static str,
    },
    #[error("{value} has no equal among {expected}, which the known values are; cast the column")]
    Inexact {
        value: String,
        expected: &'static str,
    },
    #[error("the value in row {second} is the same as in row {first}; values must be distinct")]
    Repeated { first: usize, second: usize },
    #[error("{found} values are too many, at most {most} can be numbered")]
    TooMany { found: usize, most: u32 },
    #[error(transparent)]
    Storage(Box<crate::Error>),
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

impl From<crate::Error> for LookupError {
    fn from(error: crate::Error) -> LookupError {
        LookupError::Storage(Box::new(error))
    }
}
