//! Vocabularies as parquet files, ours and NVTabular's.
//!
//! `unique.<name>.parquet` has the id of each value (`<name>_index`), the value (one column per
//! member of a tuple) and how often it was counted (`<name>_size`, unless the vocabulary was
//! given). NVTabular's file has no ids; they follow from the pandas index in the file's metadata,
//! which ours have as well, so that each reads the other's. `meta.<name>.parquet` tells how the ids
//! are laid out, with the number of values observed for each kind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde_json::json;

use super::vocabulary::{FIRST_UNSEEN_ID, IdRange, Layout, Observed, Vocabulary};
use crate::lookup::{canonical, plain_type, strict_cast};
use crate::{Error, Result};

/// The key under which pandas describes its index.
const PANDAS: &str = "pandas";

impl Vocabulary {
    /// Writes the values with ids and counts, in NVTabular's form.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Parquet`] if the file cannot be written.
    pub fn write_unique(&self, path: &Path) -> Result<()> {
        let first = i64::from(self.first_id());
        let rows = self.len() as i64;
        let ids = Int64Array::from_iter_values(first..first + rows);
        let mut fields = vec![Field::new(
            index_column(self.name()),
            DataType::Int64,
            false,
        )];
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(ids)];
        for (name, values) in self.columns().iter().zip(self.values()) {
            fields.push(Field::new(name, values.data_type().clone(), true));
            arrays.push(Arc::clone(values));
        }
        if let Some(observed) = self.observed() {
            fields.push(Field::new(size_column(self.name()), DataType::Int64, false));
            arrays.push(Arc::new(observed.counts.clone()));
        }
        let index =
            json!({"kind": "range", "name": null, "start": first, "stop": first + rows, "step": 1});
        write(path, fields, arrays, index)
    }

    /// Writes the layout of the ids, in NVTabular's form.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Parquet`] if the file cannot be written.
    pub fn write_meta(&self, path: &Path) -> Result<()> {
        let meta = self.meta();
        let kinds = StringArray::from_iter_values(meta.iter().map(|range| range.kind));
        let numbers = |number: fn(&IdRange) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                meta.iter().map(|range| number(range) as i64),
            ))
        };
        let mut fields = vec![
            Field::new("kind", DataType::Utf8, false),
            Field::new("offset", DataType::Int64, false),
            Field::new("num_indices", DataType::Int64, false),
        ];
        let mut arrays = vec![
            Arc::new(kinds) as ArrayRef,
            numbers(|range| range.first),
            numbers(|range| range.ids),
        ];
        if self.observed().is_some() {
            fields.push(Field::new("num_observed", DataType::Int64, false));
            arrays.push(numbers(|range| range.observed.unwrap_or_default()));
        }
        write(
            path,
            fields,
            arrays,
            json!({"kind": "range", "name": null, "start": 0, "stop": 4, "step": 1}),
        )
    }

    /// Reads a vocabulary that [`write_unique`](Self::write_unique) or NVTabular wrote: a file, or
    /// a folder of parts. `columns` are the members of a tuple, else the name alone.
    ///
    /// `num_buckets` is the number of ids for unseen values; if it is not given, it follows from
    /// the first id. `meta` is the file that describes the layout, if there is one; without it
    /// the counts are not read. A first row that is null, as NVTabular wrote it before 23.06, is
    /// left out.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and what is wrong with which column; [`Error::Io`] and
    /// [`Error::Parquet`] if a file cannot be read.
    pub fn read(
        name: &str,
        columns: &[String],
        num_buckets: Option<u32>,
        unique: &Path,
        meta: Option<&Path>,
    ) -> Result<Vocabulary> {
        let (table, pandas_start) = read_unique(unique)?;
        let values = columns
            .iter()
            .map(|column| {
                let values = column_of(unique, &table, column)?;
                let plain = strict_cast(values, &plain_type(values.data_type()));
                let plain = plain.map_err(|e| wrong(unique, format!("column `{column}`: {e}")))?;
                Ok(canonical(&plain))
            })
            .collect::<Result<Vec<_>>>()?;
        let first_id = match table.column_by_name(&index_column(name)) {
            Some(ids) if !ids.is_empty() => Some(first_of_range(unique, &index_column(name), ids)?),
            _ => pandas_start,
        };
        let meta = meta
            .map(|path| Meta::read(path).map(|meta| (path, meta)))
            .transpose()?;
        if let Some((path, meta)) = &meta {
            meta.check(path, unique, first_id, table.num_rows())?;
        }
        let counts = table.column_by_name(&size_column(name));
        let observed = match (counts, meta.as_ref().and_then(|(_, meta)| meta.observed)) {
            (Some(counts), Some((nulls, left_out))) => {
                let counts = integers(unique, &size_column(name), counts)?;
                Some(Observed {
                    counts,
                    nulls,
                    left_out,
                })
            }
            _ => None,
        };
        let (values, observed) = without_nulls(values, observed)?;
        let first_id = first_id.or(meta.map(|(_, meta)| meta.first_id));
        let buckets = first_id.and_then(|id| u32::try_from(id).ok()?.checked_sub(FIRST_UNSEEN_ID));
        let num_buckets = num_buckets.or(buckets).unwrap_or(1).max(1);
        let layout = Layout {
            name: name.to_owned(),
            columns: columns.to_vec(),
            num_buckets,
        };
        Vocabulary::new(layout, values, observed).map_err(|e| wrong(unique, e.to_string()))
    }
}

fn index_column(name: &str) -> String {
    format!("{name}_index")
}

fn size_column(name: &str) -> String {
    format!("{name}_size")
}

fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::File {
        action: "read",
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn write(
    path: &Path,
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
    index: serde_json::Value,
) -> Result<()> {
    let failed = |source| Error::Parquet {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let pandas = json!({
        "index_columns": [index],
        "column_indexes": [],
        "columns": fields.iter().map(|field| json!({
            "name": field.name(),
            "field_name": field.name(),
            "pandas_type": if field.data_type() == &DataType::Int64 { "int64" } else { "unicode" },
            "numpy_type": if field.data_type() == &DataType::Int64 { "int64" } else { "object" },
            "metadata": null,
        })).collect::<Vec<_>>(),
        "creator": {"library": "emrys", "version": env!("CARGO_PKG_VERSION")},
        "pandas_version": "1.5.3",
    });
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    // Values are distinct, so a dictionary of them would be written in vain.
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            PANDAS.to_owned(),
            pandas.to_string(),
        )]));
    for field in schema
        .fields()
        .iter()
        .filter(|field| !field.name().ends_with("_size"))
    {
        let column = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|e| Error::Internal(format!("vocabulary columns: {e}")))?;
    let file = File::create(path).map_err(Error::io("write", path))?;
    let mut writer =
        ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(())
}

/// All rows of a file, or of the parts of a folder in order, and where pandas' index starts.
fn read_unique(path: &Path) -> Result<(RecordBatch, Option<i64>)> {
    if !path.is_dir() {
        return read(path);
    }
    let mut parts: Vec<(u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io("read", path))? {
        let file = entry.map_err(Error::io("read", path))?.path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let number = name
            .strip_prefix("part.")
            .and_then(|name| name.strip_suffix(".parquet"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            parts.push((number, file));
        }
    }
    parts.sort();
    let tables = parts
        .iter()
        .map(|(_, part)| read(part))
        .collect::<Result<Vec<(RecordBatch, Option<i64>)>>>()?;
    let Some((first, start)) = tables.first() else {
        return Err(wrong(path, "the folder has no `part.N.parquet`"));
    };
    let table = concat_batches(first.schema_ref(), tables.iter().map(|(table, _)| table))
        .map_err(|e| wrong(path, format!("the parts do not fit together: {e}")))?;
    Ok((table, *start))
}

fn read(path: &Path) -> Result<(RecordBatch, Option<i64>)> {
    let failed = |source| Error::Parquet {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(Error::io("read", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let metadata = reader.metadata().file_metadata();
    let rows = usize::try_from(metadata.num_rows()).unwrap_or_default();
    let pandas_start = metadata.key_value_metadata().and_then(|entries| {
        let text = entries
            .iter()
            .find(|entry| entry.key == PANDAS)?
            .value
            .as_ref()?;
        let pandas: serde_json::Value = serde_json::from_str(text).ok()?;
        let index = pandas.get("index_columns")?.get(0)?;
        (index.get("kind")? == "range")
            .then(|| index.get("start")?.as_i64())
            .flatten()
    });
    let schema = Arc::clone(reader.schema());
    // One batch, so that nothing is copied together afterwards.
    let batches = reader
        .with_batch_size(rows.max(1))
        .build()
        .map_err(failed)?;
    let batches = batches
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong(path, format!("the file is damaged: {e}")))?;
    let table = match batches.as_slice() {
        [batch] => batch.clone(),
        batches => concat_batches(&schema, batches).map_err(|e| wrong(path, e.to_string()))?,
    };
    Ok((table, pandas_start))
}

fn column_of<'a>(path: &Path, table: &'a RecordBatch, column: &str) -> Result<&'a ArrayRef> {
    table.column_by_name(column).ok_or_else(|| {
        let schema = table.schema_ref();
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        wrong(
            path,
            format!(
                "column `{column}` is missing (columns: {})",
                names.join(", ")
            ),
        )
    })
}

fn integers(path: &Path, column: &str, values: &ArrayRef) -> Result<Int64Array> {
    let problem = |what: String| wrong(path, format!("column `{column}` {what}"));
    let values =
        strict_cast(values, &DataType::Int64).map_err(|e| problem(format!("is not int64: {e}")))?;
    let values = values.as_primitive::<Int64Type>();
    if values.null_count() > 0 || values.values().iter().any(|value| *value < 0) {
        return Err(problem("has nulls or negative numbers".to_owned()));
    }
    Ok(values.clone())
}

/// The first of ids that rise by one from row to row, of which there is one at least.
fn first_of_range(path: &Path, column: &str, ids: &ArrayRef) -> Result<i64> {
    let ids = integers(path, column, ids)?;
    let first = ids.value(0);
    match ids
        .values()
        .iter()
        .zip(first..)
        .position(|(id, expected)| *id != expected)
    {
        None if first > i64::from(FIRST_UNSEEN_ID) => Ok(first),
        None => Err(wrong(
            path,
            format!("column `{column}` starts at {first}; ids below 3 are reserved"),
        )),
        Some(row) => Err(wrong(
            path,
            format!(
                "column `{column}` is {} in row {row}, but ids must rise by one",
                ids.value(row)
            ),
        )),
    }
}

/// Leaves out rows of nothing but nulls.
fn without_nulls(
    values: Vec<ArrayRef>,
    observed: Option<Observed>,
) -> Result<(Vec<ArrayRef>, Option<Observed>)> {
    let rows = values.first().map_or(0, |values| values.len());
    let masks: Vec<_> = values.iter().map(|values| values.logical_nulls()).collect();
    let is_null = |row| {
        masks
            .iter()
            .all(|mask| mask.as_ref().is_some_and(|mask| mask.is_null(row)))
    };
    if !(0..rows).any(is_null) {
        return Ok((values, observed));
    }
    let failed = |e: arrow::error::ArrowError| Error::Internal(format!("selecting values: {e}"));
    let kept: UInt32Array = (0..rows)
        .filter(|row| !is_null(*row))
        .map(|row| row as u32)
        .collect();
    let kept_values = values
        .iter()
        .map(|values| take(values, &kept, None).map_err(failed));
    let kept_values = kept_values.collect::<Result<_>>()?;
    let observed = observed
        .map(|observed| {
            let counts = take(&observed.counts, &kept, None).map_err(failed)?;
            Ok::<_, Error>(Observed {
                counts: counts.as_primitive().clone(),
                ..observed
            })
        })
        .transpose()?;
    Ok((kept_values, observed))
}

/// What the description of a layout says.
struct Meta {
    first_id: i64,
    values: i64,
    /// Counted nulls and counted values that were left out.
    observed: Option<(u64, u64)>,
}

impl Meta {
    fn read(path: &Path) -> Result<Meta> {
        let (table, _) = read(path)?;
        let kinds = strict_cast(column_of(path, &table, "kind")?, &DataType::Utf8)
            .map_err(|e| wrong(path, format!("column `kind`: {e}")))?;
        let kinds = kinds.as_string::<i32>();
        let cell = |column: &str, kind: &str| -> Result<i64> {
            let row = (0..kinds.len()).find(|row| kinds.value(*row) == kind);
            let row =
                row.ok_or_else(|| wrong(path, format!("the row of kind `{kind}` is missing")))?;
            Ok(integers(path, column, column_of(path, &table, column)?)?.value(row))
        };
        let observed = |kind| cell("num_observed", kind).map(i64::unsigned_abs);
        Ok(Meta {
            first_id: cell("offset", "unique")?,
            values: cell("num_indices", "unique")?,
            observed: match table.column_by_name("num_observed") {
                Some(_) => Some((observed("null")?, observed("oov")?)),
                None => None,
            },
        })
    }

    /// Compares with the file of the values.
    fn check(&self, path: &Path, unique: &Path, first_id: Option<i64>, rows: usize) -> Result<()> {
        let differs = |what: &str, here: i64, there: i64| {
            wrong(
                path,
                format!("{what} {here} here, but {there} in `{}`", unique.display()),
            )
        };
        if self.values != rows as i64 {
            return Err(differs("the number of values is", self.values, rows as i64));
        }
        match first_id {
            Some(first_id) if first_id != self.first_id && rows > 0 => {
                Err(differs("the first id is", self.first_id, first_id))
            }
            _ => Ok(()),
        }
    }
}
