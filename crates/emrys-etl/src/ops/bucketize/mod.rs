//! See [`Bucketize`].

mod bucket;

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::logical_expr::cast;
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PerColumn;
use super::columns::each_column;
use super::distributions::{self, Distributions};
use crate::operator::{
    ArtifactReader, ArtifactWriter, Example, FitResults, InputSchema, Lowered, NewIds, Operator,
    Relation, State, Statistic,
};
use crate::{Error, Result};

use bucket::bucket_of;

/// Numbers the intervals between boundaries: the bucket is the number of boundaries that are less
/// than or equal to the value.
///
/// # Fits
/// Nothing if boundaries are given. With [`quantiles`](Bucketize::quantiles), the count of every
/// distinct value of each column, in one query per column that spills to disk if memory is short;
/// the state holds 24 bytes for each distinct value, so that more data can be added; where memory
/// is limited, on disk if they take too much of it. With
/// [`with_approximate`](Bucketize::with_approximate), 1.5 MiB per column in one scan for all.
/// # Output
/// The same columns as `int32`, from 0 to the number of boundaries.
/// # Schema
/// Adds `categorical` and the domain `0..=boundaries`, which for quantiles is known after fitting.
/// # Nulls, NaN and empty input
/// Null and NaN go to the last bucket, as in Merlin; fill them first to tell them apart. They do
/// not count for quantiles; a column without any value has no boundaries.
/// # Unseen values
/// Values beyond those that quantiles were fitted on go to the first or the last bucket.
/// # List columns
/// Each element.
/// # Errors
/// At build: no boundaries for a column; boundaries that do not increase; fewer than 2 quantiles or
/// more than 1,048,576; a column that is not numeric.
/// # Compared with Merlin
/// The schema has a domain, so that models know how many rows an embedding needs. Merlin has no
/// quantiles.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boundaries: Option<PerColumn<Vec<f64>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quantiles: Option<PerColumn<u32>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
}

/// What [`Bucketize`] learns for quantiles; nothing for given boundaries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quantiles {
    boundaries: BTreeMap<String, Vec<f64>>,
    distributions: Distributions,
}

impl Bucketize {
    /// The same boundaries for all columns.
    pub fn new(boundaries: impl Into<Vec<f64>>) -> Bucketize {
        Bucketize::with_boundaries(PerColumn::All(boundaries.into()))
    }

    /// Boundaries for each column.
    pub fn per_column(
        boundaries: impl IntoIterator<Item = (impl Into<String>, impl Into<Vec<f64>>)>,
    ) -> Bucketize {
        let boundaries = boundaries
            .into_iter()
            .map(|(name, list)| (name.into(), list.into()));
        Bucketize::with_boundaries(PerColumn::ByColumn(boundaries.collect()))
    }

    fn with_boundaries(boundaries: PerColumn<Vec<f64>>) -> Bucketize {
        Bucketize {
            boundaries: Some(boundaries),
            quantiles: None,
            approximate: false,
        }
    }

    /// Boundaries that put the rows into `buckets` buckets of the same size, from 2 to 1,048,576,
    /// learned from the data: linear between the two values around each cut, as NumPy's quantiles.
    ///
    /// There are fewer buckets where one value fills several.
    pub fn quantiles(buckets: u32) -> Bucketize {
        Bucketize::with_quantiles(PerColumn::All(buckets))
    }

    /// As [`quantiles`](Bucketize::quantiles), with a number of buckets for each column.
    pub fn quantiles_per_column(
        buckets: impl IntoIterator<Item = (impl Into<String>, u32)>,
    ) -> Bucketize {
        let buckets = buckets.into_iter().map(|(name, n)| (name.into(), n));
        Bucketize::with_quantiles(PerColumn::ByColumn(buckets.collect()))
    }

    fn with_quantiles(buckets: PerColumn<u32>) -> Bucketize {
        Bucketize {
            boundaries: None,
            quantiles: Some(buckets),
            approximate: false,
        }
    }

    /// Whether values near the quantiles will do; off by default. See
    /// [`FillMedian::with_approximate`](super::FillMedian::with_approximate).
    #[must_use]
    pub fn with_approximate(mut self, approximate: bool) -> Bucketize {
        self.approximate = approximate;
        self
    }

    /// The boundaries of a column; `None` if they are quantiles that are not fitted yet.
    fn boundaries<'a>(
        &'a self,
        column: &str,
        state: Option<&'a Quantiles>,
    ) -> Result<Option<&'a [f64]>> {
        if let Some(given) = &self.boundaries {
            let given = given
                .get(column)
                .ok_or_else(|| none_for("boundaries", column))?;
            return Ok(Some(given));
        }
        self.buckets(column)?;
        Ok(state
            .and_then(|state| state.boundaries.get(column))
            .map(Vec::as_slice))
    }

    fn buckets(&self, column: &str) -> Result<u32> {
        let quantiles = self.quantiles.as_ref();
        let buckets = quantiles.and_then(|quantiles| quantiles.get(column));
        buckets
            .copied()
            .ok_or_else(|| none_for("quantiles", column))
    }

    fn state(&self, distributions: Distributions, input: &InputSchema) -> Result<Quantiles> {
        let mut boundaries = BTreeMap::new();
        for column in input.columns() {
            let name = column.name();
            let distribution = distributions.get(input, name)?;
            let mut cuts = distribution.quantiles(self.buckets(name)?);
            // No value would be in the first bucket below a cut at the least value.
            cuts.retain(|cut| distribution.min().is_some_and(|min| *cut > min));
            boundaries.insert(name.to_owned(), cuts);
        }
        Ok(Quantiles {
            boundaries,
            distributions,
        })
    }
}

fn none_for(option: &str, column: &str) -> Error {
    invalid(
        option,
        "given by column".to_owned(),
        format!("there are none for `{column}`"),
    )
}

fn invalid(option: &str, value: String, expected: impl Into<String>) -> Error {
    Error::InvalidOption {
        operator: "bucketize".to_owned(),
        option: option.to_owned(),
        value,
        expected: expected.into(),
    }
}

fn for_column(column: Option<&str>) -> String {
    column
        .map(|name| format!(" for `{name}`"))
        .unwrap_or_default()
}

/// All boundaries are held in memory.
const MOST_QUANTILES: u32 = 1 << 20;

fn check_boundaries(boundaries: &PerColumn<Vec<f64>>) -> Result<()> {
    for (column, boundaries) in boundaries.iter() {
        let name = for_column(column);
        if boundaries.is_empty() {
            let expected = "at least one boundary is needed";
            return Err(invalid("boundaries", format!("empty{name}"), expected));
        }
        let mut pairs = boundaries.iter().zip(boundaries.iter().skip(1));
        if let Some((before, after)) = pairs.find(|(before, after)| !(before < after)) {
            return Err(Error::Data {
                operator: "bucketize".to_owned(),
                problem: format!(
                    "boundaries{name} must increase, got {after} after {before}; sort them or \
                     remove duplicates"
                ),
            });
        }
    }
    Ok(())
}

impl State for Quantiles {
    /// The boundaries follow from the distributions and the options, but are stored too, to be
    /// read by people.
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        if *self == Quantiles::default() {
            return Ok(Value::Null);
        }
        let exact = |list: &Vec<f64>| list.iter().map(f64::to_string).collect::<Vec<_>>();
        let boundaries: BTreeMap<&String, Vec<String>> = self
            .boundaries
            .iter()
            .map(|(name, list)| (name, exact(list)))
            .collect();
        let distributions = self.distributions.save(artifacts)?;
        Ok(serde_json::json!({"boundaries": boundaries, "distributions": distributions}))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Quantiles> {
        #[derive(Deserialize)]
        struct Saved {
            boundaries: BTreeMap<String, Vec<String>>,
            distributions: Value,
        }
        if saved.is_null() {
            return Ok(Quantiles::default());
        }
        let saved: Saved =
            serde_json::from_value(saved).map_err(|error| artifacts.wrong(error.to_string()))?;
        let mut boundaries = BTreeMap::new();
        for (name, texts) in saved.boundaries {
            let list: Result<Vec<f64>, _> = texts.iter().map(|text| text.parse()).collect();
            let list = list.map_err(|_| artifacts.wrong("a boundary is not a number"))?;
            boundaries.insert(name, list);
        }
        Ok(Quantiles {
            boundaries,
            distributions: Distributions::load(saved.distributions, artifacts)?,
        })
    }
}

impl Operator for Bucketize {
    type State = Quantiles;

    fn name() -> &'static str {
        "Bucketize"
    }

    fn description() -> &'static str {
        "Numbers the intervals between boundaries, given or quantiles."
    }

    fn check(&self) -> Result<()> {
        match (&self.boundaries, &self.quantiles) {
            (Some(boundaries), None) => check_boundaries(boundaries),
            (None, Some(quantiles)) => {
                let allowed = 2..=MOST_QUANTILES;
                match quantiles.iter().find(|(_, n)| !allowed.contains(n)) {
                    None => Ok(()),
                    Some((column, n)) => Err(invalid(
                        "quantiles",
                        format!("{n}{}", for_column(column)),
                        format!("from 2 to {MOST_QUANTILES} buckets can be asked for"),
                    )),
                }
            }
            (Some(_), Some(_)) => Err(invalid(
                "quantiles",
                "given with boundaries".to_owned(),
                "only one of the two can be",
            )),
            (None, None) => Err(invalid(
                "boundaries",
                "not given".to_owned(),
                "boundaries or quantiles are needed",
            )),
        }
    }

    fn learns(&self) -> bool {
        self.quantiles.is_some()
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&Quantiles>) -> Result<Schema> {
        input.require_numeric()?;
        let columns: Result<Vec<ColumnSchema>> = input
            .columns()
            .map(|column| {
                let name = column.name();
                let last = match self.boundaries(name, state)? {
                    Some(boundaries) => i64::try_from(boundaries.len()).unwrap_or(i64::MAX),
                    None => i64::from(self.buckets(name)?) - 1,
                };
                Ok(column
                    .clone()
                    .with_dtype(DType::Int32)
                    .with_domain(Domain::int(0, last).named(name))
                    .with_tags([Tag::Categorical]))
            })
            .collect();
        Ok(Schema::new(columns?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        if self.quantiles.is_none() {
            return Ok(Vec::new());
        }
        let of_column = |column| distributions::statistics(input, column, self.approximate);
        let statistics: Result<Vec<Vec<Statistic>>> = input.columns().map(of_column).collect();
        Ok(statistics?.into_iter().flatten().collect())
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<Quantiles> {
        if self.quantiles.is_none() {
            return Ok(Quantiles::default());
        }
        let distributions = Distributions::fit(input.columns(), self.approximate, &mut results)?;
        self.state(distributions, input)
    }

    fn refit(
        &self,
        state: &Quantiles,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<Quantiles> {
        if self.quantiles.is_none() {
            return Ok(state.clone());
        }
        let storage = results.storage.clone();
        let new = self.fit(input, results)?;
        let distributions = state.distributions.merged(&new.distributions, &storage)?;
        self.state(distributions, input)
    }

    fn lower(&self, state: &Quantiles, input: &Relation) -> Result<Lowered> {
        each_column(input, |column, expr, _| {
            let name = column.name();
            let boundaries = self
                .boundaries(name, Some(state))?
                .ok_or_else(|| super::columns::not_fitted(input, name))?;
            Ok(bucket_of(
                boundaries.to_vec(),
                cast(expr, DataType::Float64),
            ))
        })
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "A value on a boundary goes up.",
                config: serde_json::json!({"boundaries": [0, 2, 3]}),
                input: serde_json::json!({"x": [-3, 1, 2, 4]}),
                selection: Value::Null,
                output: serde_json::json!({"x": [0, 1, 2, 3]}),
            },
            Example {
                title: "Four buckets with a quarter of the rows each.",
                config: serde_json::json!({"quantiles": 4}),
                input: serde_json::json!({"x": [9.5, 1.0, 3.0, 2.0, 8.0, 70.0, 6.0, 4.0]}),
                selection: Value::Null,
                output: serde_json::json!({"x": [3, 0, 1, 0, 2, 3, 2, 1]}),
            },
        ]
    }
}
