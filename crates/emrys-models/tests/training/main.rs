//! Models trained on small data with known structure, from parquet files to metrics.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod checkpoints;
mod data;
mod errors;
mod predictions;
mod ranking;
mod retrieval;
