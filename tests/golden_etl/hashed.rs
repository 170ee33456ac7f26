//! Buckets of a hash that is not the peer's: compared by their properties.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use arrow::util::display::array_value_to_string;

use crate::Result;

/// What is wrong with the buckets of a column, or a cross of columns (`a_X_b`), if anything: they
/// must lie in `[low, high)`, be the same for the same values, and be used evenly.
pub(crate) fn difference(
    name: &str,
    input: &RecordBatch,
    found: &ArrayRef,
    (low, high): (i64, i64),
) -> Result<Option<String>> {
    let mut members = Vec::new();
    for member in name.split("_X_") {
        members.push(input.column_by_name(member).ok_or("no such input")?);
    }
    let buckets = found.as_primitive_opt::<Int32Type>().ok_or("not int32")?;
    let mut by_value: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for row in 0..buckets.len() {
        let bucket = i64::from(buckets.value(row));
        if buckets.is_null(row) || !(low..high).contains(&bucket) {
            return Ok(Some(format!("row {row}: bucket {bucket}")));
        }
        let values: std::result::Result<Vec<String>, _> = members
            .iter()
            .map(|m| array_value_to_string(m, row))
            .collect();
        let values = values?;
        if *by_value.entry(values.clone()).or_insert(bucket) != bucket {
            return Ok(Some(format!("two buckets for {values:?}")));
        }
    }
    let used: BTreeSet<i64> = by_value.values().copied().collect();
    // At random, of as many values as buckets two in three buckets are used.
    let expected = by_value.len().min((high - low) as usize) / 2;
    if used.len() < expected {
        let (used, values) = (used.len(), by_value.len());
        return Ok(Some(format!("{used} buckets for {values} values")));
    }
    Ok(None)
}
