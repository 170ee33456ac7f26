//! Tells the engine that rows come in the order of their numbers.
//!
//! Every partition of a scan is a range of rows in order. Knowing that, the engine merges
//! partitions as they are read where an operator looks at neighbouring rows, and sorts nothing.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::Int64Type;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as EngineResult;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};
use futures::StreamExt;

use super::table::ROW_ID;
use crate::Error;

/// A scan, with the promise that row numbers increase within each partition.
#[derive(Debug)]
pub(super) struct RowOrderExec {
    scan: Arc<dyn ExecutionPlan>,
    /// The position of the row number.
    row_id: usize,
    properties: Arc<PlanProperties>,
}

impl RowOrderExec {
    /// Wraps a scan that yields row numbers; gives back one that does not.
    pub(super) fn wrap(scan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let Ok(row_id) = scan.schema().index_of(ROW_ID) else {
            return scan;
        };
        let options = SortOptions {
            descending: false,
            nulls_first: false,
        };
        let order = PhysicalSortExpr::new(Arc::new(Column::new(ROW_ID, row_id)), options);
        let mut known = scan.equivalence_properties().clone();
        known.add_ordering([order]);
        let properties = PlanProperties::clone(scan.properties()).with_eq_properties(known);
        Arc::new(RowOrderExec {
            scan,
            row_id,
            properties: Arc::new(properties),
        })
    }
}

/// Keeps the promise, or stops.
fn check(batch: &RecordBatch, row_id: usize, last: &mut i64) -> EngineResult<()> {
    let numbers = batch.column(row_id).as_primitive::<Int64Type>().values();
    let (Some(first), Some(end)) = (numbers.first(), numbers.last()) else {
        return Ok(());
    };
    if first <= last || numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Error::Internal("rows do not come in their order".to_owned()).into());
    }
    *last = *end;
    Ok(())
}

impl DisplayAs for RowOrderExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowOrderExec")
    }
}

impl ExecutionPlan for RowOrderExec {
    fn name(&self) -> &'static str {
        "RowOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // The order is that of the scan alone: no sort may be moved below.
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let [scan] = <[_; 1]>::try_from(children)
            .map_err(|_| Error::Internal("rows in order come from one scan".to_owned()))?;
        Ok(RowOrderExec::wrap(scan))
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
        let row_id = self.row_id;
        let rows = self.scan.execute(partition, context)?;
        let mut last = i64::MIN;
        let rows = rows.map(move |batch| {
            let batch = batch?;
            check(&batch, row_id, &mut last)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        scan: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> EngineResult<Arc<Statistics>> {
        Ok(Arc::clone(&scan[0]))
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> EngineResult<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> EngineResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn rows_out_of_order_are_never_passed_on() {
        let batch = |numbers: &[i64]| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
            RecordBatch::try_from_iter([(ROW_ID, numbers)]).unwrap()
        };
        let mut last = i64::MIN;
        assert!(check(&batch(&[0, 1, 5]), 0, &mut last).is_ok());
        assert!(check(&batch(&[]), 0, &mut last).is_ok());
        assert!(check(&batch(&[5, 6]), 0, &mut last).is_err());
        assert!(check(&batch(&[6, 8, 7]), 0, &mut last).is_err());
    }
}
