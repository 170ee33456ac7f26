//! Examples that are shown in the reference and run as tests.

use serde_json::Value;

/// A small table in, a small table out.
#[derive(Debug, Clone)]
pub struct Example {
    /// What it shows, a sentence.
    pub title: &'static str,
    /// The configuration, as JSON.
    pub config: Value,
    /// The columns that go in: `{"a": [1, null, 3]}`.
    pub input: Value,
    /// The groups or columns that the operator takes, in the form of a declarative graph; all
    /// columns if it is null.
    pub selection: Value,
    /// The columns that come out when the input is transformed after fitting on it.
    pub output: Value,
}
