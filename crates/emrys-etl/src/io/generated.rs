//! Rows that are made while they are read.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::table::cast_batch;
use crate::batch_of::batch_of;
use crate::{Error, Result};

/// Makes the rows of a data set that is stored nowhere, such as a simulation or a benchmark; see
/// [`Dataset::generated`](super::Dataset::generated).
pub trait RowGenerator: Debug + Send + Sync + 'static {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// How many rows there are.
    fn num_rows(&self) -> u64;

    /// A number that is the same for the same rows.
    fn fingerprint(&self) -> u64;

    /// The rows of a range, with the columns at the given positions, in the order and types of the
    /// schema.
    ///
    /// A row must be the same whatever range it is asked in: ranges depend on the number of
    /// threads, and data are read several times.
    ///
    /// # Errors
    /// Whatever keeps it from making the rows.
    fn rows(&self, range: Range<u64>, columns: &[usize]) -> Result<RecordBatch>;
}

/// The scan of generated rows: each partition makes a contiguous range of them. A position in
/// `projection` beyond the columns of the generator stands for the number of the row.
pub(super) fn scan(
    generator: &Arc<dyn RowGenerator>,
    schema: SchemaRef,
    projection: &[usize],
    partitions: usize,
    batch_size: usize,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let total = generator.num_rows();
    let batch_size = batch_size.max(1) as u64;
    let batches = total.div_ceil(batch_size);
    let partitions = batches.clamp(1, partitions.max(1) as u64);
    let cut = |part: u64| (batches * part / partitions * batch_size).min(total);
    let streams = (0..partitions).map(|part| {
        Arc::new(Part {
            generator: Arc::clone(generator),
            schema: Arc::clone(&schema),
            projection: projection.to_vec(),
            rows: cut(part)..cut(part + 1),
            batch_size,
        }) as Arc<dyn PartitionStream>
    });
    Ok(Arc::new(StreamingTableExec::try_new(
        Arc::clone(&schema),
        streams.collect(),
        None,
        [],
        false,
        None,
    )?))
}

/// The rows of one partition.
#[derive(Debug)]
struct Part {
    generator: Arc<dyn RowGenerator>,
    schema: SchemaRef,
    projection: Vec<usize>,
    rows: Range<u64>,
    batch_size: u64,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (generator, schema) = (Arc::clone(&self.generator), Arc::clone(&self.schema));
        let projection = self.projection.clone();
        let (end, step) = (self.rows.end, self.batch_size);
        let starts = (self.rows.start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let batches = starts.map(move |start| {
            let range = start..end.min(start + step);
            batch(&*generator, &schema, &projection, range)
                .map_err(|error| DataFusionError::External(Box::new(error)))
        });
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            futures::stream::iter(batches),
        ))
    }
}

fn batch(
    generator: &dyn RowGenerator,
    schema: &SchemaRef,
    projection: &[usize],
    range: Range<u64>,
) -> Result<RecordBatch> {
    let wrong = |problem: String| Error::Data {
        operator: "generated data set".into(),
        problem,
    };
    let width = generator.schema().fields().len();
    let columns: Vec<usize> = projection
        .iter()
        .copied()
        .filter(|at| *at < width)
        .collect();
    let rows = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let made = generator.rows(range.clone(), &columns)?;
    if made.num_rows() != rows || made.num_columns() != columns.len() {
        return Err(wrong(format!(
            "{rows} rows of {} columns were asked for, but {} of {} were made",
            columns.len(),
            made.num_rows(),
            made.num_columns()
        )));
    }
    let mut made = made.columns().iter();
    let columns = projection.iter().filter_map(|at| match *at < width {
        true => made.next().cloned(),
        false => {
            let ids = range.clone().map(|row| row as i64);
            Some(Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef)
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let names = schema.fields().iter().zip(&columns);
    let fields = names.map(|(field, column)| {
        field
            .as_ref()
            .clone()
            .with_data_type(column.data_type().clone())
    });
    let found = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
    batch_of(&found, columns, rows)
        .and_then(|batch| cast_batch(&batch, schema))
        .map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;
    use crate::io::{Dataset, ReadOptions};
    use crate::{Session, SessionOptions};

    #[derive(Debug)]
    struct Squares(u64);

    impl RowGenerator for Squares {
        fn schema(&self) -> SchemaRef {
            let fields = ["row", "square"].map(|name| Field::new(name, DataType::Int64, false));
            Arc::new(Schema::new(fields.to_vec()))
        }

        fn num_rows(&self) -> u64 {
            self.0
        }

        fn fingerprint(&self) -> u64 {
            self.0
        }

        fn rows(&self, range: Range<u64>, columns: &[usize]) -> Result<RecordBatch> {
            let column = |at: &usize| -> ArrayRef {
                let power = *at as u32 + 1;
                let values = range.clone().map(|row| row.pow(power) as i64);
                Arc::new(Int64Array::from_iter_values(values))
            };
            let schema = Arc::new(self.schema().project(columns).unwrap());
            let columns = columns.iter().map(column).collect();
            let rows = (range.end - range.start) as usize;
            Ok(batch_of(&schema, columns, rows).unwrap())
        }
    }

    #[test]
    fn rows_come_in_order_whatever_the_partitions() {
        for (rows, threads) in [(0, 2), (1, 2), (99, 1), (100, 3), (101, 7)] {
            let options = SessionOptions::new()
                .with_threads(threads)
                .with_batch_size(10);
            let session = Session::new(options).unwrap();
            let dataset = Dataset::generated(Squares(rows)).unwrap();
            assert_eq!(dataset.num_rows(), rows);
            let options = ReadOptions {
                row_id: true,
                ..ReadOptions::default()
            };
            let table = dataset.table(options).unwrap();
            let parts = session.block_on(async {
                let frame = session.context().read_table(table).unwrap();
                let frame = frame.select_columns(&["__row_id", "square"]).unwrap();
                frame.collect_partitioned().await.unwrap()
            });
            let mut expected = 0;
            for batch in parts.iter().flatten() {
                let ids = batch.column(0).as_primitive::<Int64Type>().values();
                let squares = batch.column(1).as_primitive::<Int64Type>().values();
                for (id, square) in ids.iter().zip(squares) {
                    assert_eq!((*id, *square), (expected, expected * expected));
                    expected += 1;
                }
            }
            assert_eq!(expected as u64, rows);
        }
    }
}
