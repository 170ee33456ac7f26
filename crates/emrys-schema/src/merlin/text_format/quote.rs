//! From strings to text.

/// A quoted string as protobuf writes it: ASCII, other bytes in octal.
pub(in crate::merlin) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for byte in bytes {
        push_escaped(&mut quoted, *byte);
    }
    quoted + "\""
}

/// A quoted string with characters beyond ASCII as they are.
pub(in crate::merlin) fn quote(text: &str) -> String {
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
