//! The parquet files of vocabularies.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use rayon::prelude::*;

use crate::io::TableFile;
use crate::ops::categorify::files::{PANDAS, wrong};
use crate::{Error, Result};

/// How many rows at a time go from a file onto disk.
const ROWS_AT_ONCE: usize = 1 << 16;

/// The start of the index that pandas describes in a file, where it counts on from there.
pub(super) fn pandas_start(table: &TableFile) -> Option<i64> {
    let entries = table.metadata().file_metadata().key_value_metadata()?;
    let entry = entries.iter().find(|entry| entry.key == PANDAS)?;
    let pandas: serde_json::Value = serde_json::from_str(entry.value.as_ref()?).ok()?;
    let index = pandas.get("index_columns")?.get(0)?;
    (index.get("kind")? == "range")
        .then(|| index.get("start")?.as_i64())
        .flatten()
}

/// The file, or the parts of a folder in order.
pub(super) fn tables(path: &Path) -> Result<Vec<TableFile>> {
    if !path.is_dir() {
        return Ok(vec![TableFile::open(path)?]);
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
    parts
        .iter()
        .map(|(_, part)| TableFile::open(part))
        .collect()
}

/// All rows in order: read when they are asked for, or row groups side by side.
pub(super) fn batches<'a>(
    tables: &'a [TableFile],
    one_by_one: bool,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>> {
    let groups = tables.iter().flat_map(|table| {
        let groups = table.metadata().num_row_groups();
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
    let groups: Vec<(&TableFile, usize)> = groups.collect();
    let read = |(table, group): (&TableFile, usize)| {
        let rows = table.metadata().row_group(group).num_rows();
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
