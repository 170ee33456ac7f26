//! A data set as a table of the query engine.
//!
//! The scan of parquet files is the engine's, with [decoders of ours](super::reader); which rows each
//! partition reads is ours as well.
//! Other formats are read by ours. The number of a row is the number of rows in the files before,
//! a constant per file, plus the number within the file, so it does not depend on partitions,
//! pruning or filters.

mod memory_scan;
mod parquet_scan;
mod row_scan;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as EngineResult, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::formats::Scan;
use super::generated;
use super::hive;
use super::plain::with_type;
use super::ranges::{self, FileRows, Slice};
use super::reader::is_decoded;
use super::row_order::RowOrderExec;
use super::source::{Files, Source};
use crate::batch_of::batch_of;
use crate::{Error, Result};

/// The column that a scan adds on request: the number of each row, from 0, over all files in
/// order. `Int64`, never null, and the same however many partitions there are.
pub const ROW_ID: &str = "__row_id";

/// How a data set is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Adds the column [`ROW_ID`] at the end.
    pub row_id: bool,
    /// Yields texts as `Dictionary(Int32, Utf8)` instead of `Utf8View`: cheaper where work is
    /// done once per distinct value, dearer for grouping.
    pub dictionary_strings: bool,
}

/// The schema that a scan of columns of plain types yields, without [`ROW_ID`].
pub(crate) fn read_schema(plain: &ArrowSchema, options: ReadOptions) -> SchemaRef {
    let fields = plain.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 if options.dictionary_strings => with_type(
            field,
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ),
        DataType::Utf8 => with_type(field, DataType::Utf8View),
        _ => Arc::clone(field),
    });
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The batch with its columns cast to the types of `schema`, which has the same names.
pub(crate) fn cast_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(
            |(column, field)| match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                false => cast(column, field.data_type()),
            },
        );
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    batch_of(schema, columns, batch.num_rows())
}

#[derive(Debug)]
pub(crate) struct DatasetTable {
    source: Arc<Source>,
    options: ReadOptions,
    /// The columns of the data as they are read.
    data: SchemaRef,
    /// `data`, and the row id if it is asked for.
    schema: SchemaRef,
}

impl DatasetTable {
    pub(crate) fn new(
        source: Arc<Source>,
        plain: &ArrowSchema,
        options: ReadOptions,
    ) -> Result<DatasetTable> {
        let data = read_schema(plain, options);
        let mut fields: Vec<FieldRef> = data.fields().to_vec();
        if options.row_id {
            if data.index_of(ROW_ID).is_ok() {
                return Err(Error::DuplicateColumn {
                    operator: "data set with row ids".into(),
                    column: ROW_ID.into(),
                });
            }
            fields.push(Arc::new(Field::new(ROW_ID, DataType::Int64, false)));
        }
        Ok(DatasetTable {
            source,
            options,
            data,
            schema: Arc::new(ArrowSchema::new(fields)),
        })
    }

    /// Whether a scan may map the column by the entries of dictionaries: one of parquet files.
    pub(crate) fn has_entries(&self, column: &str) -> bool {
        let is_parquet = match &*self.source {
            Source::Files(files) => matches!(files.scan, Scan::Parquet),
            Source::Memory(_) | Source::Generated(_) => false,
        };
        let field = self.data.field_with_name(column);
        is_parquet && field.is_ok_and(|field| is_decoded(field.data_type()))
    }

    /// The columns a scan yields, as indices into the schema.
    fn projected(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect())
    }

    /// The hive columns of the table, with the types in which they are read.
    fn hive_fields(&self, files: &Files) -> &[FieldRef] {
        let fields = self.data.fields();
        &fields[fields.len() - files.hive.len()..]
    }
}

#[async_trait]
impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        let hive = match &*self.source {
            Source::Files(files) => files.hive.as_slice(),
            Source::Memory(_) | Source::Generated(_) => &[],
        };
        let of_folders = |filter: &&Expr| {
            let columns = filter.column_refs();
            let known = |name: &str| hive.iter().any(|field| field.name() == name);
            !columns.is_empty() && columns.iter().all(|column| known(&column.name))
        };
        // All filters stay above the scan. Those over columns of folders tell which files need not
        // be read; the others are handed to parquet scans by the engine's optimizer, for pruning.
        let answers = filters.iter().map(|filter| match of_folders(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(answers.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let projection = self.projected(projection);
        let scan = match &*self.source {
            Source::Memory(batches) => memory_scan::plan(self, state, batches, &projection, limit),
            Source::Generated(generator) => {
                let schema = Arc::new(self.schema.project(&projection)?);
                let config = state.config();
                let (partitions, batch_size) = (config.target_partitions(), config.batch_size());
                generated::scan(generator, schema, &projection, partitions, batch_size)
            }
            Source::Files(files) => self.scan_files(state, files, &projection, filters, limit),
        };
        scan.map(RowOrderExec::wrap)
    }
}

impl DatasetTable {
    fn scan_files(
        &self,
        state: &dyn Session,
        files: &Files,
        projection: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let kept = hive::kept(state, &files.files, &files.hive, filters);
        let slices = slices_of_files(state, files, &kept);
        match &files.scan {
            Scan::Parquet => parquet_scan::plan(self, state, files, &slices, projection, limit),
            Scan::Rows(reader) => row_scan::plan(
                self,
                state,
                files,
                Arc::clone(reader),
                slices,
                projection,
                limit,
            ),
        }
    }
}

/// A part of a file that a partition reads.
#[derive(Debug, Clone)]
struct FileSlice {
    slice: Slice,
    /// The number of the first row of the file.
    start: i64,
}

/// The parts of the kept files that each partition reads.
fn slices_of_files(state: &dyn Session, files: &Files, kept: &[usize]) -> Vec<Vec<FileSlice>> {
    let mut starts = Vec::with_capacity(files.files.len());
    let mut start = 0;
    for file in &files.files {
        starts.push(start);
        // More rows than fit are refused when row ids are asked for.
        start += i64::try_from(file.rows())
            .unwrap_or(i64::MAX / 2)
            .min(i64::MAX / 2 - start);
    }
    let rows: Vec<FileRows> = kept
        .iter()
        .map(|file| files.files[*file].file_rows())
        .collect();
    let partitions = partition(state, &rows);
    let real = |slice: Slice| FileSlice {
        start: starts[kept[slice.file]],
        slice: Slice {
            file: kept[slice.file],
            rows: slice.rows,
        },
    };
    partitions
        .into_iter()
        .map(|slices| slices.into_iter().map(&real).collect())
        .collect()
}

fn partition(state: &dyn Session, files: &[FileRows]) -> Vec<Vec<Slice>> {
    let config = state.config();
    ranges::partition(
        files,
        config.target_partitions(),
        config.batch_size() as u64,
    )
}

/// A value of a hive column with the type in which it is read.
fn hive_value(value: &ScalarValue, field: &Field) -> EngineResult<ScalarValue> {
    value.cast_to(field.data_type())
}

#[cfg(test)]
mod tests;
