//! The keys of an object without its values.

use std::borrow::Cow;

/// Calls `see` with each key of the object that a line holds, however malformed the rest is:
/// decoding tells what is wrong with it.
pub(super) fn keys(line: &[u8], mut see: impl FnMut(Cow<'_, [u8]>)) {
    let (mut depth, mut at, mut key_follows) = (0_usize, 0, false);
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => {
                let start = at + 1;
                let end = string_end(line, start);
                if depth == 1 && key_follows {
                    see(unescaped(&line[start..end]));
                    key_follows = false;
                }
                at = end;
            }
            b'{' | b'[' => {
                depth += 1;
                key_follows = depth == 1 && byte == b'{';
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => key_follows = true,
            _ => {}
        }
        at += 1;
    }
}

/// Where the string that begins at `start` ends.
fn string_end(line: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line.len()
}

fn unescaped(key: &[u8]) -> Cow<'_, [u8]> {
    if !key.contains(&b'\\') {
        return Cow::Borrowed(key);
    }
    let quoted = [b"\"", key, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(key) => Cow::Owned(key.into_bytes()),
        Err(_) => Cow::Borrowed(key),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        keys(line.as_bytes(), |key| {
            found.push(String::from_utf8_lossy(&key).into_owned());
        });
        found
    }

    #[test]
    fn only_keys_of_the_object_itself_are_seen() {
        assert_eq!(
            all(
                r#" {"a": 1, "b": {"c": [1, {"d": 2}]}, "e": ["f", "g"], "h\"\u0069": "j, \"k\":"} "#
            ),
            ["a", "b", "e", "h\"i"]
        );
        assert_eq!(all("{}"), Vec::<String>::new());
        assert_eq!(all(r#"["a"]"#), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn every_text_is_survived(line in r#"[{}\[\],:"\\a\u00e4]{0,30}"#) {
            all(&line);
        }
    }
}
