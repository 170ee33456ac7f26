//! What folders say about the files in them: values of columns in their names
//! (`day=2024-05-01/`), and the manifest of what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use emrys_schema::{DType, Schema};
use serde::Deserialize;

use crate::files::SourceFile;
use crate::{Error, Result};

/// The folder of nulls.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Stands in a folder that is not whole yet.
const INCOMPLETE_MARKER: &str = "_incomplete";

/// The list of the files of a whole folder.
const MANIFEST: &str = "_emrys.json";

/// A column whose value is in the name of a folder: the same for all rows of a file.
#[derive(Debug, Clone)]
pub(crate) struct FolderColumn {
    pub(crate) field: FieldRef,
    /// One value.
    pub(crate) value: ArrayRef,
}

/// A name and a value, which is null where it has no text.
pub(crate) type FolderValue = (String, Option<String>);

/// The values in the names of the folders between `root` and a file.
pub(crate) fn values_below(root: &Path, file: &Path) -> Vec<FolderValue> {
    let below = file.strip_prefix(root).unwrap_or(file);
    let folders = below.parent().into_iter().flat_map(Path::iter);
    folders
        .filter_map(|folder| {
            let (name, value) = folder.to_str()?.split_once('=')?;
            let value = (value != NULL).then(|| unescaped(value));
            Some((unescaped(name), value))
        })
        .collect()
}

/// Gives the values of folders types: those of the schema, else whole numbers where all values
/// are, else texts.
///
/// A column that is also in the files is read from them. One that the folders of only some files
/// name is none of the data set.
pub(crate) fn set_types(files: &mut [SourceFile], schema: Option<&Schema>) -> Result<()> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut others: BTreeSet<String> = BTreeSet::new();
    for (name, value) in files.iter().flat_map(|file| &file.folder_values) {
        *counts.entry(name.clone()).or_default() += 1;
        let is_number = |text: &String| text.parse::<i64>().is_ok();
        if !value.as_ref().is_none_or(is_number) {
            others.insert(name.clone());
        }
    }
    let everywhere = files.len();
    let data_type = |name: &String| -> Result<DataType> {
        let known = schema
            .and_then(|schema| schema.get(name))
            .filter(|column| column.dtype() != DType::Unknown)
            .map(emrys_schema::ColumnSchema::to_arrow);
        match known {
            Some(field) => Ok(field?.data_type().clone()),
            None if others.contains(name) => Ok(DataType::Utf8),
            None => Ok(DataType::Int64),
        }
    };
    for file in files {
        let values = std::mem::take(&mut file.folder_values);
        for (name, text) in values {
            let is_common = counts.get(&name) == Some(&everywhere);
            if !is_common || file.footer.schema().index_of(&name).is_ok() {
                continue;
            }
            let data_type = data_type(&name)?;
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            let texts = StringArray::from(vec![text.as_deref()]);
            let value = cast_with_options(&texts, &data_type, &options).map_err(|_| {
                Error::BadFolderValue {
                    path: file.path.clone(),
                    column: name.clone(),
                    value: text.unwrap_or_default(),
                    expected: data_type.clone(),
                }
            })?;
            file.folder_columns.push(FolderColumn {
                field: Arc::new(Field::new(name, data_type, true)),
                value,
            });
        }
    }
    Ok(())
}

/// Reads `%2F` and the like as the characters they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Refuses a folder that is not whole, or does not hold the files that its manifest lists.
pub(crate) fn check_is_whole(folder: &Path, found: &[PathBuf]) -> Result<()> {
    #[derive(Deserialize)]
    struct Manifest {
        files: Vec<File>,
    }
    #[derive(Deserialize)]
    struct File {
        name: String,
        bytes: u64,
    }
    let not_whole = |problem: String| Error::NotWhole {
        path: folder.to_owned(),
        problem,
    };
    if folder.join(INCOMPLETE_MARKER).exists() {
        return Err(not_whole(
            "it is the unfinished output of an interrupted run".into(),
        ));
    }
    let path = folder.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| not_whole(format!("`{MANIFEST}` is not a manifest ({error})")))?;
    let listed = manifest.files.iter();
    let mut missing: BTreeMap<&Path, u64> = listed
        .map(|file| (Path::new(&file.name), file.bytes))
        .collect();
    for path in found {
        let name = path.strip_prefix(folder).unwrap_or(path);
        let Some(listed) = missing.remove(name) else {
            return Err(not_whole(format!(
                "`{}` is not in its manifest `{MANIFEST}`",
                name.display()
            )));
        };
        let bytes = fs::metadata(path)
            .map_err(|source| Error::Read {
                path: path.clone(),
                source,
            })?
            .len();
        if bytes != listed {
            return Err(not_whole(format!(
                "`{}` has {bytes} bytes, but its manifest `{MANIFEST}` says {listed}",
                name.display()
            )));
        }
    }
    match missing.first_key_value() {
        None => Ok(()),
        Some((name, _)) => Err(not_whole(format!(
            "`{}` is missing, which its manifest `{MANIFEST}` lists",
            name.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_read_as_they_are_written() {
        let values = values_below(
            Path::new("data/a=0"),
            Path::new(
                "data/a=0/day=1/x%3Dy=a%2Fb/z=__HIVE_DEFAULT_PARTITION__/n=/c/part=1.parquet",
            ),
        );
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            values,
            [
                ("day".to_owned(), text("1")),
                ("x=y".to_owned(), text("a/b")),
                ("z".to_owned(), None),
                ("n".to_owned(), text("")),
            ]
        );
        assert_eq!(unescaped("50%"), "50%");
        assert_eq!(unescaped("%5F_%zz"), "__%zz");
    }
}
