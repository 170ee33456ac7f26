//! Random changes of texts and files.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Pieces on which readers of numbers, strings and structure stumble.
const PIECES: [&[u8]; 24] = [
    b"-1",
    b"0",
    b"4294967296",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"1e400",
    b"NaN",
    b"inf",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\xc3\xb6",
    b",,",
    b"{\"\":",
    b"PAR1",
];

/// Makes inputs from seeds, the same ones for the same target.
pub(crate) struct Mutator {
    random: ChaCha8Rng,
}

impl Mutator {
    pub(crate) fn new(target: &str) -> Mutator {
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        Mutator {
            random: ChaCha8Rng::seed_from_u64(hasher.finish()),
        }
    }

    /// Bytes with one to eight changes. Those of JSON change as often by whole values, so that they
    /// are still JSON.
    pub(crate) fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        if self.random.random()
            && let Ok(mut json) = serde_json::from_slice(seed)
        {
            for _ in 0..self.random.random_range(1..=3) {
                self.change_json(&mut json);
            }
            return json.to_string().into_bytes();
        }
        let mut bytes = seed.to_vec();
        for _ in 0..self.random.random_range(1..=8) {
            self.change(&mut bytes);
        }
        bytes
    }

    /// One of some things.
    pub(crate) fn choose<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.random.random_range(0..things.len())]
    }

    /// Replaces, takes out or repeats a value somewhere inside.
    fn change_json(&mut self, json: &mut Value) {
        let mut pointers = Vec::new();
        list_pointers(json, &mut String::new(), &mut pointers);
        let pointer = self.choose(&pointers).clone();
        let other = self.choose(&pointers).as_str();
        let other = json.pointer(other).cloned();
        let Some(value) = json.pointer_mut(&pointer) else {
            return;
        };
        match value {
            Value::Array(items) if self.random.random() => {
                let at = self.random.random_range(0..=items.len());
                let item = items.get(at).cloned().or(other).unwrap_or_default();
                if at == items.len() || self.random.random() {
                    items.insert(at, item);
                } else {
                    items.remove(at);
                }
            }
            Value::Object(fields) if self.random.random() && !fields.is_empty() => {
                let names: Vec<String> = fields.keys().cloned().collect();
                fields.remove(self.choose(&names));
            }
            Value::String(text) if self.random.random() => {
                let mut bytes = std::mem::take(text).into_bytes();
                self.change(&mut bytes);
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            value => {
                let others = [
                    other.unwrap_or_default(),
                    Value::Null,
                    json!([]),
                    json!({}),
                    json!(""),
                    json!(true),
                    json!(0),
                    json!(-1),
                    json!(0.5),
                    json!(1 << 20),
                    json!(u32::MAX),
                    json!(u64::MAX),
                    json!(1e300),
                ];
                *value = self.choose(&others).clone();
            }
        }
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        self.random.random_range(0..=bytes.len())
    }

    /// A piece of up to 32 bytes.
    fn piece(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.place(bytes);
        start..bytes.len().min(start + self.random.random_range(1..=32))
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        match self.random.random_range(0..7) {
            0 => {
                let piece = self.piece(bytes);
                bytes.drain(piece);
            }
            1 => {
                let length = self.place(bytes);
                bytes.truncate(length);
            }
            2 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
            3 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.random.random();
                }
            }
            4 => {
                let piece = bytes[self.piece(bytes)].to_vec();
                let at = self.place(bytes);
                bytes.splice(at..at, piece);
            }
            kind => {
                let piece = PIECES.choose(&mut self.random).copied().unwrap_or_default();
                let at = self.place(bytes);
                // Instead of a piece, or between two bytes.
                let end = if kind == 5 {
                    at
                } else {
                    self.piece(bytes).end.max(at)
                };
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
}

/// The places of all values, as JSON pointers.
fn list_pointers(json: &Value, pointer: &mut String, pointers: &mut Vec<String>) {
    pointers.push(pointer.clone());
    let mut inside = |name: &str, value: &Value| {
        let length = pointer.len();
        *pointer += "/";
        *pointer += &name.replace('~', "~0").replace('/', "~1");
        list_pointers(value, pointer, pointers);
        pointer.truncate(length);
    };
    match json {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                inside(&at.to_string(), item);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                inside(name, value);
            }
        }
        _ => {}
    }
}
