//! The groups of sorted rows, as a step of a physical plan.
//!
//! It asks that equal keys are in one partition and that the rows are sorted; the engine sees to
//! both, with an exchange by hash and sorts that spill to disk.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning,
    PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::distribution_requirements::InputDistributionRequirements;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};

use super::groups::Groups;
use super::table::GroupSpec;
use crate::Error;

#[derive(Debug)]
pub(super) struct GroupExec {
    rows: Arc<dyn ExecutionPlan>,
    spec: GroupSpec,
    /// The columns that come out, by their position among keys and outputs.
    projection: Vec<usize>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
}

impl GroupExec {
    /// Groups the rows of a plan.
    ///
    /// # Errors
    /// If a column is missing.
    pub(super) fn new(
        rows: Arc<dyn ExecutionPlan>,
        spec: GroupSpec,
        projection: Vec<usize>,
    ) -> EngineResult<GroupExec> {
        let input = rows.schema();
        let schema = projected(&spec, &input, &projection)?;
        let column = |name: &str| -> EngineResult<Arc<dyn PhysicalExpr>> {
            Ok(Arc::new(Column::new_with_schema(name, &input)?))
        };
        let keys: EngineResult<Vec<_>> = spec.keys.iter().map(|key| column(key)).collect();
        let keys = keys?;
        let by_keys = keys.iter().map(|key| sort(Arc::clone(key), true));
        let mut order: Vec<PhysicalSortExpr> = by_keys.collect();
        for (name, ascending) in &spec.order {
            order.push(sort(column(name)?, *ascending));
        }
        let order = LexOrdering::new(order)
            .ok_or_else(|| Error::Internal("groups have no keys".to_owned()))?;
        // Groups come out in the order of their keys, as far as these come out at all.
        let sorted = (0..spec.keys.len()).map_while(|key| {
            let position = projection.iter().position(|column| *column == key)?;
            let column = Column::new(schema.field(position).name(), position);
            Some(sort(Arc::new(column), true))
        });
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(
                Arc::clone(&schema),
                [sorted.collect::<Vec<_>>()],
            ),
            Partitioning::UnknownPartitioning(rows.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(GroupExec {
            rows,
            spec,
            projection,
            keys,
            order,
            properties: Arc::new(properties),
        })
    }
}

/// Missing values come last in both directions.
fn sort(expr: Arc<dyn PhysicalExpr>, ascending: bool) -> PhysicalSortExpr {
    let options = SortOptions {
        descending: !ascending,
        nulls_first: false,
    };
    PhysicalSortExpr::new(expr, options)
}

fn projected(
    spec: &GroupSpec,
    rows: &ArrowSchema,
    projection: &[usize],
) -> EngineResult<SchemaRef> {
    // Rows have the columns of the outputs that are asked for only.
    let outputs = projection.iter().filter_map(|column| {
        let output = column.checked_sub(spec.keys.len())?;
        Some(spec.outputs[output].clone())
    });
    let needed = GroupSpec {
        outputs: outputs.collect(),
        ..spec.clone()
    };
    let schema = needed.schema(rows)?;
    let mut next_output = spec.keys.len();
    let positions: Vec<usize> = projection
        .iter()
        .map(|column| match *column {
            key if key < spec.keys.len() => key,
            _ => {
                next_output += 1;
                next_output - 1
            }
        })
        .collect();
    Ok(Arc::new(schema.project(&positions)?))
}

impl DisplayAs for GroupExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupExec: keys=[{}]", self.spec.keys.join(", "))?;
        let outputs = self.properties.eq_properties.schema().fields();
        let names: Vec<&str> = outputs.iter().map(|field| field.name().as_str()).collect();
        write!(f, ", outputs=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for GroupExec {
    fn name(&self) -> &'static str {
        "GroupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::KeyPartitioned(self.keys.clone())])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::new(self.order.clone().into()))]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // Groups are in the order of their keys, which the properties say; rows are gone.
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        for key in &self.keys {
            if f(key)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let [rows] = <[_; 1]>::try_from(children)
            .map_err(|_| Error::Internal("groups are made of one input".to_owned()))?;
        let (spec, projection) = (self.spec.clone(), self.projection.clone());
        Ok(Arc::new(GroupExec::new(rows, spec, projection)?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let memory =
            MemoryConsumer::new(format!("Groupby[{partition}]")).register(context.memory_pool());
        let groups = Groups::new(
            &self.spec,
            &self.projection,
            self.rows.schema(),
            Arc::clone(&schema),
            context.session_config().batch_size(),
            memory,
        )?;
        let rows = self.rows.execute(partition, context)?;
        // The end of the rows ends the last group.
        let rows = rows.map_ok(Some).chain(futures::stream::iter([Ok(None)]));
        let stream = rows.scan(groups, |groups, batch| {
            let made = batch.and_then(|batch| match batch {
                Some(batch) => groups.push(batch),
                None => groups.finish(),
            });
            futures::future::ready(Some(made))
        });
        let stream = stream
            .try_filter_map(|groups| futures::future::ready(Ok::<_, DataFusionError>(groups)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}
