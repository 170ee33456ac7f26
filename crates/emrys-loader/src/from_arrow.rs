//! Arrow arrays become the columns of a batch.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, GenericListArray,
    OffsetSizeTrait, PrimitiveArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use emrys_schema::{ColumnSchema, DType};

use crate::column::{Column, Values};
use crate::{Error, Missing, Result};

/// The shape of a column in batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowShape {
    Scalar,
    Fixed(usize),
    Ragged,
}

/// The shape in batches of a column, where the schema and the data's type agree.
pub(crate) fn row_shape(column: &ColumnSchema, data_type: &DataType) -> Result<RowShape> {
    let name = || column.name().to_owned();
    let found = || data_type.clone();
    let item = list_item(data_type);
    let leaf = item.unwrap_or(data_type);
    let Some(is_float) = is_float(leaf) else {
        return Err(Error::UnsupportedType {
            column: name(),
            found: found(),
        });
    };
    // The schema decides between numbers and ids; the number of bits follows the data.
    let expected = column.dtype();
    if expected != DType::Unknown && expected.is_float() != is_float {
        return Err(Error::TypeMismatch {
            column: name(),
            expected,
            found: found(),
        });
    }
    let fixed = column
        .shape()
        .value_count()
        .and_then(emrys_schema::Dim::length);
    match (column.shape().dims(), item) {
        ([], None) => Ok(RowShape::Scalar),
        ([_], Some(_)) => Ok(fixed
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length > 0)
            .map_or(RowShape::Ragged, RowShape::Fixed)),
        _ => Err(Error::ShapeMismatch {
            column: name(),
            expected: column.shape().clone(),
            found: found(),
        }),
    }
}

/// The type of the values of a list.
pub(crate) fn list_item(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Whether values of the type become floats in a batch; `None` if they cannot be in one.
pub(crate) fn is_float(data_type: &DataType) -> Option<bool> {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(true),
        DataType::Boolean | DataType::Date32 | DataType::Timestamp(..) => Some(false),
        integer if integer.is_integer() => Some(false),
        _ => None,
    }
}

/// The column of a batch; buffers that nobody else holds are taken over without a copy.
pub(crate) fn column_from_arrow(
    name: &str,
    array: ArrayRef,
    shape: RowShape,
    missing: Missing,
) -> Result<Column> {
    if shape == RowShape::Scalar {
        return Ok(Column::scalar(values_from_arrow(name, array, missing)?));
    }
    let (items, offsets) = match array.data_type() {
        DataType::List(_) => list_parts::<i32>(array)?,
        DataType::LargeList(_) => list_parts::<i64>(array)?,
        DataType::FixedSizeList(..) => fixed_list_parts(array)?,
        found => {
            return Err(Error::UnsupportedType {
                column: name.to_owned(),
                found: found.clone(),
            });
        }
    };
    let values = values_from_arrow(name, items, missing)?;
    let RowShape::Fixed(width) = shape else {
        return Column::ragged(values, offsets);
    };
    let lengths = offsets
        .windows(2)
        .map(|ends| (ends[1] - ends[0]).unsigned_abs() as usize);
    match lengths.enumerate().find(|(_, length)| *length != width) {
        Some((row, found)) => Err(Error::ListLength {
            column: name.to_owned(),
            row,
            expected: width,
            found,
        }),
        None => Column::fixed(values, width),
    }
}

/// The items of all lists without gaps, and the offsets of the lists in them; a null list is empty.
fn list_parts<O: OffsetSizeTrait>(array: ArrayRef) -> Result<(ArrayRef, Vec<i32>)> {
    let lists = GenericListArray::<O>::from(into_data(array));
    let (_, offsets, items, nulls) = lists.into_parts();
    let ranges = offsets
        .windows(2)
        .map(|ends| (ends[0].as_usize(), ends[1].as_usize()));
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => {
            let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
            let items = if last - first == items.len() {
                items
            } else {
                items.slice(first, last - first)
            };
            Ok((items, offsets_of(ranges.map(|(start, end)| end - start))?))
        }
        Some(nulls) => without_null_lists(&items, ranges.zip(nulls.iter())),
    }
}

fn fixed_list_parts(array: ArrayRef) -> Result<(ArrayRef, Vec<i32>)> {
    let lists = FixedSizeListArray::from(into_data(array));
    let rows = lists.len();
    let (_, width, items, nulls) = lists.into_parts();
    let width = width.unsigned_abs() as usize;
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => Ok((items, offsets_of(std::iter::repeat_n(width, rows))?)),
        Some(nulls) => {
            let ranges = (0..rows).map(|row| (row * width, (row + 1) * width));
            without_null_lists(&items, ranges.zip(nulls.iter()))
        }
    }
}

/// The offsets of lists of the given lengths.
fn offsets_of(lengths: impl Iterator<Item = usize>) -> Result<Vec<i32>> {
    let mut end = 0;
    std::iter::once(Ok(0))
        .chain(lengths.map(|length| {
            end += length;
            i32::try_from(end).map_err(|_| Error::TooManyValues { values: end })
        }))
        .collect()
}

/// Arrow allows a null list to cover items; they are left out.
fn without_null_lists(
    items: &ArrayRef,
    lists: impl Iterator<Item = ((usize, usize), bool)> + Clone,
) -> Result<(ArrayRef, Vec<i32>)> {
    let valid = lists.map(|((start, end), valid)| if valid { start..end } else { start..start });
    let offsets = offsets_of(valid.clone().map(|range| range.len()))?;
    let kept = UInt64Array::from_iter_values(valid.flatten().map(|item| item as u64));
    let items = take(items, &kept, None).expect("the items are within the lists");
    Ok((items, offsets))
}

fn values_from_arrow(name: &str, array: ArrayRef, missing: Missing) -> Result<Values> {
    if is_float(array.data_type()) == Some(false) && array.null_count() > 0 {
        return Err(Error::NullInteger {
            column: name.to_owned(),
            count: array.null_count(),
            position: (0..array.len())
                .find(|index| array.is_null(*index))
                .unwrap_or(0),
        });
    }
    let nulls = array.nulls().cloned();
    Ok(match array.data_type().clone() {
        DataType::Boolean => array
            .as_boolean()
            .values()
            .iter()
            .map(i32::from)
            .collect::<Vec<_>>()
            .into(),
        DataType::Int8 => widened::<Int8Type, i32>(&array).into(),
        DataType::Int16 => widened::<Int16Type, i32>(&array).into(),
        DataType::UInt8 => widened::<UInt8Type, i32>(&array).into(),
        DataType::UInt16 => widened::<UInt16Type, i32>(&array).into(),
        DataType::Int32 => owned::<Int32Type>(array).into(),
        DataType::Date32 => owned::<Date32Type>(array).into(),
        DataType::UInt32 => widened::<UInt32Type, i64>(&array).into(),
        DataType::Int64 => owned::<Int64Type>(array).into(),
        DataType::Timestamp(TimeUnit::Second, _) => owned::<TimestampSecondType>(array).into(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            owned::<TimestampMillisecondType>(array).into()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            owned::<TimestampMicrosecondType>(array).into()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            owned::<TimestampNanosecondType>(array).into()
        }
        DataType::UInt64 => array
            .as_primitive::<UInt64Type>()
            .values()
            .iter()
            .map(|&value| {
                i64::try_from(value).map_err(|_| Error::IntegerOverflow {
                    column: name.to_owned(),
                    value,
                })
            })
            .collect::<Result<Vec<_>>>()?
            .into(),
        DataType::Float16 => {
            let halves = array.as_primitive::<Float16Type>().values();
            let values = halves.iter().map(|half| half.to_f32()).collect();
            singles(name, values, nulls.as_ref(), missing)?
        }
        DataType::Float32 => singles(name, owned::<Float32Type>(array), nulls.as_ref(), missing)?,
        DataType::Float64 => {
            let mut values = owned::<Float64Type>(array);
            set_nulls(&mut values, nulls.as_ref(), f64::NAN);
            match missing {
                Missing::Refuse => refuse_nan(name, values.iter().map(|value| value.is_nan()))?,
                Missing::Fill(fill) => replace(&mut values, f64::is_nan, fill),
                Missing::KeepNan => (),
            }
            values.into()
        }
        found => {
            return Err(Error::UnsupportedType {
                column: name.to_owned(),
                found,
            });
        }
    })
}

/// The array's data; the array is given up first, so that its buffers may have one owner.
fn into_data(array: ArrayRef) -> arrow::array::ArrayData {
    let data = array.to_data();
    drop(array);
    data
}

fn owned<T: ArrowPrimitiveType>(array: ArrayRef) -> Vec<T::Native> {
    let (_, values, _) = PrimitiveArray::<T>::from(into_data(array)).into_parts();
    values.into()
}

fn widened<T: ArrowPrimitiveType, W: From<T::Native>>(array: &ArrayRef) -> Vec<W> {
    array
        .as_primitive::<T>()
        .values()
        .iter()
        .map(|value| W::from(*value))
        .collect()
}

fn singles(
    name: &str,
    mut values: Vec<f32>,
    nulls: Option<&NullBuffer>,
    missing: Missing,
) -> Result<Values> {
    set_nulls(&mut values, nulls, f32::NAN);
    match missing {
        Missing::Refuse => refuse_nan(name, values.iter().map(|value| value.is_nan()))?,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the column has single precision"
        )]
        Missing::Fill(fill) => replace(&mut values, f32::is_nan, fill as f32),
        Missing::KeepNan => (),
    }
    Ok(values.into())
}

/// Arrow leaves the values of nulls open.
fn set_nulls<T: Copy>(values: &mut [T], nulls: Option<&NullBuffer>, nan: T) {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return;
    };
    for (value, valid) in values.iter_mut().zip(nulls) {
        if !valid {
            *value = nan;
        }
    }
}

fn replace<T: Copy>(values: &mut [T], is_missing: impl Fn(T) -> bool, fill: T) {
    for value in values {
        if is_missing(*value) {
            *value = fill;
        }
    }
}

fn refuse_nan(name: &str, is_nan: impl Iterator<Item = bool> + Clone) -> Result<()> {
    // Counting everything is faster than stopping at the first, because it has no branch.
    let count = is_nan.clone().map(usize::from).sum();
    if count == 0 {
        return Ok(());
    }
    let position = is_nan.take_while(|nan| !nan).count();
    Err(Error::MissingFloat {
        column: name.to_owned(),
        count,
        position,
    })
}
