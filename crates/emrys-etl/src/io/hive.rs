//! Folders whose names are `key=value`: their columns and values.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use emrys_schema::DType;

use super::formats::values::{Guess, convert};
use super::open_options::ColumnType;
use super::source::SourceFile;
use crate::{Error, Result};

/// The value of a folder that stands for null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Key and value of a folder's name.
pub(crate) fn pair(folder: &str) -> Option<(&str, &str)> {
    let (key, value) = folder.split_once('=')?;
    (!key.is_empty()).then_some((key, value))
}

/// The keys and values of the folders between a root and a file.
fn pairs(root: &Path, file: &Path) -> Vec<(String, Option<String>)> {
    let within = file.strip_prefix(root).unwrap_or(file);
    let folders = within.parent().into_iter().flat_map(Path::components);
    let names = folders.filter_map(|folder| match folder {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let pairs = names.filter_map(pair).map(|(key, value)| {
        let value = (value != NULL).then(|| decoded(value));
        (decoded(key), value)
    });
    pairs.collect()
}

/// The text with each `%41` replaced by its character.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let code = match (first, others) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &others[2..] } else { others };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Gives each file the values of its folders; the columns of the folders.
pub(crate) fn add_columns(
    files: &mut [SourceFile],
    root: &Path,
    types: &BTreeMap<String, ColumnType>,
) -> Result<Vec<FieldRef>> {
    let found: Vec<_> = files
        .iter()
        .map(|file| pairs(root, &file.object.path))
        .collect();
    let Some(first) = found.first() else {
        return Ok(Vec::new());
    };
    let keys: Vec<String> = first.iter().map(|(key, _)| key.clone()).collect();
    for (file, pairs) in files.iter().zip(&found) {
        if !pairs.iter().map(|(key, _)| key).eq(&keys) {
            let folders = |pairs: &[(String, Option<String>)]| match pairs {
                [] => "no folders".to_owned(),
                pairs => pairs
                    .iter()
                    .map(|(key, _)| format!("{key}=.."))
                    .collect::<Vec<_>>()
                    .join("/"),
            };
            return Err(file.object.problem(format!(
                "it is in {}, but `{}` is in {}; let all files be in folders of the same keys",
                folders(pairs),
                files[0].object.path.display(),
                folders(first)
            )));
        }
        if let Some(key) = keys.iter().find(|key| file.arrow.index_of(key).is_ok()) {
            return Err(Error::DuplicateColumn {
                operator: format!(
                    "read `{}`, in whose folders and columns",
                    file.object.path.display()
                ),
                column: key.clone(),
            });
        }
    }
    if let Some(unknown) = types.keys().find(|key| !keys.contains(key)) {
        return Err(Error::UnknownColumn {
            operator: "hive types".into(),
            column: unknown.clone(),
            available: keys,
        });
    }
    let mut fields: Vec<FieldRef> = Vec::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        let texts: StringArray = found
            .iter()
            .map(|pairs| pairs[place].1.as_deref())
            .collect();
        let (values, data_type) =
            typed(&texts, key, types.get(key).copied()).map_err(|bad| match bad {
                BadValue::Type(error) => error,
                BadValue::Row(row) => files[row].object.problem(format!(
                    "its folder says that `{key}` is `{}`, which is not of the type that was given",
                    texts.value(row)
                )),
            })?;
        for (file, row) in files.iter_mut().zip(0..) {
            let value = ScalarValue::try_from_array(&values, row)
                .map_err(Error::query("reading the names of folders"))?;
            file.hive.push(value);
        }
        fields.push(Arc::new(Field::new(
            key,
            data_type,
            values.null_count() > 0,
        )));
    }
    Ok(fields)
}

/// Why a column of folders has no values.
enum BadValue {
    Type(Error),
    /// The value of a row is not of the type.
    Row(usize),
}

/// The values and their type.
fn typed(
    texts: &StringArray,
    key: &str,
    given: Option<ColumnType>,
) -> Result<(ArrayRef, DataType), BadValue> {
    let column_type = given.unwrap_or_else(|| {
        let mut guess = Guess::new();
        texts.iter().flatten().for_each(|text| guess.see(text));
        match guess.dtype() {
            DType::Int64 => DType::Int64.into(),
            _ => DType::String.into(),
        }
    });
    let data_type = column_type.arrow(key).map_err(BadValue::Type)?;
    let values = convert(texts, column_type, given.is_none()).map_err(BadValue::Row)?;
    Ok((values, data_type))
}

/// Which files may hold rows that pass the filters, which are over hive columns alone.
pub(crate) fn kept(
    state: &dyn Session,
    files: &[SourceFile],
    fields: &[FieldRef],
    filters: &[Expr],
) -> Vec<usize> {
    let all = || (0..files.len()).collect();
    if filters.is_empty() || fields.is_empty() || files.is_empty() {
        return all();
    }
    // Filters stay above the scan, so a file too many is no error.
    evaluate(state, files, fields, filters).unwrap_or_else(|_| all())
}

fn evaluate(
    state: &dyn Session,
    files: &[SourceFile],
    fields: &[FieldRef],
    filters: &[Expr],
) -> datafusion::common::Result<Vec<usize>> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len() + 1);
    for place in 0..fields.len() {
        let values = files.iter().map(|file| file.hive[place].clone());
        columns.push(ScalarValue::iter_to_array(values)?);
    }
    let mut with_place: Vec<FieldRef> = fields
        .iter()
        .zip(&columns)
        .map(|(field, values)| {
            let data_type = values.data_type().clone();
            Arc::new(Field::new(field.name(), data_type, true)) as FieldRef
        })
        .collect();
    let places = (0..files.len() as u64).collect::<arrow::array::UInt64Array>();
    columns.push(Arc::new(places));
    with_place.push(Arc::new(Field::new(
        "__emrys_file",
        DataType::UInt64,
        false,
    )));
    let schema = Arc::new(ArrowSchema::new(with_place));
    let named = DFSchema::try_from(schema.as_ref().clone())?;
    let mut left = RecordBatch::try_new(schema, columns)?;
    for filter in filters {
        let filter = state.create_physical_expr(filter.clone(), &named)?;
        let passes = filter.evaluate(&left)?.into_array(left.num_rows())?;
        let passes = datafusion::common::cast::as_boolean_array(&passes)?;
        left = filter_record_batch(&left, passes)?;
    }
    let places = left.column(fields.len());
    let places = datafusion::common::cast::as_uint64_array(places)?;
    let places = places
        .values()
        .iter()
        .filter_map(|place| usize::try_from(*place).ok());
    Ok(places.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_decoded() {
        assert_eq!(decoded("a%20b%3D"), "a b=");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%c3%a4"), "%zzä");
        assert_eq!(decoded("%ff"), "%ff");
        assert_eq!(pair("a=b=c"), Some(("a", "b=c")));
        assert_eq!(pair("=b"), None);
        assert_eq!(
            pairs(
                Path::new("/x/k=0"),
                Path::new("/x/k=0/a=1/y/b=__HIVE_DEFAULT_PARTITION__/f.csv")
            ),
            [
                ("a".to_owned(), Some("1".to_owned())),
                ("b".to_owned(), None)
            ]
        );
    }
}
