//! Small tables from JSON and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use emrys_etl::{Dataset, FittedWorkflow, Node, Workflow};
use serde_json::{Map, Value, json};

/// A table from `{"column": [values]}`; whole numbers are `int64`.
pub(crate) fn batch(columns: &Value) -> RecordBatch {
    let columns = columns.as_object().unwrap();
    let arrays = columns
        .iter()
        .map(|(name, values)| (name.clone(), array(values.as_array().unwrap()), true));
    RecordBatch::try_from_iter_with_nullable(arrays).unwrap()
}

pub(crate) fn dataset(columns: &Value) -> Dataset {
    let batch = batch(columns);
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

fn array(values: &[Value]) -> ArrayRef {
    let known = || values.iter().filter(|value| !value.is_null());
    if known().next().is_some_and(Value::is_array) {
        let empty = Vec::new();
        let lists: Vec<&Vec<Value>> = values
            .iter()
            .map(|value| value.as_array().unwrap_or(&empty))
            .collect();
        let flat: Vec<Value> = lists.iter().flat_map(|list| list.iter().cloned()).collect();
        let leaves = array(&flat);
        let field = Arc::new(Field::new_list_field(leaves.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
        let nulls = values
            .iter()
            .map(|value| !value.is_null())
            .collect::<Vec<_>>()
            .into();
        return Arc::new(ListArray::new(field, offsets, leaves, Some(nulls)));
    }
    if known().all(Value::is_i64) {
        Arc::new(values.iter().map(Value::as_i64).collect::<Int64Array>())
    } else if known().all(Value::is_number) {
        Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>())
    } else if known().all(Value::is_boolean) {
        Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>())
    } else {
        Arc::new(values.iter().map(Value::as_str).collect::<StringArray>())
    }
}

/// A table as `{"column": [values]}`.
pub(crate) fn json(batch: &RecordBatch) -> Value {
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns());
    Value::Object(
        named
            .map(|(f, c)| (f.name().clone(), values(c)))
            .collect::<Map<_, _>>(),
    )
}

fn values(array: &ArrayRef) -> Value {
    let rows = |value: &dyn Fn(usize) -> Value| {
        let all = (0..array.len()).map(|i| {
            if array.is_null(i) {
                Value::Null
            } else {
                value(i)
            }
        });
        Value::Array(all.collect())
    };
    match array.data_type() {
        DataType::List(_) => rows(&|i| values(&array.as_list::<i32>().value(i))),
        DataType::FixedSizeList(..) => rows(&|i| values(&array.as_fixed_size_list().value(i))),
        DataType::Boolean => rows(&|i| json!(array.as_boolean().value(i))),
        data_type if data_type.is_integer() => {
            let array = cast(array, &DataType::Int64).unwrap();
            rows(&|i| json!(array.as_primitive::<Int64Type>().value(i)))
        }
        data_type if data_type.is_floating() => {
            let array = cast(array, &DataType::Float64).unwrap();
            rows(&|i| json!(array.as_primitive::<Float64Type>().value(i)))
        }
        _ => {
            let array = cast(array, &DataType::Utf8).unwrap();
            rows(&|i| json!(array.as_string::<i32>().value(i)))
        }
    }
}

pub(crate) fn collect(fitted: &FittedWorkflow, data: &Dataset) -> RecordBatch {
    let batches = fitted.transform(data).unwrap().collect().unwrap();
    let schema = Arc::new(fitted.output_schema().to_arrow().unwrap());
    if batches.is_empty() {
        return RecordBatch::new_empty(schema);
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
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
