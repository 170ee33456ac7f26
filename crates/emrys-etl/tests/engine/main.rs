//! The engine from outside: graphs, rounds, rows, saved workflows, and every operator's examples.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod columns;
mod conformance;
mod damaged_declarations;
mod declarations;
mod declared_options;
mod examples;
mod explain;
mod filled_categories;
mod graphs;
mod groupby;
mod hashes;
mod inverse;
mod join_groupby;
mod joins;
mod lags;
mod lists;
mod numeric_columns;
mod online;
mod picture;
mod properties;
mod random_graphs;
mod refit;
mod registry;
mod removed_inputs;
mod saved;
mod saved_versions;
mod table;
mod target_encoding;
mod text;
mod untyped;
