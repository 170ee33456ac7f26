//! See [`ListAggregate`].

use emrys_schema::{ColumnSchema, Schema, Shape, Tag};
use serde::{Deserialize, Serialize};

use super::aggregates::{Aggregates, require_type, result_column};
use super::columns::require_list;
use crate::Result;
use crate::functions::{Aggregate, RangeAggregate, list_aggregate};
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};

/// Makes single values of lists: their length, ends, sums, means, extremes and so on.
///
/// # Output
/// For each column and each of its aggregates `<column>_<aggregate>`; the lists themselves do not
/// come out. `len`, `count` and `nunique` are `int32`; `sum`, `mean`, `median`, `std` and `var` are
/// `float32`, or sums of integers integers of 64 bits by option; the rest has the elements' type.
/// # Schema
/// Ends and extremes keep tags (without `list` and `sequence`), domain and properties; what counts
/// or measures keeps the tags of the entity (user, item, session, context).
/// # Nulls, NaN and empty input
/// Null lists give null. Of an empty list, `len`, `count`, `nunique` and `sum` are 0 and the others
/// null. `len` counts missing elements and ends may be missing; the rest leaves them out, NaN too.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Only those; of lists of lists, the outer lists are taken, so that `first` gives a list.
/// # Errors
/// At build: a column without lists; an aggregate of numbers of elements that are none; an unknown
/// aggregate. At transform: an integer sum that does not fit into 64 bits.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::{Aggregate, ListAggregate}};
/// use emrys_schema::{ColumnSchema, DType, Schema, Shape};
///
/// let prices = ColumnSchema::new("prices", DType::Float64).with_shape(Shape::ragged(0, None));
/// let node = cols(["prices"]) >> ListAggregate::new([Aggregate::Len, Aggregate::Max]);
/// let output = Workflow::new(node).output_schema(&Schema::new([prices])?)?;
/// assert_eq!(output.names(), ["prices_len", "prices_max"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListAggregate {
    aggs: Aggregates,
    #[serde(default = "underscore")]
    name_sep: String,
    #[serde(default)]
    integer_sums: bool,
}

fn underscore() -> String {
    "_".to_owned()
}

/// All but the list, which is there already.
const ALLOWED: &[Aggregate] = Aggregate::ALL.split_at(1).1;

impl ListAggregate {
    /// The same aggregates for all columns.
    pub fn new(aggregates: impl IntoIterator<Item = Aggregate>) -> ListAggregate {
        ListAggregate::of(Aggregates::all(aggregates))
    }

    /// Aggregates by column; inputs that are not named do not come out.
    pub fn per_column(
        columns: impl IntoIterator<Item = (impl Into<String>, impl IntoIterator<Item = Aggregate>)>,
    ) -> ListAggregate {
        ListAggregate::of(Aggregates::by_column(columns))
    }

    fn of(aggs: Aggregates) -> ListAggregate {
        ListAggregate {
            aggs,
            name_sep: underscore(),
            integer_sums: false,
        }
    }

    /// What stands between column and aggregate in the names of the outputs, `_` by default.
    #[must_use]
    pub fn with_name_sep(mut self, separator: impl Into<String>) -> Self {
        self.name_sep = separator.into();
        self
    }

    /// Sums integers as `int64` or `uint64` instead of `float32`; off by default.
    #[must_use]
    pub fn with_integer_sums(mut self, integers: bool) -> Self {
        self.integer_sums = integers;
        self
    }

    /// The aggregates that come out, in order: column, aggregate and name.
    fn outputs<'a>(
        &self,
        input: &'a InputSchema,
    ) -> Result<Vec<(&'a ColumnSchema, RangeAggregate, String)>> {
        let outputs = self.aggs.of(input)?.into_iter().map(|(column, kind)| {
            let name = format!("{}{}{kind}", column.name(), self.name_sep);
            let integer_sums = self.integer_sums;
            (column, RangeAggregate { kind, integer_sums }, name)
        });
        Ok(outputs.collect())
    }
}

impl Operator for ListAggregate {
    type State = ();

    fn name() -> &'static str {
        "ListAggregate"
    }

    fn description() -> &'static str {
        "Makes single values of lists, such as their lengths and means."
    }

    fn check(&self) -> Result<()> {
        self.aggs.check("list_aggregate", ALLOWED)
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let mut columns = Vec::new();
        for (column, aggregate, name) in self.outputs(input)? {
            require_list(input, column)?;
            let inner = column.shape().dims().get(1..).unwrap_or_default().to_vec();
            require_type(input, column, aggregate.kind, !inner.is_empty())?;
            let result = result_column(column, name, aggregate);
            columns.push(match aggregate.kind {
                Aggregate::First | Aggregate::Last if !inner.is_empty() => {
                    result.with_shape(Shape::new(inner))
                }
                _ => result
                    .with_shape(Shape::SCALAR)
                    .without_tags([Tag::List, Tag::Sequence]),
            });
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let outputs = self.outputs(input)?.into_iter();
        let columns: Result<Vec<_>> = outputs
            .map(|(column, aggregate, name)| {
                Ok((name, list_aggregate(input.expr(column.name())?, aggregate)))
            })
            .collect();
        Ok(Lowered::Columns(columns?))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Lengths and means; missing elements do not count in means.",
                config: serde_json::json!({"aggs": ["len", "mean"]}),
                input: serde_json::json!({"x": [[1.0, 2.0], [null, 4.0], [], null]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x_len": [2, 2, 0, null], "x_mean": [1.5, 4.0, null, null]}),
            },
            Example {
                title: "The last item of a session, and its prices summed without rounding.",
                config: serde_json::json!({
                    "aggs": {"items": "last", "cents": "sum"}, "integer_sums": true,
                }),
                input: serde_json::json!({"items": [["a", "b"], ["c"]], "cents": [[999, 1], []]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"items_last": ["b", "c"], "cents_sum": [1000, 0]}),
            },
        ]
    }
}
