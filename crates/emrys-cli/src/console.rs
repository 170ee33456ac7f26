//! Results on stdout, messages on stderr.

use std::io::{self, Write};

use serde_json::Value;

use crate::failure::{Failure, Result};

/// Prints a result.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Failure::Stdout)
}

/// Prints a result as one line of JSON.
pub(crate) fn print_json(document: &Value) -> Result<()> {
    print(&format!("{document}\n"))
}

/// Prints a message.
pub(crate) fn tell(message: &str) {
    // Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// A number of things: `1 file`, `2 files`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}
