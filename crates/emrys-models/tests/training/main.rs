//! Models trained on small data with known structure, from parquet files to metrics.

mod checkpoints;
mod data;
mod errors;
mod predictions;
mod ranking;
mod retrieval;
