//! Text with one record per line and fields between delimiters.

mod files;
mod parser;
mod read;
mod text_column;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text::TextEncoding;
use crate::io::open_options::ColumnType;
use crate::{Error, Result};

pub(crate) use files::open;
use parser::Parser;

/// How text with delimiters is to be read.
///
/// Unless told otherwise the first line names the columns, fields stand between commas (between
/// tabs in `*.tsv`) and may be quoted with `"`, an empty field is null, and the types are guessed
/// from the first 1000 rows of each file. Lines end with `\n`, `\r\n` or `\r`; empty lines are
/// left out. A record with more or fewer fields than columns is an error, and so is a value that
/// is not of its column's type: nothing is dropped or padded silently.
///
/// The files are read once when they are opened, to learn where their rows are, and once for
/// every pass over the data, of which only the needed columns are decoded. A file that is
/// compressed, or in an encoding with characters of several bytes other than UTF-8, can only be
/// read from its beginning: it makes one partition, so give several of them.
///
/// | type | from | guessed as |
/// |---|---|---|
/// | `bool` | `true` and `false` in any case, `1`, `0` | `true` and `false` |
/// | integers | decimal digits with or without a sign | `int64`, else `uint64`, without leading zeros |
/// | floats | `1.5`, `1e3`, `nan`, `inf` | `float64` |
/// | `date` | `2020-01-31` | yes |
/// | `timestamp[..]` | `2020-01-31 10:11:12.5`, `2020-01-31T10:11:12Z` | `timestamp[us]` |
/// | `hex` | up to eight hexadecimal digits, as an `int32` of the same bits | no |
/// | `string` | everything | everything else, and columns without values |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvFormat {
    delimiter: Option<String>,
    header: Option<bool>,
    names: Vec<String>,
    quote: Option<char>,
    escape: Option<char>,
    comment: Option<char>,
    nulls: Vec<String>,
    encoding: String,
    types: BTreeMap<String, ColumnType>,
    sample_rows: usize,
}

impl Default for CsvFormat {
    fn default() -> CsvFormat {
        CsvFormat {
            delimiter: None,
            header: None,
            names: Vec::new(),
            quote: Some('"'),
            escape: None,
            comment: None,
            nulls: vec![String::new()],
            encoding: "utf-8".into(),
            types: BTreeMap::new(),
            sample_rows: 1000,
        }
    }
}

impl CsvFormat {
    /// Comma-separated values with a header.
    pub fn new() -> CsvFormat {
        CsvFormat::default()
    }

    /// What stands between fields: one or several characters, such as `\t` or `::`.
    #[must_use]
    pub fn with_delimiter(mut self, delimiter: impl Into<String>) -> CsvFormat {
        self.delimiter = Some(delimiter.into());
        self
    }

    /// Whether the first line names the columns; by default it does unless
    /// [`with_names`](CsvFormat::with_names) is given. Without either, the columns are called
    /// `column_1`, `column_2` and so on.
    #[must_use]
    pub fn with_header(mut self, header: bool) -> CsvFormat {
        self.header = Some(header);
        self
    }

    /// The names of all columns in their order; with a header they replace those there.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> CsvFormat {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// The character around fields that hold delimiters or line breaks, `"` by default; twice in
    /// a row it stands for itself. `None` takes quotes for ordinary characters.
    #[must_use]
    pub fn with_quote(mut self, quote: impl Into<Option<char>>) -> CsvFormat {
        self.quote = quote.into();
        self
    }

    /// The character that takes the special meaning from the next one within quotes; none by
    /// default.
    #[must_use]
    pub fn with_escape(mut self, escape: char) -> CsvFormat {
        self.escape = Some(escape);
        self
    }

    /// The character that begins lines to be left out; none by default.
    #[must_use]
    pub fn with_comment(mut self, comment: char) -> CsvFormat {
        self.comment = Some(comment);
        self
    }

    /// The texts that stand for null, by default the empty one alone.
    ///
    /// A quoted text is null only in columns of other types than strings.
    #[must_use]
    pub fn with_nulls(mut self, nulls: impl IntoIterator<Item = impl Into<String>>) -> CsvFormat {
        self.nulls = nulls.into_iter().map(Into::into).collect();
        self
    }

    /// The encoding, `utf-8` by default: `latin-1`, `windows-1252`, `utf-16le`, `shift_jis` or any
    /// other that the web knows. `latin-1` is ISO 8859-1 as its standard has it.
    #[must_use]
    pub fn with_encoding(mut self, encoding: impl Into<String>) -> CsvFormat {
        self.encoding = encoding.into();
        self
    }

    /// The type of a column, which is else guessed.
    #[must_use]
    pub fn with_type(
        mut self,
        column: impl Into<String>,
        column_type: impl Into<ColumnType>,
    ) -> CsvFormat {
        self.types.insert(column.into(), column_type.into());
        self
    }

    /// How many rows of each file types are guessed from, 1000 by default.
    #[must_use]
    pub fn with_sample_rows(mut self, rows: usize) -> CsvFormat {
        self.sample_rows = rows;
        self
    }

    /// With another delimiter where none was given.
    pub(crate) fn or_delimiter(mut self, delimiter: &str) -> CsvFormat {
        self.delimiter.get_or_insert_with(|| delimiter.to_owned());
        self
    }

    fn has_header(&self) -> bool {
        self.header.unwrap_or(self.names.is_empty())
    }

    fn parser(&self) -> Result<Parser> {
        let invalid = |option: &str, value: String, expected: &str| Error::InvalidOption {
            operator: "csv".into(),
            option: option.into(),
            value,
            expected: expected.into(),
        };
        let byte = |option: &str, character: Option<char>| match character {
            None => Ok(None),
            Some(character) if character.is_ascii() && !"\r\n".contains(character) => {
                Ok(Some(character as u8))
            }
            Some(character) => Err(invalid(
                option,
                format!("{character:?}"),
                "it must be an ASCII character and no line break; give another one",
            )),
        };
        let (quote, escape) = (byte("quote", self.quote)?, byte("escape", self.escape)?);
        let delimiter = self.delimiter.as_deref().unwrap_or(",");
        let bad = delimiter.is_empty()
            || delimiter.contains(['\r', '\n'])
            || quote.is_some_and(|quote| delimiter.contains(char::from(quote)));
        if bad {
            return Err(invalid(
                "delimiter",
                format!("{delimiter:?}"),
                "it must have a character, and neither line breaks nor the quote; \
                 give another one",
            ));
        }
        Ok(Parser::new(
            delimiter.as_bytes(),
            quote,
            escape,
            byte("comment", self.comment)?,
        ))
    }

    fn text_encoding(&self) -> Result<TextEncoding> {
        TextEncoding::parse(&self.encoding)
    }
}

#[cfg(test)]
mod tests;
