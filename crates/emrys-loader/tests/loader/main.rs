//! The loader from parquet files to batches, one module per behaviour.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::unwrap_used,
    reason = "the numbers of these tests are small and exact, and a failed unwrap fails the test"
)]

mod columns;
mod epochs;
mod errors;
mod fixtures;
mod folders;
mod lookups;
