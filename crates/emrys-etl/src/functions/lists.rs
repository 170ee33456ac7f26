//! Lists of any Arrow type, as values and ranges of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, ListArray, OffsetSizeTrait};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result as EngineResult;

use crate::Error;

/// The lists of a column.
pub(crate) struct Lists {
    /// The elements of all lists; those of null lists may be among them.
    pub(crate) values: ArrayRef,
    pub(crate) nulls: Option<NullBuffer>,
    ranges: Vec<Range<usize>>,
}

impl Lists {
    /// Reads a column of lists of any kind.
    ///
    /// # Errors
    /// [`Error::Internal`] if it holds no lists.
    pub(crate) fn new(array: &ArrayRef) -> EngineResult<Lists> {
        match array.data_type() {
            DataType::List(_) => Ok(Lists::from_offsets(array.as_list::<i32>())),
            DataType::LargeList(_) => Ok(Lists::from_offsets(array.as_list::<i64>())),
            DataType::FixedSizeList(..) => {
                let lists = array.as_fixed_size_list();
                let range = |row| {
                    let start = lists.value_offset(row) as usize;
                    start..start + lists.value_length() as usize
                };
                Ok(Lists::build(
                    Arc::clone(lists.values()),
                    lists.nulls(),
                    (0..lists.len()).map(range),
                ))
            }
            other => Err(Error::Internal(format!("{other} is no list")).into()),
        }
    }

    fn from_offsets<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Lists {
        let ranges = lists.offsets().windows(2);
        Lists::build(
            Arc::clone(lists.values()),
            lists.nulls(),
            ranges.map(|pair| pair[0].as_usize()..pair[1].as_usize()),
        )
    }

    fn build(
        values: ArrayRef,
        nulls: Option<&NullBuffer>,
        ranges: impl Iterator<Item = Range<usize>>,
    ) -> Lists {
        // Arrow allows elements behind a null list; they do not count.
        let ranges = ranges.enumerate().map(|(row, range)| match nulls {
            Some(nulls) if nulls.is_null(row) => range.start..range.start,
            _ => range,
        });
        Lists {
            ranges: ranges.collect(),
            nulls: nulls.cloned(),
            values,
        }
    }

    /// Where the elements of each list stand among the values; nowhere for a null list.
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }
}

/// The elements of a type of lists.
///
/// # Errors
/// [`Error::Internal`] if it is none.
pub(crate) fn element_of(lists: &DataType) -> EngineResult<&FieldRef> {
    match lists {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => Ok(element),
        other => Err(Error::Internal(format!("{other} is no list")).into()),
    }
}

/// A column of lists of the given lengths, whose elements stand one after the other in `values`.
///
/// # Errors
/// If there are more elements than a list column can hold.
pub(crate) fn list_array(
    values: ArrayRef,
    lengths: impl IntoIterator<Item = usize>,
    nulls: Option<NullBuffer>,
) -> EngineResult<ArrayRef> {
    if i32::try_from(values.len()).is_err() {
        return Err(Error::Data {
            operator: "lists".to_owned(),
            problem: format!(
                "{} elements in one batch of lists are more than 2147483647; use smaller batches \
                 or shorter lists",
                values.len()
            ),
        }
        .into());
    }
    Ok(Arc::new(ListArray::try_new(
        Arc::new(Field::new_list_field(values.data_type().clone(), true)),
        OffsetBuffer::from_lengths(lengths),
        values,
        nulls,
    )?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{FixedSizeListArray, Int64Array};
    use arrow::compute::cast;
    use arrow::datatypes::Int64Type;

    use super::*;

    fn lengths(array: &ArrayRef) -> Vec<usize> {
        let lists = Lists::new(array).unwrap();
        lists.ranges().iter().map(ExactSizeIterator::len).collect()
    }

    #[test]
    fn all_kinds_of_lists_have_the_same_ranges() {
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![Some(2)]),
        ]));
        assert_eq!(lengths(&lists), [2, 0, 0, 1]);
        let element = Arc::new(Field::new_list_field(DataType::Int64, true));
        let large = cast(&lists, &DataType::LargeList(element)).unwrap();
        assert_eq!(lengths(&large.slice(1, 3)), [0, 0, 1]);
    }

    #[test]
    fn elements_of_null_lists_do_not_count() {
        let element = Arc::new(Field::new_list_field(DataType::Int64, true));
        let lists: ArrayRef = Arc::new(FixedSizeListArray::new(
            element,
            2,
            Arc::new(Int64Array::from_iter_values(0..6)),
            Some(vec![true, false, true].into()),
        ));
        assert_eq!(lengths(&lists), [2, 0, 2]);
        assert_eq!(Lists::new(&lists.slice(2, 1)).unwrap().ranges()[0].len(), 2);
    }
}
