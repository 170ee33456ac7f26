//! One file: its footer, which of its columns and rows are read, and their bytes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};

use super::chunks::Chunks;
use super::columns::Columns;
use super::row_group::RowGroup;
use super::source::RowsOfFile;

/// What is read of the files of a partition.
pub(super) struct Scan {
    pub(super) partition: usize,
    pub(super) table: TableSchema,
    pub(super) columns: Columns,
    pub(super) batch_rows: usize,
    pub(super) readers: Arc<dyn ParquetFileReaderFactory>,
    pub(super) metrics: ExecutionPlanMetricsSet,
}

/// An opened file.
pub(super) struct File {
    pub(super) scan: Arc<Scan>,
    pub(super) metadata: Arc<ParquetMetaData>,
    /// How the parquet library reads the columns that are not decoded here.
    pub(super) library: ArrowReaderMetadata,
    /// Where the needed columns come from.
    pub(super) origins: Vec<Origin>,
}

/// Where a column comes from.
pub(super) enum Origin {
    /// A column of the file.
    File(FileColumn),
    /// A value that the folder of the file says.
    Constant(ScalarValue),
    RowNumber,
}

/// A column of the file.
pub(super) struct FileColumn {
    pub(super) name: String,
    pub(super) data_type: DataType,
    /// Its place among the columns of the top level.
    pub(super) root: usize,
    /// The places of its leaves, of which flat columns have one.
    pub(super) leaves: Vec<usize>,
}

/// Some rows of a row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) row_group: usize,
    /// Which of its rows.
    pub(super) rows: Range<usize>,
    /// The number of the first of them in the file.
    pub(super) start: i64,
}

/// The batches of a file, or of the rows of it that are asked for.
pub(super) async fn open(
    scan: Arc<Scan>,
    file: PartitionedFile,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let bytes = file.object_meta.size;
    let mut reader =
        scan.readers
            .create_reader(scan.partition, file.clone(), None, &scan.metrics)?;
    let mut options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
    if let Some(schema) = &file.arrow_schema {
        options = options.with_schema(Arc::clone(schema));
    }
    let metadata = reader.get_metadata(Some(&options)).await?;
    let library = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options)?;
    let rows = file.extension::<RowsOfFile>().map(|rows| rows.0.clone());
    let parts = parts(&metadata, rows)?;
    let file = Arc::new(File {
        origins: origins(&scan, &metadata, &file)?,
        scan,
        metadata,
        library,
    });
    let row_groups = stream::try_unfold((reader, parts.into_iter()), move |(reader, parts)| {
        next_row_group(Arc::clone(&file), reader, parts, bytes)
    });
    Ok(row_groups.try_flatten().boxed())
}

type Reader = Box<dyn AsyncFileReader + Send>;
type Parts = std::vec::IntoIter<Part>;

/// The batches of the next part; `None` after the last.
async fn next_row_group(
    file: Arc<File>,
    mut reader: Reader,
    mut parts: Parts,
    file_bytes: u64,
) -> Result<Option<(stream::Iter<RowGroup>, (Reader, Parts))>> {
    let Some(part) = parts.next() else {
        return Ok(None);
    };
    let chunks = fetch(&file, &part, &mut *reader, file_bytes).await?;
    let batches = RowGroup::open(file, part, chunks)?;
    Ok(Some((stream::iter(batches), (reader, parts))))
}

/// The parts of row groups that hold the rows of a range, or all.
fn parts(metadata: &ParquetMetaData, rows: Option<Range<u64>>) -> Result<Vec<Part>> {
    let wanted = rows.unwrap_or(0..u64::MAX);
    let mut parts = Vec::new();
    let mut start = 0_u64;
    for (row_group, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| corrupt("a number of rows"))?;
        let end = start
            .checked_add(rows)
            .ok_or_else(|| corrupt("a number of rows"))?;
        let (first, last) = (wanted.start.max(start), wanted.end.min(end));
        if first < last {
            let place =
                |row: u64| usize::try_from(row - start).map_err(|_| corrupt("a number of rows"));
            parts.push(Part {
                row_group,
                rows: place(first)?..place(last)?,
                start: i64::try_from(first).map_err(|_| corrupt("a number of rows"))?,
            });
        }
        start = end;
    }
    Ok(parts)
}

/// Where each of the needed columns comes from.
fn origins(scan: &Scan, metadata: &ParquetMetaData, file: &PartitionedFile) -> Result<Vec<Origin>> {
    let of_files = scan.table.file_schema().fields();
    let of_folders = scan.table.table_partition_cols().len();
    let schema = metadata.file_metadata().schema_descr();
    let roots = schema.root_schema().get_fields();
    let origin = |index: &usize| {
        let Some(field) = of_files.get(*index) else {
            let value = file.partition_values.get(*index - of_files.len());
            return match value.filter(|_| *index - of_files.len() < of_folders) {
                Some(value) => Ok(Origin::Constant(value.clone())),
                None => Ok(Origin::RowNumber),
            };
        };
        // Files of one data set may have their columns in different order.
        let root = roots.iter().position(|root| root.name() == field.name());
        let root = root.ok_or_else(|| {
            ParquetError::General(format!("the column `{}` is missing", field.name()))
        })?;
        let leaves = 0..schema.num_columns();
        Ok(Origin::File(FileColumn {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            root,
            leaves: leaves
                .filter(|leaf| schema.get_column_root_idx(*leaf) == root)
                .collect(),
        }))
    };
    scan.columns.needed.iter().map(origin).collect()
}

/// The needed column chunks of a row group.
async fn fetch(
    file: &File,
    part: &Part,
    reader: &mut dyn AsyncFileReader,
    file_bytes: u64,
) -> Result<Chunks> {
    let group = file.metadata.row_group(part.row_group);
    let leaves = file.origins.iter().flat_map(|origin| match origin {
        Origin::File(column) => column.leaves.as_slice(),
        Origin::Constant(_) | Origin::RowNumber => &[],
    });
    let ranges = leaves.map(|leaf| byte_range(group.column(*leaf), file_bytes));
    let ranges = ranges.collect::<Result<Vec<_>>>()?;
    let bytes = reader.get_byte_ranges(ranges.clone()).await?;
    let starts = ranges.into_iter().map(|range| range.start);
    Ok(Chunks::new(starts.zip(bytes), file_bytes))
}

/// The place of a column chunk in the file, which the library takes for granted.
fn byte_range(chunk: &ColumnChunkMetaData, file_bytes: u64) -> Result<Range<u64>> {
    let start = chunk
        .dictionary_page_offset()
        .unwrap_or(chunk.data_page_offset());
    let range = u64::try_from(start)
        .ok()
        .zip(u64::try_from(chunk.compressed_size()).ok())
        .and_then(|(start, length)| Some(start..start.checked_add(length)?))
        .filter(|range| range.end <= file_bytes);
    range.ok_or_else(|| corrupt("the place of a column chunk"))
}

fn corrupt(what: &str) -> datafusion::common::DataFusionError {
    ParquetError::General(format!("the footer is corrupt: {what} is impossible")).into()
}
