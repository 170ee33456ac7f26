//! A stream of batches as a table of the engine, and the engine's output as a stream.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::SinkExt;
use futures::stream::{self, BoxStream, StreamExt};

use super::check_schema;
use crate::batch_of::batch_of;
use crate::io::{Dataset, ROW_ID};
use crate::session::Session;
use crate::{Error, Result};

/// How many batches wait for the reader of a stream.
const WAITING: usize = 2;

/// A table whose rows come from a stream, which can be read once.
pub(super) struct StreamTable {
    /// The types in which a data set yields its columns, and the number of the row.
    schema: SchemaRef,
}

impl StreamTable {
    pub(super) fn new(dataset: &Dataset, row_id: bool) -> StreamTable {
        let mut fields = dataset.arrow_schema().fields().to_vec();
        if row_id {
            fields.push(Arc::new(Field::new(ROW_ID, DataType::Int64, false)));
        }
        StreamTable {
            schema: Arc::new(Schema::new(fields)),
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn without_rows(&self) -> Result<Arc<dyn TableProvider>> {
        self.provider(stream::empty().boxed())
    }

    pub(super) fn with_rows(
        &self,
        announced: SchemaRef,
        batches: BoxStream<'static, Result<RecordBatch>>,
    ) -> Result<Arc<dyn TableProvider>> {
        let schema = Arc::clone(&self.schema);
        let mut rows = 0;
        let read = batches.map(move |batch| {
            let batch = batch?;
            check_schema(&announced, &batch)?;
            let first = rows;
            rows += batch.num_rows() as i64;
            read(&batch, first, &schema)
        });
        self.provider(read.boxed())
    }

    fn provider(
        &self,
        batches: BoxStream<'static, EngineResult<RecordBatch>>,
    ) -> Result<Arc<dyn TableProvider>> {
        let partition = Rows {
            schema: Arc::clone(&self.schema),
            batches: Mutex::new(Some(batches)),
        };
        let table = StreamingTable::try_new(Arc::clone(&self.schema), vec![Arc::new(partition)])
            .map_err(Error::query("reading a stream"))?;
        Ok(Arc::new(table))
    }
}

/// A batch in the types of a table, with the numbers of the rows if the table has them.
fn read(batch: &RecordBatch, first_row: i64, schema: &SchemaRef) -> EngineResult<RecordBatch> {
    let rows = batch.num_rows();
    let columns =
        schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| match batch.columns().get(at) {
                Some(column) => Ok(cast(column, field.data_type())?),
                None => {
                    let numbers = first_row..first_row + rows as i64;
                    Ok(Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef)
                }
            });
    let columns = columns.collect::<EngineResult<_>>()?;
    Ok(batch_of(schema, columns, rows)?)
}

struct Rows {
    schema: SchemaRef,
    batches: Mutex<Option<BoxStream<'static, EngineResult<RecordBatch>>>>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self
            .batches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let batches = batches.unwrap_or_else(|| {
            let twice = Error::Data {
                operator: "transform".to_owned(),
                problem:
                    "the workflow reads its rows several times, a stream only once; write the \
                          rows to files and transform these"
                        .to_owned(),
            };
            stream::once(async { Err(DataFusionError::from(twice)) }).boxed()
        });
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        ))
    }
}

/// The batches of all partitions in order, computed on the session's threads a few batches ahead
/// of the reader.
pub(super) fn driven(
    session: Arc<Session>,
    partitions: Vec<SendableRecordBatchStream>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (mut sender, receiver) = futures::channel::mpsc::channel(WAITING);
    let task = session.spawn(async move {
        let mut batches = stream::iter(partitions).flatten();
        while let Some(batch) = batches.next().await {
            let failed = batch.is_err();
            let batch = batch.map_err(Error::query("transforming"));
            // A reader that went away wants no more.
            if sender.send(batch).await.is_err() || failed {
                return;
            }
        }
    });
    let end = async move {
        let result = task.await;
        // The threads live as long as the stream.
        drop(session);
        match result {
            Err(error) if error.is_panic() => {
                Some(Err(Error::panicked("transforming", &*error.into_panic())))
            }
            Err(error) => Some(Err(Error::Internal(format!(
                "a transform broke off: {error}"
            )))),
            Ok(()) => None,
        }
    };
    receiver
        .chain(stream::once(end).filter_map(std::future::ready))
        .boxed()
}
