//! What a [`TextVocabulary`](super::TextVocabulary) learns.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FIRST_ID, MISSING_ID, TextVocabulary};
use crate::lookup::ValueIndex;
use crate::operator::{ArtifactReader, ArtifactWriter, State};
use crate::{Error, Result};

/// The vocabularies of the columns of a [`TextVocabulary`].
#[derive(Debug)]
pub struct Words {
    pub(super) columns: BTreeMap<String, Arc<ColumnWords>>,
}

/// The vocabulary of one column.
pub(super) struct ColumnWords {
    /// The number of texts.
    texts: u64,
    /// Tokens in the order of their ids, special ones first.
    tokens: Vec<String>,
    /// All tokens with the number of their texts, most first.
    counted: Vec<(String, u64)>,
    pub(super) index: ValueIndex,
}

impl ColumnWords {
    /// Chooses the vocabulary from what was counted.
    pub(super) fn new(
        config: &TextVocabulary,
        texts: u64,
        mut counted: Vec<(String, u64)>,
        known: &[String],
    ) -> Result<ColumnWords> {
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut tokens: Vec<String> = match known {
            [] => config.specials().into_iter().map(str::to_owned).collect(),
            known => known.to_vec(),
        };
        let room = match config.max_size {
            Some(size) => {
                usize::try_from(size.saturating_sub(FIRST_ID.into())).unwrap_or(usize::MAX)
            }
            None => usize::MAX,
        };
        let taken: HashSet<String> = tokens.iter().cloned().collect();
        let (least, most) = (config.min_df.of(texts), config.max_df.of(texts));
        let chosen = counted.iter().filter(|(token, count)| {
            let count = *count as f64;
            least <= count && count <= most && !taken.contains(token)
        });
        let chosen = chosen.take(room.saturating_sub(tokens.len()));
        tokens.extend(chosen.map(|(token, _)| token.clone()));
        ColumnWords::of(texts, tokens, counted)
    }

    fn of(texts: u64, tokens: Vec<String>, counted: Vec<(String, u64)>) -> Result<ColumnWords> {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(&tokens));
        let index =
            ValueIndex::build(&[values], FIRST_ID, MISSING_ID).map_err(|error| Error::Data {
                operator: "text_vocabulary".to_owned(),
                problem: error.to_string(),
            })?;
        Ok(ColumnWords {
            texts,
            tokens,
            counted,
            index,
        })
    }

    /// What was counted here and in more data.
    pub(super) fn merge(
        &self,
        texts: u64,
        counted: Vec<(String, u64)>,
    ) -> (u64, Vec<(String, u64)>) {
        let mut sums: BTreeMap<String, u64> = self.counted.iter().cloned().collect();
        for (token, count) in counted {
            *sums.entry(token).or_default() += count;
        }
        (self.texts + texts, sums.into_iter().collect())
    }

    /// Tokens in the order of their ids, from 3 on.
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

impl fmt::Debug for ColumnWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnWords")
            .field("texts", &self.texts)
            .field("tokens", &self.tokens.len())
            .field("counted", &self.counted.len())
            .finish_non_exhaustive()
    }
}

/// Reads tokens and the numbers of their texts, as the statistics give them.
pub(super) fn read_counts(batches: &[RecordBatch]) -> Result<Vec<(String, u64)>> {
    let mut counted = Vec::new();
    for batch in batches {
        let tokens = cast(batch.column(0), &DataType::Utf8).map_err(internal)?;
        let counts = cast(batch.column(1), &DataType::Int64).map_err(internal)?;
        let pairs = tokens
            .as_string::<i32>()
            .iter()
            .zip(counts.as_primitive::<Int64Type>());
        for (token, count) in pairs {
            // A missing token has an id of its own.
            if let (Some(token), Some(count)) = (token, count) {
                counted.push((token.to_owned(), u64::try_from(count).unwrap_or(0)));
            }
        }
    }
    Ok(counted)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::Internal(format!("counts of tokens: {error}"))
}

#[derive(Serialize, Deserialize)]
struct SavedColumn {
    column: String,
    texts: u64,
    tokens: String,
    counted: String,
}

impl State for Words {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let mut saved = Vec::new();
        for (i, (column, words)) in self.columns.iter().enumerate() {
            let tokens: ArrayRef = Arc::new(StringArray::from_iter_values(&words.tokens));
            let tokens = RecordBatch::try_from_iter([("token", tokens)]).map_err(internal)?;
            let counted = words.counted.iter();
            let names: ArrayRef = Arc::new(StringArray::from_iter_values(
                counted.clone().map(|(token, _)| token),
            ));
            let texts = counted.map(|(_, count)| i64::try_from(*count).unwrap_or(i64::MAX));
            let texts: ArrayRef = Arc::new(Int64Array::from_iter_values(texts));
            let counted = RecordBatch::try_from_iter([("token", names), ("texts", texts)])
                .map_err(internal)?;
            saved.push(SavedColumn {
                column: column.clone(),
                texts: words.texts,
                tokens: artifacts.write_batch(&format!("tokens_{i:03}.parquet"), &tokens)?,
                counted: artifacts.write_batch(&format!("counted_{i:03}.parquet"), &counted)?,
            });
        }
        serde_json::to_value(saved)
            .map_err(|e| Error::Internal(format!("vocabularies to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Words> {
        let saved: Vec<SavedColumn> =
            serde_json::from_value(saved).map_err(|e| artifacts.wrong(e.to_string()))?;
        let mut columns = BTreeMap::new();
        for column in saved {
            let read = |path: &str, columns: usize| {
                let batch = artifacts.read_batch(path)?;
                let found = batch.num_columns();
                match batch.columns().first().map(|column| column.data_type()) {
                    Some(DataType::Utf8) if found == columns => Ok(batch),
                    _ => Err(artifacts
                        .wrong(format!("artifact `{path}` holds no tokens; save it again"))),
                }
            };
            let tokens = read(&column.tokens, 1)?;
            let tokens = tokens.column(0).as_string::<i32>();
            let tokens = tokens.iter().flatten().map(str::to_owned).collect();
            let counted = read_counts(&[read(&column.counted, 2)?])?;
            let words = ColumnWords::of(column.texts, tokens, counted)?;
            columns.insert(column.column, Arc::new(words));
        }
        Ok(Words { columns })
    }
}
