//! Embedding tables: storage, lookup, sparse updates, files.
//!
//! A step costs what its batch costs, never what the tables hold:
//!
//! 1. The loader's workers find the distinct rows that a batch needs ([`EmbeddingTables::lookup_specs`]
//!    tells them what to look for).
//! 2. [`EmbeddingTables::gather`] copies the rows of each feature into a small leaf tensor, lists
//!    already combined: `[B, D]`.
//! 3. The model runs forward and backward on those leaves.
//! 4. [`EmbeddingTables::apply`] sums the leaves' gradients per distinct row and updates those rows
//!    and their optimizer state in place.
//!
//! | file | content |
//! |---|---|
//! | `spec.rs` | declarations: [`TableSpec`], [`EmbeddingFeature`], [`Combiner`] |
//! | `tables.rs` | [`EmbeddingTables`]: the tables, stacked into groups of one width |
//! | `gather.rs` | lookup: [`EmbeddingBatch`] |
//! | `prefetch.rs` | rows on their way from memory before their turn |
//! | `update.rs` | gradients summed per row, rows updated |
//! | `files.rs` | weights and optimizer state in safetensors files |
//! | `export.rs` | rows as Arrow and parquet |
//!
//! # Where tables live
//! In host memory. On the CPU that is the device's memory; for a GPU only the batch's vectors
//! travel, so that tables may be larger than its memory. Tables in device memory would replace
//! the two loops of `gather.rs` and `update.rs` by Burn's `select` and `scatter_nd`, which update
//! in place what nobody else holds; nothing outside of this module would change.
//!
//! # Why a leaf per feature
//! If the features indexed one leaf of distinct rows in the graph, the backward pass of each
//! would make a zero tensor of the whole leaf and add it to the others'. With a leaf per feature,
//! the lookup does not appear in the graph at all, and its backward pass is one parallel loop over
//! the distinct rows, fused with the optimizer's update.

mod dim;
mod error;
mod export;
mod files;
mod gather;
mod initialize;
mod matrix;
mod prefetch;
mod spec;
mod tables;
mod update;

#[cfg(test)]
mod tests;

pub use crate::Initializer;
pub use dim::infer_embedding_dim;
pub use error::EmbeddingError;
pub use export::VectorLayout;
pub use gather::EmbeddingBatch;
pub use spec::{Combiner, EmbeddingFeature, TableSpec};
pub use tables::EmbeddingTables;
