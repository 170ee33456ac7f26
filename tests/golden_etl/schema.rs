//! Schemas compared by the rules of the golden cases.

use std::path::Path;

use emrys_schema::{ColumnSchema, Schema};

use crate::{Result, expected_file};

/// Properties that depend on where files lie.
const PROPERTIES_OF_STORAGE: [&str; 1] = ["cat_path"];

pub(crate) fn expected(folder: &Path) -> Result<Option<Schema>> {
    match expected_file(folder, "schema.json") {
        Some(path) => Ok(Some(Schema::from_text(&std::fs::read_to_string(path)?)?)),
        None => Ok(None),
    }
}

/// What is different, if anything.
pub(crate) fn difference(expected: &Schema, found: &Schema) -> Option<String> {
    for column in expected {
        let name = column.name();
        let Some(other) = found.get(name) else {
            return Some(format!("{name} is missing"));
        };
        if let Some(problem) = column_difference(column, other) {
            return Some(format!("{name}: {problem}"));
        }
    }
    let extra = found
        .names()
        .into_iter()
        .find(|name| expected.get(name).is_none())?;
    Some(format!("{extra} is not expected"))
}

fn column_difference(expected: &ColumnSchema, found: &ColumnSchema) -> Option<String> {
    // The peer's counts have tags and domain of what they count.
    if expected.name().ends_with("_count") {
        return None;
    }
    // The peer cuts the column's name out of `s_list` to find the aggregate, `s` from `list` too.
    let lost_list = expected.name().ends_with("_list") && !expected.shape().is_list();
    if expected.tags() != found.tags() {
        return Some(format!(
            "tags {:?}, expected {:?}",
            found.tags(),
            expected.tags()
        ));
    }
    // Emrys may know a domain where the peer has none.
    if expected.domain().is_some() && expected.domain() != found.domain() {
        return Some(format!(
            "domain {:?}, expected {:?}",
            found.domain(),
            expected.domain()
        ));
    }
    let shape = |column: &ColumnSchema| (column.shape().is_list(), column.shape().is_ragged());
    if shape(expected) != shape(found) && !lost_list {
        return Some(format!(
            "shape {}, expected {}",
            found.shape(),
            expected.shape()
        ));
    }
    for (key, value) in expected.properties() {
        // The peer writes null for an option that was not given.
        let same = value.is_null() || found.properties().get(key) == Some(value);
        if !PROPERTIES_OF_STORAGE.contains(&key.as_str()) && !same {
            return Some(format!(
                "property {key} is {:?}, expected {value}",
                found.properties().get(key)
            ));
        }
    }
    None
}
