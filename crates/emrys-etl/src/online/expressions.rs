//! A plan as expressions that are evaluated on one batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::Result as EngineResult;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use crate::batch_of::batch_of;
use crate::io::ROW_ID;
use crate::{Error, Result};

/// Projections and filters, from the columns of a batch to the outputs.
pub(super) struct Expressions {
    /// Where the columns that the first step needs are, and the type it needs them in; `None` for
    /// the numbers of the rows.
    inputs: Vec<(Option<usize>, DataType)>,
    input_schema: SchemaRef,
    steps: Vec<Step>,
}

enum Step {
    Project {
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    Filter {
        predicate: Arc<dyn PhysicalExpr>,
        projection: Option<Vec<usize>>,
    },
}

impl Expressions {
    /// The steps of a plan over a table whose columns are those of batches of `schema`; `None` if
    /// the plan does more than look at each row.
    pub(super) fn of_plan(
        plan: &Arc<dyn ExecutionPlan>,
        schema: &SchemaRef,
        table: &SchemaRef,
    ) -> Result<Option<Expressions>> {
        let mut steps = Vec::new();
        let Some(input_schema) = collect_steps(plan, &mut steps) else {
            return Ok(None);
        };
        let position = |name: &str| {
            let position = (name != ROW_ID).then(|| schema.index_of(name)).transpose();
            position.map_err(|_| Error::Internal(format!("column `{name}` is not in the batches")))
        };
        let inputs = input_schema
            .fields()
            .iter()
            .map(|field| {
                let expected = table.field_with_name(field.name()).map(|f| f.data_type());
                if expected.ok() != Some(field.data_type()) {
                    return Err(Error::Internal(format!(
                        "`{}` is no column of the table",
                        field.name()
                    )));
                }
                Ok((position(field.name())?, field.data_type().clone()))
            })
            .collect::<Result<_>>()?;
        Ok(Some(Expressions {
            inputs,
            input_schema,
            steps,
        }))
    }

    /// The outputs for the rows of a batch, the first of which has the given number.
    pub(super) fn run(&self, batch: &RecordBatch, first_row: i64) -> Result<RecordBatch> {
        self.evaluate(batch, first_row)
            .map_err(Error::query("transforming"))
    }

    fn evaluate(&self, batch: &RecordBatch, first_row: i64) -> EngineResult<RecordBatch> {
        let rows = batch.num_rows();
        let columns = self.inputs.iter().map(|(position, data_type)| {
            let Some(position) = position else {
                let numbers = first_row..first_row + rows as i64;
                return Ok(Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef);
            };
            let column = batch.column(*position);
            match column.data_type() == data_type {
                true => Ok(Arc::clone(column)),
                false => cast(column, data_type),
            }
        });
        let columns = columns.collect::<Result<_, _>>()?;
        let mut batch = batch_of(&self.input_schema, columns, rows)?;
        for step in &self.steps {
            batch = step.apply(&batch)?;
        }
        Ok(batch)
    }
}

impl Step {
    fn apply(&self, batch: &RecordBatch) -> EngineResult<RecordBatch> {
        let rows = batch.num_rows();
        match self {
            Step::Project { exprs, schema } => {
                let columns = exprs
                    .iter()
                    .map(|expr| expr.evaluate(batch)?.into_array(rows))
                    .collect::<EngineResult<_>>()?;
                Ok(batch_of(schema, columns, rows)?)
            }
            Step::Filter {
                predicate,
                projection,
            } => {
                let keep = predicate.evaluate(batch)?.into_array(rows)?;
                let kept = filter_record_batch(batch, keep.as_boolean())?;
                match projection {
                    Some(columns) => Ok(kept.project(columns)?),
                    None => Ok(kept),
                }
            }
        }
    }
}

/// Adds the steps of a plan in the order in which they are done; what is returned are the columns
/// of its table.
fn collect_steps(plan: &Arc<dyn ExecutionPlan>, steps: &mut Vec<Step>) -> Option<SchemaRef> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let table = collect_steps(projection.input(), steps)?;
        steps.push(Step::Project {
            exprs: projection
                .expr()
                .iter()
                .map(|projected| Arc::clone(&projected.expr))
                .collect(),
            schema: plan.schema(),
        });
        return Some(table);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        if filter.fetch().is_some() {
            return None;
        }
        let table = collect_steps(filter.input(), steps)?;
        steps.push(Step::Filter {
            predicate: Arc::clone(filter.predicate()),
            projection: filter.projection().as_ref().map(|columns| columns.to_vec()),
        });
        return Some(table);
    }
    if let Some(cooperative) = plan.downcast_ref::<CooperativeExec>() {
        return collect_steps(cooperative.input(), steps);
    }
    let table = plan.downcast_ref::<StreamingTableExec>()?;
    table.limit().is_none().then(|| plan.schema())
}
