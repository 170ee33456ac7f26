//! Protobuf's text format, without knowledge of any message.
//!
//! Written here because the parsers there are want descriptors of every message and refuse the
//! fields they do not know, and prost-reflect tells no line and column. The language is that of
//! <https://protobuf.dev/reference/protobuf/textformat-spec/>.

/// How deep messages may be nested: protobuf's own limit.
const DEEPEST_MESSAGE: usize = 100;

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

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// The fields up to `end`, which is consumed; without one, up to the end of the text.
    fn fields(&mut self, end: Option<(u8, usize)>, depth: usize) -> Result<Vec<Field<'a>>> {
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

/// A quoted string as protobuf writes it: ASCII, other bytes in octal.
pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for byte in bytes {
        push_escaped(&mut quoted, *byte);
    }
    quoted + "\""
}

/// A quoted string with characters beyond ASCII as they are.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match u8::try_from(char).ok().filter(u8::is_ascii) {
            Some(byte) => push_escaped(&mut quoted, byte),
            None => quoted.push(char),
        }
    }
    quoted + "\""
}

fn push_escaped(quoted: &mut String, byte: u8) {
    match byte {
        b'\n' => quoted.push_str("\\n"),
        b'\r' => quoted.push_str("\\r"),
        b'\t' => quoted.push_str("\\t"),
        b'"' | b'\'' | b'\\' => quoted.extend(['\\', char::from(byte)]),
        b' '..=b'~' => quoted.push(char::from(byte)),
        _ => quoted.extend(format!("\\{byte:03o}").chars()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Field<'_> {
        parse(text).unwrap().pop().unwrap()
    }

    fn problem(text: &str) -> (usize, String) {
        let problem = parse(text).unwrap_err();
        (problem.at, problem.text)
    }

    #[test]
    fn every_spelling_of_a_message_is_read() {
        let text =
            "# comment\na { b: 1 }; a: < b: 1 >, a: [{b: 1}, {b: 1}] [type.googleapis.com/x.Y] { }";
        let fields = parse(text).unwrap();
        assert_eq!(fields.len(), 5);
        for field in &fields[..4] {
            assert_eq!(field.name, "a");
            assert_eq!(field.message().unwrap()[0].int().unwrap(), 1);
        }
        assert_eq!(fields[4].name, "[type.googleapis.com/x.Y]");
    }

    #[test]
    fn numbers_are_read_in_every_base() {
        for (text, number) in [
            ("12", 12),
            ("-0x1F", -31),
            ("017", 15),
            ("0", 0),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(only(&format!("x: {text}")).int().unwrap(), number);
        }
        for text in ["9223372036854775808", "1.5", "0x", "--1", "abc", "08"] {
            assert!(
                parse(&format!("x: {text}")).map_or(true, |fields| fields[0].int().is_err()),
                "{text}"
            );
        }
        for (text, number) in [
            ("1.5", 1.5),
            ("-2e-3", -2e-3),
            ("1E+2f", 100.0),
            (".5", 0.5),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(only(&format!("x: {text}")).float().unwrap(), number);
        }
        assert!(only("x: nan").float().unwrap().is_nan());
        assert!(only("x: abc").float().is_err());
        assert!(only("x: True").bool().unwrap() && !only("x: f").bool().unwrap());
    }

    #[test]
    fn strings_have_escapes_and_join() {
        let field = only(r#"x: "\n\t\"\'\\\101\x41\u00e4" 'b"' "#);
        assert_eq!(field.string().unwrap(), "\n\t\"'\\AAäb\"");
        assert_eq!(only(r#"x: "\377""#).bytes().unwrap(), [255]);
        assert!(only(r#"x: "\377""#).string().is_err());
    }

    #[test]
    fn quoted_text_is_read_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = format!("x: {}", quote_bytes(&bytes));
        assert!(text.is_ascii());
        assert_eq!(only(&text).bytes().unwrap(), bytes);
        let text = format!("x: {}", quote("größe\u{0}\n\"5\\"));
        assert_eq!(only(&text).string().unwrap(), "größe\u{0}\n\"5\\");
    }

    #[test]
    fn problems_have_their_place() {
        assert_eq!(
            problem("a { b: 1"),
            (2, "the message that begins here is not closed".to_owned())
        );
        assert_eq!(
            problem("a: \"x"),
            (3, "the string that begins here is not closed".to_owned())
        );
        assert_eq!(
            problem("a: \"\\q\""),
            (4, "unknown escape in a string".to_owned())
        );
        assert_eq!(
            problem("a: [1, 2"),
            (3, "the list that begins here is not closed".to_owned())
        );
        assert_eq!(
            problem("a: [1 2]"),
            (6, "found `2`, expected `,` or `]`".to_owned())
        );
        assert_eq!(
            problem("a 1"),
            (2, "found `1`, expected `:` or `{`".to_owned())
        );
        assert_eq!(
            problem("a:"),
            (2, "the text ends, expected a value".to_owned())
        );
        assert_eq!(
            problem("a: }"),
            (3, "found `}`, expected a value".to_owned())
        );
        assert_eq!(
            problem("1: 2"),
            (0, "found `1`, expected the name of a field".to_owned())
        );
        assert_eq!(
            problem("ä: 2"),
            (0, "found `ä`, expected the name of a field".to_owned())
        );
        assert_eq!(
            problem("[a: 2"),
            (
                0,
                "found `[`, expected the name of a type in brackets".to_owned()
            )
        );
    }

    #[test]
    fn deep_nesting_is_an_error() {
        assert!(parse(&format!("{}{}", "a{".repeat(100), "}".repeat(100))).is_ok());
        assert!(
            problem(&"a{".repeat(1_000_000))
                .1
                .contains("deeper than 100 levels")
        );
        assert!(
            problem(&"a:[{".repeat(1_000_000))
                .1
                .contains("deeper than 100 levels")
        );
        assert!(
            problem(&"a:[[".repeat(1_000_000))
                .1
                .contains("expected a value")
        );
    }
}
