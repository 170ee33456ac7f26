//! Parquet files: the engine's scan, with decoders of ours, over ranges of rows that we choose.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{Result as EngineResult, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStore;
use parquet::arrow::RowNumber;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::{DatasetTable, FileSlice, ROW_ID, hive_value, read_schema};
use crate::io::ranges::Slice;
use crate::io::reader::{FlatSource, RowsOfFile};
use crate::io::source::{Files, SourceFile};
use crate::{Error, progress};

/// Columns that exist only within the scan of a file.
const FILE_START: &str = "__emrys_file_start";
const ROW_IN_FILE: &str = "__emrys_row_in_file";

pub(super) fn plan(
    dataset: &DatasetTable,
    state: &dyn Session,
    files: &Files,
    slices: &[Vec<FileSlice>],
    projection: &[usize],
    limit: Option<usize>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let row_id = projection.contains(&dataset.data.fields().len());
    let hive = dataset.hive_fields(files);
    let of_files = &dataset.data.fields()[..dataset.data.fields().len() - hive.len()];
    let mut of_folders = hive.to_vec();
    let mut table = TableSchema::builder(Arc::new(ArrowSchema::new(of_files.to_vec())));
    if row_id {
        of_folders.push(Arc::new(Field::new(FILE_START, DataType::Int64, false)));
        table = table.with_virtual_columns(vec![Arc::new(
            Field::new(ROW_IN_FILE, DataType::Int64, false).with_extension_type(RowNumber),
        )]);
    }
    let table = table.with_table_partition_cols(of_folders).build();

    let environment = state.runtime_env();
    let (url, reader) = match files.store() {
        None => {
            let url = ObjectStoreUrl::local_filesystem();
            let reader = CachedParquetFileReaderFactory::new(
                environment.object_store(&url)?,
                environment.cache_manager.get_file_metadata_cache(),
            );
            (url, reader)
        }
        Some(store) => {
            let url = ObjectStoreUrl::parse(store.engine_url())?;
            let store_of_scan: Arc<dyn ObjectStore> = Arc::clone(store) as _;
            // The engine looks the store up by its URL, although the reader holds it.
            environment.register_object_store(url.as_ref(), Arc::clone(&store_of_scan));
            let reader = CachedParquetFileReaderFactory::new(store_of_scan, store.metadata_cache());
            (url, reader)
        }
    };
    let parquet_options = TableParquetOptions {
        global: state.config_options().execution.parquet.clone(),
        ..Default::default()
    };
    let readers: Arc<dyn ParquetFileReaderFactory> = Arc::new(reader);
    let engine = ParquetSource::new(table.clone())
        .with_table_parquet_options(parquet_options)
        .with_parquet_file_reader_factory(Arc::clone(&readers));
    let source = FlatSource::new(Arc::new(engine), readers)
        .try_pushdown_projection(&projection_exprs(dataset, projection))?
        .ok_or_else(|| Error::Internal("the parquet source refused a projection".into()))?;
    let rows = files.files.iter().map(SourceFile::rows).sum();
    progress::watch_scan(state.config(), rows, source.metrics());

    let groups = slices.iter().map(|slices| {
        let parts = slices
            .iter()
            .map(|part| file_part(dataset, files, part, row_id));
        parts.collect::<EngineResult<Vec<_>>>().map(FileGroup::new)
    });
    let config = FileScanConfigBuilder::new(url, source)
        .with_file_groups(groups.collect::<EngineResult<Vec<_>>>()?)
        .with_statistics(statistics(files, slices, table.table_schema()))
        .with_limit(limit)
        // Keeps files where they are: idle partitions would otherwise take them over.
        .with_preserve_order(true)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// The expressions over the columns of the scan that yield the columns of the table.
fn projection_exprs(dataset: &DatasetTable, projection: &[usize]) -> ProjectionExprs {
    let data = dataset.data.fields();
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

/// A file or a part of it.
fn file_part(
    dataset: &DatasetTable,
    files: &Files,
    part: &FileSlice,
    row_id: bool,
) -> EngineResult<PartitionedFile> {
    let file: &SourceFile = &files.files[part.slice.file];
    file.object.check_unchanged()?;
    let mut read = PartitionedFile::new_from_meta(file.object.meta.clone())
        .with_arrow_schema(read_schema(&file.arrow, dataset.options));
    let mut values = Vec::with_capacity(file.hive.len() + 1);
    for (value, field) in file.hive.iter().zip(dataset.hive_fields(files)) {
        values.push(hive_value(value, field)?);
    }
    if row_id {
        values.push(ScalarValue::Int64(Some(part.start)));
    }
    if !values.is_empty() {
        read = read.with_partition_values(values);
    }
    if part.slice.rows != (0..file.rows()) {
        let selection = selection(&part.slice, file.rows())?;
        read = read
            .with_extension(ParquetRowSelection::new(selection))
            .with_extension(RowsOfFile(part.slice.rows.clone()));
    }
    Ok(read)
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

fn statistics(files: &Files, slices: &[Vec<FileSlice>], schema: &ArrowSchema) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    let parts = || slices.iter().flatten();
    let rows: u64 = parts()
        .map(|part| part.slice.rows.end - part.slice.rows.start)
        .sum();
    let mut read: Vec<usize> = parts().map(|part| part.slice.file).collect();
    read.dedup();
    let bytes: u64 = read
        .iter()
        .map(|file| files.files[*file].object.bytes())
        .sum();
    statistics.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Exact);
    statistics.total_byte_size =
        usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
    statistics
}
