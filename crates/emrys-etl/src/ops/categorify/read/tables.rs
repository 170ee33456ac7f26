//! The parquet files of vocabularies.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use rayon::prelude::*;

use crate::io::TableFile;
use crate::ops::categorify::files::{PANDAS, wrong};
use crate::{Error, Result};

/// How many rows at a time are handed on.
const ROWS_AT_ONCE: usize = 1 << 16;

/// The most row groups that are read side by side; twice as many are in memory.
const MOST_GROUPS: usize = 4;

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

/// The first row of all, if there is one.
pub(super) fn first_row(tables: &[TableFile]) -> Result<Option<RecordBatch>> {
    for table in tables.iter().filter(|table| table.rows() > 0) {
        if let Some(batch) = table.all_batches(1)?.next() {
            return batch.map(Some);
        }
    }
    Ok(None)
}

/// Hands on all rows in order: as they are read, or with some row groups read side by side while
/// those before them are handed on.
pub(super) fn for_each_batch(
    tables: &[TableFile],
    one_by_one: bool,
    mut add: impl FnMut(&RecordBatch) -> Result<()> + Send,
) -> Result<()> {
    let groups = tables.iter().flat_map(|table| {
        let groups = table.metadata().num_row_groups();
        (0..groups).map(move |group| (table, group))
    });
    if one_by_one {
        for (table, group) in groups {
            for batch in table.batches(vec![group], ROWS_AT_ONCE)? {
                add(&batch?)?;
            }
        }
        return Ok(());
    }
    let groups: Vec<(&TableFile, usize)> = groups.collect();
    let read = |(table, group): &(&TableFile, usize)| {
        let batches = table.batches(vec![*group], ROWS_AT_ONCE)?;
        batches.collect::<Result<Vec<RecordBatch>>>()
    };
    let mut batches = Vec::new();
    for groups in groups.chunks(rayon::current_num_threads().min(MOST_GROUPS)) {
        let (next, added) = rayon::join(
            || groups.par_iter().map(read).collect::<Result<Vec<_>>>(),
            || batches.iter().flatten().try_for_each(&mut add),
        );
        added?;
        batches = next?;
    }
    batches.iter().flatten().try_for_each(add)
}
