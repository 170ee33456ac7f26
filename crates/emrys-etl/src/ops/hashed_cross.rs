//! See [`HashedCross`].

use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, lit};
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, DType, Domain, Schema};
use serde::{Deserialize, Serialize};

use super::PerColumn;
use super::columns::groups;
use super::hash_bucket::{check_buckets, embedding_size};
use crate::functions::value_hash;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Maps each combination of the values of several columns to one of a fixed number of buckets.
///
/// # Output
/// One column `<a>_X_<b>` for each group of columns, `int32` from 0 to `num_buckets - 1`. Columns
/// that stand by themselves form one group together.
/// # Schema
/// The domain `0..=num_buckets - 1` and `embedding_sizes`; no tags, as in NVTabular: add them with
/// `TagAs`.
/// # Nulls, NaN and empty input
/// Null and NaN are a value like others.
/// # Unseen values
/// Hashed like all others: nothing is fitted.
/// # List columns
/// Refused.
/// # Errors
/// At build: a group of fewer than two columns; a list; no number of buckets for a group, or one
/// that is 0 or beyond `int32`.
/// # Compared with Merlin
/// Every group is crossed for itself; Merlin crosses all columns of all groups. The order of the
/// columns counts, and equal values do not cancel: Merlin puts all rows with `a = b` into bucket 0.
/// # Example
/// ```
/// use emrys_etl::{Workflow, group, ops::HashedCross};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new(["city", "hour"].map(|name| ColumnSchema::new(name, DType::Int64)))?;
/// let crossed = group(["city", "hour"]) >> HashedCross::new(100);
/// assert_eq!(Workflow::new(crossed).output_schema(&schema)?.names(), ["city_X_hour"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// # References
/// Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems", arXiv:1606.07792.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashedCross {
    num_buckets: PerColumn<u32>,
}

/// A cross: its members and what it is called.
struct Cross {
    members: Vec<String>,
    name: String,
    num_buckets: u32,
}

impl HashedCross {
    /// The same number of buckets for all groups.
    pub fn new(num_buckets: u32) -> HashedCross {
        HashedCross {
            num_buckets: PerColumn::All(num_buckets),
        }
    }

    /// A number of buckets for each group, by the name of its output (`a_X_b`).
    pub fn per_cross(
        num_buckets: impl IntoIterator<Item = (impl Into<String>, u32)>,
    ) -> HashedCross {
        let by_name = num_buckets.into_iter().map(|(name, n)| (name.into(), n));
        HashedCross {
            num_buckets: PerColumn::ByColumn(by_name.collect()),
        }
    }

    fn crosses(&self, input: &InputSchema) -> Result<Vec<Cross>> {
        groups(input)
            .into_iter()
            .map(|group| self.cross(group))
            .collect()
    }

    fn cross(&self, members: Vec<String>) -> Result<Cross> {
        let name = members.join("_X_");
        let invalid = |option: &str, value: String, expected: &str| Error::InvalidOption {
            operator: "hashed_cross".to_owned(),
            option: option.to_owned(),
            value,
            expected: expected.to_owned(),
        };
        if members.len() < 2 {
            return Err(invalid(
                "columns",
                format!("`{name}` alone"),
                "a cross needs at least two; put columns into groups",
            ));
        }
        let num_buckets = self.num_buckets.get(&name).copied().ok_or_else(|| {
            let value = "given by cross".to_owned();
            invalid(
                "num_buckets",
                value,
                &format!("there are none for `{name}`"),
            )
        })?;
        Ok(Cross {
            members,
            name,
            num_buckets,
        })
    }
}

impl Operator for HashedCross {
    type State = ();

    fn name() -> &'static str {
        "HashedCross"
    }

    fn description() -> &'static str {
        "Maps each combination of the values of several columns to one of a fixed number of buckets."
    }

    fn check(&self) -> Result<()> {
        check_buckets("hashed_cross", &self.num_buckets)
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_scalars()?;
        let crosses = self.crosses(input)?.into_iter().map(|cross| {
            let domain = Domain::int(0, i64::from(cross.num_buckets) - 1);
            ColumnSchema::new(&cross.name, DType::Int32)
                .with_domain(domain.named(&cross.name))
                .with_embedding_size(embedding_size(cross.num_buckets))
        });
        Ok(Schema::new(crosses)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let mut outputs = Vec::new();
        for cross in self.crosses(input)? {
            let members: Result<Vec<Expr>> =
                cross.members.iter().map(|name| input.expr(name)).collect();
            let hash = value_hash(input.operator(), members?);
            let bucket = hash % lit(u64::from(cross.num_buckets));
            outputs.push((cross.name, cast(bucket, DataType::Int32)));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Equal pairs share a bucket; the pair turned round has another.",
            config: serde_json::json!({"num_buckets": 1000}),
            input: serde_json::json!({"a": ["x", "y", "x"], "b": ["y", "x", "y"]}),
            selection: serde_json::json!([["a", "b"]]),
            output: serde_json::json!({"a_X_b": [548, 165, 548]}),
        }]
    }
}
