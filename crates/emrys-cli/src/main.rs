//! The `emrys` command.

fn main() {}
