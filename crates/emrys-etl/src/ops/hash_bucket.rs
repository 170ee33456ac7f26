//! See [`HashBucket`].

use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, lit};
use emrys_schema::{ColumnSchema, DType, Domain, EmbeddingSize, Schema, Tag};
use serde::{Deserialize, Serialize};

use super::columns::each_column;
use super::{EmbeddingRule, PerColumn};
use crate::functions::value_hash;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Maps each value to one of a fixed number of buckets by its hash.
///
/// The hash is that of [`hash`](crate::hash), a function of the value alone: the same value has the
/// same bucket in every row, run and machine. Different values may share a bucket.
///
/// # Output
/// The same columns as `int32`, from 0 to `num_buckets - 1`. Columns for which no number is given
/// are passed through.
/// # Schema
/// Adds `categorical`, the domain `0..=num_buckets` (NVTabular's, so that its models fit; no value
/// is `num_buckets`) and `embedding_sizes` for `num_buckets` rows.
/// # Nulls, NaN and empty input
/// Null and NaN have a bucket of their own choice, like values: the last hash modulo
/// `num_buckets`.
/// # Unseen values
/// Hashed like all others: nothing is fitted.
/// # List columns
/// Each element; lists keep their lengths, null lists stay null.
/// # Errors
/// At build: a number of buckets that is 0 or beyond `int32`.
/// # Compared with Merlin
/// Merlin's hash on the CPU depends on the number of the row. Lists are supported.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::HashBucket};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("url", DType::String)])?;
/// let output = Workflow::new(cols(["url"]) >> HashBucket::new(1000)).output_schema(&schema)?;
/// assert_eq!(output.get("url").unwrap().embedding_size().unwrap().cardinality, 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashBucket {
    num_buckets: PerColumn<u32>,
}

impl HashBucket {
    /// The same number of buckets for all columns.
    pub fn new(num_buckets: u32) -> HashBucket {
        HashBucket {
            num_buckets: PerColumn::All(num_buckets),
        }
    }

    /// A number of buckets for each column; others are passed through.
    pub fn per_column(
        num_buckets: impl IntoIterator<Item = (impl Into<String>, u32)>,
    ) -> HashBucket {
        let by_column = num_buckets.into_iter().map(|(name, n)| (name.into(), n));
        HashBucket {
            num_buckets: PerColumn::ByColumn(by_column.collect()),
        }
    }
}

/// Refuses numbers of buckets that have no place in `int32`.
pub(super) fn check_buckets(operator: &str, num_buckets: &PerColumn<u32>) -> Result<()> {
    for (column, number) in num_buckets.iter() {
        if *number == 0 || i32::try_from(*number).is_err() {
            let column = column.map(|name| format!(" for `{name}`"));
            return Err(Error::InvalidOption {
                operator: operator.to_owned(),
                option: "num_buckets".to_owned(),
                value: format!("{number}{}", column.unwrap_or_default()),
                expected: format!("it must lie between 1 and {}", i32::MAX),
            });
        }
    }
    Ok(())
}

/// The size of an embedding of so many buckets.
pub(super) fn embedding_size(num_buckets: u32) -> EmbeddingSize {
    let cardinality = u64::from(num_buckets);
    EmbeddingSize {
        cardinality,
        dimension: EmbeddingRule::default().dimension(cardinality),
    }
}

impl Operator for HashBucket {
    type State = ();

    fn name() -> &'static str {
        "HashBucket"
    }

    fn description() -> &'static str {
        "Maps each value to one of a fixed number of buckets by its hash."
    }

    fn check(&self) -> Result<()> {
        check_buckets("hash_bucket", &self.num_buckets)
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let hashed = |column: &ColumnSchema| match self.num_buckets.get(column.name()) {
            None => column.clone(),
            Some(number) => column
                .clone()
                .with_dtype(DType::Int32)
                .with_domain(Domain::int(0, i64::from(*number)))
                .with_embedding_size(embedding_size(*number))
                .with_tags([Tag::Categorical]),
        };
        Ok(Schema::new(input.columns().map(hashed))?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        each_column(input, |column, expr, _| {
            let Some(number) = self.num_buckets.get(column.name()) else {
                return Ok(expr);
            };
            let hash = value_hash(input.operator(), vec![expr]);
            Ok(cast(hash % lit(u64::from(*number)), DataType::Int32))
        })
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Equal values share a bucket, wherever they are.",
            config: serde_json::json!({"num_buckets": 1000}),
            input: serde_json::json!({"item": ["item_42", "a", "item_42"], "tags": [["a"], [], null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"item": [283, 504, 283], "tags": [[504], [], null]}),
        }]
    }
}
