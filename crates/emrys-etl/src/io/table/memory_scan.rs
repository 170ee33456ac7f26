//! Batches in memory.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::error::ArrowError;
use datafusion::catalog::Session;
use datafusion::common::Result as EngineResult;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

use super::{DatasetTable, partition};
use crate::batch_of::batch_of;
use crate::io::ranges::{FileRows, Slice};

/// Slicing costs nothing, so any cut will do.
const PIECES: u64 = 8;

pub(super) fn plan(
    dataset: &DatasetTable,
    state: &dyn Session,
    batches: &[RecordBatch],
    projection: &[usize],
    limit: Option<usize>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let batch_size = state.config().batch_size().max(1) as u64;
    let chunks = |batch: &RecordBatch| {
        let rows = batch.num_rows() as u64;
        let row_groups = (0..rows.div_ceil(batch_size))
            .map(|i| batch_size.min(rows - i * batch_size))
            .collect();
        FileRows {
            row_groups,
            pieces: PIECES,
        }
    };
    let mut starts = Vec::with_capacity(batches.len());
    let mut start = 0;
    for batch in batches {
        starts.push(start);
        start += batch.num_rows() as i64;
    }
    let schema = Arc::new(dataset.schema.project(projection)?);
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
        batch_of(&schema, columns, rows.len())
    };
    let partitions = partition(state, &batches.iter().map(chunks).collect::<Vec<_>>());
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
