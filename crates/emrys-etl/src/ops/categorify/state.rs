//! What Categorify learns, and how it is stored.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, StringArray};
use arrow::datatypes::DataType;
use emrys_schema::{ColumnSchema, DType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::GivenVocabulary;
use super::build::{Wanted, select};
use super::layout::{Plan, VocabularyPlan};
use super::read::VocabularyFiles;
use super::refit::{Learning, assemble};
use super::stream::from_ordered;
use super::vocabulary::{Layout, Vocabulary};
use crate::lookup::{LookupError, canonical, strict_cast};
use crate::operator::{ArtifactReader, ArtifactWriter, GroupedRows, InputSchema, State};
use crate::storage::Storage;
use crate::{Error, Result};

/// The vocabularies of a fitted [`Categorify`](super::Categorify).
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabularies {
    vocabularies: Vec<Arc<Vocabulary>>,
}

impl Vocabularies {
    pub(super) fn new(vocabularies: Vec<Arc<Vocabulary>>) -> Vocabularies {
        Vocabularies { vocabularies }
    }

    /// The vocabularies in order of the selection.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vocabulary>> {
        self.vocabularies.iter()
    }

    pub(super) fn get(&self, position: usize) -> Result<&Arc<Vocabulary>> {
        self.vocabularies
            .get(position)
            .ok_or_else(|| Error::Internal(format!("vocabulary {position} was not fitted")))
    }

    /// Refuses vocabularies, such as those of an edited save, that are not those of a plan.
    pub(super) fn check(&self, plan: &Plan) -> Result<()> {
        for (position, wanted) in plan.vocabularies.iter().enumerate() {
            let Layout { name, columns, .. } = &wanted.layout;
            let found = self.vocabularies.get(position);
            if found.is_none_or(|found| found.name() != name || found.columns() != columns) {
                return Err(Error::Data {
                    operator: "categorify".to_owned(),
                    problem: format!("it has no vocabulary `{name}`; fit the workflow again"),
                });
            }
        }
        Ok(())
    }

    /// By how much the ids of a vocabulary are raised in a table of all vocabularies.
    pub(super) fn shift(&self, position: usize) -> Result<u32> {
        let rows: usize = self.vocabularies[..position]
            .iter()
            .map(|before| before.len())
            .sum();
        u32::try_from(rows)
            .map_err(|_| Error::Internal(format!("{rows} values before vocabulary {position}")))
    }

    /// The number of ids in a table of all vocabularies, which share the ids below the first value.
    pub(super) fn joined_cardinality(&self) -> u64 {
        let reserved = self
            .vocabularies
            .first()
            .map_or(0, |first| u64::from(first.first_id()));
        reserved
            + self
                .vocabularies
                .iter()
                .map(|vocabulary| vocabulary.len() as u64)
                .sum::<u64>()
    }

    /// The name of the table of all vocabularies.
    pub(super) fn joined_name(&self, separator: &str) -> String {
        let names: Vec<&str> = self
            .vocabularies
            .iter()
            .map(|vocabulary| vocabulary.name())
            .collect();
        names.join(separator)
    }
}

/// A vocabulary in the workflow's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    name: String,
    columns: Vec<String>,
    num_buckets: u32,
    unique: String,
    meta: String,
    /// The values that were left out, if they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<String>,
}

impl State for Vocabularies {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let mut saved = Vec::with_capacity(self.vocabularies.len());
        for vocabulary in &self.vocabularies {
            let (unique_path, unique) = artifacts.file(&unique_file(vocabulary.name()))?;
            vocabulary.write_unique(&unique_path)?;
            let (meta_path, meta) = artifacts.file(&meta_file(vocabulary.name()))?;
            vocabulary.write_meta(&meta_path)?;
            let rest = match vocabulary.rest() {
                Some(rest) if !rest.counts.is_empty() => {
                    let (path, relative) = artifacts.file(&rest_file(vocabulary.name()))?;
                    vocabulary.write_rest(rest, &path)?;
                    Some(relative)
                }
                _ => None,
            };
            saved.push(Saved {
                name: vocabulary.name().to_owned(),
                columns: vocabulary.columns().to_vec(),
                num_buckets: vocabulary.num_buckets(),
                unique,
                meta,
                rest,
            });
        }
        serde_json::to_value(saved).map_err(|e| Error::Internal(format!("state to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Vocabularies> {
        let saved: Vec<Saved> = serde_json::from_value(saved)
            .map_err(|e| artifacts.wrong(format!("categorify: {e}")))?;
        let mut vocabularies = Vec::with_capacity(saved.len());
        for saved in saved {
            let (unique, meta) = (artifacts.path(&saved.unique)?, artifacts.path(&saved.meta)?);
            let rest = saved.rest.map(|rest| artifacts.path(&rest)).transpose()?;
            let source = VocabularyFiles {
                name: &saved.name,
                columns: &saved.columns,
                num_buckets: None,
                unique: &unique,
                meta: Some(&meta),
                rest: rest.as_deref(),
            };
            let vocabulary = source.read(artifacts.storage())?;
            if vocabulary.num_buckets() != saved.num_buckets {
                return Err(artifacts.wrong(format!(
                    "vocabulary `{}` has {} ids for unseen values here, but {} in `{}`; save it again",
                    saved.name,
                    saved.num_buckets,
                    vocabulary.num_buckets(),
                    saved.unique
                )));
            }
            vocabularies.push(Arc::new(vocabulary));
        }
        Ok(Vocabularies::new(vocabularies))
    }
}

/// The longest name of a vocabulary that its file has whole.
const LONGEST_STEM: usize = 100;

/// The name of the file of a vocabulary's values.
pub(super) fn unique_file(name: &str) -> String {
    format!("unique.{}.parquet", file_stem(name))
}

fn meta_file(name: &str) -> String {
    format!("meta.{}.parquet", file_stem(name))
}

fn rest_file(name: &str) -> String {
    format!("rest.{}.parquet", file_stem(name))
}

/// A vocabulary's name as part of a file's name: separators of folders are replaced and long names
/// cut, with a hash that keeps the result unique.
fn file_stem(name: &str) -> String {
    let mut stem: String = name
        .chars()
        .map(|c| {
            if matches!(c, '/' | '\\' | '\0') {
                '-'
            } else {
                c
            }
        })
        .collect();
    if stem.len() > LONGEST_STEM {
        let end = (0..=LONGEST_STEM)
            .rev()
            .find(|end| stem.is_char_boundary(*end))
            .unwrap_or(0);
        stem.truncate(end);
    }
    if stem != name {
        stem += &format!("-{:016x}", crate::hash::hash_bytes(name.as_bytes()));
    }
    stem
}

/// Makes a vocabulary from the counts of its values.
pub(super) fn counted(
    input: &InputSchema,
    plan: &VocabularyPlan,
    rows: GroupedRows,
    learning: Learning,
) -> Result<Vocabulary> {
    let layout = plan.layout.clone();
    let width = layout.columns.len();
    let make = || {
        if rows.is_ordered() {
            let (limit, storage) = (learning.limit, learning.storage);
            return from_ordered(layout, &rows, limit, learning.keep_rest, storage);
        }
        let wanted = Wanted {
            limit: learning.limit,
            merge: false,
            rest: learning.keep_rest,
        };
        let selected = select(width, &rows.into_batches()?, wanted)?;
        assemble(layout, selected, learning.storage)
    };
    make().map_err(|error| data_error(input.operator(), &plan.layout.name, error))
}

/// Makes a vocabulary from values that are given.
pub(super) fn given(
    input: &InputSchema,
    plan: &VocabularyPlan,
    given: &GivenVocabulary,
    storage: &Storage,
) -> Result<Vocabulary> {
    let name = &plan.layout.name;
    let columns = plan.sources.iter().flatten();
    let types = columns.map(|column| Ok((column.as_str(), known_type(input.column(column)?)?)));
    let types: Vec<(&str, Option<DataType>)> = types.collect::<Result<_>>()?;
    let vocabulary = match given {
        GivenVocabulary::File(path) => VocabularyFiles {
            name,
            columns: &plan.layout.columns,
            num_buckets: Some(plan.layout.num_buckets),
            unique: path,
            meta: None,
            rest: None,
        }
        .read(storage)?,
        GivenVocabulary::Values(values) => {
            let mut values = array_of(values).ok_or_else(|| Error::InvalidOption {
                operator: input.operator().to_owned(),
                option: "vocabs".to_owned(),
                value: format!("a list of different things for `{name}`"),
                expected: "the values must be all strings, all numbers or all booleans".to_owned(),
            })?;
            let failed = |error| data_error(input.operator(), name, error);
            // JSON has no dates; they are written as strings.
            if let Some((_, Some(time))) = types
                .first()
                .filter(|(_, known)| known.as_ref().is_some_and(DataType::is_temporal))
            {
                values = strict_cast(&values, time).map_err(failed)?;
            }
            let values = vec![canonical(&values)];
            Vocabulary::stored(plan.layout.clone(), values, None, None, storage).map_err(failed)?
        }
    };
    for (column, known) in &types {
        if let Some(known) = known {
            vocabulary
                .check_types(&[known])
                .map_err(|(_, error)| type_error(input, column, known, &error))?;
        }
    }
    Ok(vocabulary)
}

/// The Arrow type of a column's values, where the schema tells it.
fn known_type(column: &ColumnSchema) -> Result<Option<DataType>> {
    match column.dtype() {
        DType::Unknown => Ok(None),
        dtype => Ok(Some(
            ColumnSchema::new("value", dtype)
                .to_arrow()?
                .data_type()
                .clone(),
        )),
    }
}

/// The values without nulls, if they are all of one kind.
fn array_of(values: &[Value]) -> Option<ArrayRef> {
    let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    let all = |is: fn(&Value) -> bool| values.iter().all(|value| is(value));
    Some(match values.as_slice() {
        [] => Arc::new(NullArray::new(0)),
        _ if all(Value::is_string) => Arc::new(
            values
                .iter()
                .map(|value| value.as_str())
                .collect::<StringArray>(),
        ),
        _ if all(Value::is_boolean) => Arc::new(
            values
                .iter()
                .map(|value| value.as_bool())
                .collect::<BooleanArray>(),
        ),
        _ if all(Value::is_i64) => Arc::new(
            values
                .iter()
                .map(|value| value.as_i64())
                .collect::<Int64Array>(),
        ),
        _ if all(Value::is_number) => Arc::new(
            values
                .iter()
                .map(|value| value.as_f64())
                .collect::<Float64Array>(),
        ),
        _ => return None,
    })
}

pub(super) fn data_error(operator: &str, name: &str, error: LookupError) -> Error {
    match error {
        LookupError::Storage(error) => *error,
        error => Error::Data {
            operator: operator.to_owned(),
            problem: format!("`{name}`: {error}"),
        },
    }
}

pub(super) fn type_error(
    input: &InputSchema,
    column: &str,
    found: &DataType,
    error: &LookupError,
) -> Error {
    Error::UnsupportedType {
        operator: input.operator().to_owned(),
        column: column.to_owned(),
        found: found.to_string(),
        expected: match error {
            LookupError::Mismatch { expected, .. } => {
                format!("its vocabulary holds {expected}; cast one of them")
            }
            error => error.to_string(),
        },
    }
}
