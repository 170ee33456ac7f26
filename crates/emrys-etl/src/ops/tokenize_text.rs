//! See [`TokenizeText`].

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::compute::{cast as cast_array, regexp_is_match_scalar};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result as EngineResult;
use datafusion::functions::expr_fn::{lower, regexp_replace};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit,
};
use datafusion::prelude::Expr;
use emrys_schema::{DType, Schema, Shape, Tag};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Splits texts into lists of tokens, such as lower-case words.
///
/// The tokens of all texts become ids with [`Categorify`](super::Categorify), which counts the
/// elements of lists, and token lists of one length with [`ListSlice`](super::ListSlice): see the
/// example.
///
/// # Output
/// The same columns with a list of strings for each text, in the order of the text. With n-grams,
/// runs of `n` tokens joined by a space follow after the shorter ones. At most
/// [`with_max_tokens`](TokenizeText::with_max_tokens) per text.
/// # Schema
/// Adds `text` and `tokenized`; a ragged list dimension; drops the domain.
/// # Nulls, NaN and empty input
/// Null stays null; a text without tokens gives an empty list. No rows in, no rows out.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Refused at build: a text per row is needed.
/// # Errors
/// At build: a column that is no text; a pattern that is no regular expression; lengths or n-grams
/// of 0, or whose least is above the greatest.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::{Categorify, ListSlice, TokenizeText}};
/// # use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
/// # use arrow::datatypes::Int64Type;
/// # use std::sync::Arc;
/// # let title: ArrayRef = Arc::new(StringArray::from(vec!["The cat sat.", "THE dog", "the end"]));
/// # let batch = RecordBatch::try_from_iter([("title", title)]).unwrap();
/// # let items = Dataset::from_batches(batch.schema(), vec![batch])?;
/// // The 10000 most frequent words, of which each title shows its first 4.
/// let words = cols(["title"])
///     >> TokenizeText::words()
///     >> Categorify::default().with_max_size(10_000)
///     >> ListSlice::first(4).with_padding(0);
/// let rows = &Workflow::new(words).fit(&items)?.transform(&items)?.collect()?[0];
/// let titles = rows.column(0).as_fixed_size_list();
/// // Ids 0 to 2 are padding, missing and unknown words; 3 is `the`.
/// assert_eq!(titles.value(1).as_primitive::<Int64Type>().values(), &[3, 5, 0, 0]);
/// # Ok::<(), emrys_etl::Error>(())
/// ```
/// # References
/// Unicode words are those of [UAX #29](https://www.unicode.org/reports/tr29/#Word_Boundaries).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizeText {
    split: TextSplit,
    lowercase: bool,
    min_token_length: usize,
    max_token_length: Option<usize>,
    ngrams: (usize, usize),
    max_tokens: Option<usize>,
}

/// Where texts are split.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextSplit {
    /// At the boundaries of Unicode words; punctuation and spaces are left out.
    #[default]
    Words,
    /// At white space; punctuation stays with its word.
    Whitespace,
    /// At each match of a regular expression.
    Pattern(String),
}

/// Stands where a pattern matched; the control character that ASCII has for the purpose.
const SEPARATOR: &str = "\u{1f}";

impl Default for TokenizeText {
    /// Lower-case Unicode words.
    fn default() -> TokenizeText {
        TokenizeText {
            split: TextSplit::Words,
            lowercase: true,
            min_token_length: 1,
            max_token_length: None,
            ngrams: (1, 1),
            max_tokens: None,
        }
    }
}

impl TokenizeText {
    /// Unicode words, in lower case.
    pub fn words() -> TokenizeText {
        TokenizeText::default()
    }

    /// What stands between white space, in lower case.
    pub fn whitespace() -> TokenizeText {
        TokenizeText {
            split: TextSplit::Whitespace,
            ..TokenizeText::default()
        }
    }

    /// What stands between the matches of a regular expression, in lower case; the expression is
    /// matched with the lower-case text.
    pub fn pattern(regex: impl Into<String>) -> TokenizeText {
        TokenizeText {
            split: TextSplit::Pattern(regex.into()),
            ..TokenizeText::default()
        }
    }

    /// Whether texts are put into lower case first, as by default.
    #[must_use]
    pub fn with_lowercase(mut self, lowercase: bool) -> Self {
        self.lowercase = lowercase;
        self
    }

    /// Leaves out tokens of fewer characters; 1 by default.
    #[must_use]
    pub fn with_min_token_length(mut self, characters: usize) -> Self {
        self.min_token_length = characters;
        self
    }

    /// Leaves out tokens of more characters; no limit by default.
    #[must_use]
    pub fn with_max_token_length(mut self, characters: usize) -> Self {
        self.max_token_length = Some(characters);
        self
    }

    /// Runs of `min` to `max` tokens instead of single ones: `(1, 2)` gives words and pairs.
    #[must_use]
    pub fn with_ngrams(mut self, min: usize, max: usize) -> Self {
        self.ngrams = (min, max);
        self
    }

    /// Keeps the first tokens of each text only (n-grams are counted too); all by default.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: usize) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    fn tokens<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let fits = |token: &&str| {
            let length = token.chars().count();
            length >= self.min_token_length && self.max_token_length.is_none_or(|max| length <= max)
        };
        match &self.split {
            TextSplit::Words => text.unicode_words().filter(fits).collect(),
            TextSplit::Whitespace => text.split_whitespace().filter(fits).collect(),
            TextSplit::Pattern(_) => text.split(SEPARATOR).filter(fits).collect(),
        }
    }

    fn append(&self, text: &str, tokens: &mut StringBuilder) {
        let (min, max) = self.ngrams;
        let lower_case;
        let text = match self.lowercase {
            true => {
                lower_case = text.to_lowercase();
                &lower_case
            }
            false => text,
        };
        let words = self.tokens(text);
        let runs = (min..=max.min(words.len())).flat_map(|length| words.windows(length));
        for run in runs.take(self.max_tokens.unwrap_or(usize::MAX)) {
            match run {
                [word] => tokens.append_value(word),
                run => tokens.append_value(run.join(" ")),
            }
        }
    }

    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let texts = cast_array(array, &DataType::Utf8View)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for text in texts.as_string_view() {
            if let Some(text) = text {
                self.append(text, lists.values());
            }
            lists.append(text.is_some());
        }
        Ok(Arc::new(lists.finish()))
    }

    fn invalid(option: &str, value: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::InvalidOption {
            operator: "tokenize_text".to_owned(),
            option: option.to_owned(),
            value: value.into(),
            expected: expected.into(),
        }
    }
}

impl Operator for TokenizeText {
    type State = ();

    fn name() -> &'static str {
        "TokenizeText"
    }

    fn description() -> &'static str {
        "Splits texts into lists of tokens."
    }

    fn check(&self) -> Result<()> {
        if let TextSplit::Pattern(pattern) = &self.split {
            regexp_is_match_scalar(&StringArray::from(vec![""]), pattern, None).map_err(|_| {
                TokenizeText::invalid(
                    "split",
                    format!("`{pattern}`"),
                    "that is no regular expression",
                )
            })?;
        }
        let (min, max) = self.ngrams;
        if min == 0 || max < min {
            return Err(TokenizeText::invalid(
                "ngrams",
                format!("{min} to {max}"),
                "at least 1 token is needed, and no less than the least number",
            ));
        }
        let least = self.min_token_length.max(1);
        if self.max_token_length.is_some_and(|max| max < least) {
            return Err(TokenizeText::invalid(
                "max_token_length",
                format!("{}", self.max_token_length.unwrap_or_default()),
                format!("tokens have at least {least} characters"),
            ));
        }
        if self.max_tokens == Some(0) {
            return Err(TokenizeText::invalid(
                "max_tokens",
                "0",
                "lists need room for one token; leave it out for all",
            ));
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_scalars()?;
        let columns = input.columns().map(|column| {
            input.require(column, "a text", |dtype| dtype == DType::String)?;
            let max = self.max_tokens.and_then(|max| u64::try_from(max).ok());
            Ok(column
                .clone()
                .with_dtype(DType::String)
                .with_shape(Shape::ragged(0, max))
                .with_domain(None)
                .with_tags([Tag::TextTokenized]))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let columns = input.columns().map(|column| {
            let mut text = cast(input.expr(column.name())?, DataType::Utf8);
            let mut operator = self.clone();
            if let TextSplit::Pattern(pattern) = &self.split {
                if std::mem::take(&mut operator.lowercase) {
                    text = lower(text);
                }
                text = regexp_replace(text, lit(pattern.as_str()), lit(SEPARATOR), Some(lit("g")));
            }
            let function = Tokens {
                operator,
                signature: Signature::any(1, Volatility::Immutable),
            };
            let tokens = ScalarUDF::new_from_impl(function).call(vec![text]);
            Ok((column.name().to_owned(), tokens))
        });
        Ok(Lowered::Columns(columns.collect::<Result<_>>()?))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Words in lower case, without punctuation.",
                config: serde_json::json!({}),
                input: serde_json::json!({"title": ["The Cat's hat!", "", null]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"title": [["the", "cat's", "hat"], [], null]}),
            },
            Example {
                title: "Words and pairs of words.",
                config: serde_json::json!({"ngrams": [1, 2]}),
                input: serde_json::json!({"title": ["red wool hat"]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "title": [["red", "wool", "hat", "red wool", "wool hat"]],
                }),
            },
            Example {
                title: "Genres between bars; the case stays.",
                config: serde_json::json!({"split": {"pattern": "\\|"}, "lowercase": false}),
                input: serde_json::json!({"genres": ["Drama|Sci-Fi", "Comedy"]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"genres": [["Drama", "Sci-Fi"], ["Comedy"]]}),
            },
        ]
    }
}

/// The tokens as a function of the engine.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Tokens {
    operator: TokenizeText,
    signature: Signature,
}

impl ScalarUDFImpl for Tokens {
    fn name(&self) -> &'static str {
        "tokenize_text"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        Ok(format!("tokenize_text({}, {:?})", args[0], self.operator))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        let element = Field::new_list_field(DataType::Utf8, true);
        Ok(DataType::List(Arc::new(element)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.operator.apply(&array)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(operator: &TokenizeText, text: &str) -> Vec<String> {
        let mut builder = StringBuilder::new();
        operator.append(text, &mut builder);
        builder
            .finish()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn words_are_those_of_unicode() {
        let words = TokenizeText::words();
        assert_eq!(tokens(&words, "ÉCLAIR à 3.50 €"), ["éclair", "à", "3.50"]);
        assert_eq!(tokens(&words, " ... "), Vec::<String>::new());
        let kept = TokenizeText::whitespace().with_lowercase(false);
        assert_eq!(tokens(&kept, "Wow!  So good."), ["Wow!", "So", "good."]);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let operator = TokenizeText::words()
            .with_min_token_length(2)
            .with_max_token_length(3);
        assert_eq!(tokens(&operator, "à été crème no"), ["été", "no"]);
    }

    #[test]
    fn runs_longer_than_the_text_give_nothing() {
        let pairs = TokenizeText::words().with_ngrams(2, 3);
        assert_eq!(tokens(&pairs, "one"), Vec::<String>::new());
        assert_eq!(tokens(&pairs, "a b c"), ["a b", "b c", "a b c"]);
        let all = TokenizeText::words().with_ngrams(2, usize::MAX);
        assert_eq!(tokens(&all, "a b c"), ["a b", "b c", "a b c"]);
        let few = TokenizeText::words().with_ngrams(1, 2).with_max_tokens(4);
        assert_eq!(tokens(&few, "a b c"), ["a", "b", "c", "a b"]);
    }

    #[test]
    fn senseless_options_are_told() {
        let error = |operator: TokenizeText| operator.check().unwrap_err().to_string();
        assert_eq!(
            error(TokenizeText::pattern("[")),
            "tokenize_text: `split` is `[`, but that is no regular expression"
        );
        assert_eq!(
            error(TokenizeText::words().with_ngrams(2, 1)),
            "tokenize_text: `ngrams` is 2 to 1, but at least 1 token is needed, and no less than the \
             least number"
        );
        assert_eq!(
            error(TokenizeText::words().with_max_token_length(0)),
            "tokenize_text: `max_token_length` is 0, but tokens have at least 1 characters"
        );
    }
}
