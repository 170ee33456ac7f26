//! The engine from outside: graphs, rounds, rows, saved workflows, and every operator's examples.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod damaged_declarations;
mod declarations;
mod examples;
mod graphs;
mod joins;
mod properties;
mod saved;
mod table;
mod target_encoding;
