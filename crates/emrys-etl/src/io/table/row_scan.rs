//! Files of formats that we read: a stream of batches for each partition.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result as EngineResult, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{DatasetTable, FileSlice, hive_value};
use crate::batch_of::batch_of;
use crate::io::formats::{RowRange, RowReader};
use crate::io::object::Object;
use crate::io::source::{Files, SourceFile};
use crate::{Error, Result, progress};

pub(super) fn plan(
    dataset: &DatasetTable,
    state: &dyn Session,
    files: &Files,
    reader: Arc<dyn RowReader>,
    slices: Vec<Vec<FileSlice>>,
    projection: &[usize],
    limit: Option<usize>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let schema: SchemaRef = Arc::new(dataset.schema.project(projection)?);
    let data = dataset.data.fields().len();
    let of_files = data - files.hive.len();
    let metrics = ExecutionPlanMetricsSet::new();
    let rows = files.files.iter().map(SourceFile::rows).sum();
    progress::watch_scan(state.config(), rows, &metrics);
    let partitions = slices.into_iter().enumerate().map(|(number, slices)| {
        let parts = slices.into_iter().map(|part| {
            let file = &files.files[part.slice.file];
            let mut columns = Vec::new();
            let mut outputs = Vec::with_capacity(projection.len());
            for &index in projection {
                outputs.push(if index < of_files {
                    // Files of one data set may have their columns in different order.
                    let name = dataset.data.field(index).name();
                    columns.push(file.arrow.index_of(name)?);
                    Output::Column(columns.len() - 1)
                } else if index < data {
                    let value = &file.hive[index - of_files];
                    Output::Constant(hive_value(value, dataset.data.field(index))?)
                } else {
                    Output::RowId
                });
            }
            Ok(Part {
                object: file.object.clone(),
                slice: part,
                columns,
                outputs,
            })
        });
        let partition = Partition {
            schema: Arc::clone(&schema),
            reader: Arc::clone(&reader),
            parts: Arc::new(parts.collect::<EngineResult<_>>()?),
            rows: MetricBuilder::new(&metrics).output_rows(number),
        };
        Ok(Arc::new(partition) as Arc<dyn PartitionStream>)
    });
    let partitions = partitions.collect::<EngineResult<_>>()?;
    let plan =
        StreamingTableExec::try_new(Arc::clone(&schema), partitions, None, [], false, limit)?;
    Ok(Arc::new(plan))
}

/// The rows of a partition.
#[derive(Debug)]
struct Partition {
    schema: SchemaRef,
    reader: Arc<dyn RowReader>,
    parts: Arc<Vec<Part>>,
    /// How many have been read.
    rows: Count,
}

/// Rows of a file, and what is made of them.
#[derive(Debug, Clone)]
struct Part {
    object: Object,
    slice: FileSlice,
    /// The columns to read.
    columns: Vec<usize>,
    outputs: Vec<Output>,
}

/// Where a column of the output comes from.
#[derive(Debug, Clone)]
enum Output {
    /// A column that is read.
    Column(usize),
    /// A value that the folder of the file says.
    Constant(ScalarValue),
    RowId,
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch_rows = context.session_config().batch_size();
        let (schema, reader) = (Arc::clone(&self.schema), Arc::clone(&self.reader));
        let (parts, rows) = (Arc::clone(&self.parts), self.rows.clone());
        let batches = stream::iter(0..parts.len()).flat_map(move |index| {
            let part = parts[index].clone();
            part.read(Arc::clone(&reader), Arc::clone(&schema), batch_rows)
        });
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches
                .inspect_ok(move |batch| rows.add(batch.num_rows()))
                .map_err(DataFusionError::from),
        ))
    }
}

impl Part {
    fn read(
        self,
        reader: Arc<dyn RowReader>,
        schema: SchemaRef,
        batch_rows: usize,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let rows = self.slice.slice.rows.clone();
        let range = RowRange {
            file: self.slice.slice.file,
            rows: rows.clone(),
            columns: self.columns.clone(),
            batch_rows,
        };
        let read = match self.columns.is_empty() {
            true => only_rows(range),
            false => reader.read(&self.object, range),
        };
        let first = i64::try_from(rows.start).map_or(i64::MAX, |start| self.slice.start + start);
        read.scan(first, move |next, batch| {
            let made = batch.and_then(|batch| {
                let made = self.output(&batch, *next, &schema);
                *next += batch.num_rows() as i64;
                made
            });
            futures::future::ready(Some(made))
        })
        .boxed()
    }

    fn output(&self, batch: &RecordBatch, first: i64, schema: &SchemaRef) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let outputs = self.outputs.iter().zip(schema.fields());
        let columns = outputs.map(|(output, field)| -> EngineResult<ArrayRef> {
            match output {
                Output::Column(place) => Ok(cast(batch.column(*place), field.data_type())?),
                Output::Constant(value) => value.to_array_of_size(rows),
                Output::RowId => Ok(Arc::new(Int64Array::from_iter_values(
                    first..first + rows as i64,
                ))),
            }
        });
        let made = columns
            .collect::<EngineResult<Vec<_>>>()
            .and_then(|columns| Ok(batch_of(schema, columns, rows)?));
        made.map_err(|error| {
            Error::Internal(format!(
                "a batch of `{}` does not fit the table ({error})",
                self.object.path.display()
            ))
        })
    }
}

/// Batches without columns: how many rows there are is known without reading.
fn only_rows(range: RowRange) -> BoxStream<'static, Result<RecordBatch>> {
    let (end, most) = (range.rows.end, range.batch_rows.max(1) as u64);
    let starts = (range.rows.start..end).step_by(range.batch_rows.max(1));
    stream::iter(starts)
        .map(move |start| {
            let rows = usize::try_from(most.min(end - start)).unwrap_or_default();
            let schema = Arc::new(arrow::datatypes::Schema::empty());
            batch_of(&schema, Vec::new(), rows)
                .map_err(|error| Error::Internal(format!("rows without columns ({error})")))
        })
        .boxed()
}
