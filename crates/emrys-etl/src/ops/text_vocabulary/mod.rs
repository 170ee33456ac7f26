//! See [`TextVocabulary`].

mod encode;
mod operator;
mod words;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub use words::Words;

/// Maps the tokens of texts to ids, with limits on the number of texts that a token stands in, and
/// special tokens.
///
/// | id | meaning |
/// |---|---|
/// | 0 | padding; never given to a token |
/// | 1 | a missing token |
/// | 2 | a token that is not in the vocabulary |
/// | 3 and up | the special tokens in their order, then the vocabulary |
///
/// [`Categorify`](super::Categorify) does without limits and special tokens, and counts every token
/// instead of every text.
///
/// # Fits
/// In how many texts each token stands, in one scan for each column, and the number of texts; rows
/// without a text are none. The vocabulary is ordered from the token of most texts to that of
/// fewest, equal ones by their bytes. All tokens that were counted are kept in the state, so that
/// more data give what a fit on all would give.
/// # Output
/// The same columns with ids (`int64`) for tokens, the start and end tokens added to each text.
/// # Schema
/// Adds `categorical`, the domain `0..=greatest id` and `embedding_sizes`.
/// # Nulls, NaN and empty input
/// A null text stays null; an empty one gets the start and end tokens only. Without rows there are
/// the special tokens alone.
/// # Unseen values
/// Tokens that fitting did not see, or left out, have id 2.
/// # List columns
/// Lists of strings, such as [`TokenizeText`](super::TokenizeText) makes them.
/// # Errors
/// At build: a column that holds no lists of strings; a share outside 0 to 1; a special token given
/// twice; more special tokens than `max_size` has room for.
/// # Compared with Merlin
/// Merlin has no operators for text.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::{TextVocabulary, TokenizeText}};
/// # use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
/// # use arrow::datatypes::Int64Type;
/// # use std::sync::Arc;
/// # let title: ArrayRef = Arc::new(StringArray::from(vec!["the cat sat", "the dog sat", "the end"]));
/// # let batch = RecordBatch::try_from_iter([("title", title)]).unwrap();
/// # let items = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let vocabulary = TextVocabulary::default().with_min_df(2).with_end_token("</s>");
/// let words = cols(["title"]) >> TokenizeText::words() >> vocabulary;
/// let rows = &Workflow::new(words).fit(&items)?.transform(&items)?.collect()?[0];
/// // 3 is the end, 4 is `the`, 5 is `sat`, and 2 what stands in one title only.
/// let first = rows.column(0).as_list::<i32>().value(0);
/// assert_eq!(first.as_primitive::<Int64Type>().values(), &[4, 2, 5, 3]);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextVocabulary {
    max_size: Option<u64>,
    min_df: TextLimit,
    max_df: TextLimit,
    special_tokens: Vec<String>,
    start_token: Option<String>,
    end_token: Option<String>,
}

/// A number of texts, or a share of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextLimit {
    /// So many texts.
    Count(u64),
    /// That part of all texts, from 0 to 1.
    Share(f64),
}

impl From<u64> for TextLimit {
    fn from(texts: u64) -> TextLimit {
        TextLimit::Count(texts)
    }
}

impl From<i32> for TextLimit {
    /// Numbers below 0 limit as 0 does.
    fn from(texts: i32) -> TextLimit {
        TextLimit::Count(u64::try_from(texts).unwrap_or(0))
    }
}

impl From<f64> for TextLimit {
    fn from(share: f64) -> TextLimit {
        TextLimit::Share(share)
    }
}

impl TextLimit {
    /// The limit as a number of texts.
    fn of(self, texts: u64) -> f64 {
        match self {
            TextLimit::Count(count) => count as f64,
            TextLimit::Share(share) => share * texts as f64,
        }
    }
}

/// The first id of a token: after padding, missing and unknown ones.
const FIRST_ID: u32 = 3;
const MISSING_ID: u32 = 1;
const UNKNOWN_ID: u32 = 2;

impl Default for TextVocabulary {
    /// All tokens, no special ones.
    fn default() -> TextVocabulary {
        TextVocabulary {
            max_size: None,
            min_df: TextLimit::Count(1),
            max_df: TextLimit::Share(1.0),
            special_tokens: Vec::new(),
            start_token: None,
            end_token: None,
        }
    }
}

impl TextVocabulary {
    /// The greatest number of ids in all, the three reserved ones and special tokens included; no
    /// limit by default.
    #[must_use]
    pub fn with_max_size(mut self, ids: u64) -> Self {
        self.max_size = Some(ids);
        self
    }

    /// Leaves out tokens that stand in fewer texts: a number, or a share of all texts.
    #[must_use]
    pub fn with_min_df(mut self, texts: impl Into<TextLimit>) -> Self {
        self.min_df = texts.into();
        self
    }

    /// Leaves out tokens that stand in more texts, such as `the`: a number, or a share of all texts.
    #[must_use]
    pub fn with_max_df(mut self, texts: impl Into<TextLimit>) -> Self {
        self.max_df = texts.into();
        self
    }

    /// Tokens that have ids whether they occur or not, such as `[MASK]`.
    #[must_use]
    pub fn with_special_tokens(
        mut self,
        tokens: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.special_tokens = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// A token that is put in front of each text; it need not be among the special ones.
    #[must_use]
    pub fn with_start_token(mut self, token: impl Into<String>) -> Self {
        self.start_token = Some(token.into());
        self
    }

    /// A token that is put behind each text; it need not be among the special ones.
    #[must_use]
    pub fn with_end_token(mut self, token: impl Into<String>) -> Self {
        self.end_token = Some(token.into());
        self
    }

    /// The special tokens in the order of their ids.
    fn specials(&self) -> Vec<&str> {
        let mut tokens: Vec<&str> = self.special_tokens.iter().map(String::as_str).collect();
        for token in self.start_token.iter().chain(&self.end_token) {
            if !tokens.contains(&token.as_str()) {
                tokens.push(token);
            }
        }
        tokens
    }

    fn id_of_special(&self, token: Option<&String>) -> Option<i64> {
        let position = self
            .specials()
            .iter()
            .position(|special| Some(*special) == token.map(String::as_str))?;
        i64::try_from(position)
            .ok()
            .map(|position| position + i64::from(FIRST_ID))
    }

    /// How many tokens a text gets on top of its own.
    fn added(&self) -> u64 {
        u64::from(self.start_token.is_some()) + u64::from(self.end_token.is_some())
    }

    fn check_options(&self) -> Result<()> {
        let invalid = |option: &str, value: String, expected: String| {
            Err(Error::InvalidOption {
                operator: "text_vocabulary".to_owned(),
                option: option.to_owned(),
                value,
                expected,
            })
        };
        for (option, limit) in [("min_df", self.min_df), ("max_df", self.max_df)] {
            if let TextLimit::Share(share) = limit
                && !(0.0..=1.0).contains(&share)
            {
                let expected =
                    "a share of all texts lies between 0 and 1; whole numbers count texts";
                return invalid(option, share.to_string(), expected.to_owned());
            }
        }
        let specials = &self.special_tokens;
        let repeated = specials
            .iter()
            .enumerate()
            .find(|(i, token)| specials[..*i].contains(token));
        if let Some((_, token)) = repeated {
            return invalid(
                "special_tokens",
                format!("`{token}` twice"),
                "each token has one id; remove one".to_owned(),
            );
        }
        let reserved = u64::from(FIRST_ID) + self.specials().len() as u64;
        match self.max_size {
            Some(size) if size < reserved => invalid(
                "max_size",
                size.to_string(),
                format!(
                    "{reserved} ids are reserved for padding, missing, unknown and special tokens"
                ),
            ),
            _ => Ok(()),
        }
    }
}
