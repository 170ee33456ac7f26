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
