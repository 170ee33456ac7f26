//! See [`Dropna`].

use datafusion::logical_expr::utils::conjunction;
use datafusion::prelude::Expr;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use super::columns::is_missing;
use crate::Result;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};

/// Keeps the rows in which no column is missing.
///
/// # Output
/// The same columns, in the same order; fewer rows. The outputs cannot be combined with columns
/// that still have all rows.
/// # Schema
/// Unchanged.
/// # Nulls, NaN and empty input
/// A row goes if any of the columns is null in it, or NaN in a column of floats.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// A null list is missing; an empty list and a list with nulls inside are not.
/// # Errors
/// At fit: no row is left for an operator that needs some.
/// # Compared with Merlin
/// Merlin pads branches from which no rows were dropped; here combining them is an error.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::Dropna};
/// # use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use std::sync::Arc;
/// # let rating: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(2), None]));
/// # let batch = RecordBatch::try_from_iter([("rating", rating)]).unwrap();
/// # let ratings = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let rated = Workflow::new(cols(["rating"]) >> Dropna).fit(&ratings)?;
/// let rows: usize = rated.transform(&ratings)?.collect()?.iter().map(|b| b.num_rows()).sum();
/// assert_eq!(rows, 2);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NoOptions", into = "NoOptions")]
pub struct Dropna;

/// The stored form: an object without keys, as of all operators.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl From<NoOptions> for Dropna {
    fn from(_: NoOptions) -> Dropna {
        Dropna
    }
}

impl From<Dropna> for NoOptions {
    fn from(_: Dropna) -> NoOptions {
        NoOptions {}
    }
}

impl Operator for Dropna {
    type State = ();

    fn name() -> &'static str {
        "Dropna"
    }

    fn description() -> &'static str {
        "Keeps the rows in which no column is missing."
    }

    fn changes_rows(&self, _state: Option<&()>) -> Result<bool> {
        Ok(true)
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        Ok(input.schema().clone())
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let present = |column: &emrys_schema::ColumnSchema| -> Result<Expr> {
            let name = column.name();
            let missing = is_missing(input.expr(name)?, &input.arrow_type(name)?);
            Ok(!missing)
        };
        let present: Result<Vec<Expr>> = input.columns().map(present).collect();
        Ok(Lowered::Rows(match conjunction(present?) {
            Some(all) => input.filter(all)?,
            None => input.dataframe()?,
        }))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "One missing value is enough.",
            config: serde_json::json!({}),
            input: serde_json::json!({"a": [1, null, 3, 4], "b": ["x", "y", null, "z"]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"a": [1, 4], "b": ["x", "z"]}),
        }]
    }
}
