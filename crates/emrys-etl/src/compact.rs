//! Batches that hold no more memory than their rows need, for sorts.
//!
//! An aggregate gives its result as slices of one large batch, and views of texts point into
//! buffers that they share with others. A sort counts for each batch all that it keeps alive, so
//! that a slice of a few rows may take more than there is.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, MutableArrayData, RecordBatch, RecordBatchOptions, StructArray,
    make_array,
};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::Result as EngineResult;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use futures::StreamExt;

use crate::Error;
use crate::operator::batch_bytes;

/// How many times the bytes of its rows a batch may hold.
const SLACK: usize = 2;

/// Puts a [`CompactExec`] below every sort.
#[derive(Debug)]
pub(crate) struct CompactSortInputs;

impl PhysicalOptimizerRule for CompactSortInputs {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(sort) = plan.downcast_ref::<SortExec>() else {
                return Ok(Transformed::no(plan));
            };
            let input: Arc<dyn ExecutionPlan> =
                Arc::new(CompactExec::new(Arc::clone(sort.input())));
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(
                plan.replace_children(vec![input], options)?,
            ))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "compact_sort_inputs"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Copies the rows of batches that hold much more than them.
#[derive(Debug)]
struct CompactExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl CompactExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> CompactExec {
        CompactExec {
            properties: Arc::clone(input.properties()),
            input,
        }
    }
}

fn compact(batch: RecordBatch) -> EngineResult<RecordBatch> {
    if get_record_batch_memory_size(&batch) <= SLACK * batch_bytes(&batch) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(compact_array);
    let columns = columns.collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        batch.schema(),
        columns,
        &options,
    )?)
}

/// The same values in buffers of their own.
fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if let Some(parts) = array.as_struct_opt() {
        let (fields, columns, nulls) = parts.clone().into_parts();
        let columns = columns.iter().map(compact_array);
        let columns = columns.collect::<Result<_, _>>()?;
        let parts = StructArray::try_new_with_length(fields, columns, nulls, array.len())?;
        return Ok(Arc::new(parts));
    }
    let data = array.to_data();
    let mut copy = MutableArrayData::new(vec![&data], false, array.len());
    copy.try_extend(0, 0, array.len())?;
    let copy = make_array(copy.freeze());
    Ok(match copy.data_type() {
        DataType::Utf8View => Arc::new(copy.as_string_view().gc()),
        DataType::BinaryView => Arc::new(copy.as_binary_view().gc()),
        _ => copy,
    })
}

impl DisplayAs for CompactExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompactExec")
    }
}

impl ExecutionPlan for CompactExec {
    fn name(&self) -> &'static str {
        "CompactExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| Error::Internal("compact batches come from one input".to_owned()))?;
        Ok(Arc::new(CompactExec::new(input)))
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
        let rows = self.input.execute(partition, context)?;
        let rows = rows.map(|batch| batch.and_then(compact));
        let schema = self.input.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryViewArray, Int64Array, ListArray, StringViewArray};
    use arrow::datatypes::{Field, Fields, Int64Type};

    use super::*;

    #[test]
    fn slices_let_go_of_what_they_do_not_need() {
        let texts = || (0..10_000).map(|i| format!("a text that is not short: {i}"));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter(
            (0..10_000).map(|i| (i % 3 > 0).then_some(i)),
        ));
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts()));
        let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter_values(texts()));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(
            (0..10_000).map(|i| Some(vec![Some(i), None])),
        );
        let field = Field::new("view", DataType::Utf8View, true);
        let parts = StructArray::new(Fields::from(vec![field]), vec![Arc::clone(&views)], None);
        let columns: [(&str, ArrayRef); 5] = [
            ("number", numbers),
            ("view", views),
            ("bytes", bytes),
            ("list", Arc::new(lists)),
            ("struct", Arc::new(parts)),
        ];
        let all = RecordBatch::try_from_iter(columns).unwrap();
        let slice = all.slice(5_000, 100);
        let compacted = compact(slice.clone()).unwrap();
        assert_eq!(compacted, slice);
        let (before, after) = (
            get_record_batch_memory_size(&slice),
            get_record_batch_memory_size(&compacted),
        );
        assert!(after * 50 < before, "{after} of {before}");
        // What is compact already is not copied.
        let again = compact(compacted.clone()).unwrap();
        assert!(Arc::ptr_eq(again.column(3), compacted.column(3)));
        assert_eq!(compact(all.slice(0, 0)).unwrap().num_rows(), 0);
    }
}
