//! Vocabularies from parquet files, ours and NVTabular's.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use rayon::prelude::*;

use super::files::{PANDAS, index_column, size_column, wrong};
use super::vocabulary::{Counted, FIRST_UNSEEN_ID, Layout, NULL_ID, Observed, Vocabulary};
use crate::lookup::{
    DiskIndexBuilder, LookupError, ValueIndex, canonical, plain_type, strict_cast,
};
use crate::storage::{ColumnSink, Storage};
use crate::{Error, Result};

/// How many rows at a time go from a file onto disk.
const ROWS_AT_ONCE: usize = 1 << 16;

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
        let tables = tables(self.unique)?;
        let rows: usize = tables.iter().map(|table| table.rows).sum();
        let bytes: usize = tables.iter().map(|table| table.bytes).sum();
        let index_bytes = ValueIndex::expected_bytes(rows, self.columns.len());
        let on_disk = rows > 0 && storage.is_on_disk(bytes + index_bytes);
        let batches = batches(&tables, on_disk)?;
        let mut batches = batches.peekable();
        let first = match batches.peek() {
            Some(Ok(batch)) => Some(batch.clone()),
            _ => None,
        };
        // A file without rows has columns nevertheless.
        let first = first.unwrap_or_else(|| RecordBatch::new_empty(tables[0].schema()));

        let ids = index_column(self.name);
        let first_id = match first.column_by_name(&ids) {
            Some(values) if !values.is_empty() => Some(first_of_ids(self.unique, &ids, values)?),
            _ => tables[0].pandas_start,
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

        let mut reading = Reading::new(self, &first, on_disk, rows, bytes, storage)?;
        reading.first_id = first_id;
        reading.has_counts &= counted.is_some();
        if on_disk {
            let types: Vec<&DataType> = reading.types.iter().collect();
            let index = DiskIndexBuilder::new(&types, rows, layout.first_id(), NULL_ID, storage);
            reading.index = Some(index.map_err(|error| failed(self.unique, error))?);
        }
        for batch in batches {
            reading.add(self, &batch?)?;
        }
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
        let table = Table::open(path)?;
        let on_disk = table.rows > 0 && storage.is_on_disk(table.bytes);
        let (rows, bytes) = (table.rows, table.bytes);
        let empty = RecordBatch::new_empty(table.schema());
        let here = VocabularyFiles {
            unique: path,
            ..*self
        };
        let mut reading = Reading::new(&here, &empty, on_disk, rows, bytes, storage)?;
        for batch in batches(&[table], on_disk)? {
            reading.add(&here, &batch?)?;
        }
        if !reading.has_counts {
            let size = size_column(self.name);
            return Err(wrong(path, format!("column `{size}` is missing")));
        }
        reading.counted()
    }
}

/// The rows of a vocabulary on their way into memory or onto disk.
struct Reading {
    types: Vec<DataType>,
    values: Vec<ColumnSink>,
    counts: ColumnSink,
    has_counts: bool,
    index: Option<DiskIndexBuilder>,
    /// The id of the first row, where the file tells ids.
    first_id: Option<i64>,
    rows: i64,
}

impl Reading {
    fn new(
        files: &VocabularyFiles,
        first: &RecordBatch,
        on_disk: bool,
        rows: usize,
        bytes: usize,
        storage: &Storage,
    ) -> Result<Reading> {
        let types = files.columns.iter().map(|column| {
            let values = column_of(files.unique, first, column)?;
            Ok(plain_type(values.data_type()))
        });
        let types = types.collect::<Result<Vec<_>>>()?;
        let sink = |data_type: &DataType| ColumnSink::new(data_type, storage, on_disk, rows, bytes);
        Ok(Reading {
            values: types.iter().map(sink).collect::<Result<_>>()?,
            counts: sink(&DataType::Int64)?,
            has_counts: first.column_by_name(&size_column(files.name)).is_some(),
            types,
            index: None,
            first_id: None,
            rows: 0,
        })
    }

    fn add(&mut self, files: &VocabularyFiles, batch: &RecordBatch) -> Result<()> {
        let path = files.unique;
        let ids = index_column(files.name);
        if let (Some(first), Some(values)) = (self.first_id, batch.column_by_name(&ids)) {
            check_ids(path, &ids, values, first + self.rows, self.rows)?;
        }
        self.rows += batch.num_rows() as i64;
        let columns = files
            .columns
            .iter()
            .zip(&self.types)
            .map(|(column, plain)| {
                let values = column_of(path, batch, column)?;
                let values = strict_cast(values, plain)
                    .map_err(|e| wrong(path, format!("column `{column}`: {e}")))?;
                Ok(canonical(&values))
            });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        if self.has_counts {
            let size = size_column(files.name);
            let counts = integers(path, &size, column_of(path, batch, &size)?)?;
            columns.push(std::sync::Arc::new(counts));
        }
        let columns = without_nulls(columns, self.types.len())?;
        for (sink, values) in self.values.iter_mut().zip(&columns) {
            sink.append(values)?;
        }
        if let Some(counts) = columns.get(self.types.len()) {
            self.counts.append(counts)?;
        }
        if let Some(index) = &mut self.index {
            index
                .push(&columns[..self.types.len()])
                .map_err(|error| failed(path, error))?;
        }
        Ok(())
    }

    fn counted(self) -> Result<Counted> {
        let values = self.values.into_iter().map(ColumnSink::finish);
        Ok(Counted {
            values: values.collect::<Result<_>>()?,
            counts: self.counts.finish()?.as_primitive().clone(),
        })
    }

    fn finish(
        mut self,
        files: &VocabularyFiles,
        layout: Layout,
        observed: Option<(u64, u64)>,
        rest: Option<Counted>,
    ) -> Result<Vocabulary> {
        let on_disk = self.index.take().map(DiskIndexBuilder::finish).transpose();
        let on_disk = on_disk.map_err(|error| failed(files.unique, error))?;
        let has_counts = self.has_counts;
        let counted = self.counted()?;
        let observed = observed.filter(|_| has_counts);
        let observed = observed.map(|(nulls, left_out)| Observed {
            counts: counted.counts,
            nulls,
            left_out,
        });
        let index = match on_disk {
            Some(index) => Ok(ValueIndex::from_disk(index)),
            None => ValueIndex::build(&counted.values, layout.first_id(), NULL_ID),
        };
        let index = index.map_err(|error| failed(files.unique, error))?;
        let values = counted.values;
        Ok(Vocabulary::with_index(
            layout, values, observed, rest, index,
        ))
    }
}

fn failed(path: &Path, error: LookupError) -> Error {
    match error {
        LookupError::Storage(error) => *error,
        error => wrong(path, error.to_string()),
    }
}

/// A parquet file whose footer was read.
struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    rows: usize,
    /// Without compression.
    bytes: usize,
    pandas_start: Option<i64>,
}

impl Table {
    fn open(path: &Path) -> Result<Table> {
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

    fn schema(&self) -> arrow::datatypes::SchemaRef {
        std::sync::Arc::clone(self.metadata.schema())
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
fn tables(path: &Path) -> Result<Vec<Table>> {
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
fn batches<'a>(
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
fn read_small(path: &Path) -> Result<RecordBatch> {
    let table = Table::open(path)?;
    let groups = (0..table.metadata.metadata().num_row_groups()).collect();
    let batches = table.batches(groups, table.rows)?;
    let batches = batches.collect::<Result<Vec<_>>>()?;
    concat_batches(&table.schema(), &batches).map_err(|e| wrong(path, e.to_string()))
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

/// Ids rise by one from row to row.
fn check_ids(path: &Path, column: &str, ids: &ArrayRef, first: i64, rows: i64) -> Result<()> {
    let ids = integers(path, column, ids)?;
    let mut expected = ids.values().iter().zip(first..);
    match expected.position(|(id, expected)| *id != expected) {
        None => Ok(()),
        Some(row) => Err(wrong(
            path,
            format!(
                "column `{column}` is {} in row {}, but ids must rise by one",
                ids.value(row),
                rows + row as i64
            ),
        )),
    }
}

/// Leaves out rows in which the first `width` columns hold nothing but nulls.
fn without_nulls(columns: Vec<ArrayRef>, width: usize) -> Result<Vec<ArrayRef>> {
    let rows = columns.first().map_or(0, |column| column.len());
    let masks: Vec<_> = columns[..width]
        .iter()
        .map(|column| column.logical_nulls())
        .collect();
    let is_null = |row| {
        masks
            .iter()
            .all(|mask| mask.as_ref().is_some_and(|mask| mask.is_null(row)))
    };
    if !(0..rows).any(is_null) {
        return Ok(columns);
    }
    let kept: BooleanArray = (0..rows).map(|row| Some(!is_null(row))).collect();
    let failed = |e| Error::Internal(format!("selecting values: {e}"));
    columns
        .iter()
        .map(|column| filter(column, &kept).map_err(failed))
        .collect()
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
        let table = read_small(path)?;
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
