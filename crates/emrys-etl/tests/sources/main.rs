//! Sources from outside: object stores and web servers, whole and broken.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod data;
mod faults;
mod s3;
mod s3_server;
mod sinks;
mod web;
mod web_server;
