//! Vocabularies as parquet files, ours and NVTabular's.
//!
//! `unique.<name>.parquet` has the id of each value (`<name>_index`), the value (one column per
//! member of a tuple) and how often it was counted (`<name>_size`, unless the vocabulary was
//! given). NVTabular's file has no ids; they follow from the pandas index in the file's metadata,
//! which ours have as well, so that each reads the other's. `meta.<name>.parquet` tells how the ids
//! are laid out, with the number of values observed for each kind.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::{SortColumn, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde_json::json;

use super::read::VocabularyFiles;
use super::vocabulary::{Counted, IdRange, Vocabulary};
use crate::storage::Storage;
use crate::{Error, Result};

/// How many rows are written at a time, and are in a row group: row groups are read side by side.
const ROWS_AT_ONCE: usize = 1 << 18;

/// The key under which pandas describes its index.
pub(super) const PANDAS: &str = "pandas";

impl Vocabulary {
    /// Writes the values with ids and counts, in NVTabular's form.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Parquet`] if the file cannot be written.
    pub fn write_unique(&self, path: &Path) -> Result<()> {
        let first = i64::from(self.first_id());
        let rows = self.len() as i64;
        let mut fields = vec![Field::new(
            index_column(self.name()),
            DataType::Int64,
            false,
        )];
        let mut arrays: Vec<ArrayRef> = Vec::new();
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
        // A part at a time: the arrays may lie on disk.
        let parts = (0..self.len()).step_by(ROWS_AT_ONCE).map(|start| {
            let end = self.len().min(start + ROWS_AT_ONCE);
            let ids = first + start as i64..first + end as i64;
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
            let others = arrays.iter().map(|array| array.slice(start, end - start));
            [ids].into_iter().chain(others).collect()
        });
        write(path, fields, parts, index)
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
            [arrays],
            json!({"kind": "range", "name": null, "start": 0, "stop": 4, "step": 1}),
        )
    }

    /// Writes values that were left out of the vocabulary with their counts, in order of value.
    pub(super) fn write_rest(&self, rest: &Counted, path: &Path) -> Result<()> {
        let columns: Vec<SortColumn> = rest
            .values
            .iter()
            .map(|values| SortColumn {
                values: Arc::clone(values),
                options: None,
            })
            .collect();
        let sorting = |e| Error::Internal(format!("sorting values: {e}"));
        let order = lexsort_to_indices(&columns, None).map_err(sorting)?;
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (name, values) in self.columns().iter().zip(&rest.values) {
            fields.push(Field::new(name, values.data_type().clone(), true));
            arrays.push(take(values, &order, None).map_err(sorting)?);
        }
        fields.push(Field::new(size_column(self.name()), DataType::Int64, false));
        arrays.push(take(&rest.counts, &order, None).map_err(sorting)?);
        let rows = rest.counts.len();
        let index = json!({"kind": "range", "name": null, "start": 0, "stop": rows, "step": 1});
        write(path, fields, [arrays], index)
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
        let files = VocabularyFiles {
            name,
            columns,
            num_buckets,
            unique,
            meta,
            rest: None,
        };
        files.read(&Storage::default())
    }
}

pub(super) fn index_column(name: &str) -> String {
    format!("{name}_index")
}

pub(super) fn size_column(name: &str) -> String {
    format!("{name}_size")
}

pub(super) fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::File {
        action: "read",
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn write(
    path: &Path,
    fields: Vec<Field>,
    parts: impl IntoIterator<Item = Vec<ArrayRef>>,
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
    // The Arrow schema in the file has it too: pandas reads it there, if there is one.
    let metadata = HashMap::from([(PANDAS.to_owned(), pandas.to_string())]);
    let schema: SchemaRef = Arc::new(Schema::new_with_metadata(fields, metadata));
    // Values are distinct, so a dictionary of them would be written in vain.
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROWS_AT_ONCE))
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
    let file = File::create(path).map_err(Error::io("write", path))?;
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties.build()))
        .map_err(failed)?;
    for arrays in parts {
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
            .map_err(|e| Error::Internal(format!("vocabulary columns: {e}")))?;
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}
