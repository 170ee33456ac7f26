//! A data set as a table of the query engine.
//!
//! The scan of files is the engine's own; what is ours is which rows each partition reads. The
//! number of a row is the number of rows in the files before, a constant per file, plus the
//! number that the parquet reader counts within the file, so it does not depend on partitions,
//! pruning or filters.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result as EngineResult, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;
use parquet::arrow::RowNumber;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::dataset::Source;
use super::footer::{Footer, with_type};
use super::generated;
use super::ranges::{self, Slice};
use super::row_order::RowOrderExec;
use crate::{Error, Result, progress};

/// The column that a scan adds on request: the number of each row, from 0, over all files in
/// order. `Int64`, never null, and the same however many partitions there are.
pub const ROW_ID: &str = "__row_id";

/// Columns that exist only within the scan of a file.
const FILE_START: &str = "__emrys_file_start";
const ROW_IN_FILE: &str = "__emrys_row_in_file";

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
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
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

    /// The columns a scan yields, as indices into the schema.
    fn projected(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect())
    }

    fn scan_files(
        &self,
        state: &dyn Session,
        files: &[Footer],
        projection: &[usize],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let row_id = projection.contains(&self.data.fields().len());
        let mut table = TableSchema::builder(Arc::clone(&self.data));
        if row_id {
            table = table
                .with_table_partition_cols(vec![Arc::new(Field::new(
                    FILE_START,
                    DataType::Int64,
                    false,
                ))])
                .with_virtual_columns(vec![Arc::new(
                    Field::new(ROW_IN_FILE, DataType::Int64, false).with_extension_type(RowNumber),
                )]);
        }
        let table = table.build();

        let url = ObjectStoreUrl::local_filesystem();
        let environment = state.runtime_env();
        let reader = CachedParquetFileReaderFactory::new(
            environment.object_store(&url)?,
            environment.cache_manager.get_file_metadata_cache(),
        );
        let parquet_options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..Default::default()
        };
        let source = ParquetSource::new(table.clone())
            .with_table_parquet_options(parquet_options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let source = source
            .try_pushdown_projection(&self.projection_exprs(projection))?
            .ok_or_else(|| Error::Internal("the parquet source refused a projection".into()))?;
        let rows = files.iter().map(Footer::rows).sum();
        progress::watch_scan(state.config(), rows, source.metrics());

        let config = FileScanConfigBuilder::new(url, source)
            .with_file_groups(self.file_groups(state, files, row_id)?)
            .with_statistics(statistics(files, table.table_schema()))
            .with_limit(limit)
            // Keeps files where they are: idle partitions would otherwise take them over.
            .with_preserve_order(true)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// The expressions over the columns of the scan that yield the columns of the table.
    fn projection_exprs(&self, projection: &[usize]) -> ProjectionExprs {
        let data = self.data.fields();
        ProjectionExprs::new(projection.iter().map(|&index| match data.get(index) {
            Some(field) => {
                ProjectionExpr::new(Arc::new(Column::new(field.name(), index)), field.name())
            }
            None => {
                let file_start = Arc::new(Column::new(FILE_START, data.len()));
                let row_in_file = Arc::new(Column::new(ROW_IN_FILE, data.len() + 1));
                let row_id = BinaryExpr::new(file_start, Operator::Plus, row_in_file);
                ProjectionExpr::new(Arc::new(row_id), ROW_ID)
            }
        }))
    }

    /// The files or parts of files that each partition reads.
    fn file_groups(
        &self,
        state: &dyn Session,
        files: &[Footer],
        row_id: bool,
    ) -> EngineResult<Vec<FileGroup>> {
        let mut starts = Vec::with_capacity(files.len());
        let mut objects = Vec::with_capacity(files.len());
        let mut start = 0;
        for file in files {
            starts.push(start);
            start += file.rows();
            objects.push(object_meta(file)?);
        }
        let partitions = partition(
            state,
            files.iter().map(|file| file.row_groups.clone()).collect(),
        );
        let read = |slice: Slice| {
            let file = &files[slice.file];
            let mut part = PartitionedFile::new_from_meta(objects[slice.file].clone())
                .with_arrow_schema(read_schema(&file.arrow, self.options));
            if row_id {
                let start = i64::try_from(starts[slice.file]).map_err(|_| {
                    Error::Internal("a data set has more rows than a 64-bit number counts".into())
                })?;
                part = part.with_partition_values(vec![ScalarValue::Int64(Some(start))]);
            }
            if slice.rows != (0..file.rows()) {
                part =
                    part.with_extension(ParquetRowSelection::new(selection(&slice, file.rows())?));
            }
            Ok(part)
        };
        let groups = partitions.into_iter().map(|slices| {
            slices
                .into_iter()
                .map(read)
                .collect::<EngineResult<Vec<_>>>()
                .map(FileGroup::new)
        });
        groups.collect()
    }

    fn scan_memory(
        &self,
        state: &dyn Session,
        batches: &[RecordBatch],
        projection: &[usize],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let batch_size = state.config().batch_size().max(1) as u64;
        let chunks = |batch: &RecordBatch| {
            let rows = batch.num_rows() as u64;
            (0..rows.div_ceil(batch_size))
                .map(|i| batch_size.min(rows - i * batch_size))
                .collect()
        };
        let mut starts = Vec::with_capacity(batches.len());
        let mut start = 0;
        for batch in batches {
            starts.push(start);
            start += batch.num_rows() as i64;
        }
        let schema = Arc::new(self.schema.project(projection)?);
        let read = |slice: Slice| {
            let rows = slice.rows.start as usize..slice.rows.end as usize;
            let batch = batches[slice.file].slice(rows.start, rows.len());
            let columns = projection
                .iter()
                .zip(schema.fields())
                .map(|(&index, field)| match batch.columns().get(index) {
                    Some(column) => cast(column, field.data_type()),
                    None => {
                        let first = starts[slice.file] + rows.start as i64;
                        Ok(Arc::new(Int64Array::from_iter_values(
                            first..first + rows.len() as i64,
                        )) as _)
                    }
                });
            let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        };
        let partitions = partition(state, batches.iter().map(chunks).collect());
        let partitions = partitions
            .into_iter()
            .map(|slices| {
                slices
                    .into_iter()
                    .map(read)
                    .collect::<Result<Vec<_>, ArrowError>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let source = MemorySourceConfig::try_new(&partitions, schema, None)?.with_limit(limit);
        Ok(DataSourceExec::from_data_source(source))
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

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        // Filters stay above the scan; the engine's optimizer hands them to it for pruning.
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let projection = self.projected(projection);
        let scan = match &*self.source {
            Source::Files { footers, .. } => self.scan_files(state, footers, &projection, limit),
            Source::Memory(batches) => self.scan_memory(state, batches, &projection, limit),
            Source::Generated(generator) => {
                let schema = Arc::new(self.schema.project(&projection)?);
                let config = state.config();
                let (partitions, batch_size) = (config.target_partitions(), config.batch_size());
                generated::scan(generator, schema, &projection, partitions, batch_size)
            }
        };
        scan.map(RowOrderExec::wrap)
    }
}

fn partition(state: &dyn Session, row_groups: Vec<Vec<u64>>) -> Vec<Vec<Slice>> {
    let config = state.config();
    ranges::partition(
        &row_groups,
        config.target_partitions(),
        config.batch_size() as u64,
    )
}

/// Selects the rows of a slice among all rows of its file.
fn selection(slice: &Slice, rows: u64) -> EngineResult<RowSelection> {
    let length = |rows: u64| {
        usize::try_from(rows)
            .map_err(|_| Error::Internal("a file has more rows than the address space".into()))
    };
    Ok(RowSelection::from(vec![
        RowSelector::skip(length(slice.rows.start)?),
        RowSelector::select(length(slice.rows.end - slice.rows.start)?),
        RowSelector::skip(length(rows - slice.rows.end)?),
    ]))
}

/// The file as the engine's object store knows it, after a check that it is still the file whose
/// footer was read.
fn object_meta(file: &Footer) -> Result<ObjectMeta> {
    let metadata = fs::metadata(&file.path).map_err(Error::io("read", &file.path))?;
    let modified = metadata.modified().map_err(Error::io("read", &file.path))?;
    if (metadata.len(), modified) != (file.bytes, file.modified) {
        return Err(Error::File {
            action: "read",
            path: file.path.clone(),
            problem: "the file has changed since the data set was opened; open it again".into(),
        });
    }
    Ok(ObjectMeta {
        location: location(&file.path)?,
        last_modified: modified.into(),
        size: file.bytes,
        e_tag: None,
        version: None,
    })
}

fn location(path: &Path) -> Result<object_store::path::Path> {
    let absolute = fs::canonicalize(path).map_err(Error::io("read", path))?;
    object_store::path::Path::from_absolute_path(&absolute).map_err(|error| Error::File {
        action: "read",
        path: path.to_owned(),
        problem: format!("the name cannot be used ({error}); rename the file"),
    })
}

fn statistics(files: &[Footer], schema: &ArrowSchema) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    let rows: u64 = files.iter().map(Footer::rows).sum();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    statistics.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Exact);
    statistics.total_byte_size =
        usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
    statistics
}

#[cfg(test)]
mod tests;
