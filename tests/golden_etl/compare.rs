//! Tables compared by the rules of the golden cases.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use serde_json::Value;

use crate::{Result, hashed};

/// What is different, if anything; `input` is what was transformed.
pub(crate) fn difference(
    expected: &RecordBatch,
    found: &RecordBatch,
    input: &RecordBatch,
    case: &Value,
) -> Result<Option<String>> {
    let names = |batch: &RecordBatch| -> Vec<String> {
        batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };
    let (expected_names, found_names) = (names(expected), names(found));
    let uses = |operator: &str| {
        let mut nodes = case["nodes"].as_array().into_iter().flatten();
        nodes.any(|node| node["op"] == operator)
    };
    let same_names = if uses("Groupby") {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        sorted(expected_names.clone()) == sorted(found_names.clone())
    } else {
        expected_names == found_names
    };
    if !same_names {
        return Ok(Some(format!(
            "columns {found_names:?}, expected {expected_names:?}"
        )));
    }
    if expected.num_rows() != found.num_rows() {
        let (found, expected) = (found.num_rows(), expected.num_rows());
        return Ok(Some(format!("{found} rows, expected {expected}")));
    }
    for name in &expected_names {
        let (Some(left), Some(right)) = (expected.column_by_name(name), found.column_by_name(name))
        else {
            return Ok(Some(format!("column {name} is missing")));
        };
        // A nullable integer is a float to the peer, and reduced to a smaller one.
        let reduced = uses("ReduceDtypeSize")
            && left.data_type().is_floating()
            && right.data_type().is_integer();
        let problem = type_difference(left.data_type(), right.data_type(), uses("Groupby"));
        if let Some(problem) = problem.filter(|_| !reduced) {
            return Ok(Some(format!("column {name}: {problem}")));
        }
        let mut problem = value_difference(left, right)?;
        let range = &case["compare"]["hashed"][name];
        if let (Some(_), Some(low), Some(high)) = (&problem, range[0].as_i64(), range[1].as_i64()) {
            problem = hashed::difference(name, input, right, (low, high))?;
        }
        if let Some(problem) = problem {
            return Ok(Some(format!("column {name}, {problem}")));
        }
    }
    Ok(None)
}

fn type_difference(expected: &DataType, found: &DataType, grouped: bool) -> Option<String> {
    use DataType::{FixedSizeList, Float64, Int64, LargeList, LargeUtf8, List, Timestamp, Utf8};
    match (expected, found) {
        (
            List(l) | LargeList(l) | FixedSizeList(l, _),
            List(r) | LargeList(r) | FixedSizeList(r, _),
        ) => type_difference(l.data_type(), r.data_type(), grouped),
        (Utf8 | LargeUtf8, Utf8 | LargeUtf8) | (Timestamp(..), Timestamp(..)) => None,
        // pandas has no nullable integers: they come out as doubles, with the same values.
        (Float64, found) if found.is_integer() => None,
        // The lists of groups hold Python's integers there, and so do their first and last ones.
        (Int64, found) if grouped && found.is_integer() => None,
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!("type {found}, expected {expected}")),
    }
}

fn value_difference(expected: &ArrayRef, found: &ArrayRef) -> Result<Option<String>> {
    if is_list(expected.data_type()) {
        return list_difference(expected, found);
    }
    if expected.data_type().is_floating() {
        let left = cast(expected, &DataType::Float64)?;
        let right = cast(found, &DataType::Float64)?;
        let (left, right) = (
            left.as_primitive::<Float64Type>(),
            right.as_primitive::<Float64Type>(),
        );
        for row in 0..left.len() {
            // Null and NaN are the same to pandas.
            let value = |array: &arrow::array::Float64Array| {
                (array.is_valid(row) && !array.value(row).is_nan()).then(|| array.value(row))
            };
            let close = match (value(left), value(right)) {
                (None, None) => true,
                (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-6 + 1e-5 * a.abs(),
                _ => false,
            };
            if !close {
                return describe(row, expected, found);
            }
        }
        return Ok(None);
    }
    let found = cast(found, expected.data_type())?;
    for row in 0..expected.len() {
        let same = match (expected.is_valid(row), found.is_valid(row)) {
            (true, true) => expected.slice(row, 1) == found.slice(row, 1),
            (left, right) => left == right,
        };
        if !same {
            return describe(row, expected, &found);
        }
    }
    Ok(None)
}

fn list_difference(expected: &ArrayRef, found: &ArrayRef) -> Result<Option<String>> {
    let (left, right) = (lists(expected)?, lists(found)?);
    for row in 0..left.len() {
        let same = match (&left[row], &right[row]) {
            (None, None) => true,
            (Some(a), Some(b)) => a.len() == b.len() && value_difference(a, b)?.is_none(),
            // The peer has no null lists.
            (Some(a), None) => a.is_empty(),
            (None, Some(_)) => false,
        };
        if !same {
            return describe(row, expected, found);
        }
    }
    Ok(None)
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

fn lists(array: &ArrayRef) -> Result<Vec<Option<ArrayRef>>> {
    let array = match array.data_type() {
        DataType::List(field) => cast(array, &DataType::LargeList(field.clone()))?,
        DataType::FixedSizeList(field, _) => cast(array, &DataType::LargeList(field.clone()))?,
        _ => array.clone(),
    };
    Ok(array
        .as_list_opt::<i64>()
        .ok_or("not a list")?
        .iter()
        .collect())
}

fn describe(row: usize, expected: &ArrayRef, found: &ArrayRef) -> Result<Option<String>> {
    let (left, right) = (
        array_value_to_string(expected, row)?,
        array_value_to_string(found, row)?,
    );
    Ok(Some(format!("row {row}: `{right}`, expected `{left}`")))
}
