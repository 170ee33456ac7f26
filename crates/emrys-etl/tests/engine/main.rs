//! The engine from outside: graphs, rounds, rows, saved workflows, and every operator's examples.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod examples;
mod explain;
mod graphs;
mod inverse;
mod joins;
mod online;
mod picture;
mod properties;
mod random_graphs;
mod registry;
mod removed_inputs;
mod saved;
mod saved_versions;
mod table;
mod target_encoding;
mod untyped;
