mod files;
mod lists;
mod operator;
mod pandas;
mod vocabulary;

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;

use crate::{Dataset, FittedWorkflow, Node, Workflow};

fn array(values: impl Array + 'static) -> ArrayRef {
    Arc::new(values)
}

fn strings<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    array(values.into_iter().map(Into::into).collect::<StringArray>())
}

/// One string per character; `-` is null.
fn letters(text: &str) -> ArrayRef {
    let values = text
        .char_indices()
        .map(|(at, c)| &text[at..at + c.len_utf8()]);
    strings(values.map(|value| (value != "-").then_some(value)))
}

fn table(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns
            .iter()
            .map(|(name, values)| (*name, std::sync::Arc::clone(values), true)),
    )
    .unwrap()
}

fn dataset(columns: &[(&str, ArrayRef)]) -> Dataset {
    let batch = table(columns);
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

fn fit(node: Node, columns: &[(&str, ArrayRef)]) -> FittedWorkflow {
    Workflow::new(node).fit(&dataset(columns)).unwrap()
}

fn transform(workflow: &FittedWorkflow, columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let batches = workflow
        .transform(&dataset(columns))
        .unwrap()
        .collect()
        .unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn ids(batch: &RecordBatch, column: &str) -> Vec<i64> {
    batch[column].as_primitive::<Int64Type>().values().to_vec()
}

fn lists<'a>(rows: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in rows {
        for c in row.unwrap_or_default().chars() {
            builder
                .values()
                .append_option((c != '-').then(|| c.to_string()));
        }
        builder.append(row.is_some());
    }
    array(builder.finish())
}

fn id_lists(column: &ArrayRef) -> Vec<Option<Vec<i64>>> {
    let lists = column.as_list::<i32>();
    lists
        .iter()
        .map(|list| list.map(|list| list.as_primitive::<Int64Type>().values().to_vec()))
        .collect()
}
