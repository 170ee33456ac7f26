//! See [`ColumnSimilarity`].

mod features;
mod similarity;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::columns::groups;
use crate::operator::{
    ArtifactReader, ArtifactWriter, Example, FitResults, InputSchema, Lowered, NewIds, Operator,
    Relation, State,
};
use crate::{Error, Result};

use features::Features;

/// Measures how similar two columns of ids are, by the features of the ids.
///
/// The values of the columns are rows of a sparse matrix of features, such as the words of each
/// article. The matrix is a table with the columns `row`, `col` and `data`, one row for each entry
/// that is not zero; entries of the same place are added. It becomes part of the saved workflow.
///
/// | metric | similarity of the rows `p` and `q` |
/// |---|---|
/// | `inner` | the sum of the products of their entries |
/// | `cosine` | the same, after each row was divided by its length |
/// | `tfidf` (the default) | the same, after entries were multiplied by `ln(rows / count)`, where `count` is how many rows have the column, and each row was divided by its length |
///
/// # Fits
/// Reads the matrix; no data.
/// # Output
/// A column `<a>_<b>_sim` for each group of two columns, `float64`. Two columns without a group are
/// a pair.
/// # Schema
/// Tagged `continuous`.
/// # Nulls, NaN and empty input
/// Null if one of the two ids is. A row of the matrix without entries is similar to nothing: 0.
/// # Unseen values
/// An id that is negative or not below the number of rows has no features: null.
/// # List columns
/// Refused.
/// # Errors
/// At build: a group that is no pair; ids that are not integers; no matrix. At fit: a file that
/// cannot be read, a table without the three columns, an entry outside of the shape.
/// # Compared with Merlin
/// Ids without features give null; Merlin fails. The features are stored with the workflow.
/// # Example
/// ```
/// use emrys_etl::{Workflow, group, ops::ColumnSimilarity};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new(["read", "shown"].map(|name| ColumnSchema::new(name, DType::Int64)))?;
/// let similar = group(["read", "shown"]) >> ColumnSimilarity::parquet("words.parquet");
/// assert_eq!(Workflow::new(similar).output_schema(&schema)?.names(), ["read_shown_sim"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSimilarity {
    /// `None` for a matrix given in memory, which is stored with the state.
    #[serde(default)]
    left_features: Option<PathBuf>,
    #[serde(default)]
    right_features: Option<PathBuf>,
    #[serde(default)]
    shape: Option<(u64, u64)>,
    #[serde(default)]
    metric: Metric,
    /// That a table of their own was given for the right column, which is not stored here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    right_in_memory: bool,
    #[serde(skip)]
    given_left: Option<RecordBatch>,
    #[serde(skip)]
    given_right: Option<RecordBatch>,
}

/// How similar two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Cosine of the entries weighted by how rare their columns are.
    #[default]
    TfIdf,
    /// Cosine of the entries.
    Cosine,
    /// The inner product of the entries.
    Inner,
}

/// What [`ColumnSimilarity`] learns: the features as the metric needs them.
#[derive(Debug, Clone)]
pub struct FeatureMatrices {
    left: Arc<Features>,
    /// The same as the left one unless another was given.
    right: Arc<Features>,
}

impl ColumnSimilarity {
    /// The features of a parquet file, for the ids of both columns.
    pub fn parquet(path: impl Into<PathBuf>) -> ColumnSimilarity {
        ColumnSimilarity::of(Some(path.into()), None)
    }

    /// The features of a table in memory, for the ids of both columns.
    pub fn table(features: RecordBatch) -> ColumnSimilarity {
        ColumnSimilarity::of(None, Some(features))
    }

    fn of(left_features: Option<PathBuf>, given_left: Option<RecordBatch>) -> ColumnSimilarity {
        ColumnSimilarity {
            left_features,
            right_features: None,
            right_in_memory: false,
            shape: None,
            metric: Metric::default(),
            given_left,
            given_right: None,
        }
    }

    /// Other features for the ids of the second column, from a parquet file; those of the first
    /// column by default.
    #[must_use]
    pub fn with_right_parquet(mut self, path: impl Into<PathBuf>) -> ColumnSimilarity {
        self.right_features = Some(path.into());
        self
    }

    /// Other features for the ids of the second column, from a table in memory; those of the first
    /// column by default.
    #[must_use]
    pub fn with_right_table(mut self, features: RecordBatch) -> ColumnSimilarity {
        self.given_right = Some(features);
        self.right_in_memory = true;
        self
    }

    /// The numbers of rows and columns of the matrices; by default as many as have entries.
    ///
    /// Rows without entries count for `tfidf`.
    #[must_use]
    pub fn with_shape(mut self, rows: u64, columns: u64) -> ColumnSimilarity {
        self.shape = Some((rows, columns));
        self
    }

    /// The metric, `tfidf` by default.
    #[must_use]
    pub fn with_metric(mut self, metric: Metric) -> ColumnSimilarity {
        self.metric = metric;
        self
    }

    fn load(
        &self,
        path: Option<&PathBuf>,
        given: Option<&RecordBatch>,
    ) -> Result<Option<Arc<Features>>> {
        let batch = match (path, given) {
            (_, Some(batch)) => batch.clone(),
            (Some(path), None) => features::read(path)?,
            (None, None) => return Ok(None),
        };
        let features = Features::new(&batch, self.shape)?;
        Ok(Some(Arc::new(match self.metric {
            Metric::Inner => features,
            Metric::Cosine => features.normalised(),
            Metric::TfIdf => features.weighted_by_rarity().normalised(),
        })))
    }

    fn pairs(&self, input: &InputSchema) -> Result<Vec<(String, String)>> {
        let pair = |group: Vec<String>| match <[String; 2]>::try_from(group) {
            Ok([left, right]) => Ok((left, right)),
            Err(group) => Err(Error::InvalidOption {
                operator: "column_similarity".to_owned(),
                option: "columns".to_owned(),
                value: format!("a group of {} ({})", group.len(), group.join(", ")),
                expected: "two columns are compared; put each pair into a group".to_owned(),
            }),
        };
        groups(input).into_iter().map(pair).collect()
    }
}

impl State for FeatureMatrices {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let left = self.left.save("left_features.parquet", artifacts)?;
        let same = Arc::ptr_eq(&self.left, &self.right);
        let right = match same {
            true => None,
            false => Some(self.right.save("right_features.parquet", artifacts)?),
        };
        Ok(json!({ "left": left, "right": right }))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<FeatureMatrices> {
        let left = Arc::new(Features::load(&saved["left"], artifacts)?);
        let right = match &saved["right"] {
            Value::Null => Arc::clone(&left),
            stored => Arc::new(Features::load(stored, artifacts)?),
        };
        Ok(FeatureMatrices { left, right })
    }
}

impl Operator for ColumnSimilarity {
    type State = FeatureMatrices;

    fn name() -> &'static str {
        "ColumnSimilarity"
    }

    fn description() -> &'static str {
        "Measures how similar two columns of ids are, by the features of the ids."
    }

    fn output_schema(
        &self,
        input: &InputSchema,
        _state: Option<&FeatureMatrices>,
    ) -> Result<Schema> {
        input.require_scalars()?;
        let mut columns = Vec::new();
        for (left, right) in self.pairs(input)? {
            for name in [&left, &right] {
                input.require(input.column(name)?, "an integer", DType::is_integer)?;
            }
            columns.push(
                ColumnSchema::new(format!("{left}_{right}_sim"), DType::Float64)
                    .with_tags([Tag::Continuous]),
            );
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<FeatureMatrices> {
        let left = self.load(self.left_features.as_ref(), self.given_left.as_ref())?;
        let left = left.ok_or_else(|| Error::InvalidOption {
            operator: "column_similarity".to_owned(),
            option: "left_features".to_owned(),
            value: "not given".to_owned(),
            expected: "name the parquet file of the features".to_owned(),
        })?;
        let right = self.load(self.right_features.as_ref(), self.given_right.as_ref())?;
        let right = match right {
            None if self.right_in_memory => {
                return Err(Error::InvalidOption {
                    operator: "column_similarity".to_owned(),
                    option: "right_features".to_owned(),
                    value: "a table in memory, which is not there any more".to_owned(),
                    expected: "name the parquet file of the features".to_owned(),
                });
            }
            right => right.unwrap_or_else(|| Arc::clone(&left)),
        };
        Ok(FeatureMatrices { left, right })
    }

    /// The features do not depend on the data.
    fn refit(
        &self,
        state: &FeatureMatrices,
        _input: &InputSchema,
        _results: FitResults,
        _ids: NewIds,
    ) -> Result<FeatureMatrices> {
        Ok(state.clone())
    }

    fn lower(&self, state: &FeatureMatrices, input: &Relation) -> Result<Lowered> {
        let mut outputs = Vec::new();
        for (left, right) in self.pairs(input)? {
            let similarity = similarity::similarity(state, input.expr(&left)?, input.expr(&right)?);
            outputs.push((format!("{left}_{right}_sim"), similarity));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        // The features are a file, which an example does not have; see the tests.
        Vec::new()
    }
}
