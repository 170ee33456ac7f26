//! Broken text is an error with a place, never a panic; text that is accepted can be written.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use emrys_schema::{ColumnSchema, DType, Dim, Domain, EmbeddingSize, Error, Schema, Shape, Tag};
use proptest::prelude::*;
use proptest::sample::Index;

/// One schema in each format, and the files that Merlin ships if they are there.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let schema = example();
    let mut texts = vec![
        schema.to_json().expect("shallow properties"),
        schema.to_footer_json().expect("shallow properties"),
        schema.to_pbtxt().expect("shallow properties"),
        schema.to_merlin_json().expect("shallow properties"),
    ];
    let folder = std::env::var_os("EMRYS_MERLIN_SCHEMAS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/merlin-schemas"),
        PathBuf::from,
    );
    let shipped = [
        "testing/schema.json",
        "social/schema.json",
        "ecommerce/booking/transformed/schema.pbtxt",
        "entertainment/movielens/1m/schema.pbtxt",
    ];
    for file in shipped {
        match fs::read_to_string(folder.join(file)) {
            Ok(text) => texts.push(text),
            Err(_) => eprintln!(
                "skipped: no file `{file}` in `{}`; set EMRYS_MERLIN_SCHEMAS",
                folder.display()
            ),
        }
    }
    texts
});

fn example() -> Schema {
    Schema::new([
        ColumnSchema::new("user", DType::UInt32)
            .with_tags([Tag::UserId, Tag::Categorical])
            .with_domain(Domain::int(0, 6040).named("user"))
            .with_embedding_size(EmbeddingSize {
                cardinality: 6041,
                dimension: 210,
            })
            .with_property(
                "nested",
                serde_json::json!({"a": [1, null, "größe"], "b": {"c": 0.5}}),
            ),
        ColumnSchema::new("pages", DType::Float32)
            .with_shape(Shape::new([Dim::ANY, Dim::fixed(4)]))
            .with_domain(Domain::float(-0.5, 0.5)),
        ColumnSchema::new("when", DType::Date),
    ])
    .expect("distinct names")
}

#[derive(Debug, Clone)]
enum Edit {
    Delete(Index, usize),
    Insert(Index, Vec<u8>),
    Change(Index, u8),
    Truncate(Index),
    /// Copies a piece to another place, which keeps more of the structure than random bytes.
    Repeat(Index, usize, Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Edit::Delete(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + length));
            }
            Edit::Insert(at, inserted) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Edit::Change(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Edit::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Edit::Repeat(from, length, to) => {
                let from = from.index(bytes.len());
                let piece = bytes[from..bytes.len().min(from + length)].to_vec();
                let to = to.index(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

fn edits() -> impl Strategy<Value = Edit> {
    let tokens = proptest::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            "<",
            ">",
            ":",
            ",",
            ";",
            "\"",
            "'",
            "\\",
            "\n",
            "#",
            "-",
            ".",
            "0",
            "9",
            "1e400",
            "null",
            "true",
            "nan",
            "inf",
            "0x",
            "\\377",
            "\\u12",
            "feature",
            "name",
            "9223372036854775808",
            "ä",
        ][..],
    );
    prop_oneof![
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Edit::Delete(at, length)),
        (any::<Index>(), tokens).prop_map(|(at, token)| Edit::Insert(at, token.into())),
        (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Change(at, byte)),
        any::<Index>().prop_map(Edit::Truncate),
        (any::<Index>(), 1_usize..200, any::<Index>())
            .prop_map(|(from, length, to)| Edit::Repeat(from, length, to)),
    ]
}

/// The error must be one of the text, at a place that the text has.
fn check(text: &str, result: Result<Schema, Error>) -> Result<(), TestCaseError> {
    match result {
        Ok(schema) => {
            // Names are compared, not schemas: a bound may be NaN.
            if let Ok(json) = schema.to_json() {
                let written = [
                    Schema::from_json(&json),
                    Schema::from_pbtxt(&schema.to_pbtxt().expect("written as JSON before")),
                    Schema::from_merlin_json(
                        &schema.to_merlin_json().expect("written as JSON before"),
                    ),
                ];
                for read in written.map(|read| read.expect("what we write we read")) {
                    prop_assert_eq!(read.names(), schema.names());
                }
            }
        }
        Err(Error::Parse {
            line,
            column,
            problem,
            ..
        }) => {
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(
                (1..=lines.len()).contains(&line),
                "line {line} of {}: {problem}",
                lines.len()
            );
            let length = lines[line - 1].chars().count();
            prop_assert!(
                (1..=length + 1).contains(&column),
                "column {column} of {length}: {problem}"
            );
            prop_assert!(!problem.is_empty());
        }
        Err(Error::NewerFormat { .. }) => {}
        Err(other) => prop_assert!(false, "{other}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_text_is_an_error_or_a_schema(
        text in any::<Index>(),
        edits in proptest::collection::vec(edits(), 1..4),
    ) {
        let mut bytes = text.get(&TEXTS).clone().into_bytes();
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        check(&text, Schema::from_text(&text))?;
        check(&text, Schema::from_json(&text))?;
        check(&text, Schema::from_merlin_json(&text))?;
        check(&text, Schema::from_pbtxt(&text))?;
    }

    #[test]
    fn any_text_is_an_error_or_a_schema(text in "\\PC{0,40}") {
        check(&text, Schema::from_text(&text))?;
        check(&text, Schema::from_pbtxt(&text))?;
    }
}

#[test]
fn unmutated_text_is_read() {
    for text in TEXTS.iter() {
        assert!(!Schema::from_text(text).unwrap().is_empty());
    }
}

#[test]
fn deep_nesting_is_an_error_in_every_format() {
    let texts = [
        (
            r#"{"emrys_schema": 1, "columns": [{"name": "x", "dtype": "int8", "properties": {"p": "#,
            "}}]}",
        ),
        (
            r#"{"feature": [{"name": "x", "annotation": {"extraMetadata": [{"p": "#,
            "}]}}]}",
        ),
        (
            r#"{"feature": [{"name": "x", "valueCount": {"min": "#,
            "}}]}",
        ),
    ];
    for (begin, end) in texts {
        for (open, inner, close) in [("[", "", "]"), ("{\"a\": ", "1", "}")] {
            let (open, close) = (open.repeat(500_000), close.repeat(500_000));
            let error =
                Schema::from_text(&format!("{begin}{open}{inner}{close}{end}")).unwrap_err();
            assert!(
                error.to_string().ends_with("recursion limit exceeded"),
                "{error}"
            );
            let error = Schema::from_text(&format!("{begin}{open}")).unwrap_err();
            assert!(matches!(error, Error::Parse { line: 1, .. }), "{error}");
        }
    }
    let error = Schema::from_text(&"feature { ".repeat(500_000))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "schema.pbtxt, line 1, column 1009: messages are nested deeper than 100 levels"
    );
}
