//! What bad input gets: the exact message of each error, with its causes.
//!
//! One table per area. All differences of a table are shown together.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod data;
mod declarations;
mod etl;
mod loader;
mod models;
mod saved;
mod schema;
mod table;
