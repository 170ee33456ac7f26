//! Options that are the same for all columns or given for each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One value for all columns, or a value for each by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerColumn<T> {
    /// A value for each column that has one.
    ByColumn(BTreeMap<String, T>),
    /// The same value for all columns.
    All(T),
}

impl<T> PerColumn<T> {
    /// The value for a column.
    pub fn get(&self, column: &str) -> Option<&T> {
        match self {
            PerColumn::ByColumn(values) => values.get(column),
            PerColumn::All(value) => Some(value),
        }
    }

    /// All values, with the column where they are given for one.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &T)> {
        let (by_column, all) = match self {
            PerColumn::ByColumn(values) => (Some(values), None),
            PerColumn::All(value) => (None, Some(value)),
        };
        by_column
            .into_iter()
            .flatten()
            .map(|(name, value)| (Some(name.as_str()), value))
            .chain(all.map(|value| (None, value)))
    }
}

impl<T> From<T> for PerColumn<T> {
    fn from(value: T) -> PerColumn<T> {
        PerColumn::All(value)
    }
}
