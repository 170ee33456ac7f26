//! Opening files: their columns, and where the rows are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use arrow::json::reader::infer_json_schema;

use super::JsonLinesFormat;
use super::keys::keys;
use super::types::JsonColumn;
use crate::io::formats::text::{
    SharedHash, Storage, TextBuffer, TextEncoding, TextIndex, source_file,
};
use crate::io::formats::values::shown;
use crate::io::formats::{Opened, Scan, pass_over};
use crate::io::object::Object;
use crate::io::open_options::FileCompression;
use crate::{Error, Result};

/// How much text all samples together may have.
const SAMPLE_BYTES: usize = 64 << 20;

/// Objects with more keys use them for values, of which there may be more than memory holds.
const MOST_KEYS: usize = 20_000;

/// The files of a data set and their columns.
#[derive(Debug)]
pub(crate) struct JsonFiles {
    pub(super) columns: Vec<JsonColumn>,
    pub(super) files: Vec<JsonFile>,
}

#[derive(Debug)]
pub(super) struct JsonFile {
    pub(super) storage: Storage,
    pub(super) index: TextIndex,
}

/// What one pass over a file has found.
struct Found {
    index: TextIndex,
    hash: u64,
    /// The first lines.
    sample: Vec<u8>,
    /// Each key, and the first line that has it.
    keys: HashMap<Vec<u8>, u64>,
}

/// Reads the files once.
pub(crate) async fn open(
    objects: Vec<Object>,
    format: &JsonLinesFormat,
    compression: impl Fn(&Object) -> FileCompression,
) -> Result<Opened> {
    let sample_rows = format.sample_rows as u64;
    let sample_bytes = SAMPLE_BYTES / objects.len().max(1);
    let storage = |object: &Object| Storage {
        compression: compression(object),
        encoding: TextEncoding::Utf8,
    };
    let found: Vec<Found> = pass_over(objects.clone(), "reading a file of JSON lines", |object| {
        let storage = storage(&object);
        pass(object, storage, sample_rows, sample_bytes)
    })
    .await?;
    let columns = columns(format, &objects, &found)?;
    let fields: Vec<Field> = columns.iter().map(JsonColumn::field).collect();
    let arrow: SchemaRef = Arc::new(ArrowSchema::new(fields));
    let mut files = Vec::with_capacity(found.len());
    let mut sources = Vec::with_capacity(found.len());
    for (object, found) in objects.into_iter().zip(found) {
        let storage = storage(&object);
        let source = source_file(object, storage, &found.index, found.hash, &arrow);
        sources.push(source);
        files.push(JsonFile {
            storage,
            index: found.index,
        });
    }
    Ok(Opened {
        files: sources,
        scan: Scan::Rows(Arc::new(JsonFiles { columns, files })),
        reading: format!("{format:?}"),
    })
}

async fn pass(
    object: Object,
    storage: Storage,
    sample_rows: u64,
    sample_bytes: usize,
) -> Result<Found> {
    object.check_unchanged()?;
    let hash = SharedHash::new();
    let mut text = TextBuffer::whole(&object, storage, Some(hash.clone())).await?;
    let mut found = Found {
        index: TextIndex::default(),
        hash: 0,
        sample: Vec::new(),
        keys: HashMap::new(),
    };
    let mut rows = 0;
    let seekable = storage.is_seekable();
    loop {
        let Some(length) = next_line(&text) else {
            if text.ended() {
                break;
            }
            text.fill().await?;
            continue;
        };
        let line = text.rest()[..length].trim_ascii();
        if !line.is_empty() {
            if line[0] != b'{' {
                return Err(no_object(&text, text.line(), line));
            }
            let number = text.line();
            keys(line, |key| {
                if !found.keys.contains_key(&*key) {
                    found.keys.insert(key.into_owned(), number);
                }
            });
            if found.keys.len() > MOST_KEYS {
                return Err(text.problem(
                    number,
                    format!(
                        "is where the objects have had more than {MOST_KEYS} different keys; write \
                         what varies as values"
                    ),
                ));
            }
            if rows < sample_rows && (rows == 0 || found.sample.len() < sample_bytes) {
                found.sample.extend_from_slice(line);
                found.sample.push(b'\n');
            }
            found.index.add(seekable, text.offset(), text.line());
            rows += 1;
        }
        text.take(length, 1);
    }
    found.hash = hash.finish();
    Ok(found)
}

pub(super) fn no_object(text: &TextBuffer, line: u64, content: &[u8]) -> Error {
    text.problem(
        line,
        format!(
            "is no JSON object: `{}`; each line must be a whole object, as in JSON lines",
            shown(content)
        ),
    )
}

/// The length of the next line with its end; `None` if more text is needed, or none is left.
pub(super) fn next_line(text: &TextBuffer) -> Option<usize> {
    let rest = text.rest();
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => Some(end + 1),
        None => (text.ended() && !rest.is_empty()).then_some(rest.len()),
    }
}

/// The columns that the samples have, with the given types.
fn columns(
    format: &JsonLinesFormat,
    objects: &[Object],
    found: &[Found],
) -> Result<Vec<JsonColumn>> {
    let samples: Vec<&[u8]> = found.iter().map(|file| file.sample.as_slice()).collect();
    let (guessed, _) = infer_json_schema(samples.concat().as_slice(), None)
        .map_err(|error| bad_sample(objects, found, &error))?;
    let mut columns = Vec::with_capacity(guessed.fields().len());
    for field in guessed.fields() {
        columns.push(match format.types.get(field.name()) {
            Some(column_type) => JsonColumn::given(field.name(), *column_type)?,
            None => JsonColumn::guessed(field),
        });
    }
    for (name, column_type) in &format.types {
        if guessed.index_of(name).is_err() {
            columns.push(JsonColumn::given(name, *column_type)?);
        }
    }
    for (object, file) in objects.iter().zip(found) {
        let known = |key: &[u8]| columns.iter().any(|column| column.name.as_bytes() == key);
        let unknown = file.keys.iter().filter(|(key, _)| !known(key));
        if let Some((key, line)) = unknown.min_by_key(|(key, line)| (**line, (*key).clone())) {
            return Err(object.problem(format!(
                "line {line} has the key `{}`, which the first {} objects of no file have; give its \
                 type, or raise `sample_rows`",
                shown(key),
                format.sample_rows
            )));
        }
    }
    if columns.is_empty() {
        return Err(objects[0].problem(
            "no file has an object with a key, so there are no columns; give their types",
        ));
    }
    Ok(columns)
}

/// The error that names the file of the sample that cannot be understood.
fn bad_sample(objects: &[Object], found: &[Found], error: &arrow::error::ArrowError) -> Error {
    for (object, file) in objects.iter().zip(found) {
        for (row, line) in file.sample.split(|byte| *byte == b'\n').enumerate() {
            if !line.is_empty()
                && let Err(error) = serde_json::from_slice::<serde_json::Value>(line)
            {
                return object.problem(format!(
                    "its object {} is not sound ({error}): `{}`; correct it",
                    row + 1,
                    shown(line)
                ));
            }
        }
    }
    objects[0].problem(format!(
        "the types of its keys cannot be guessed ({error}); give them"
    ))
}
