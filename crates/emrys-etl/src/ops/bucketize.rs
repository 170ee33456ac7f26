//! See [`Bucketize`].

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
use serde::{Deserialize, Serialize};

use super::PerColumn;
use super::columns::each_column;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Numbers the intervals between boundaries: the bucket is the number of boundaries that are less
/// than or equal to the value.
///
/// # Output
/// The same columns as `int32`, from 0 to the number of boundaries.
/// # Schema
/// Adds `categorical` and the domain `0..=boundaries`.
/// # Nulls, NaN and empty input
/// Null and NaN go to the last bucket, as in Merlin; fill them first to tell them apart.
/// # Unseen values
/// Not applicable: every number has a bucket.
/// # List columns
/// Each element.
/// # Errors
/// At build: no boundaries for a column; boundaries that do not increase; a column that is not
/// numeric.
/// # Compared with Merlin
/// The schema has a domain, so that models know how many rows an embedding needs.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::Bucketize};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("age", DType::Int64)])?;
/// let output = Workflow::new(cols(["age"]) >> Bucketize::new([18.0, 35.0])).output_schema(&schema)?;
/// assert_eq!(output.get("age").unwrap().cardinality(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucketize {
    boundaries: PerColumn<Vec<f64>>,
}

impl Bucketize {
    /// The same boundaries for all columns.
    pub fn new(boundaries: impl Into<Vec<f64>>) -> Bucketize {
        Bucketize {
            boundaries: PerColumn::All(boundaries.into()),
        }
    }

    /// Boundaries for each column.
    pub fn per_column(
        boundaries: impl IntoIterator<Item = (impl Into<String>, impl Into<Vec<f64>>)>,
    ) -> Bucketize {
        let boundaries = boundaries
            .into_iter()
            .map(|(name, list)| (name.into(), list.into()));
        Bucketize {
            boundaries: PerColumn::ByColumn(boundaries.collect()),
        }
    }

    fn of(&self, column: &str) -> Result<&Vec<f64>> {
        self.boundaries
            .get(column)
            .ok_or_else(|| Error::InvalidOption {
                operator: "bucketize".to_owned(),
                option: "boundaries".to_owned(),
                value: "given by column".to_owned(),
                expected: format!("there are none for `{column}`"),
            })
    }
}

impl Operator for Bucketize {
    type State = ();

    fn name() -> &'static str {
        "Bucketize"
    }

    fn description() -> &'static str {
        "Numbers the intervals between boundaries."
    }

    fn check(&self) -> Result<()> {
        for (column, boundaries) in self.boundaries.iter() {
            let name = column
                .map(|name| format!(" for `{name}`"))
                .unwrap_or_default();
            if boundaries.is_empty() {
                return Err(Error::InvalidOption {
                    operator: "bucketize".to_owned(),
                    option: "boundaries".to_owned(),
                    value: format!("empty{name}"),
                    expected: "at least one boundary is needed".to_owned(),
                });
            }
            if let Some(pair) = boundaries.windows(2).find(|pair| !(pair[0] < pair[1])) {
                return Err(Error::Data {
                    operator: "bucketize".to_owned(),
                    problem: format!(
                        "boundaries{name} must increase, got {} after {}; sort them or remove \
                         duplicates",
                        pair[1], pair[0]
                    ),
                });
            }
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_numeric()?;
        let columns: Result<Vec<ColumnSchema>> = input
            .columns()
            .map(|column| {
                let last = self.of(column.name())?.len();
                let domain = Domain::int(0, i64::try_from(last).unwrap_or(i64::MAX));
                Ok(column
                    .clone()
                    .with_dtype(DType::Int32)
                    .with_domain(domain.named(column.name()))
                    .with_tags([Tag::Categorical]))
            })
            .collect();
        Ok(Schema::new(columns?)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        each_column(input, |column, expr, _| {
            let function = BucketOf {
                boundaries: self.of(column.name())?.clone(),
                signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
            };
            Ok(ScalarUDF::new_from_impl(function).call(vec![cast(expr, DataType::Float64)]))
        })
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "A value on a boundary goes up.",
            config: serde_json::json!({"boundaries": [0, 2, 3]}),
            input: serde_json::json!({"x": [-3, 1, 2, 4]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"x": [0, 1, 2, 3]}),
        }]
    }
}

/// The binary search, as a function of the engine.
#[derive(Debug, PartialEq)]
struct BucketOf {
    boundaries: Vec<f64>,
    signature: Signature,
}

impl Eq for BucketOf {}

impl Hash for BucketOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.boundaries
            .iter()
            .for_each(|boundary| boundary.to_bits().hash(state));
    }
}

impl ScalarUDFImpl for BucketOf {
    fn name(&self) -> &'static str {
        "bucketize"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        let values = array.as_primitive::<Float64Type>();
        let bucket = |value: Option<f64>| {
            let bucket = match value {
                Some(value) if !value.is_nan() => self
                    .boundaries
                    .partition_point(|boundary| *boundary <= value),
                _ => self.boundaries.len(),
            };
            i32::try_from(bucket).unwrap_or(i32::MAX)
        };
        let buckets: Int32Array = values.iter().map(|value| Some(bucket(value))).collect();
        debug_assert_eq!(buckets.len(), array.len());
        Ok(ColumnarValue::Array(Arc::new(buckets)))
    }
}
