//! The loader from parquet files to batches, one module per behaviour.

mod columns;
mod epochs;
mod errors;
mod fixtures;
mod lookups;
