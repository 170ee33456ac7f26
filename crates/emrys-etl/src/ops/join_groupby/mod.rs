//! See [`JoinGroupby`].

mod distinct;
mod lookup;
mod operator;
mod records;
mod stat;

use serde::{Deserialize, Serialize};

pub use records::GroupStatistics;
pub use stat::Stat;

/// What messages and files call the operator.
const OPERATOR: &str = "join_groupby";

/// Gives each row the statistics of all training rows with the same key.
///
/// # Fits
/// One group-by for each column or group of the selection, and one more for each column whose
/// distinct values are counted. Sums are kept in twice the precision of `float64`, integers are
/// summed exactly; the result does not depend on the partitioning. Memory: for each key 8 bytes for
/// the number of rows and 24 to 64 for each column, and the look-up table; with a limit of memory
/// the engine sorts on disk, and tables that take too much of it are looked up there (see
/// [`StateStorage`](crate::StateStorage)).
///
/// Learning from more data gives what fitting on the old and the new data at once would give, but
/// for `nunique`, which is refused: numbers of distinct values do not add up.
/// # Output
/// `<group>_count`, and `<group>_<column>_<statistic>` for each of `cont_cols`; the inputs do not
/// come out. Rows and their order are kept. `count` and `nunique` are `int32` and end with its
/// greatest number; `mean`, `std` and `var` are `float32`; `min` and `max` have the type of the
/// column, and so has `sum` for floats; sums of integers are `int64`, or `uint64` for `uint64`.
/// # Schema
/// The tags of the column without `target` and its kinds; `<group>_count` has the tags of the
/// first key without `categorical` and `id`. Domains and properties are dropped.
/// # Nulls, NaN and empty input
/// A null or NaN key is a key like any other. Null and NaN values do not count, but for `count`,
/// which is the number of rows. A key without values has the sum 0, and null for everything else;
/// `std` and `var` of a single value are null.
/// # Unseen values
/// Null for every statistic.
/// # List columns
/// Refused at build.
/// # Errors
/// At build: no statistic; statistics of values without `cont_cols`; an unknown column, or one
/// that is no number. At transform: a sum of integers that 64 bits do not hold.
/// # Compared with Merlin
/// Merlin divides means and variances by the number of rows, nulls among the values included, gives
/// null keys wrong and even infinite statistics, fails for unseen keys with `count`, cannot count
/// alone, keeps narrow integers for sums, and passes the target's tag on to the features.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::{JoinGroupby, Stat}};
/// # use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, RecordBatch, StringArray};
/// # use arrow::datatypes::{Float32Type, Int32Type};
/// # use std::sync::Arc;
/// # let user: ArrayRef = Arc::new(StringArray::from(vec!["ann", "bob", "ann"]));
/// # let price: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 5.0, 2.0]));
/// # let batch = RecordBatch::try_from_iter([("user", user), ("price", price)]).unwrap();
/// # let sales = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let join = JoinGroupby::of(["price"]).with_stats([Stat::Count, Stat::Mean]);
/// let fitted = Workflow::new(cols(["user"]) >> join).fit(&sales)?;
/// let rows = fitted.transform(&sales)?.collect()?;
/// let (count, mean) = (&rows[0]["user_count"], &rows[0]["user_price_mean"]);
/// assert_eq!(count.as_primitive::<Int32Type>().values(), &[2, 1, 2]);
/// assert_eq!(mean.as_primitive::<Float32Type>().values(), &[1.5, 5.0, 1.5]);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
/// # References
/// NVTabular's `JoinGroupby`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JoinGroupby {
    cont_cols: Option<Vec<String>>,
    stats: Vec<Stat>,
    name_sep: String,
}

impl Default for JoinGroupby {
    fn default() -> JoinGroupby {
        JoinGroupby {
            cont_cols: None,
            stats: vec![Stat::Count],
            name_sep: "_".to_owned(),
        }
    }
}

impl JoinGroupby {
    /// The number of rows with the same key.
    pub fn new() -> JoinGroupby {
        JoinGroupby::default()
    }

    /// Statistics of the values of columns; set with [`with_stats`](JoinGroupby::with_stats).
    pub fn of(columns: impl IntoIterator<Item = impl Into<String>>) -> JoinGroupby {
        JoinGroupby {
            cont_cols: Some(columns.into_iter().map(Into::into).collect()),
            ..JoinGroupby::default()
        }
    }

    /// Which statistics come out; default [`Stat::Count`].
    #[must_use]
    pub fn with_stats(mut self, stats: impl IntoIterator<Item = Stat>) -> JoinGroupby {
        self.stats = stats.into_iter().collect();
        self
    }

    /// Joins the names of outputs with this; default `_`.
    #[must_use]
    pub fn with_name_sep(mut self, separator: impl Into<String>) -> JoinGroupby {
        self.name_sep = separator.into();
        self
    }
}
