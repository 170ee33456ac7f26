//! Parquet files: flat columns are decoded here, the others by the parquet library.
//!
//! The scan is the query engine's: it takes projections, counts rows and bytes, and opens one file
//! after the other. What is ours is [how the rows of a file](row_group) become batches, unless the
//! scan has filters or another order: those the engine reads itself, since it can pass over pages.
//!
//! What a column chunk holds as places in a dictionary is treated so for as long as possible: an
//! expression over one such column is evaluated once for each entry, not once for each row. Ids of a
//! category are looked up, and numbers filled, clipped and scaled, as often as there are values; so
//! are categories [counted](crate::fit).

mod chunks;
mod columns;
mod file;
mod flat_column;
mod row_group;
mod source;

pub(super) use chunks::Chunks;
pub(super) use flat_column::is_decoded;
pub(super) use source::{FlatSource, RowsOfFile};

#[cfg(test)]
mod tests;
