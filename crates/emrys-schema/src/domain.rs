//! The range of a column's values.

use serde::{Deserialize, Serialize};

/// The closed range of a column's values, with an optional name.
///
/// Columns whose integer domains have the same name index the same vocabulary, and so share one
/// embedding table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Domain {
    /// A range of integers.
    Int {
        /// The vocabulary that the values index.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A range of real numbers.
    Float {
        /// The name of the range.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
}

impl Domain {
    /// The integers from `min` to `max`.
    pub fn int(min: i64, max: i64) -> Domain {
        Domain::Int { name: None, min, max }
    }

    /// The real numbers from `min` to `max`.
    pub fn float(min: f64, max: f64) -> Domain {
        Domain::Float { name: None, min, max }
    }

    /// The same range under a name.
    #[must_use]
    pub fn named(mut self, new_name: impl Into<String>) -> Domain {
        let (Domain::Int { name, .. } | Domain::Float { name, .. }) = &mut self;
        *name = Some(new_name.into());
        self
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&str> {
        let (Domain::Int { name, .. } | Domain::Float { name, .. }) = self;
        name.as_deref()
    }

    /// The greatest integer, for an integer domain.
    pub fn int_max(&self) -> Option<i64> {
        match self {
            Domain::Int { max, .. } => Some(*max),
            Domain::Float { .. } => None,
        }
    }
}
