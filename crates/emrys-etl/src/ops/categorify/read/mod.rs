//! Vocabularies from parquet files, ours and NVTabular's.

mod meta;
mod reading;
mod tables;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};

use super::files::{index_column, size_column, wrong};
use super::vocabulary::{Counted, FIRST_UNSEEN_ID, Layout, NULL_ID, Vocabulary};
use crate::io::TableFile;
use crate::lookup::{DiskIndexBuilder, LookupError, ValueIndex, strict_cast};
use crate::storage::Storage;
use crate::{Error, Result};
use meta::Meta;
use reading::Reading;
use tables::{first_row, for_each_batch, pandas_start, tables};

/// Where a vocabulary is stored; see [`Vocabulary::read`].
#[derive(Debug, Clone, Copy)]
pub(super) struct VocabularyFiles<'a> {
    pub(super) name: &'a str,
    pub(super) columns: &'a [String],
    pub(super) num_buckets: Option<u32>,
    pub(super) unique: &'a Path,
    pub(super) meta: Option<&'a Path>,
    /// The values that were left out.
    pub(super) rest: Option<&'a Path>,
}

impl VocabularyFiles<'_> {
    /// Reads the vocabulary into memory, or as a stream onto disk as `storage` decides.
    pub(super) fn read(&self, storage: &Storage) -> Result<Vocabulary> {
        if self.columns.is_empty() {
            let problem = format!("the vocabulary `{}` is of no column; fit again", self.name);
            return Err(wrong(self.unique, problem));
        }
        let tables = tables(self.unique)?;
        let rows: usize = tables.iter().map(TableFile::rows).sum();
        let bytes: usize = tables.iter().map(TableFile::bytes).sum();
        let index_bytes = ValueIndex::expected_bytes(rows, self.columns.len());
        let on_disk = rows > 0 && storage.is_on_disk(bytes + index_bytes);
        // A file without rows has columns nevertheless.
        let empty = || RecordBatch::new_empty(Arc::clone(tables[0].schema()));
        let first = first_row(&tables)?.unwrap_or_else(empty);

        let ids = index_column(self.name);
        let first_id = match first.column_by_name(&ids) {
            Some(values) if !values.is_empty() => Some(first_of_ids(self.unique, &ids, values)?),
            _ => pandas_start(&tables[0]),
        };
        let meta = self
            .meta
            .map(|path| Meta::read(path).map(|meta| (path, meta)))
            .transpose()?;
        if let Some((path, meta)) = &meta {
            meta.check(path, self.unique, first_id, rows)?;
        }
        let counted = meta.as_ref().and_then(|(_, meta)| meta.observed);
        let layout = self.layout(first_id.or(meta.map(|(_, meta)| meta.first_id)));

        let mut reading = Reading::new(self, &tables, first.schema_ref(), on_disk, storage)?;
        reading.first_id = first_id;
        reading.has_counts &= counted.is_some();
        if on_disk {
            let types: Vec<&DataType> = reading.types.iter().collect();
            let index = DiskIndexBuilder::new(&types, rows, layout.first_id(), NULL_ID, storage);
            reading.index = Some(index.map_err(|error| failed(self.unique, error))?);
        }
        for_each_batch(&tables, on_disk, |batch| reading.add(self, batch))?;
        let rest = self
            .rest
            .map(|path| self.read_rest(path, storage))
            .transpose()?;
        reading.finish(self, layout, counted, rest)
    }

    fn layout(&self, first_id: Option<i64>) -> Layout {
        let buckets = first_id.and_then(|id| u32::try_from(id).ok()?.checked_sub(FIRST_UNSEEN_ID));
        Layout {
            name: self.name.to_owned(),
            columns: self.columns.to_vec(),
            num_buckets: self.num_buckets.or(buckets).unwrap_or(1).max(1),
        }
    }

    fn read_rest(&self, path: &Path, storage: &Storage) -> Result<Counted> {
        let table = TableFile::open(path)?;
        let on_disk = table.rows() > 0 && storage.is_on_disk(table.bytes());
        let tables = [table];
        let here = VocabularyFiles {
            unique: path,
            ..*self
        };
        let mut reading = Reading::new(&here, &tables, tables[0].schema(), on_disk, storage)?;
        for_each_batch(&tables, on_disk, |batch| reading.add(&here, batch))?;
        if !reading.has_counts {
            let size = size_column(self.name);
            return Err(wrong(path, format!("column `{size}` is missing")));
        }
        reading.counted()
    }
}

fn failed(path: &Path, error: LookupError) -> Error {
    match error {
        LookupError::Storage(error) => *error,
        error => wrong(path, error.to_string()),
    }
}

/// Where a column is.
fn position_of(path: &Path, schema: &Schema, column: &str) -> Result<usize> {
    schema.index_of(column).map_err(|_| {
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

fn column_of<'a>(path: &Path, table: &'a RecordBatch, column: &str) -> Result<&'a ArrayRef> {
    Ok(table.column(position_of(path, table.schema_ref(), column)?))
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

/// The first id, which is not reserved.
fn first_of_ids(path: &Path, column: &str, ids: &ArrayRef) -> Result<i64> {
    let first = integers(path, column, &ids.slice(0, 1))?.value(0);
    if first > i64::from(FIRST_UNSEEN_ID) {
        return Ok(first);
    }
    Err(wrong(
        path,
        format!("column `{column}` starts at {first}; ids below 3 are reserved"),
    ))
}
