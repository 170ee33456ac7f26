//! What can go wrong with embedding tables.

use std::path::PathBuf;

use crate::error::candidates;

/// What can go wrong with embedding tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// Two tables have one name.
    #[error(
        "embedding table `{table}` is declared twice; features that share a table name it in one declaration"
    )]
    DuplicateTable {
        /// The table.
        table: String,
    },
    /// Two features have one key.
    #[error("embedding feature `{key}` is declared twice; give one of them another key")]
    DuplicateFeature {
        /// The key.
        key: String,
    },
    /// A table has no rows or no columns.
    #[error("embedding table `{table}` has {rows} rows of width {dim}; both must be at least 1")]
    EmptyTable {
        /// The table.
        table: String,
        /// Its rows.
        rows: usize,
        /// Its width.
        dim: usize,
    },
    /// There is no table of that name.
    #[error("there is no embedding table `{table}`{}", candidates(.table, .available))]
    UnknownTable {
        /// The name.
        table: String,
        /// The tables that there are.
        available: Vec<String>,
    },
    /// Given weights do not have the shape of their table.
    #[error(
        "embedding table `{table}` is {rows} rows of width {dim}, {expected} numbers, but {found} were given; \
         the rows are the domain's max + 1"
    )]
    WrongSize {
        /// The table.
        table: String,
        /// Its rows.
        rows: usize,
        /// Its width.
        dim: usize,
        /// The numbers that it holds.
        expected: usize,
        /// The numbers that were given.
        found: usize,
    },
    /// An id is not a row of the table.
    #[error("id {id} is not a row of embedding table `{table}`, which has {rows}; ids run from 0 to {}", .rows - 1)]
    IdOutOfRange {
        /// The table.
        table: String,
        /// The id.
        id: i64,
        /// The rows.
        rows: usize,
    },
    /// A batch does not carry the lookup plan of these tables.
    #[error(
        "the batch has no lookup plan that fits group `{group}`: {problem}; \
         give the loader `EmbeddingTables::lookup_specs` of the same tables"
    )]
    Plan {
        /// The group of tables.
        group: String,
        /// What is wrong.
        problem: String,
    },
    /// A gradient does not have the shape of what was looked up.
    #[error(
        "the gradient of embedding feature `{key}` has {found} numbers, the lookup had {expected}; apply it with the plan it was made from"
    )]
    Gradient {
        /// The feature.
        key: String,
        /// The numbers that were looked up.
        expected: usize,
        /// The numbers of the gradient.
        found: usize,
    },
    /// The state of one optimizer was met by another.
    #[error(
        "embedding table `{table}` holds the state of `{found}`, but `{asked}` is to update it; \
         call `reset_state` to start the new optimizer from scratch"
    )]
    OtherOptimizer {
        /// A table of the group.
        table: String,
        /// The optimizer whose state there is.
        found: &'static str,
        /// The optimizer that was to update it.
        asked: &'static str,
    },
    /// Memory for a table cannot be reserved.
    #[error("cannot reserve {bytes} bytes for embedding table `{table}`")]
    Memory {
        /// The (first) table.
        table: String,
        /// How much was asked for.
        bytes: usize,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of weights or state does not fit the tables.
    #[error("`{}` does not fit these embedding tables: {problem}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Rows cannot be turned into Arrow arrays.
    #[error("cannot make a record batch of embedding table `{table}`")]
    Arrow {
        /// The table.
        table: String,
        /// Why it failed.
        source: arrow::error::ArrowError,
    },
    /// A parquet file of rows cannot be written.
    #[error("cannot write embedding rows to `{}`", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: parquet::errors::ParquetError,
    },
}
