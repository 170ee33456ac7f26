//! The command from outside: the binary is run on small data in a folder of its own.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests stop at the first surprise"
)]

mod errors;
mod fixtures;
mod help;
mod interrupts;
mod listings;
mod runs;
