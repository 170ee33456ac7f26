//! See [`DropLowCardinality`].

use emrys_schema::{ColumnSchema, Schema, Tag};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::operator::{Example, FitResults, InputSchema, Lowered, NewIds, Operator, Relation};

/// Leaves out categorical columns with few categories.
///
/// A column goes if it is tagged `categorical` and the greatest value of its domain is less than
/// [`with_min_cardinality`](DropLowCardinality::with_min_cardinality). The ids 0 to 2 of
/// `Categorify` count: a column with two values has the domain 0 to 4.
///
/// # Fits
/// Which columns are kept, from the domains that are known once the operators before are fitted.
/// No data are read.
/// # Output
/// The columns that are kept, in the same order, unchanged.
/// # Schema
/// Unchanged, but for the columns left out. Before fitting all columns seem to be kept.
/// # Nulls, NaN and empty input
/// Values are not looked at.
/// # Unseen values
/// Not applicable: the decision is made in fitting and stays.
/// # List columns
/// As others.
/// # Errors
/// At fit: an operator after this one names a column that was left out.
/// # Compared with Merlin
/// Columns that are not categorical are kept; Merlin fails at them.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::{Categorify, DropLowCardinality}};
/// # use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use std::sync::Arc;
/// # let same: ArrayRef = Arc::new(Int64Array::from(vec![7, 7, 7]));
/// # let user: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
/// # let batch = RecordBatch::try_from_iter([("same", same), ("user", user)]).unwrap();
/// # let data = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let ids = cols(["same", "user"]) >> Categorify::default() >> DropLowCardinality::default();
/// assert_eq!(Workflow::new(ids).fit(&data)?.output_schema().names(), ["user"]);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropLowCardinality {
    min_cardinality: u64,
}

/// What [`DropLowCardinality`] learns: the columns that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptColumns {
    columns: Vec<String>,
}

impl Default for DropLowCardinality {
    /// Columns with one category go.
    fn default() -> DropLowCardinality {
        DropLowCardinality { min_cardinality: 4 }
    }
}

impl DropLowCardinality {
    /// The least greatest id of a column that is kept, 4 by default: at least two categories.
    #[must_use]
    pub fn with_min_cardinality(mut self, min: u64) -> DropLowCardinality {
        self.min_cardinality = min;
        self
    }

    fn keeps(&self, column: &ColumnSchema) -> bool {
        let greatest = column.domain().and_then(|domain| domain.int_max());
        // A column whose domain is not known may have any number of categories.
        !column.has_tag(Tag::Categorical)
            || greatest.is_none_or(|max| i128::from(max) >= i128::from(self.min_cardinality))
    }
}

fn kept<'a>(
    input: &'a InputSchema,
    state: Option<&'a KeptColumns>,
) -> impl Iterator<Item = &'a ColumnSchema> {
    input.columns().filter(move |column| {
        state.is_none_or(|state| state.columns.iter().any(|name| name == column.name()))
    })
}

impl Operator for DropLowCardinality {
    type State = KeptColumns;

    fn name() -> &'static str {
        "DropLowCardinality"
    }

    fn description() -> &'static str {
        "Leaves out categorical columns with few categories."
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&KeptColumns>) -> Result<Schema> {
        Ok(Schema::new(kept(input, state).cloned())?)
    }

    fn fit(&self, input: &InputSchema, _results: FitResults) -> Result<KeptColumns> {
        let kept = input.columns().filter(|column| self.keeps(column));
        Ok(KeptColumns {
            columns: kept.map(|column| column.name().to_owned()).collect(),
        })
    }

    fn refit(
        &self,
        _state: &KeptColumns,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<KeptColumns> {
        self.fit(input, results)
    }

    fn lower(&self, state: &KeptColumns, input: &Relation) -> Result<Lowered> {
        let outputs: Result<Vec<_>> = kept(input, Some(state))
            .map(|column| Ok((column.name().to_owned(), input.expr(column.name())?)))
            .collect();
        Ok(Lowered::Columns(outputs?))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Columns that are not categorical stay.",
            config: serde_json::json!({"min_cardinality": 5}),
            input: serde_json::json!({"price": [1.5, 2.5], "name": ["x", "x"]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"price": [1.5, 2.5], "name": ["x", "x"]}),
        }]
    }
}
