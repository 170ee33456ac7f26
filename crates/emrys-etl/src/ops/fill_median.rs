//! See [`FillMedian`].

use std::collections::BTreeMap;

use datafusion::logical_expr::{cast, lit, when};
use datafusion::scalar::ScalarValue;
use emrys_schema::{ColumnSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns::{each_column, flag_columns, flags, is_missing, not_fitted};
use super::distributions::{self, Distributions};
use crate::functions::{Distribution, Number};
use crate::operator::{
    ArtifactReader, ArtifactWriter, Example, FitResults, InputSchema, Lowered, NewIds, Operator,
    Relation, State, Statistic,
};
use crate::{Error, Result};

/// Puts the median of a column in the place of missing values.
///
/// # Fits
/// The count of every distinct value of each column, in one query per column that spills to disk
/// if memory is short; the median is read from the sorted counts. The state holds 24 bytes for each
/// distinct value, so that more data can be added; where memory is limited, on disk if they take
/// too much of it (see [`StateStorage`](crate::StateStorage)). With
/// [`with_approximate`](FillMedian::with_approximate), counts of at most 65,536 groups of
/// neighbouring values, in one scan for all columns: 1.5 MiB per column, whatever its size.
/// # Output
/// The same columns and dtypes; with [`with_flags`](FillMedian::with_flags), after them a boolean
/// `<column>_filled` for each. The median of an even number of values is the mean of the two in the
/// middle; in columns of integers it is rounded, halves to even.
/// # Schema
/// Unchanged, but for the flags.
/// # Nulls, NaN and empty input
/// Null is filled, and so is NaN in float columns; neither counts for the median. A column without
/// any value has no median: it stays as it is.
/// # Unseen values
/// Not applicable: only missing values are replaced.
/// # List columns
/// Missing elements are filled with the median of all elements; null lists stay null, and a flag
/// tells of a null list.
/// # Errors
/// At build: a column that is not numeric.
/// # Compared with Merlin
/// Merlin merges percentiles of partitions, which can be far from the median. Integers stay
/// integers.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::FillMedian};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("age", DType::Int64)])?;
/// let filled = cols(["age"]) >> FillMedian::default().with_flags(true);
/// assert_eq!(Workflow::new(filled).output_schema(&schema)?.names(), ["age", "age_filled"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FillMedian {
    add_binary_cols: bool,
    approximate: bool,
}

/// What [`FillMedian`] learns: how the values of each column are spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Medians {
    distributions: Distributions,
    /// Read from the distributions once; none for a column without values.
    medians: BTreeMap<String, Option<Number>>,
}

impl Medians {
    fn new(distributions: Distributions) -> Medians {
        let medians = distributions.map(Distribution::median);
        Medians {
            distributions,
            medians,
        }
    }
}

impl FillMedian {
    /// Adds a boolean column `<column>_filled` for each column, that says which values were
    /// missing; off by default.
    #[must_use]
    pub fn with_flags(mut self, flags: bool) -> FillMedian {
        self.add_binary_cols = flags;
        self
    }

    /// Whether a value near the median will do; off by default.
    ///
    /// The time and memory of fitting then do not depend on the number of distinct values. The
    /// value is the same whatever the order of the rows and the number of threads. It is off by
    /// less than a tenth of a percent of the rows, unless more than that lie closer together than
    /// one part in a thousand while others spread over tens of orders of magnitude.
    #[must_use]
    pub fn with_approximate(mut self, approximate: bool) -> FillMedian {
        self.approximate = approximate;
        self
    }
}

impl State for Medians {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        self.distributions.save(artifacts)
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Medians> {
        Ok(Medians::new(Distributions::load(saved, artifacts)?))
    }
}

fn literal(median: Number) -> ScalarValue {
    match median {
        Number::Float(value) => ScalarValue::from(value),
        // A value of a column of integers, of which the unsigned ones reach further.
        Number::Int(value) => match i64::try_from(value) {
            Ok(value) => ScalarValue::from(value),
            Err(_) => ScalarValue::from(u64::try_from(value).unwrap_or(u64::MAX)),
        },
    }
}

impl Operator for FillMedian {
    type State = Medians;

    fn name() -> &'static str {
        "FillMedian"
    }

    fn description() -> &'static str {
        "Puts the median of a column in the place of missing values."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&Medians>) -> Result<Schema> {
        input.require_numeric()?;
        let mut columns: Vec<ColumnSchema> = input.columns().cloned().collect();
        if self.add_binary_cols {
            columns.extend(flag_columns(input));
        }
        Ok(Schema::new(columns)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let of_column = |column| distributions::statistics(input, column, self.approximate);
        let statistics: Result<Vec<Vec<Statistic>>> = input.columns().map(of_column).collect();
        Ok(statistics?.into_iter().flatten().collect())
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<Medians> {
        let distributions = Distributions::fit(input.columns(), self.approximate, &mut results)?;
        Ok(Medians::new(distributions))
    }

    fn refit(
        &self,
        state: &Medians,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<Medians> {
        let storage = results.storage.clone();
        let new = self.fit(input, results)?;
        let distributions = state.distributions.merged(&new.distributions, &storage)?;
        Ok(Medians::new(distributions))
    }

    fn lower(&self, state: &Medians, input: &Relation) -> Result<Lowered> {
        let filled = each_column(input, |column, expr, leaf| {
            let median = state.medians.get(column.name());
            let median = median.ok_or_else(|| not_fitted(input, column.name()))?;
            let Some(median) = *median else {
                return Ok(expr);
            };
            when(
                is_missing(expr.clone(), leaf),
                cast(lit(literal(median)), leaf.clone()),
            )
            .otherwise(expr)
            .map_err(Error::query("building an expression"))
        })?;
        let Lowered::Columns(mut outputs) = filled else {
            return Err(Error::Internal("columns were lowered to rows".to_owned()));
        };
        if self.add_binary_cols {
            outputs.extend(flags(input)?);
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Missing values become the one in the middle.",
                config: serde_json::json!({"add_binary_cols": true}),
                input: serde_json::json!({"x": [0, 1, 2, null, 0, 1, 2]}),
                selection: Value::Null,
                output: serde_json::json!({
                    "x": [0, 1, 2, 1, 0, 1, 2],
                    "x_filled": [false, false, false, true, false, false, false],
                }),
            },
            Example {
                title: "An even number of values; approximately.",
                config: serde_json::json!({"approximate": true}),
                input: serde_json::json!({"x": [4.0, 1.0, null, 2.0, 3.5]}),
                selection: Value::Null,
                output: serde_json::json!({"x": [4.0, 1.0, 2.75, 2.0, 3.5]}),
            },
        ]
    }
}
