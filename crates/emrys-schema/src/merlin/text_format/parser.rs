//! From text to fields.

use super::{Field, Problem, Result, Value};

/// How deep messages may be nested: protobuf's own limit.
const DEEPEST_MESSAGE: usize = 100;

/// A place in the text.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Parser<'a> {
    /// The fields up to `end`, which is consumed; without one, up to the end of the text.
    pub(super) fn fields(
        &mut self,
        end: Option<(u8, usize)>,
        depth: usize,
    ) -> Result<Vec<Field<'a>>> {
        let mut fields = Vec::new();
        loop {
            match (self.peek(), end) {
                (None, None) => return Ok(fields),
                (None, Some((_, opened))) => {
                    return Err(Problem {
                        at: opened,
                        text: "the message that begins here is not closed".into(),
                    });
                }
                (Some(found), Some((end, _))) if found == end => {
                    self.at += 1;
                    return Ok(fields);
                }
                _ => self.field(&mut fields, depth)?,
            }
        }
    }

    /// One field, or several of the same name from a list in brackets.
    fn field(&mut self, fields: &mut Vec<Field<'a>>, depth: usize) -> Result<()> {
        let at = self.at;
        let name = self.name()?;
        let has_colon = self.eat(b':');
        if has_colon && self.eat(b'[') {
            let opened = self.at - 1;
            let mut first = true;
            while !self.eat(b']') {
                if self.peek().is_none() {
                    return Err(Problem {
                        at: opened,
                        text: "the list that begins here is not closed".into(),
                    });
                }
                if !first && !self.eat(b',') {
                    return Err(self.unexpected("`,` or `]`"));
                }
                first = false;
                self.peek();
                let value_at = self.at;
                let value = self.value(true, depth)?;
                fields.push(Field {
                    name,
                    value,
                    at,
                    value_at,
                });
            }
        } else {
            self.peek();
            let value_at = self.at;
            let value = self.value(has_colon, depth)?;
            fields.push(Field {
                name,
                value,
                at,
                value_at,
            });
        }
        if !self.eat(b',') {
            self.eat(b';');
        }
        Ok(())
    }

    fn name(&mut self) -> Result<&'a str> {
        if self.peek() == Some(b'[') {
            let rest = &self.text[self.at..];
            let is_inside = |char: char| char.is_ascii_alphanumeric() || "[._/-".contains(char);
            let length = rest.find(|char| !is_inside(char)).unwrap_or(rest.len());
            if !rest[length..].starts_with(']') {
                return Err(self.unexpected("the name of a type in brackets"));
            }
            self.at += length + 1;
            return Ok(&rest[..=length]);
        }
        let name = self.run(|char| char.is_ascii_alphanumeric() || char == '_');
        if name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) {
            self.at -= name.len();
            return Err(self.unexpected("the name of a field"));
        }
        Ok(name)
    }

    fn value(&mut self, has_colon: bool, depth: usize) -> Result<Value<'a>> {
        match self.peek() {
            Some(open @ (b'{' | b'<')) => {
                if depth == DEEPEST_MESSAGE {
                    let text = format!("messages are nested deeper than {DEEPEST_MESSAGE} levels");
                    return Err(Problem { at: self.at, text });
                }
                let end = if open == b'{' { b'}' } else { b'>' };
                let opened = self.at;
                self.at += 1;
                self.fields(Some((end, opened)), depth + 1)
                    .map(Value::Message)
            }
            _ if !has_colon => Err(self.unexpected("`:` or `{`")),
            Some(b'"' | b'\'') => self.text().map(Value::Text),
            _ => {
                let word = self.scalar_word();
                if word.is_empty() || word == "-" {
                    self.at -= word.len();
                    return Err(self.unexpected("a value"));
                }
                Ok(Value::Word(word))
            }
        }
    }

    /// A number with sign and exponent, or a name.
    fn scalar_word(&mut self) -> &'a str {
        let start = self.at;
        if self.text[start..].starts_with('-') {
            self.at += 1;
        }
        let is_number =
            self.text[self.at..].starts_with(|char: char| char.is_ascii_digit() || char == '.');
        loop {
            let run = self.run(|char| char.is_ascii_alphanumeric() || char == '_' || char == '.');
            let is_exponent = is_number && run.ends_with(['e', 'E']);
            if !(is_exponent && self.text[self.at..].starts_with(['+', '-'])) {
                return &self.text[start..self.at];
            }
            self.at += 1;
        }
    }

    /// Adjacent quoted strings, which are one.
    fn text(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(quote @ (b'"' | b'\'')) = self.peek() {
            let opened = self.at;
            self.at += 1;
            loop {
                match self.text.as_bytes().get(self.at).copied() {
                    None | Some(b'\n') => {
                        return Err(Problem {
                            at: opened,
                            text: "the string that begins here is not closed".into(),
                        });
                    }
                    Some(b'\\') => self.escape(&mut bytes)?,
                    Some(byte) => {
                        self.at += 1;
                        if byte == quote {
                            break;
                        }
                        bytes.push(byte);
                    }
                }
            }
        }
        Ok(bytes)
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let digits = |skip: usize, radix: u32, most: usize| {
            let count = rest[skip..]
                .chars()
                .take(most)
                .take_while(|char| char.is_digit(radix))
                .count();
            (
                u32::from_str_radix(&rest[skip..skip + count], radix).ok(),
                skip + count,
            )
        };
        let unknown = || Problem {
            at: start,
            text: "unknown escape in a string".into(),
        };
        let (byte, length) = match rest.chars().next() {
            Some('n') => (b'\n', 1),
            Some('r') => (b'\r', 1),
            Some('t') => (b'\t', 1),
            Some('a') => (0x07, 1),
            Some('b') => (0x08, 1),
            Some('f') => (0x0c, 1),
            Some('v') => (0x0b, 1),
            Some('\\') => (b'\\', 1),
            Some('\'') => (b'\'', 1),
            Some('"') => (b'"', 1),
            Some('?') => (b'?', 1),
            Some('0'..='7') => {
                let (code, length) = digits(0, 8, 3);
                (
                    code.and_then(|code| u8::try_from(code).ok())
                        .ok_or_else(unknown)?,
                    length,
                )
            }
            Some('x' | 'X') => {
                let (code, length) = digits(1, 16, 2);
                (
                    code.and_then(|code| u8::try_from(code).ok())
                        .ok_or_else(unknown)?,
                    length,
                )
            }
            Some(kind @ ('u' | 'U')) => {
                let most = if kind == 'u' { 4 } else { 8 };
                let (code, length) = digits(1, 16, most);
                let char = code
                    .filter(|_| length == 1 + most)
                    .and_then(char::from_u32)
                    .ok_or_else(unknown)?;
                bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
                self.at += 1 + length;
                return Ok(());
            }
            _ => return Err(unknown()),
        };
        bytes.push(byte);
        self.at += 1 + length;
        Ok(())
    }

    /// Skips space and comments; the byte after them.
    fn peek(&mut self) -> Option<u8> {
        loop {
            self.run(|char| char.is_ascii_whitespace() || char == '\u{b}');
            if !self.text[self.at..].starts_with('#') {
                return self.text.as_bytes().get(self.at).copied();
            }
            self.run(|char| char != '\n');
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|char| !belongs(char)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let text = match self.text[self.at..].chars().next() {
            Some(found) => format!("found `{}`, expected {expected}", found.escape_debug()),
            None => format!("the text ends, expected {expected}"),
        };
        Problem { at: self.at, text }
    }
}
