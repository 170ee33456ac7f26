//! Options that are one value or a list of them.

use serde::{Deserialize, Serialize};

/// One value, or several: NVTabular takes both `"user"` and `["user", "session"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    /// One value, written without a list.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values in order.
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::One(value) => std::slice::from_ref(value),
            OneOrMany::Many(values) => values,
        }
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> OneOrMany<T> {
        OneOrMany::Many(Vec::new())
    }
}

impl<T, I: Into<T>> FromIterator<I> for OneOrMany<T> {
    fn from_iter<Items: IntoIterator<Item = I>>(values: Items) -> OneOrMany<T> {
        OneOrMany::Many(values.into_iter().map(Into::into).collect())
    }
}
