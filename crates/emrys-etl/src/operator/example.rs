//! Examples that are shown in the reference and run as tests.

use serde_json::Value;

use crate::graph::{Node, all_columns, cols, group};

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

impl Example {
    /// The columns that go into the operator, as [`selection`](Example::selection) says.
    pub fn inputs(&self) -> Node {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let node = |item: &Value| match item {
            Value::Array(members) => group(members.iter().map(text)),
            name => cols([text(name)]),
        };
        let nodes = self.selection.as_array().into_iter().flatten().map(node);
        nodes
            .reduce(|sum, node| sum + node)
            .unwrap_or_else(all_columns)
    }
}
