//! The rows of a vocabulary on their way into memory or onto disk.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Schema};

use super::{VocabularyFiles, column_of, failed, integers, position_of};
use crate::io::TableFile;
use crate::lookup::{DiskIndexBuilder, ValueIndex, all_null, canonical, plain_type, strict_cast};
use crate::ops::categorify::files::{index_column, size_column, wrong};
use crate::ops::categorify::vocabulary::{Counted, Layout, NULL_ID, Observed, Vocabulary};
use crate::storage::{ColumnSink, Storage};
use crate::{Error, Result};

/// The rows of a vocabulary on their way into memory or onto disk.
pub(super) struct Reading {
    pub(super) types: Vec<DataType>,
    values: Vec<ColumnSink>,
    counts: ColumnSink,
    pub(super) has_counts: bool,
    pub(super) index: Option<DiskIndexBuilder>,
    /// The id of the first row, where the file tells ids.
    pub(super) first_id: Option<i64>,
    rows: i64,
}

impl Reading {
    pub(super) fn new(
        files: &VocabularyFiles,
        tables: &[TableFile],
        schema: &Schema,
        on_disk: bool,
        storage: &Storage,
    ) -> Result<Reading> {
        let rows = tables.iter().map(TableFile::rows).sum();
        let bytes = tables.iter().map(TableFile::bytes).sum();
        let sink = |data_type: &DataType| ColumnSink::new(data_type, storage, on_disk, rows, bytes);
        let mut types = Vec::with_capacity(files.columns.len());
        let mut values = Vec::with_capacity(files.columns.len());
        for column in files.columns {
            let at = position_of(files.unique, schema, column)?;
            let plain = plain_type(schema.field(at).data_type());
            let mut sink = sink(&plain)?;
            sink.expect_text(tables.iter().map(|table| table.text_bytes(column)).sum());
            values.push(sink);
            types.push(plain);
        }
        Ok(Reading {
            values,
            counts: sink(&DataType::Int64)?,
            has_counts: schema.index_of(&size_column(files.name)).is_ok(),
            types,
            index: None,
            first_id: None,
            rows: 0,
        })
    }

    pub(super) fn add(&mut self, files: &VocabularyFiles, batch: &RecordBatch) -> Result<()> {
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
            columns.push(Arc::new(counts));
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

    pub(super) fn counted(self) -> Result<Counted> {
        let values = self.values.into_iter().map(ColumnSink::finish);
        Ok(Counted {
            values: values.collect::<Result<_>>()?,
            counts: self.counts.finish()?.as_primitive().clone(),
        })
    }

    pub(super) fn finish(
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
    let is_null = all_null(&columns[..width]);
    if !(0..rows).any(&is_null) {
        return Ok(columns);
    }
    let kept: BooleanArray = (0..rows).map(|row| Some(!is_null(row))).collect();
    let failed = |e| Error::Internal(format!("selecting values: {e}"));
    columns
        .iter()
        .map(|column| filter(column, &kept).map_err(failed))
        .collect()
}
