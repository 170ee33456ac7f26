//! The scan of parquet files with decoders of our own.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileSource, ParquetFileReaderFactory,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{
    EquivalenceProperties, PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr,
};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner, Morselizer};
use futures::stream::BoxStream;
use object_store::ObjectStore;

use super::columns::Columns;
use super::file::{self, Scan};
use super::flat_column::is_decoded;

/// The engine's own scan, whose batches are made here as long as it only reads and projects.
///
/// Asked for filters or another order, it gives way to the engine's scan.
pub(in crate::io) struct FlatSource {
    engine: Arc<dyn FileSource>,
    readers: Arc<dyn ParquetFileReaderFactory>,
    batch_rows: Option<usize>,
}

/// The rows of a file that are read, if not all are: an extension of the engine's file.
#[derive(Debug, Clone)]
pub(in crate::io) struct RowsOfFile(pub(in crate::io) Range<u64>);

impl FlatSource {
    /// Reads as `engine` would, which gets its bytes from `readers` as well.
    pub(in crate::io) fn new(
        engine: Arc<dyn FileSource>,
        readers: Arc<dyn ParquetFileReaderFactory>,
    ) -> FlatSource {
        FlatSource {
            engine,
            readers,
            batch_rows: None,
        }
    }

    fn with_engine(&self, engine: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(FlatSource {
            engine,
            readers: Arc::clone(&self.readers),
            batch_rows: self.batch_rows,
        })
    }

    /// `None` if there is nothing to decode here.
    fn scan(&self, partition: usize) -> Result<Option<Scan>> {
        let (Some(projection), None, Some(batch_rows)) = (
            self.engine.projection(),
            self.engine.filter(),
            self.batch_rows,
        ) else {
            return Ok(None);
        };
        let table = self.engine.table_schema().clone();
        let files = table.file_schema().fields();
        let needed = projection.column_indices();
        let mut fields = needed.iter().filter_map(|index| files.get(*index));
        let has_flat = fields.clone().any(|field| is_decoded(field.data_type()));
        // Of structures the engine reads only the parts that are needed.
        let has_parts = fields.any(|field| matches!(field.data_type(), DataType::Struct(_)));
        if !has_flat || has_parts || projection.expr_iter().any(|expr| asks_for_file(&expr)) {
            return Ok(None);
        }
        Ok(Some(Scan {
            partition,
            columns: Columns::new(projection, table.table_schema())?,
            table,
            batch_rows,
            readers: Arc::clone(&self.readers),
            metrics: self.engine.metrics().clone(),
        }))
    }
}

/// Whether an expression has a function in it that only the engine's scan can answer.
fn asks_for_file(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let found = expr.exists(|expr| {
        let function = expr.downcast_ref::<ScalarFunctionExpr>();
        Ok(function.is_some_and(|function| function.name() == "input_file_name"))
    });
    found.unwrap_or(true)
}

impl FileSource for FlatSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.engine
            .create_file_opener(object_store, config, partition)
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        match self.scan(partition)? {
            Some(scan) => Ok(Box::new(Files(Arc::new(scan)))),
            None => self
                .engine
                .create_morselizer(object_store, config, partition),
        }
    }

    fn table_schema(&self) -> &TableSchema {
        self.engine.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(FlatSource {
            engine: self.engine.with_batch_size(batch_size),
            readers: Arc::clone(&self.readers),
            batch_rows: Some(batch_size),
        })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.engine.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.engine.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.engine.metrics()
    }

    fn file_type(&self) -> &str {
        self.engine.file_type()
    }

    fn fmt_extra(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.fmt_extra(format, f)
    }

    fn supports_repartitioning(&self) -> bool {
        // A file that is read in part would be cut by its bytes.
        false
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        self.engine.try_pushdown_filters(filters, config)
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        self.engine.try_pushdown_sort(order, properties)
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.engine.reorder_files(files)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let engine = self.engine.try_pushdown_projection(projection)?;
        Ok(engine.map(|engine| self.with_engine(engine)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.engine.apply_expressions(f)
    }
}

/// Makes a stream of batches of each file.
struct Files(Arc<Scan>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files")
            .field(&self.0.columns.output)
            .finish()
    }
}

impl Morselizer for Files {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        Ok(Box::new(FilePlan::Unopened(
            Arc::clone(&self.0),
            Box::new(file),
        )))
    }
}

type Batches = BoxStream<'static, Result<RecordBatch>>;

/// A file on its way to its batches.
enum FilePlan {
    Unopened(Arc<Scan>, Box<PartitionedFile>),
    Opened(Batches),
}

impl fmt::Debug for FilePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilePlan::Unopened(_, file) => f.debug_tuple("Unopened").field(file.path()).finish(),
            FilePlan::Opened(_) => write!(f, "Opened"),
        }
    }
}

impl MorselPlanner for FilePlan {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        Ok(Some(match *self {
            FilePlan::Unopened(scan, file) => MorselPlan::new().with_pending_planner(async {
                let batches = file::open(scan, *file).await?;
                Ok(Box::new(FilePlan::Opened(batches)) as Box<dyn MorselPlanner>)
            }),
            FilePlan::Opened(batches) => {
                MorselPlan::new().with_morsels(vec![Box::new(FileRows(batches))])
            }
        }))
    }
}

struct FileRows(Batches);

impl fmt::Debug for FileRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRows")
    }
}

impl Morsel for FileRows {
    fn into_stream(self: Box<Self>) -> Batches {
        self.0
    }
}
