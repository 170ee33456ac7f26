//! See [`Filter`].

use arrow::datatypes::DataType;
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result, expression};

/// Keeps the rows for which a condition holds.
///
/// The condition is an SQL expression over the columns of the input, and over other columns of the
/// same rows.
///
/// # Output
/// The same columns, in the same order; fewer rows. The outputs cannot be combined with columns
/// that still have all rows.
/// # Schema
/// Unchanged.
/// # Nulls, NaN and empty input
/// As in SQL: a row goes if the condition is null. NaN is greater than all numbers.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Kept; conditions may use SQL's functions on lists, such as `array_length(genres) > 1`.
/// # Errors
/// At build: text that is no expression, an unknown column. At fit: no row is left for an operator
/// that needs some.
/// # Compared with Merlin
/// Merlin pads branches that were not filtered with nulls; here combining them is an error.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::Filter};
/// # use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use std::sync::Arc;
/// # let rating: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(2), None]));
/// # let batch = RecordBatch::try_from_iter([("rating", rating)]).unwrap();
/// # let ratings = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let liked = Workflow::new(cols(["rating"]) >> Filter::new("rating > 3")).fit(&ratings)?;
/// let rows: usize = liked.transform(&ratings)?.collect()?.iter().map(|b| b.num_rows()).sum();
/// assert_eq!(rows, 1);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    expr: String,
}

impl Filter {
    /// Keeps the rows for which an SQL expression is true.
    pub fn new(sql: impl Into<String>) -> Filter {
        Filter { expr: sql.into() }
    }

    /// Keeps the rows for which a DataFusion expression is true.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if it cannot be written as SQL, which
    /// is how workflows store it.
    pub fn expr(expr: &Expr) -> Result<Filter> {
        Ok(Filter {
            expr: expression::stored("filter", expr)?,
        })
    }
}

impl Operator for Filter {
    type State = ();

    fn name() -> &'static str {
        "Filter"
    }

    fn description() -> &'static str {
        "Keeps the rows for which a condition holds."
    }

    fn check(&self) -> Result<()> {
        expression::check("filter", &self.expr)
    }

    fn dependencies(&self) -> Vec<String> {
        expression::column_names(&self.expr)
    }

    fn changes_rows(&self, _state: Option<&()>) -> Result<bool> {
        Ok(true)
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let result = expression::output_type("filter", &self.expr, input, None)?;
        if let Some(field) = result.filter(|field| field.data_type() != &DataType::Boolean) {
            let values = ColumnSchema::from_arrow(&field)?;
            return Err(Error::InvalidOption {
                operator: "filter".to_owned(),
                option: "expr".to_owned(),
                value: format!("`{}`", self.expr),
                expected: format!(
                    "its values are {}; write a condition, which is true or false",
                    values.dtype()
                ),
            });
        }
        Ok(input.schema().clone())
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let predicate = input.parse_sql("expr", &self.expr, None)?;
        Ok(Lowered::Rows(input.filter(predicate)?))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Rows whose condition is null go too.",
            config: serde_json::json!({"expr": "rating > 3"}),
            input: serde_json::json!({"rating": [5, 2, null], "item": ["a", "b", "c"]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"rating": [5], "item": ["a"]}),
        }]
    }
}
