//! Which schema a data set has, and where it is stored.

use std::path::Path;

use arrow::datatypes::Schema as ArrowSchema;
use emrys_schema::{ColumnSchema, DType, Schema};

use super::footer::Footer;
use crate::{Error, Result};

/// The schema stored with the files: in their folder, else in the footer of the first of them.
pub(crate) fn stored(files: &[Footer]) -> Result<Option<Schema>> {
    let Some(first) = files.first() else {
        return Ok(None);
    };
    if let Some(folder) = common_folder(files) {
        match Schema::read(folder) {
            Ok(schema) => return Ok(Some(schema)),
            Err(emrys_schema::Error::NoSchemaFile { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(first
        .schema_text
        .as_deref()
        .map(Schema::from_footer_json)
        .transpose()?)
}

/// The folder that all files are in, if it is the same.
fn common_folder(files: &[Footer]) -> Option<&Path> {
    let folder = files.first()?.path.parent()?;
    let same = files.iter().all(|file| file.path.parent() == Some(folder));
    same.then_some(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    })
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
