//! Distinct, least and greatest values of ranges, for values of any type that has an order.

use std::collections::HashSet;
use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use foldhash::fast::FixedState;

/// The number of distinct values that are not null, for each range.
///
/// # Errors
/// If values of the type cannot be compared.
pub(super) fn distinct(
    values: &ArrayRef,
    ranges: &[Range<usize>],
) -> Result<Vec<usize>, ArrowError> {
    let rows = comparable(values)?;
    let nulls = values.logical_nulls();
    let mut seen = HashSet::with_hasher(FixedState::default());
    let counts = ranges.iter().map(|range| {
        seen.clear();
        let known = range.clone().filter(|row| is_known(nulls.as_ref(), *row));
        seen.extend(known.map(|row| rows.row(row)));
        seen.len()
    });
    Ok(counts.collect())
}

/// The row of the least or greatest value of each range; none if all are null.
///
/// # Errors
/// If values of the type cannot be compared.
pub(super) fn extremes(
    values: &ArrayRef,
    ranges: &[Range<usize>],
    largest: bool,
) -> Result<Vec<Option<u64>>, ArrowError> {
    let rows = comparable(values)?;
    let nulls = values.logical_nulls();
    let extreme = |range: &Range<usize>| {
        let known = range.clone().filter(|row| is_known(nulls.as_ref(), *row));
        let best = match largest {
            true => known.max_by_key(|row| rows.row(*row)),
            false => known.min_by_key(|row| rows.row(*row)),
        };
        best.map(|row| row as u64)
    };
    Ok(ranges.iter().map(extreme).collect())
}

fn comparable(values: &ArrayRef) -> Result<Rows, ArrowError> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    converter.convert_columns(std::slice::from_ref(values))
}

fn is_known(nulls: Option<&arrow::buffer::NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
}
