//! See [`Categorify`].

mod build;
mod embedding_rule;
mod encode;
mod files;
mod layout;
mod state;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{cast, lit};
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PerColumn;
use crate::lookup::common_type;
use crate::operator::{
    Example, FitResults, GroupedStatistic, InputSchema, Lowered, Operator, Relation, Source,
    Statistic, leaf_type, map_leaves,
};
use crate::{Error, Result};

pub use embedding_rule::EmbeddingRule;
pub use encode::IdType;
pub use state::Vocabularies;
pub use vocabulary::{Observed, Vocabulary};

use layout::{Output, Plan};

/// Maps each category to a dense integer id, most frequent first.
///
/// | id | meaning |
/// |---|---|
/// | 0 | padding; never given to a value |
/// | 1 | null or NaN |
/// | 2 to 1 + B | values that are not in the vocabulary, by their hash; B is `num_buckets`, or 1 |
/// | 2 + B and up | the vocabulary, by falling count; equal counts by rising value |
///
/// A selection may hold groups of columns. With [`EncodeType::Joint`] the columns of a group share
/// one vocabulary, and each is encoded; with [`EncodeType::Combo`] the group's tuples of values are
/// the categories, and one column comes out.
///
/// # Fits
/// Counts every distinct value of every column or group, one query each over only its columns, in
/// one round. Lists are counted by element. Strings are ordered by their bytes, tuples member by
/// member with null first; the vocabulary does not depend on the partitioning. Memory: the distinct
/// values with their counts.
/// # Output
/// One column per input under the same name, for a combination one column under the joined names;
/// single columns come before groups. Rows and their order are kept. `int64` unless
/// [`id_type`](Categorify::id_type) says otherwise; no id is null.
/// # Schema
/// Tag `categorical`; domain from 0 to cardinality - 1 under the vocabulary's name (shared by
/// the columns of a group); properties `num_buckets`, `freq_threshold`, `max_size`, `cat_path` (the
/// name of the vocabulary's file in a saved workflow) and `embedding_sizes`. Domain and
/// `embedding_sizes` are known once it is fitted. Tags and properties of the input are kept, except
/// for combinations.
/// # Nulls, NaN and empty input
/// Null and NaN become 1, and so does a combination of nothing but nulls; with a null among other
/// members it is a category like any other. -0.0 is 0.0. A column without any value has the
/// cardinality 3.
/// # Unseen values
/// Become `2 + hash % B`, a function of the value alone (see [`hash`](crate::hash)); for a
/// combination, of the exclusive or of its members' hashes.
/// # List columns
/// Each element is encoded, a null element as 1; lengths are kept, null lists stay null. Lists
/// cannot be combined, but may share a vocabulary with other columns.
/// # Errors
/// At build: `freq_threshold` together with `max_size`; `num_buckets` of 0; a `max_size` too small
/// for the reserved ids; an option for a column that is not selected; columns of different kinds
/// that share a vocabulary; a combination of lists, or with a given vocabulary. At fit: more
/// categories than the id type can number; a given vocabulary with repeated values, of another type
/// than its column, or in a file that cannot be read. At transform: a fraction in a column whose
/// vocabulary holds integers.
/// # Compared with Merlin
/// Same ids as NVTabular 23.06 and later, with its defects mended: ties are ordered by value
/// whatever the number of values; buckets depend on the value alone; nulls in lists are nulls;
/// null lists, columns of nothing but nulls, and integers that arrive as floats work; groups with
/// `num_buckets` use the buckets; `name_sep` does not disturb the counts; `single_table` shares
/// padding, null and unseen ids. Columns missing in a `num_buckets` map have one bucket.
/// # Example
/// ```
/// use emrys_etl::ops::{Categorify, IdType};
/// use emrys_etl::{Workflow, cols};
/// use emrys_schema::{ColumnSchema, DType, Schema, Tag};
///
/// let categories = Categorify::new().freq_threshold(2).id_type(IdType::Int32);
/// let schema = Schema::new([ColumnSchema::new("genre", DType::String)])?;
/// let output = Workflow::new(cols(["genre"]) >> categories).output_schema(&schema)?;
/// let genre = output.column("genre")?;
/// assert_eq!(genre.dtype(), DType::Int32);
/// assert!(genre.has_tag(Tag::Categorical));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// # References
/// NVTabular's `Categorify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Categorify {
    freq_threshold: PerColumn<u64>,
    max_size: PerColumn<u64>,
    num_buckets: Option<PerColumn<u32>>,
    encode_type: EncodeType,
    name_sep: String,
    vocabs: BTreeMap<String, GivenVocabulary>,
    dtype: Option<IdType>,
    single_table: bool,
    embedding_rule: EmbeddingRule,
    /// Into how many files NVTabular splits a vocabulary; it changes no id, and ours is one file.
    #[serde(skip_serializing)]
    split_out: IgnoredAny,
}

/// What a group of columns in the selection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodeType {
    /// The columns share one vocabulary.
    #[default]
    Joint,
    /// The tuples of their values are the categories.
    Combo,
}

/// A vocabulary that is not learned from the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GivenVocabulary {
    /// A parquet file of values, as Emrys and NVTabular store them.
    File(PathBuf),
    /// The values in order; nulls are left out.
    Values(Vec<Value>),
}

impl Default for Categorify {
    fn default() -> Categorify {
        Categorify {
            freq_threshold: PerColumn::All(0),
            max_size: PerColumn::All(0),
            num_buckets: None,
            encode_type: EncodeType::Joint,
            name_sep: "_".to_owned(),
            vocabs: BTreeMap::new(),
            dtype: None,
            single_table: false,
            embedding_rule: EmbeddingRule::default(),
            split_out: IgnoredAny,
        }
    }
}

impl Categorify {
    /// Every value is a category, and unseen values have one id.
    pub fn new() -> Categorify {
        Categorify::default()
    }

    /// Leaves values out that occur less often than this; default 0, none. Not together with
    /// [`max_size`](Self::max_size).
    #[must_use]
    pub fn freq_threshold(mut self, count: impl Into<PerColumn<u64>>) -> Categorify {
        self.freq_threshold = count.into();
        self
    }

    /// Limits the number of ids, padding, null and unseen ids included: the vocabulary keeps the
    /// `max_size - 2 - num_buckets` most frequent values; default 0, no limit.
    #[must_use]
    pub fn max_size(mut self, ids: impl Into<PerColumn<u64>>) -> Categorify {
        self.max_size = ids.into();
        self
    }

    /// Gives unseen values, and those left out, so many ids by their hash; default 1.
    #[must_use]
    pub fn num_buckets(mut self, buckets: impl Into<PerColumn<u32>>) -> Categorify {
        self.num_buckets = Some(buckets.into());
        self
    }

    /// Says what groups of columns mean; default [`EncodeType::Joint`].
    #[must_use]
    pub fn encode_type(mut self, encode_type: EncodeType) -> Categorify {
        self.encode_type = encode_type;
        self
    }

    /// Joins the names of a group's columns with this; default `_`.
    #[must_use]
    pub fn name_sep(mut self, separator: impl Into<String>) -> Categorify {
        self.name_sep = separator.into();
        self
    }

    /// Numbers a column's values (or a joint group's, by its joined name) in the given order,
    /// without counting them. Nulls are left out.
    #[must_use]
    pub fn vocabulary(
        mut self,
        column: impl Into<String>,
        values: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Categorify {
        let values = values.into_iter().map(Into::into).collect();
        self.vocabs.insert(column.into(), GivenVocabulary::Values(values));
        self
    }

    /// Takes a column's values from a parquet file that Emrys or NVTabular stored.
    #[must_use]
    pub fn vocabulary_file(
        mut self,
        column: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Categorify {
        self.vocabs.insert(column.into(), GivenVocabulary::File(path.into()));
        self
    }

    /// The type of the ids; default [`IdType::Int64`], as in NVTabular.
    #[must_use]
    pub fn id_type(mut self, id_type: IdType) -> Categorify {
        self.dtype = Some(id_type);
        self
    }

    /// Numbers the vocabularies one after another, so that one embedding table serves all columns;
    /// they share the ids of padding, null and unseen values. Default no.
    #[must_use]
    pub fn single_table(mut self, single: bool) -> Categorify {
        self.single_table = single;
        self
    }

    /// How wide embeddings are suggested to be; default NVTabular's rule.
    #[must_use]
    pub fn embedding_rule(mut self, rule: EmbeddingRule) -> Categorify {
        self.embedding_rule = rule;
        self
    }

    fn ids(&self) -> IdType {
        self.dtype.unwrap_or_default()
    }

    /// The columns that limits and buckets are given for.
    fn named_columns(&self) -> BTreeSet<&str> {
        let buckets = self.num_buckets.iter().flat_map(|option| option.iter().map(|(name, _)| name));
        self.freq_threshold
            .iter()
            .map(|(name, _)| name)
            .chain(self.max_size.iter().map(|(name, _)| name))
            .chain(buckets)
            .flatten()
            .collect()
    }

    /// The column that comes out, without what fitting tells.
    fn output_column(&self, plan: &Plan, output: &Output, input: &InputSchema) -> Result<ColumnSchema> {
        let vocabulary = &plan.vocabularies[output.vocabulary];
        let dtype = match self.ids() {
            IdType::Int32 => DType::Int32,
            IdType::Int64 => DType::Int64,
        };
        let column = match output.inputs.as_slice() {
            [column] => input.column(column)?.clone().with_dtype(dtype),
            _ => ColumnSchema::new(&output.name, dtype),
        };
        Ok(column
            .with_domain(None)
            .without_property("embedding_sizes")
            .with_tags([Tag::Categorical])
            .with_property("num_buckets", json!(vocabulary.num_buckets))
            .with_property("freq_threshold", vocabulary.freq_threshold)
            .with_property("max_size", vocabulary.max_size)
            .with_property("cat_path", state::unique_file(&vocabulary.layout.name)))
    }
}

impl Operator for Categorify {
    type State = Vocabularies;

    fn name() -> &'static str {
        "Categorify"
    }

    fn description() -> &'static str {
        "Maps each category to a dense integer id, most frequent first."
    }

    fn check(&self) -> Result<()> {
        let invalid = |option: &str, value: &str, expected: &str| Error::InvalidOption {
            operator: "categorify".to_owned(),
            option: option.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let is_set = |option: &PerColumn<u64>| option.iter().any(|(_, value)| *value > 0);
        if is_set(&self.freq_threshold) && is_set(&self.max_size) {
            return Err(invalid(
                "max_size",
                "given together with freq_threshold",
                "only one of them can limit a vocabulary; set the other to 0",
            ));
        }
        if self.num_buckets.iter().flat_map(PerColumn::iter).any(|(_, buckets)| *buckets == 0) {
            return Err(invalid("num_buckets", "0", "unseen values need an id; use 1 or leave it out"));
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&Vocabularies>) -> Result<Schema> {
        let plan = Plan::new(self, input)?;
        let columns = plan.outputs.iter().map(|output| {
            let column = self.output_column(&plan, output, input)?;
            let Some(state) = state else { return Ok(column) };
            let vocabulary = state.get(output.vocabulary)?;
            let (name, cardinality) = if self.single_table {
                (state.joined_name(&self.name_sep), state.joined_cardinality())
            } else {
                (vocabulary.name().to_owned(), vocabulary.cardinality())
            };
            // Ids have at most 32 bits.
            let domain = Domain::int(0, cardinality as i64 - 1).named(name);
            Ok(column.with_domain(domain).with_embedding_size(self.embedding_rule.size(cardinality)))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let plan = Plan::new(self, input)?;
        let counted =
            plan.vocabularies.iter().filter(|vocabulary| !self.vocabs.contains_key(&vocabulary.layout.name));
        counted
            .map(|vocabulary| {
                let sources = vocabulary
                    .sources
                    .iter()
                    .map(|columns| source(input, vocabulary, columns))
                    .collect::<Result<_>>()?;
                Ok(Statistic::Grouped(GroupedStatistic {
                    name: vocabulary.layout.name.clone(),
                    sources,
                    keys: (0..vocabulary.layout.columns.len()).map(member_name).collect(),
                    aggregates: vec![("count".to_owned(), count(lit(1)))],
                }))
            })
            .collect()
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<Vocabularies> {
        let plan = Plan::new(self, input)?;
        let mut work = Vec::with_capacity(plan.vocabularies.len());
        for vocabulary in &plan.vocabularies {
            let counts = match self.vocabs.get(&vocabulary.layout.name) {
                Some(_) => None,
                None => Some(results.take_grouped(&vocabulary.layout.name)?),
            };
            work.push((vocabulary, counts));
        }
        let vocabularies = work
            .into_par_iter()
            .map(|(vocabulary, counts)| {
                let name = &vocabulary.layout.name;
                match (counts, self.vocabs.get(name)) {
                    (Some(counts), _) => state::counted(input, vocabulary, &counts),
                    (None, Some(given)) => state::given(input, vocabulary, given),
                    (None, None) => Err(Error::Internal(format!("vocabulary `{name}` was not counted"))),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let state = Vocabularies::new(vocabularies);
        let greatest = if self.single_table {
            state.joined_cardinality() - 1
        } else {
            state.iter().map(|vocabulary| vocabulary.cardinality() - 1).max().unwrap_or(0)
        };
        if greatest > self.ids().max_id() {
            return Err(Error::Data {
                operator: input.operator().to_owned(),
                problem: format!(
                    "the greatest id is {greatest}, but the ids end at {}; use int64 ids or max_size",
                    self.ids().max_id()
                ),
            });
        }
        Ok(state)
    }

    fn lower(&self, state: &Vocabularies, input: &Relation) -> Result<Lowered> {
        let plan = Plan::new(self, input)?;
        let outputs = plan.outputs.iter().map(|output| {
            let shift = if self.single_table { state.shift(output.vocabulary)? } else { 0 };
            let function = |types: &[&arrow::datatypes::DataType]| {
                let vocabulary = state.get(output.vocabulary)?;
                encode::function(input, vocabulary, &output.inputs, types, self.ids(), shift)
            };
            let expr = match output.inputs.as_slice() {
                [column] => {
                    let data_type = input.arrow_type(column)?;
                    map_leaves(input.expr(column)?, &data_type, |leaf, leaf_type| {
                        Ok(function(&[leaf_type])?.call(vec![leaf]))
                    })?
                }
                members => {
                    let types: Vec<_> =
                        members.iter().map(|member| input.arrow_type(member)).collect::<Result<_>>()?;
                    let members =
                        members.iter().map(|member| input.expr(member)).collect::<Result<_>>()?;
                    function(&types.iter().collect::<Vec<_>>())?.call(members)
                }
            };
            Ok((output.name.clone(), expr))
        });
        Ok(Lowered::Columns(outputs.collect::<Result<_>>()?))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "The most frequent value comes first, equal counts in order of value.",
                config: json!({}),
                input: json!({"a": ["x", "y", "x", null, "b"]}),
                selection: Value::Null,
                output: json!({"a": [3, 5, 3, 1, 4]}),
            },
            Example {
                title: "Values that occur less than twice are left out.",
                config: json!({"freq_threshold": 2, "dtype": "int32"}),
                input: json!({"a": ["x", "y", "x", "z", "x", "y", null]}),
                selection: Value::Null,
                output: json!({"a": [3, 4, 3, 2, 3, 4, 1]}),
            },
            Example {
                title: "Two columns share one vocabulary.",
                config: json!({"encode_type": "joint"}),
                input: json!({"a": ["x", "y", null, "x", null], "b": ["y", "z", null, "q", "x"]}),
                selection: json!([["a", "b"]]),
                output: json!({"a": [3, 4, 1, 3, 1], "b": [4, 6, 1, 5, 3]}),
            },
            Example {
                title: "The pair of two columns is one category.",
                config: json!({"encode_type": "combo"}),
                input: json!({"a": ["x", "y", null, "x", null], "b": [1, 2, null, 1, 3]}),
                selection: json!([["a", "b"]]),
                output: json!({"a_b": [3, 5, 1, 3, 4]}),
            },
            Example {
                title: "Each element of a list is encoded.",
                config: json!({}),
                input: json!({"a": [["x"], ["x", "e"], [], ["b", null, "c"], ["c"]]}),
                selection: Value::Null,
                output: json!({"a": [[4], [4, 6], [], [5, 1, 3], [3]]}),
            },
        ]
    }
}

/// The name of a member of a vocabulary's values in queries.
fn member_name(position: usize) -> String {
    format!("member_{position}")
}

/// The columns to be counted, in the type that all sources of the vocabulary share.
fn source(input: &Relation, vocabulary: &layout::VocabularyPlan, columns: &[String]) -> Result<Source> {
    let mut members = Vec::with_capacity(columns.len());
    let mut flatten = None;
    for (position, column) in columns.iter().enumerate() {
        let mut expr = input.expr(column)?;
        let data_type = input.arrow_type(column)?;
        if leaf_type(&data_type) != &data_type {
            flatten = Some(member_name(position));
        }
        if vocabulary.sources.len() > 1 {
            let types: Vec<_> = vocabulary
                .sources
                .iter()
                .map(|source| input.arrow_type(&source[position]))
                .collect::<Result<_>>()?;
            let shared = common_type(types.iter().map(leaf_type))
                .map_err(|error| state::type_error(input, column, &data_type, &error))?;
            expr = map_leaves(expr, &data_type, |leaf, _| Ok(cast(leaf, shared)))?;
        }
        members.push((member_name(position), expr));
    }
    Ok(Source { columns: members, flatten })
}
