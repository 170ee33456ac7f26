//! Cutting text into records and fields.

/// A field of the record that was parsed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where its characters begin, without a quote, in the text that was given.
    start: usize,
    end: usize,
    pub(crate) quoted: bool,
    /// Whether a quote or escape within stands for something else.
    escaped: bool,
}

/// What a text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A record of this many bytes, its end included.
    Record(usize),
    /// An empty line or a comment of this many bytes.
    Skip(usize),
    /// The beginning of a record whose end is not in the text.
    Incomplete,
    /// Something that is no record.
    Bad(&'static str),
}

/// Where a field ends.
enum End {
    Delimiter,
    Line,
    Text,
    Unknown,
}

/// Finds the fields of records.
#[derive(Debug, Clone)]
pub(crate) struct Parser {
    delimiter: Vec<u8>,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    /// Which bytes may end a field without quotes.
    ends: [bool; 256],
    fields: Vec<Span>,
    breaks: u64,
}

impl Parser {
    /// A parser for a delimiter that is neither empty nor has line breaks or quotes.
    pub(crate) fn new(
        delimiter: &[u8],
        quote: Option<u8>,
        escape: Option<u8>,
        comment: Option<u8>,
    ) -> Parser {
        let mut ends = [false; 256];
        for byte in [b'\r', b'\n', delimiter[0]] {
            ends[usize::from(byte)] = true;
        }
        Parser {
            delimiter: delimiter.to_vec(),
            quote,
            escape,
            comment,
            ends,
            fields: Vec::new(),
            breaks: 0,
        }
    }

    /// The fields of the last record.
    pub(crate) fn fields(&self) -> &[Span] {
        &self.fields
    }

    /// How many line breaks the last record or skipped line has, the one at its end included.
    pub(crate) fn breaks(&self) -> u64 {
        self.breaks
    }

    /// Finds the first record of a text that is not empty; `last` if nothing follows the text.
    pub(crate) fn parse(&mut self, text: &[u8], last: bool) -> Parsed {
        self.fields.clear();
        self.breaks = 0;
        if let Some(length) = self.skipped(text, last) {
            return length;
        }
        let mut start = 0;
        loop {
            let quoted = self.quote.is_some() && text.get(start).copied() == self.quote;
            let field = match quoted {
                true => self.quoted(text, start + 1, last),
                false => Ok(self.plain(text, start, last)),
            };
            let (span, next) = match field {
                Ok(Some(field)) => field,
                Ok(None) => return Parsed::Incomplete,
                Err(problem) => return Parsed::Bad(problem),
            };
            self.fields.push(span);
            match self.end(text, next, last) {
                End::Delimiter => start = next + self.delimiter.len(),
                End::Line => {
                    self.breaks += 1;
                    return match line_break(&text[next..], last) {
                        Some(length) => Parsed::Record(next + length),
                        None => Parsed::Incomplete,
                    };
                }
                End::Text => return Parsed::Record(next),
                End::Unknown => return Parsed::Incomplete,
            }
        }
    }

    /// The empty line or comment that the text begins with.
    fn skipped(&mut self, text: &[u8], last: bool) -> Option<Parsed> {
        let is_comment = self.comment.is_some() && text.first().copied() == self.comment;
        let end = match is_comment {
            true => text.iter().position(|byte| matches!(byte, b'\r' | b'\n')),
            false => Some(0),
        };
        let Some(end) = end else {
            return Some(match last {
                true => Parsed::Skip(text.len()),
                false => Parsed::Incomplete,
            });
        };
        if !matches!(text.get(end), Some(b'\r' | b'\n')) {
            return None;
        }
        self.breaks = 1;
        Some(match line_break(&text[end..], last) {
            Some(length) => Parsed::Skip(end + length),
            None => Parsed::Incomplete,
        })
    }

    /// The field without quotes that begins at `start`, and what follows it; `None` if its end is
    /// not in the text.
    fn plain(&self, text: &[u8], start: usize, last: bool) -> Option<(Span, usize)> {
        let mut end = start;
        loop {
            let rest = &text[end..];
            let Some(length) = rest.iter().position(|byte| self.ends[usize::from(*byte)]) else {
                end = text.len();
                break;
            };
            end += length;
            match self.end(text, end, last) {
                End::Unknown if !last && self.may_be_delimiter(&text[end..]) => return None,
                // The first byte of the delimiter without the others.
                End::Unknown => end += 1,
                _ => break,
            }
        }
        if end == text.len() && !last {
            return None;
        }
        let span = Span {
            start,
            end,
            quoted: false,
            escaped: false,
        };
        Some((span, end))
    }

    /// The field within quotes whose characters begin at `start`, and what follows it.
    fn quoted(
        &mut self,
        text: &[u8],
        start: usize,
        last: bool,
    ) -> Result<Option<(Span, usize)>, &'static str> {
        let (mut end, mut escaped) = (start, false);
        loop {
            let Some(&byte) = text.get(end) else {
                return match last {
                    true => Err("begins a quote that is not closed"),
                    false => Ok(None),
                };
            };
            let next = text.get(end + 1).copied();
            if self.quote == Some(byte) {
                match next {
                    None if !last => return Ok(None),
                    next if next == self.quote => {
                        escaped = true;
                        end += 2;
                    }
                    _ => break,
                }
            } else if self.escape == Some(byte) && next.is_some() {
                escaped = true;
                self.breaks += u64::from(next == Some(b'\n'));
                end += 2;
            } else {
                let ends_line = byte == b'\n' || (byte == b'\r' && next != Some(b'\n'));
                self.breaks += u64::from(ends_line);
                end += 1;
            }
        }
        let span = Span {
            start,
            end,
            quoted: true,
            escaped,
        };
        match self.end(text, end + 1, last) {
            End::Unknown if last || !self.may_be_delimiter(&text[end + 1..]) => {
                Err("has text between a closing quote and the next delimiter")
            }
            End::Unknown => Ok(None),
            _ => Ok(Some((span, end + 1))),
        }
    }

    /// What is at a place where a field may end.
    fn end(&self, text: &[u8], at: usize, last: bool) -> End {
        let rest = &text[at..];
        match rest.first() {
            None if last => End::Text,
            None => End::Unknown,
            Some(b'\r' | b'\n') => End::Line,
            Some(_) if rest.starts_with(&self.delimiter) => End::Delimiter,
            Some(_) => End::Unknown,
        }
    }

    /// Whether more text could make a delimiter of all that there is.
    fn may_be_delimiter(&self, rest: &[u8]) -> bool {
        rest.len() < self.delimiter.len() && self.delimiter.starts_with(rest)
    }

    /// The characters of a field of the last record; `scratch` holds them where they are not in
    /// the text as they are.
    pub(crate) fn value<'a>(
        &self,
        text: &'a [u8],
        span: Span,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let field = &text[span.start..span.end];
        if !span.escaped {
            return field;
        }
        scratch.clear();
        let mut bytes = field.iter().copied();
        while let Some(byte) = bytes.next() {
            let special = self.quote == Some(byte) || self.escape == Some(byte);
            let shown = match special {
                true => bytes.next().unwrap_or(byte),
                false => byte,
            };
            scratch.push(shown);
        }
        scratch
    }
}

/// The length of the line break that the text begins with; `None` if more may belong to it.
fn line_break(text: &[u8], last: bool) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\r'] if !last => None,
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comma() -> Parser {
        Parser::new(b",", Some(b'"'), None, None)
    }

    /// All records of a text that comes in pieces of the given length, or the problem.
    fn records(
        mut parser: Parser,
        text: &[u8],
        piece: usize,
    ) -> Result<Vec<Vec<String>>, &'static str> {
        let (mut start, mut end) = (0, 0);
        let mut records = Vec::new();
        let mut scratch = Vec::new();
        loop {
            let last = end == text.len();
            let rest = &text[start..end];
            if rest.is_empty() && last {
                return Ok(records);
            }
            let parsed = match rest.is_empty() {
                true => Parsed::Incomplete,
                false => parser.parse(rest, last),
            };
            match parsed {
                Parsed::Record(length) => {
                    let fields = parser.fields().iter().map(|span| {
                        let value = parser.value(rest, *span, &mut scratch);
                        String::from_utf8_lossy(value).into_owned()
                    });
                    records.push(fields.collect());
                    start += length;
                }
                Parsed::Skip(length) => start += length,
                Parsed::Incomplete => {
                    assert!(!last, "a record at the end of the text is complete");
                    end = (end + piece).min(text.len());
                }
                Parsed::Bad(problem) => return Err(problem),
            }
        }
    }

    #[test]
    fn fields_stand_between_delimiters() {
        let all = |parser: Parser, text: &str| {
            let whole = records(parser.clone(), text.as_bytes(), usize::MAX / 2);
            for piece in 1..5 {
                assert_eq!(records(parser.clone(), text.as_bytes(), piece), whole);
            }
            whole
        };
        assert_eq!(
            all(comma(), "a,b\n1,\r\n\n,2\r3,4"),
            Ok(vec![
                vec!["a".into(), "b".into()],
                vec!["1".into(), String::new()],
                vec![String::new(), "2".into()],
                vec!["3".into(), "4".into()],
            ])
        );
        assert_eq!(
            all(comma(), "\"a,\n\"\"b\"\"\",c\"d\n\"\""),
            Ok(vec![
                vec!["a,\n\"b\"".into(), "c\"d".into()],
                vec![String::new()]
            ])
        );
        assert_eq!(
            all(comma(), "1,\"x"),
            Err("begins a quote that is not closed")
        );
        assert_eq!(
            all(comma(), "\"x\"y,1"),
            Err("has text between a closing quote and the next delimiter")
        );

        let double = Parser::new(b"::", None, None, Some(b'#'));
        assert_eq!(
            all(double.clone(), "#x\n1::\"a:b\"::\n2::::3\n#"),
            Ok(vec![
                vec!["1".into(), "\"a:b\"".into(), String::new()],
                vec!["2".into(), String::new(), "3".into()],
            ])
        );
        assert_eq!(all(double, "a:"), Ok(vec![vec!["a:".into()]]));

        let escaped = Parser::new(b",", Some(b'"'), Some(b'\\'), None);
        assert_eq!(
            all(escaped, "\"a\\\"b\\\\\",\\c"),
            Ok(vec![vec!["a\"b\\".into(), "\\c".into()]])
        );
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[a:,\"\r\n\\\\]{0,40}", piece in 1usize..8) {
            for parser in [
                comma(),
                Parser::new(b"::", Some(b'"'), Some(b'\\'), Some(b'a')),
                Parser::new(b",", None, None, None),
            ] {
                let whole = records(parser.clone(), text.as_bytes(), usize::MAX / 2);
                prop_assert_eq!(records(parser, text.as_bytes(), piece), whole);
            }
        }
    }
}
