//! Small tables from JSON and back.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use emrys_etl::testing::{batch_from_json, batch_to_json};
use emrys_etl::{Dataset, FittedWorkflow, Node, SessionOptions, Workflow};
use serde_json::Value;

/// A table from `{"column": [values]}`; whole numbers are `int64`.
pub(crate) fn batch(columns: &Value) -> RecordBatch {
    batch_from_json(columns).unwrap()
}

pub(crate) fn dataset(columns: &Value) -> Dataset {
    let batch = batch(columns);
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

/// A table as `{"column": [values]}`.
pub(crate) fn json(batch: &RecordBatch) -> Value {
    batch_to_json(batch).unwrap()
}

pub(crate) fn collect(fitted: &FittedWorkflow, data: &Dataset) -> RecordBatch {
    let batches = fitted.transform(data).unwrap().collect().unwrap();
    let schema = Arc::new(fitted.output_schema().to_arrow().unwrap());
    if batches.is_empty() {
        return RecordBatch::new_empty(schema);
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// The rows of a table in parts of so many.
pub(crate) fn parts(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(rows)
        .map(|start| batch.slice(start, rows.min(batch.num_rows() - start)))
        .collect()
}

/// A data set of such parts.
pub(crate) fn split(batch: &RecordBatch, rows: usize) -> Dataset {
    Dataset::from_batches(batch.schema(), parts(batch, rows)).unwrap()
}

/// A data set of such parts, and a graph fitted on it with batches of as many rows.
pub(crate) fn fit_parts(
    node: &Node,
    batch: &RecordBatch,
    rows: usize,
    threads: usize,
) -> (FittedWorkflow, Dataset) {
    let data = split(batch, rows);
    let options = SessionOptions::new()
        .with_threads(threads)
        .with_batch_size(rows);
    let workflow = Workflow::new(node.clone()).with_options(options);
    (workflow.fit(&data).unwrap(), data)
}

/// Fits a graph and transforms the same data.
pub(crate) fn run(node: Node, data: &Value) -> Value {
    let data = dataset(data);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    json(&collect(&fitted, &data))
}

/// The message of the error that fitting or transforming gives, with its causes.
pub(crate) fn error(node: Node, data: &Value) -> String {
    let data = dataset(data);
    let result = Workflow::new(node)
        .fit(&data)
        .and_then(|f| f.transform(&data)?.collect());
    result.unwrap_err().to_string()
}
