//! Transforming rows as they come: a batch of a request, or a stream of batches.
//!
//! A workflow whose operators look at one row at a time is compiled once for a schema of batches,
//! into the engine's physical expressions, which are then evaluated on each batch without a plan,
//! a task or a thread. Other workflows (aggregations, joins that repeat rows) go through the engine.

mod expressions;
mod stream;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures::stream::{BoxStream, StreamExt};
use futures::{FutureExt, Stream};

use crate::io::Dataset;
use crate::plan::graph::Phase;
use crate::workflow::FittedWorkflow;
use crate::{Error, Result};
use expressions::Expressions;
use stream::StreamTable;

/// What a workflow compiled last, and for which batches.
#[derive(Default)]
pub(crate) struct Compiled {
    last: Mutex<Option<Arc<Online>>>,
}

/// A workflow compiled for batches of one schema.
struct Online {
    input: SchemaRef,
    /// `None` if the rows must go through the engine.
    expressions: Option<Expressions>,
}

impl FittedWorkflow {
    /// Transforms a batch as [`transform`](FittedWorkflow::transform) does data that the workflow
    /// was not fitted on, bit for bit.
    ///
    /// The first batch of a schema is compiled, which takes some milliseconds; every further one costs
    /// only the work on its rows. Rows may be left out by filters. Workflows that aggregate rows or
    /// repeat them in joins are planned anew for each batch, and see only its rows:
    /// [`is_row_wise`](FittedWorkflow::is_row_wise) tells.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
    /// use arrow::datatypes::Float64Type;
    /// use emrys_etl::{Dataset, Workflow, cols, ops::Normalize};
    ///
    /// let prices = |values: Vec<f64>| {
    ///     RecordBatch::try_from_iter([("price", Arc::new(Float64Array::from(values)) as ArrayRef)])
    /// };
    /// let train = prices(vec![1.0, 2.0, 3.0])?;
    /// let train = Dataset::from_batches(train.schema(), vec![train])?;
    /// let workflow = Workflow::new(cols(["price"]) >> Normalize::default()).fit(&train)?;
    /// let scaled = workflow.transform_batch(&prices(vec![3.0])?)?;
    /// assert_eq!(scaled["price"].as_primitive::<Float64Type>().value(0), 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If columns are missing or have other types than when the workflow was fitted, and if the
    /// values are not what the operators expect.
    pub fn transform_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let online = self.online(&batch.schema())?;
        match &online.expressions {
            Some(expressions) => expressions.run_caught(batch, 0),
            None => self.through_engine(batch),
        }
    }

    /// Transforms batches of one schema one after another, holding a few of them at a time; the
    /// rows are those that [`transform`](FittedWorkflow::transform) makes of all batches as one
    /// data set, bit for bit.
    ///
    /// Workflows that aggregate rows see the whole stream, within the session's memory limit.
    ///
    /// # Errors
    /// As [`transform_batch`](FittedWorkflow::transform_batch): what the schema shows at once,
    /// what the rows show within the stream.
    pub fn transform_stream<S>(
        &self,
        schema: &SchemaRef,
        batches: S,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>>
    where
        S: Stream<Item = Result<RecordBatch>> + Send + 'static,
    {
        let online = self.online(schema)?;
        if online.expressions.is_none() {
            return self.stream_through_engine(schema, batches.boxed());
        }
        let mut rows = 0;
        let transformed = batches.map(move |batch| {
            let batch = batch?;
            check_schema(&online.input, &batch)?;
            let first = rows;
            rows += batch.num_rows() as i64;
            let expressions = online
                .expressions
                .as_ref()
                .ok_or_else(|| Error::Internal("expressions were compiled".to_owned()))?;
            expressions.run_caught(&batch, first)
        });
        Ok(transformed.boxed())
    }

    /// Whether each row is transformed by itself (or left out), so that batches need no plan.
    ///
    /// # Errors
    /// As [`transform_batch`](FittedWorkflow::transform_batch), for a batch of the columns that
    /// the workflow was fitted on.
    pub fn is_row_wise(&self) -> Result<bool> {
        let schema = Arc::new(self.input_schema().to_arrow()?);
        Ok(self.online(&schema)?.expressions.is_some())
    }

    fn online(&self, schema: &SchemaRef) -> Result<Arc<Online>> {
        let last = self.compiled.last.lock();
        let last = last.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(online) = last
            && (Arc::ptr_eq(&online.input, schema) || online.input == *schema)
        {
            return Ok(online);
        }
        let online = Arc::new(self.compile(schema)?);
        let last = self.compiled.last.lock();
        *last.unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&online));
        Ok(online)
    }

    fn compile(&self, schema: &SchemaRef) -> Result<Online> {
        let dataset = Dataset::from_batches(Arc::clone(schema), Vec::new())?;
        let binding = self.binding(Phase::Inference)?;
        let table = StreamTable::new(&dataset, binding.needs_row_id);
        let frame = self.outputs_of(
            table.without_rows()?,
            dataset.schema(),
            Phase::Inference,
            &binding,
        )?;
        let plan = self
            .session
            .run("compiling", frame.create_physical_plan().map(planned))?;
        Ok(Online {
            input: Arc::clone(schema),
            expressions: Expressions::of_plan(&plan, schema, table.schema())?,
        })
    }

    fn through_engine(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let dataset = Dataset::from_batches(batch.schema(), vec![batch.clone()])?;
        let batches = self.lower(&dataset, Phase::Inference)?.collect()?;
        let Some(first) = batches.first() else {
            return Ok(RecordBatch::new_empty(Arc::new(
                self.output_schema().to_arrow()?,
            )));
        };
        concat_batches(&first.schema(), &batches)
            .map_err(|error| Error::Internal(format!("batches of one plan differ: {error}")))
    }

    fn stream_through_engine(
        &self,
        schema: &SchemaRef,
        batches: BoxStream<'static, Result<RecordBatch>>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let dataset = Dataset::from_batches(Arc::clone(schema), Vec::new())?;
        let binding = self.binding(Phase::Inference)?;
        let table = StreamTable::new(&dataset, binding.needs_row_id);
        let frame = self.outputs_of(
            table.with_rows(Arc::clone(schema), batches)?,
            dataset.schema(),
            Phase::Inference,
            &binding,
        )?;
        let session = Arc::clone(&self.session);
        let partitions = session.run(
            "transforming",
            frame.execute_stream_partitioned().map(planned),
        )?;
        Ok(stream::driven(session, partitions))
    }
}

fn planned<T>(result: datafusion::error::Result<T>) -> Result<T> {
    result.map_err(Error::query("planning the transform"))
}

/// Batches of a stream have the columns that were announced.
fn check_schema(expected: &SchemaRef, batch: &RecordBatch) -> Result<()> {
    let found = batch.schema();
    let same = Arc::ptr_eq(expected, &found)
        || (expected.fields().len() == found.fields().len()
            && expected
                .fields()
                .iter()
                .zip(found.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type()));
    if same {
        return Ok(());
    }
    Err(Error::Data {
        operator: "transform".to_owned(),
        problem: format!(
            "a batch of the stream has the columns {}, but {} were announced; let all batches have \
             these",
            described(&found),
            described(expected)
        ),
    })
}

fn described(schema: &SchemaRef) -> String {
    let columns = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), field.data_type()));
    columns.collect::<Vec<_>>().join(", ")
}

impl Expressions {
    /// A panic in a kernel becomes an error, as it does in the engine.
    fn run_caught(&self, batch: &RecordBatch, first_row: i64) -> Result<RecordBatch> {
        catch_unwind(AssertUnwindSafe(|| self.run(batch, first_row)))
            .unwrap_or_else(|panic| Err(Error::panicked("transforming", &*panic)))
    }
}
