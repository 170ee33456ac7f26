//! Protobuf's text format, without knowledge of any message.
//!
//! Written here because the parsers there are want descriptors of every message and refuse the
//! fields they do not know, and prost-reflect tells no line and column. The language is that of
//! <https://protobuf.dev/reference/protobuf/textformat-spec/>.

mod parser;
mod quote;
#[cfg(test)]
mod tests;

use parser::Parser;
pub(super) use quote::{quote, quote_bytes};

/// What is wrong, and at which byte of the text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) text: String,
}

pub(super) type Result<T, E = Problem> = std::result::Result<T, E>;

/// `name: value` or `name { ... }`.
#[derive(Debug)]
pub(super) struct Field<'a> {
    /// The name; an extension or the type of an `Any` has brackets.
    pub(super) name: &'a str,
    pub(super) value: Value<'a>,
    at: usize,
    value_at: usize,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    /// A number, a boolean or the name of an enum value.
    Word(&'a str),
    /// A quoted string, its escapes resolved.
    Text(Vec<u8>),
    Message(Vec<Field<'a>>),
}

/// Reads the fields of the outermost message.
pub(super) fn parse(text: &str) -> Result<Vec<Field<'_>>> {
    let at = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    Parser { text, at }.fields(None, 0)
}

impl<'a> Field<'a> {
    /// An error at the name of the field.
    pub(super) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            at: self.at,
            text: text.into(),
        }
    }

    fn expected(&self, expected: &str) -> Problem {
        let found = match &self.value {
            Value::Word(word) => format!("`{word}`"),
            Value::Text(_) => "a string".to_owned(),
            Value::Message(_) => "a message".to_owned(),
        };
        let text = format!("`{}` is {found}, expected {expected}", self.name);
        Problem {
            at: self.value_at,
            text,
        }
    }

    pub(super) fn message(&self) -> Result<&[Field<'a>]> {
        match &self.value {
            Value::Message(fields) => Ok(fields),
            _ => Err(self.expected("a message in braces")),
        }
    }

    pub(super) fn bytes(&self) -> Result<&[u8]> {
        match &self.value {
            Value::Text(bytes) => Ok(bytes),
            _ => Err(self.expected("a quoted string")),
        }
    }

    pub(super) fn string(&self) -> Result<String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.expected("text in UTF-8"))
    }

    pub(super) fn word(&self, expected: &str) -> Result<&'a str> {
        match &self.value {
            Value::Word(word) => Ok(word),
            _ => Err(self.expected(expected)),
        }
    }

    pub(super) fn int(&self) -> Result<i64> {
        const EXPECTED: &str = "a 64-bit integer";
        let word = self.word(EXPECTED)?;
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, word),
        };
        let magnitude = if let Some(hex) = digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"))
        {
            i128::from_str_radix(hex, 16)
        } else if digits.len() > 1 && digits.starts_with('0') {
            i128::from_str_radix(digits, 8)
        } else {
            digits.parse()
        };
        let signed = magnitude
            .ok()
            .filter(|_| digits.starts_with(|digit: char| digit.is_ascii_digit()));
        signed
            .and_then(|number| i64::try_from(sign * number).ok())
            .ok_or_else(|| self.expected(EXPECTED))
    }

    pub(super) fn float(&self) -> Result<f64> {
        const EXPECTED: &str = "a number";
        let word = self.word(EXPECTED)?;
        let is_literal =
            word.ends_with(['f', 'F']) && word.contains(|char: char| char.is_ascii_digit());
        let number = if is_literal {
            &word[..word.len() - 1]
        } else {
            word
        };
        number.parse().map_err(|_| self.expected(EXPECTED))
    }

    pub(super) fn bool(&self) -> Result<bool> {
        const EXPECTED: &str = "true or false";
        match self.word(EXPECTED)? {
            "true" | "True" | "t" | "1" => Ok(true),
            "false" | "False" | "f" | "0" => Ok(false),
            _ => Err(self.expected(EXPECTED)),
        }
    }
}
