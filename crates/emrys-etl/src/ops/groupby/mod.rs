//! See [`Groupby`].

mod exec;
mod groups;
mod operator;
mod table;

use serde::{Deserialize, Serialize};

use super::aggregates::Aggregates;
use super::one_or_many::OneOrMany;
use crate::functions::Aggregate;
pub(crate) use table::GroupTable;

/// Makes one row of all rows with the same keys, such as a session of its events.
///
/// The rows of a group are put into the order of the sort columns; rows that are equal in these
/// stay in the order of the data set. Aggregates are [`Aggregate`]'s: lists and their ends,
/// counts, sums, moments, medians and extremes.
///
/// # Output
/// The keys that are among the inputs, then for each other input and each of its aggregates
/// `<column>_<aggregate>`, in the order of the inputs. One row per distinct key, over the whole data
/// set however it is partitioned, sorted by the keys.
///
/// `count`, `nunique` and `len` are `int32`; `sum`, `mean`, `median`, `std` and `var` are `float32`,
/// or sums of integers integers of 64 bits by option; lists have elements of the column's type;
/// the rest keeps it.
///
/// All rows are sorted by keys and sort columns, on disk where a memory limit asks for it, and each
/// group is aggregated when its last row has come: memory is needed for the longest group, not for
/// all of them.
/// # Schema
/// Lists, their ends and extremes keep tags, domain and properties; lists get a dimension in front.
/// What counts or measures keeps the tags of the entity (user, item, session, context).
/// # Nulls, NaN and empty input
/// Rows with a missing key are left out, unless
/// [`with_null_keys`](Groupby::with_null_keys) asks for them. Missing sort values come last. Lists
/// and their ends keep missing values; the other aggregates leave them out. The sum of no values is
/// 0; means, medians and extremes of none are null. No rows in, no rows out.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// `list` makes lists of lists; `first`, `last`, `len` and `count` work on lists as on other values.
/// Keys and sort columns must hold single values.
/// # Errors
/// At build: an unknown column or aggregate; an aggregate of numbers of a column that has none; two
/// outputs of one name; as many directions as there are not sort columns. At transform: an integer
/// sum that does not fit into 64 bits.
/// # Compared with Merlin
/// Groups are of the whole data set, where Merlin's are of each partition. Rows that were filtered
/// before are not in any group. Integer sums can stay exact. Counts are not tagged as the column
/// that is counted, and lists are lists in the schema whatever the column is called.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::{Aggregate, Groupby}};
/// # use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
/// # use arrow::datatypes::Int64Type;
/// # use std::sync::Arc;
/// # let column = |values: [i64; 4]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
/// # let batch = RecordBatch::try_from_iter([
/// #     ("user", column([2, 1, 2, 1])), ("item", column([10, 20, 30, 40])), ("ts", column([5, 1, 3, 2])),
/// # ]).unwrap();
/// # let events = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let sessions = Groupby::new(["user"])
///     .with_sort_cols(["ts"])
///     .with_column_aggs([("item", vec![Aggregate::List, Aggregate::Count])]);
/// let fitted = Workflow::new(cols(["user", "item", "ts"]) >> sessions).fit(&events)?;
/// let rows = &fitted.transform(&events)?.collect()?[0];
/// assert_eq!(fitted.output_schema().names(), ["user", "item_list", "item_count"]);
/// let items = rows.column(1).as_list::<i32>();
/// assert_eq!(items.value(0).as_primitive::<Int64Type>().values(), &[20, 40]);
/// assert_eq!(items.value(1).as_primitive::<Int64Type>().values(), &[30, 10]);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groupby {
    groupby_cols: OneOrMany<String>,
    #[serde(default)]
    sort_cols: OneOrMany<String>,
    #[serde(default = "lists")]
    aggs: Aggregates,
    #[serde(default = "underscore")]
    name_sep: String,
    #[serde(default = "ascending")]
    ascending: OneOrMany<bool>,
    #[serde(default)]
    integer_sums: bool,
    #[serde(default)]
    null_keys: bool,
    #[serde(default)]
    max_length: Option<u64>,
    #[serde(default)]
    min_length: u64,
}

fn lists() -> Aggregates {
    Aggregates::all([Aggregate::List])
}

fn underscore() -> String {
    "_".to_owned()
}

fn ascending() -> OneOrMany<bool> {
    OneOrMany::One(true)
}

impl Groupby {
    /// Groups by the values of one or several columns; lists of all other inputs, in the order of
    /// the data set.
    pub fn new(keys: impl IntoIterator<Item = impl Into<String>>) -> Groupby {
        Groupby {
            groupby_cols: keys.into_iter().collect(),
            sort_cols: OneOrMany::default(),
            aggs: lists(),
            name_sep: underscore(),
            ascending: ascending(),
            integer_sums: false,
            null_keys: false,
            max_length: None,
            min_length: 0,
        }
    }

    /// The columns by which the rows of a group are sorted, such as a time. They need not be among
    /// the inputs.
    #[must_use]
    pub fn with_sort_cols(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.sort_cols = columns.into_iter().collect();
        self
    }

    /// Whether rows are sorted from the least to the greatest value, as by default.
    ///
    /// If not, lists begin with the greatest value, but `first` still means the least one, as if
    /// the sort column were a time: the end of the list.
    #[must_use]
    pub fn with_ascending(mut self, ascending: bool) -> Self {
        self.ascending = OneOrMany::One(ascending);
        self
    }

    /// The direction of each sort column; the one of the first column decides which end of a list
    /// is `first`.
    #[must_use]
    pub fn with_directions(mut self, ascending: impl IntoIterator<Item = bool>) -> Self {
        self.ascending = ascending.into_iter().collect();
        self
    }

    /// The aggregates of every input that is not a key; lists by default.
    #[must_use]
    pub fn with_aggs(mut self, aggregates: impl IntoIterator<Item = Aggregate>) -> Self {
        self.aggs = Aggregates::all(aggregates);
        self
    }

    /// Aggregates by column; inputs that are not named do not come out.
    #[must_use]
    pub fn with_column_aggs(
        mut self,
        columns: impl IntoIterator<Item = (impl Into<String>, impl IntoIterator<Item = Aggregate>)>,
    ) -> Self {
        self.aggs = Aggregates::by_column(columns);
        self
    }

    /// What stands between column and aggregate in the names of the outputs, `_` by default.
    #[must_use]
    pub fn with_name_sep(mut self, separator: impl Into<String>) -> Self {
        self.name_sep = separator.into();
        self
    }

    /// Cuts lists to the latest elements: those at the end, or at the start where the first sort
    /// column descends. Other aggregates still see the whole group.
    #[must_use]
    pub fn with_max_length(mut self, elements: u64) -> Self {
        self.max_length = Some(elements);
        self
    }

    /// Leaves out groups of fewer rows.
    #[must_use]
    pub fn with_min_length(mut self, rows: u64) -> Self {
        self.min_length = rows;
        self
    }

    /// Sums integers as `int64` or `uint64` instead of `float32`; off by default, as in Merlin.
    #[must_use]
    pub fn with_integer_sums(mut self, integers: bool) -> Self {
        self.integer_sums = integers;
        self
    }

    /// Makes groups of rows with missing keys too, which come last; off by default, as in Merlin.
    #[must_use]
    pub fn with_null_keys(mut self, groups: bool) -> Self {
        self.null_keys = groups;
        self
    }

    /// Whether lists begin with the earliest rows.
    fn is_ascending(&self) -> bool {
        self.ascending.as_slice().first().copied().unwrap_or(true)
    }

    /// Sort columns with their directions.
    fn order(&self) -> Vec<(String, bool)> {
        let columns = self.sort_cols.as_slice().iter();
        columns
            .enumerate()
            .map(|(i, column)| {
                let direction = match &self.ascending {
                    OneOrMany::One(direction) => *direction,
                    OneOrMany::Many(directions) => directions.get(i).copied().unwrap_or(true),
                };
                (column.clone(), direction)
            })
            .collect()
    }
}
