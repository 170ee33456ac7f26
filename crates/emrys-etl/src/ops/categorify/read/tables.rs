//! The parquet files of vocabularies.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use rayon::prelude::*;

use crate::ops::categorify::files::{PANDAS, wrong};
use crate::{Error, Result};

/// How many rows at a time go from a file onto disk.
const ROWS_AT_ONCE: usize = 1 << 16;

/// A parquet file whose footer was read.
pub(super) struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    pub(super) rows: usize,
    /// Without compression.
    pub(super) bytes: usize,
    pub(super) pandas_start: Option<i64>,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Table> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|error| parquet_error(path, error))?;
        let footer = metadata.metadata();
        let rows = footer.file_metadata().num_rows();
        let bytes: i64 = footer
            .row_groups()
            .iter()
            .map(|group| group.total_byte_size())
            .sum();
        let entries = footer.file_metadata().key_value_metadata();
        let pandas_start = entries.and_then(|entries| {
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
        Ok(Table {
            path: path.to_owned(),
            rows: usize::try_from(rows).unwrap_or_default(),
            bytes: usize::try_from(bytes).unwrap_or_default(),
            pandas_start,
            metadata,
        })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(self.metadata.schema())
    }

    fn batches(
        &self,
        row_groups: Vec<usize>,
        batch_size: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let failed = |source| parquet_error(&self.path, source);
        // Row groups are read side by side, and copies of a file share one position.
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        let metadata = self.metadata.clone();
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let reader = builder
            .with_row_groups(row_groups)
            .with_batch_size(batch_size.max(1))
            .build()
            .map_err(failed)?;
        let path = self.path.clone();
        Ok(reader
            .map(move |batch| batch.map_err(|e| wrong(&path, format!("the file is damaged: {e}")))))
    }
}

fn parquet_error(path: &Path, error: parquet::errors::ParquetError) -> Error {
    Error::Parquet {
        action: "read",
        path: path.to_owned(),
        source: error,
    }
}

/// The file, or the parts of a folder in order.
pub(super) fn tables(path: &Path) -> Result<Vec<Table>> {
    if !path.is_dir() {
        return Ok(vec![Table::open(path)?]);
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
    if parts.is_empty() {
        return Err(wrong(path, "the folder has no `part.N.parquet`"));
    }
    parts.iter().map(|(_, part)| Table::open(part)).collect()
}

/// All rows in order: read when they are asked for, or row groups side by side.
pub(super) fn batches<'a>(
    tables: &'a [Table],
    one_by_one: bool,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>> {
    let groups = tables.iter().flat_map(|table| {
        let groups = table.metadata.metadata().num_row_groups();
        (0..groups).map(move |group| (table, group))
    });
    if one_by_one {
        return Ok(Box::new(groups.flat_map(|(table, group)| {
            let (batches, error) = match table.batches(vec![group], ROWS_AT_ONCE) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            error.into_iter().chain(batches.into_iter().flatten())
        })));
    }
    let groups: Vec<(&Table, usize)> = groups.collect();
    let read = |(table, group): (&Table, usize)| {
        let rows = table.metadata.metadata().row_group(group).num_rows();
        let rows = usize::try_from(rows).unwrap_or_default();
        table
            .batches(vec![group], rows)?
            .collect::<Result<Vec<_>>>()
    };
    let batches = groups
        .into_par_iter()
        .map(read)
        .collect::<Result<Vec<_>>>()?;
    Ok(Box::new(batches.into_iter().flatten().map(Ok)))
}

/// A small table at once.
pub(super) fn read_small(path: &Path) -> Result<RecordBatch> {
    let table = Table::open(path)?;
    let groups = (0..table.metadata.metadata().num_row_groups()).collect();
    let batches = table.batches(groups, table.rows)?;
    let batches = batches.collect::<Result<Vec<_>>>()?;
    concat_batches(&table.schema(), &batches).map_err(|e| wrong(path, e.to_string()))
}
