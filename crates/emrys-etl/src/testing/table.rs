//! Small tables from JSON and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// A table from `{"column": [values]}`: whole numbers become `int64` (so do columns of nothing but
/// nulls), other numbers `float64`, then booleans, strings, and lists of any of them.
///
/// # Errors
/// [`Error::Data`] if it is not such a table.
pub fn batch_from_json(columns: &Value) -> Result<RecordBatch> {
    let wrong = |problem: String| Error::Data {
        operator: "table from JSON".to_owned(),
        problem,
    };
    let columns = columns
        .as_object()
        .ok_or_else(|| wrong("it is not an object of columns".to_owned()))?;
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, values) in columns {
        let values = values
            .as_array()
            .ok_or_else(|| wrong(format!("`{name}` is not a list of values")))?;
        arrays.push((name, array(values), true));
    }
    RecordBatch::try_from_iter_with_nullable(arrays).map_err(|error| wrong(error.to_string()))
}

fn array(values: &[Value]) -> ArrayRef {
    let known = || values.iter().filter(|value| !value.is_null());
    if known().next().is_some_and(Value::is_array) {
        let lists = || values.iter().map(Value::as_array);
        let flat: Vec<Value> = lists().flatten().flatten().cloned().collect();
        let leaves = array(&flat);
        let field = Arc::new(Field::new_list_field(leaves.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(lists().map(|list| list.map_or(0, Vec::len)));
        let nulls: NullBuffer = lists().map(|list| list.is_some()).collect();
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

/// A table as `{"column": [values]}`; what JSON has no form for becomes text.
///
/// # Errors
/// [`Error::Data`] if a column has a type that cannot be shown.
pub fn batch_to_json(batch: &RecordBatch) -> Result<Value> {
    let mut columns = Map::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        columns.insert(field.name().clone(), values(column)?);
    }
    Ok(Value::Object(columns))
}

fn values(array: &ArrayRef) -> Result<Value> {
    let as_type = |data_type: &DataType| {
        cast(array, data_type).map_err(|error| Error::Data {
            operator: "table to JSON".to_owned(),
            problem: error.to_string(),
        })
    };
    let rows = |value: &dyn Fn(usize) -> Result<Value>| -> Result<Value> {
        (0..array.len())
            .map(|row| match array.is_null(row) {
                true => Ok(Value::Null),
                false => value(row),
            })
            .collect()
    };
    match array.data_type() {
        DataType::List(_) => rows(&|row| values(&array.as_list::<i32>().value(row))),
        DataType::LargeList(_) => rows(&|row| values(&array.as_list::<i64>().value(row))),
        DataType::FixedSizeList(..) => rows(&|row| values(&array.as_fixed_size_list().value(row))),
        DataType::Boolean => rows(&|row| Ok(json!(array.as_boolean().value(row)))),
        data_type if data_type.is_integer() => {
            let array = as_type(&DataType::Int64)?;
            rows(&|row| Ok(json!(array.as_primitive::<Int64Type>().value(row))))
        }
        data_type if data_type.is_floating() => {
            let array = as_type(&DataType::Float64)?;
            rows(&|row| Ok(json!(array.as_primitive::<Float64Type>().value(row))))
        }
        _ => {
            let array = as_type(&DataType::Utf8)?;
            rows(&|row| Ok(json!(array.as_string::<i32>().value(row))))
        }
    }
}
