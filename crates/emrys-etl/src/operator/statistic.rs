//! What fitting needs to know, said declaratively.

use std::collections::HashMap;

use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;

use super::GroupedRows;
use crate::storage::Storage;
use crate::{Error, Result};

/// One thing that fitting needs to know of the data.
#[derive(Debug, Clone)]
pub enum Statistic {
    /// One number over all rows. All aggregates of a round over the same rows are computed in one
    /// query.
    Aggregate {
        /// The name under which the result is found in [`FitResults`].
        name: String,
        /// An aggregate expression.
        expr: Expr,
    },
    /// Aggregates for each distinct key, in a query of its own.
    Grouped(GroupedStatistic),
    /// The same for keys of which there may be more than memory holds.
    ///
    /// With a limit of memory the engine sorts the rows, on disk if it must, so that they can be
    /// used as a stream: [`GroupedRows::is_ordered`] says so. Without one they come as they are.
    Large {
        /// What is counted.
        grouped: GroupedStatistic,
        /// The order of the rows, by keys and aggregates.
        order: Vec<Order>,
    },
}

/// A column that rows are ordered by; nulls come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The name of a key or of an aggregate.
    pub column: String,
    /// Whether the greatest comes first, but for nulls.
    pub descending: bool,
}

impl Order {
    /// The least value first.
    pub fn rising(column: impl Into<String>) -> Order {
        Order {
            column: column.into(),
            descending: false,
        }
    }

    /// The greatest value first.
    pub fn falling(column: impl Into<String>) -> Order {
        Order {
            column: column.into(),
            descending: true,
        }
    }
}

/// Aggregates for each distinct key, or over all rows if there is no key.
#[derive(Debug, Clone)]
pub struct GroupedStatistic {
    /// The name under which the result is found in [`FitResults`].
    pub name: String,
    /// Where keys and values come from; several sources are stacked below each other.
    pub sources: Vec<Source>,
    /// Names of the columns of the sources to group by.
    pub keys: Vec<String>,
    /// Aggregates over the columns of the sources, with the names of their results.
    pub aggregates: Vec<(String, Expr)>,
}

/// Columns that a [`GroupedStatistic`] works on.
#[derive(Debug, Clone)]
pub struct Source {
    /// Names and expressions; stacked sources have the same names.
    pub columns: Vec<(String, Expr)>,
    /// A list column among them, to be taken apart into one row per leaf.
    pub flatten: Option<String>,
}

/// The results of an operator's statistics.
#[derive(Debug, Default)]
pub struct FitResults {
    pub(crate) aggregates: HashMap<String, ScalarValue>,
    pub(crate) grouped: HashMap<String, GroupedRows>,
    /// Where states made from the results are to lie.
    pub(crate) storage: Storage,
}

impl FitResults {
    /// The result of a [`Statistic::Aggregate`].
    ///
    /// # Errors
    /// [`Error::Internal`] if it was not asked for.
    pub fn aggregate(&self, name: &str) -> Result<&ScalarValue> {
        self.aggregates
            .get(name)
            .ok_or_else(|| Error::Internal(format!("aggregate `{name}` was not computed")))
    }

    /// The result of an aggregate as a number; `None` if it is null.
    ///
    /// # Errors
    /// [`Error::Internal`] if it was not asked for or is not a number.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        let value = self.aggregate(name)?;
        if value.is_null() {
            return Ok(None);
        }
        match value.cast_to(&arrow::datatypes::DataType::Float64) {
            Ok(ScalarValue::Float64(number)) => Ok(number),
            _ => Err(Error::Internal(format!(
                "aggregate `{name}` is not a number: {value}"
            ))),
        }
    }

    /// Takes the result of a [`Statistic::Grouped`] or [`Statistic::Large`]: rows of the keys, then
    /// the aggregates.
    ///
    /// # Errors
    /// [`Error::Internal`] if it was not asked for.
    pub fn take_grouped(&mut self, name: &str) -> Result<GroupedRows> {
        self.grouped
            .remove(name)
            .ok_or_else(|| Error::Internal(format!("grouped statistic `{name}` was not computed")))
    }
}
