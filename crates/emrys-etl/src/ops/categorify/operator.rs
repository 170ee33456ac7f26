//! The life of [`Categorify`] in a workflow: from schema to statistics to ids.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{cast, lit};
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde_json::{Value, json};

use super::build::Limit;
use super::decode::Decoder;
use super::encode::IdRule;
use super::layout::{Output, Plan, VocabularyPlan};
use super::legacy::LegacyIds;
use super::refit::{self, Learning};
use super::vocabulary::Vocabulary;
use super::{Categorify, IdType, PerColumn, Vocabularies, encode, state};
use crate::functions::canonical;
use crate::lookup::{LookupError, common_type};
use crate::operator::{
    Decode, Example, FitResults, GroupedRows, GroupedStatistic, InputSchema, Lowered, NewIds,
    Operator, Order, Relation, Source, Statistic, leaf_type, map_leaves,
};
use crate::storage::Storage;
use crate::{Error, Result};

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
        if self.start_index.is_some() && self.single_table {
            return Err(invalid(
                "start_index",
                "given together with single_table",
                "the ids of NVTabular up to 23.05 are those of single tables; leave one of them out",
            ));
        }
        if self
            .num_buckets
            .iter()
            .flat_map(PerColumn::iter)
            .any(|(_, buckets)| *buckets == 0)
        {
            return Err(invalid(
                "num_buckets",
                "0",
                "unseen values need an id; use 1 or leave it out",
            ));
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&Vocabularies>) -> Result<Schema> {
        let plan = Plan::new(self, input)?;
        if let Some(state) = state {
            state.check(&plan)?;
        }
        let columns = plan.outputs.iter().map(|output| {
            let column = output_column(self, &plan, output, input)?;
            let Some(state) = state else {
                return Ok(column);
            };
            let vocabulary = state.get(output.vocabulary)?;
            let (name, cardinality) = if self.single_table {
                (
                    state.joined_name(&self.name_sep),
                    state.joined_cardinality(),
                )
            } else {
                let plan = &plan.vocabularies[output.vocabulary];
                let cardinality = self.cardinality(plan, vocabulary);
                (vocabulary.name().to_owned(), cardinality)
            };
            // Ids have at most 32 bits.
            let domain = Domain::int(0, cardinality as i64 - 1).named(name);
            Ok(column
                .with_domain(domain)
                .with_embedding_size(self.embedding_rule.size(cardinality)))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let plan = Plan::new(self, input)?;
        let counted = plan
            .vocabularies
            .iter()
            .filter(|vocabulary| self.is_counted(vocabulary));
        counted
            .map(|vocabulary| {
                let sources = vocabulary
                    .sources
                    .iter()
                    .map(|columns| source(input, vocabulary, columns))
                    .collect::<Result<_>>()?;
                let keys: Vec<String> = (0..vocabulary.layout.columns.len())
                    .map(member_name)
                    .collect();
                let order = keys.iter().map(Order::rising);
                Ok(Statistic::Large {
                    order: [Order::falling("count")].into_iter().chain(order).collect(),
                    grouped: GroupedStatistic {
                        name: vocabulary.layout.name.clone(),
                        sources,
                        keys,
                        aggregates: vec![("count".to_owned(), count(lit(1)))],
                    },
                })
            })
            .collect()
    }

    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<Vocabularies> {
        let plan = Plan::new(self, input)?;
        let storage = results.storage.clone();
        let vocabularies = self.each_vocabulary(&plan, results, |position, counts| {
            let vocabulary = &plan.vocabularies[position];
            let learning = self.learning(vocabulary, &storage);
            let made = match (self.vocabs.get(&vocabulary.layout.name), counts) {
                (None, Some(counts)) => state::counted(input, vocabulary, counts, learning),
                (None, None) => Err(Error::Internal(format!(
                    "vocabulary `{}` was not counted",
                    vocabulary.layout.name
                ))),
                (Some(given), counts) => {
                    let given = state::given(input, vocabulary, given, &storage)?;
                    match counts {
                        Some(counts) => refit::append(&given, &counts, learning)
                            .map_err(|error| failed(input, vocabulary, error)),
                        None => Ok(given),
                    }
                }
            };
            made.map(Arc::new)
        })?;
        self.checked(input, &plan, Vocabularies::new(vocabularies))
    }

    fn refit(
        &self,
        state: &Vocabularies,
        input: &InputSchema,
        results: FitResults,
        ids: NewIds,
    ) -> Result<Vocabularies> {
        let plan = Plan::new(self, input)?;
        let storage = results.storage.clone();
        let vocabularies = self.each_vocabulary(&plan, results, |position, counts| {
            let vocabulary = &plan.vocabularies[position];
            let old = state.get(position)?;
            let Some(counts) = counts else {
                // A given vocabulary that is not extended learns nothing.
                return Ok(Arc::clone(old));
            };
            let learning = self.learning(vocabulary, &storage);
            let is_given = self.vocabs.contains_key(&vocabulary.layout.name);
            let learned = match ids {
                // The order of a given vocabulary stands.
                NewIds::ByCount if !is_given => {
                    check_complete(input, old)?;
                    refit::renumber(old, counts, learning)
                }
                _ => refit::append(old, &counts, learning),
            };
            learned
                .map(Arc::new)
                .map_err(|error| failed(input, vocabulary, error))
        })?;
        self.checked(input, &plan, Vocabularies::new(vocabularies))
    }

    fn lower(&self, state: &Vocabularies, input: &Relation) -> Result<Lowered> {
        let plan = Plan::new(self, input)?;
        let outputs = plan.outputs.iter().map(|output| {
            let rule = self.id_rule(&plan, state, output.vocabulary)?;
            let function = |types: &[&DataType]| {
                let vocabulary = state.get(output.vocabulary)?;
                encode::function(input, vocabulary, &output.inputs, types, self.ids(), rule)
            };
            let expr = match output.inputs.as_slice() {
                [column] => {
                    let data_type = input.arrow_type(column)?;
                    map_leaves(input.expr(column)?, &data_type, |leaf, leaf_type| {
                        Ok(function(&[leaf_type])?.call(vec![leaf]))
                    })?
                }
                members => {
                    let types: Vec<_> = members
                        .iter()
                        .map(|member| input.arrow_type(member))
                        .collect::<Result<_>>()?;
                    let members = members
                        .iter()
                        .map(|member| input.expr(member))
                        .collect::<Result<_>>()?;
                    function(&types.iter().collect::<Vec<_>>())?.call(members)
                }
            };
            Ok((output.name.clone(), expr))
        });
        Ok(Lowered::Columns(outputs.collect::<Result<_>>()?))
    }

    fn decoder(
        &self,
        state: &Vocabularies,
        input: &InputSchema,
        output: &str,
    ) -> Result<Option<Arc<dyn Decode>>> {
        let plan = Plan::new(self, input)?;
        let Some(output) = plan.outputs.iter().find(|found| found.name == output) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Decoder {
            vocabulary: Arc::clone(state.get(output.vocabulary)?),
            columns: output.inputs.clone(),
            rule: self.id_rule(&plan, state, output.vocabulary)?,
        })))
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

impl Categorify {
    /// Whether the values of a vocabulary are counted.
    fn is_counted(&self, vocabulary: &VocabularyPlan) -> bool {
        self.extend || !self.vocabs.contains_key(&vocabulary.layout.name)
    }

    fn learning<'a>(&self, vocabulary: &VocabularyPlan, storage: &'a Storage) -> Learning<'a> {
        Learning {
            limit: self.limit(vocabulary),
            keep_rest: self.keep_counts,
            storage,
        }
    }

    fn limit(&self, vocabulary: &VocabularyPlan) -> Limit {
        match self.start_index {
            Some(_) if vocabulary.max_size > 0 => {
                let buckets = vocabulary.num_buckets.unwrap_or(0);
                let room = vocabulary.max_size.saturating_sub(1 + u64::from(buckets));
                Limit::MostFrequent(usize::try_from(room).unwrap_or(usize::MAX))
            }
            _ => vocabulary.limit(),
        }
    }

    fn id_rule(&self, plan: &Plan, state: &Vocabularies, vocabulary: usize) -> Result<IdRule> {
        Ok(match (self.start_index, self.single_table) {
            (Some(start), _) => {
                IdRule::Legacy(LegacyIds::new(start, &plan.vocabularies[vocabulary]))
            }
            (None, true) => IdRule::Shifted(state.shift(vocabulary)?),
            (None, false) => IdRule::Shifted(0),
        })
    }

    fn cardinality(&self, plan: &VocabularyPlan, vocabulary: &Vocabulary) -> u64 {
        match self.start_index {
            Some(start) => LegacyIds::new(start, plan).cardinality(vocabulary),
            None => vocabulary.cardinality(),
        }
    }

    /// Makes each vocabulary from its counts: side by side, or one after another if memory is
    /// limited.
    fn each_vocabulary(
        &self,
        plan: &Plan,
        mut results: FitResults,
        make: impl Fn(usize, Option<GroupedRows>) -> Result<Arc<Vocabulary>> + Sync,
    ) -> Result<Vec<Arc<Vocabulary>>> {
        let mut work = Vec::with_capacity(plan.vocabularies.len());
        for (position, vocabulary) in plan.vocabularies.iter().enumerate() {
            let counts = match self.is_counted(vocabulary) {
                true => Some(results.take_grouped(&vocabulary.layout.name)?),
                false => None,
            };
            work.push((position, counts));
        }
        let make = |(position, counts)| make(position, counts);
        match results.storage.is_limited() {
            true => work.into_iter().map(make).collect(),
            false => work.into_par_iter().map(make).collect(),
        }
    }

    /// Refuses ids that their type cannot hold.
    fn checked(
        &self,
        input: &InputSchema,
        plan: &Plan,
        state: Vocabularies,
    ) -> Result<Vocabularies> {
        let greatest = if self.single_table {
            state.joined_cardinality() - 1
        } else {
            let vocabularies = plan.vocabularies.iter().zip(state.iter());
            vocabularies
                .map(|(plan, vocabulary)| self.cardinality(plan, vocabulary).saturating_sub(1))
                .max()
                .unwrap_or(0)
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
}

fn failed(input: &InputSchema, vocabulary: &VocabularyPlan, error: LookupError) -> Error {
    state::data_error(input.operator(), &vocabulary.layout.name, error)
}

fn check_complete(input: &InputSchema, vocabulary: &Vocabulary) -> Result<()> {
    if refit::is_complete(vocabulary) {
        return Ok(());
    }
    Err(Error::InvalidOption {
        operator: input.operator().to_owned(),
        option: "keep_counts".to_owned(),
        value: "false".to_owned(),
        expected: format!(
            "numbering `{}` anew needs the counts of the values that were left out of it; fit it \
             again with keep_counts, or append new values",
            vocabulary.name()
        ),
    })
}

/// The column that comes out, without what fitting tells.
fn output_column(
    config: &Categorify,
    plan: &Plan,
    output: &Output,
    input: &InputSchema,
) -> Result<ColumnSchema> {
    let vocabulary = &plan.vocabularies[output.vocabulary];
    let dtype = match config.ids() {
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

/// The name of a member of a vocabulary's values in queries.
fn member_name(position: usize) -> String {
    format!("member_{position}")
}

/// The columns to be counted, in the type that all sources of the vocabulary share.
fn source(input: &Relation, vocabulary: &VocabularyPlan, columns: &[String]) -> Result<Source> {
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
            expr = map_leaves(expr, &data_type, |leaf, _| {
                Ok(canonical(cast(leaf, shared.clone()), &shared))
            })?;
        } else if leaf_type(&data_type).is_floating() {
            expr = map_leaves(expr, &data_type, |leaf, leaf_type| {
                Ok(canonical(leaf, leaf_type))
            })?;
        }
        members.push((member_name(position), expr));
    }
    Ok(Source {
        columns: members,
        flatten,
    })
}
