//! Which schema a data set has, and where it is stored.

use std::path::{Path, PathBuf};

use arrow::datatypes::Schema as ArrowSchema;
use emrys_schema::{ColumnSchema, DType, SCHEMA_JSON, SCHEMA_PBTXT, Schema};
use object_store::path::Path as Key;

use super::remote::RemoteStore;
use super::source::Files;
use crate::{Error, Result};

/// The schema files of a folder, in the order in which they are looked for.
const SCHEMA_FILES: [&str; 3] = [SCHEMA_JSON, ".merlin/schema.json", SCHEMA_PBTXT];

/// The schema stored with the files: in their folder, else in the footer of the first of them.
///
/// The folder of hive partitions is the one that holds them all.
pub(crate) async fn stored(files: &Files) -> Result<Option<Schema>> {
    let Some(first) = files.files.first() else {
        return Ok(None);
    };
    let beside = match &first.object.store {
        Some(store) => remote_schema(store, files).await?,
        None => local_schema(files)?,
    };
    if beside.is_some() {
        return Ok(beside);
    }
    Ok(first
        .schema_text
        .as_deref()
        .map(Schema::from_footer_json)
        .transpose()?)
}

fn local_schema(files: &Files) -> Result<Option<Schema>> {
    let paths = files.files.iter().map(|file| file.object.path.clone());
    let Some(folder) = common_folder(paths, files.hive.len()) else {
        return Ok(None);
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new(".").to_owned(),
        false => folder,
    };
    match Schema::read(folder) {
        Ok(schema) => Ok(Some(schema)),
        Err(emrys_schema::Error::NoSchemaFile { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn remote_schema(store: &RemoteStore, files: &Files) -> Result<Option<Schema>> {
    let keys = files
        .files
        .iter()
        .map(|file| PathBuf::from(file.object.meta.location.as_ref()));
    let folder = common_folder(keys, files.hive.len());
    let Some(folder) = folder.as_deref().and_then(Path::to_str) else {
        return Ok(None);
    };
    let Ok(folder) = Key::parse(folder) else {
        return Ok(None);
    };
    for name in SCHEMA_FILES {
        let key = name
            .split('/')
            .fold(folder.clone(), |key, part| key.join(part));
        let Some(bytes) = store.read_small(&key).await? else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        return Schema::from_text(&text).map(Some).map_err(|error| {
            super::remote::problem(
                &store.url(&key),
                format!("it is no sound schema ({error}); correct it or leave it out"),
            )
        });
    }
    Ok(None)
}

/// The folder that all files are in, each below as many folders as there are hive columns; `None`
/// if it is not the same.
fn common_folder(mut paths: impl Iterator<Item = PathBuf>, hive: usize) -> Option<PathBuf> {
    let folder = |path: PathBuf| path.ancestors().nth(hive + 1).map(Path::to_owned);
    let first = folder(paths.next()?)?;
    paths
        .all(|path| folder(path).as_ref() == Some(&first))
        .then_some(first)
}

/// One entry per column of the data: what is stored where there is something, else the type
/// alone.
///
/// The types and shapes are those of the data, except that a list may be stored as bounded.
pub(crate) fn complete(arrow: &ArrowSchema, stored: Option<&Schema>) -> Result<Schema> {
    Ok(Schema::new(arrow.fields().iter().map(|field| {
        // A type that no operator knows does not keep the other columns from being used.
        let inferred = ColumnSchema::from_arrow(field)
            .unwrap_or_else(|_| ColumnSchema::new(field.name(), DType::Unknown));
        match stored.and_then(|stored| stored.get(field.name())) {
            None => inferred,
            Some(column) => {
                let shape = match column.shape().dims().len() == inferred.shape().dims().len()
                    && inferred.shape().is_ragged()
                {
                    true => column.shape().clone(),
                    false => inferred.shape().clone(),
                };
                column
                    .clone()
                    .with_dtype(inferred.dtype())
                    .with_shape(shape)
            }
        }
    }))?)
}

/// Like [`complete`] for a schema that the user gives: its columns must be in the data, with the
/// types it says.
pub(crate) fn complete_given(arrow: &ArrowSchema, given: &Schema) -> Result<Schema> {
    let complete = complete(arrow, Some(given))?;
    for column in given {
        let Some(found) = complete.get(column.name()) else {
            return Err(Error::UnknownColumn {
                operator: "schema of the data set".into(),
                column: column.name().into(),
                available: arrow
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect(),
            });
        };
        if ![DType::Unknown, found.dtype()].contains(&column.dtype()) {
            return Err(Error::UnsupportedType {
                operator: "schema of the data set".into(),
                column: column.name().into(),
                found: format!("{} in the data", found.dtype()),
                expected: format!(
                    "the given schema says {}; cast the data or correct the schema",
                    column.dtype()
                ),
            });
        }
    }
    Ok(complete)
}
