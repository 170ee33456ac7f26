//! Which values are the same: families of types, and values as keys of 96 bits.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, Int64Array, PrimitiveArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::util::display::FormatOptions;

use super::LookupError;
use super::slots::KEY_MASK;

/// Types whose values can be compared without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Nothing but nulls.
    Null,
    /// False and true.
    Boolean,
    /// Integers of any width and sign.
    Integer,
    /// Floats of any width; NaN is null, and -0.0 is 0.0.
    Float,
    /// Dates and timestamps of any unit, without a time zone.
    Time,
    /// Timestamps of any unit with a time zone.
    ZonedTime,
    /// Strings and binary values, by their bytes.
    Bytes,
}

impl Family {
    /// The family of a type that is not a list; a dictionary belongs where its values belong.
    pub(crate) fn of(data_type: &DataType) -> Result<Family, LookupError> {
        Ok(match data_type {
            DataType::Null => Family::Null,
            DataType::Boolean => Family::Boolean,
            integer if integer.is_integer() => Family::Integer,
            float if float.is_floating() => Family::Float,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => Family::Time,
            DataType::Timestamp(_, Some(_)) => Family::ZonedTime,
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Family::Bytes,
            DataType::Dictionary(_, values) => return Family::of(values),
            found => {
                return Err(LookupError::Unsupported {
                    found: found.clone(),
                });
            }
        })
    }

    /// Whether values of `other` can be looked up among values of this family: nulls can be found
    /// anywhere, and integers and floats among each other as long as they are exact.
    pub(crate) fn accepts(self, other: Family) -> bool {
        use Family::{Float, Integer, Null};
        self == other
            || self == Null
            || other == Null
            || matches!((self, other), (Integer, Float) | (Float, Integer))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Family::Null => "nothing but nulls",
            Family::Boolean => "booleans",
            Family::Integer => "integers",
            Family::Float => "floats",
            Family::Time => "dates or timestamps without time zone",
            Family::ZonedTime => "timestamps with time zone",
            Family::Bytes => "strings or binary values",
        }
    }
}

/// The type in which values are kept: a dictionary's values, and contiguous strings for views.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        plain => plain.clone(),
    }
}

/// The type that holds the values of columns of all the given types without loss, in the form of
/// [`plain_type`].
///
/// # Errors
/// [`LookupError::Mismatch`] for types that have no such type, such as strings and numbers.
pub(crate) fn common_type<'a>(
    types: impl IntoIterator<Item = &'a DataType>,
) -> Result<DataType, LookupError> {
    let mut common = DataType::Null;
    for data_type in types {
        let found = plain_type(data_type);
        let (known, family) = (Family::of(&common)?, Family::of(&found)?);
        common = match family {
            _ if common == found || family == Family::Null => common,
            _ if known == Family::Null => found,
            _ if known != family => {
                return Err(LookupError::Mismatch {
                    found,
                    expected: known.name(),
                });
            }
            Family::Integer if common.is_unsigned_integer() && found.is_unsigned_integer() => {
                DataType::UInt64
            }
            Family::Integer => DataType::Int64,
            Family::Float => DataType::Float64,
            Family::Bytes if is_text(&common) && is_text(&found) => DataType::LargeUtf8,
            Family::Bytes => DataType::LargeBinary,
            Family::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Family::ZonedTime => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Family::Null | Family::Boolean => common,
        };
    }
    Ok(common)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8)
}

/// The values in a type of the given family: integers as floats and floats as integers if each of
/// them is exact, anything else as it is.
///
/// # Errors
/// [`LookupError::Mismatch`] for other families, [`LookupError::Inexact`] naming the first value
/// that cannot be converted.
pub(crate) fn align(values: &ArrayRef, family: Family) -> Result<ArrayRef, LookupError> {
    let found = Family::of(values.data_type())?;
    match (family, found) {
        (Family::Integer, Family::Float) => Ok(Arc::new(integers_of(values)?)),
        (Family::Float, Family::Integer) => Ok(Arc::new(floats_of(values)?)),
        _ if family.accepts(found) => Ok(Arc::clone(values)),
        _ => Err(LookupError::Mismatch {
            found: values.data_type().clone(),
            expected: family.name(),
        }),
    }
}

/// Casts, with an error instead of a null for a value that does not fit.
pub(crate) fn strict_cast(values: &dyn Array, to: &DataType) -> Result<ArrayRef, LookupError> {
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::default(),
    };
    Ok(cast_with_options(values, to, &options)?)
}

fn integers_of(floats: &ArrayRef) -> Result<Int64Array, LookupError> {
    // Every integer of a greater magnitude is beyond i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let floats = strict_cast(floats, &DataType::Float64)?;
    let floats = canonical(&floats);
    floats
        .as_primitive::<Float64Type>()
        .try_unary::<_, Int64Type, _>(|value| {
            if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) {
                Ok(value as i64)
            } else {
                Err(LookupError::Inexact {
                    value: value.to_string(),
                    expected: "integers",
                })
            }
        })
}

fn floats_of(integers: &ArrayRef) -> Result<Float64Array, LookupError> {
    let integers = strict_cast(integers, &DataType::Int64)?;
    integers
        .as_primitive::<Int64Type>()
        .try_unary::<_, Float64Type, _>(|value| {
            let float = value as f64;
            if float as i128 == i128::from(value) {
                Ok(float)
            } else {
                Err(LookupError::Inexact {
                    value: value.to_string(),
                    expected: "floats",
                })
            }
        })
}

/// The values with one form for each: NaN becomes null and -0.0 becomes 0.0.
pub(crate) fn canonical(values: &ArrayRef) -> ArrayRef {
    fn canonical_floats<T: ArrowPrimitiveType>(
        values: &ArrayRef,
        is_nan: impl Fn(T::Native) -> bool,
        without_sign: impl Fn(T::Native) -> T::Native,
    ) -> ArrayRef {
        let values = values.as_primitive::<T>();
        if values.values().iter().any(|value| is_nan(*value)) {
            let kept = values
                .iter()
                .map(|value| value.filter(|value| !is_nan(*value)).map(&without_sign));
            Arc::new(kept.collect::<PrimitiveArray<T>>())
        } else {
            Arc::new(values.unary::<_, T>(without_sign))
        }
    }
    use arrow::datatypes::{Float16Type, Float32Type};
    match values.data_type() {
        DataType::Float16 => canonical_floats::<Float16Type>(
            values,
            |value| value.is_nan(),
            |value| value + <Float16Type as ArrowPrimitiveType>::Native::default(),
        ),
        DataType::Float32 => {
            canonical_floats::<Float32Type>(values, f32::is_nan, |value| value + 0.0)
        }
        DataType::Float64 => {
            canonical_floats::<Float64Type>(values, f64::is_nan, |value| value + 0.0)
        }
        _ => Arc::clone(values),
    }
}

/// The key of every NaN, which no other value has.
pub(super) const NAN_KEY: u128 = f64::NAN.to_bits() as u128;

/// Integers as keys: the same for the same integer, whatever its type.
#[inline]
pub(crate) fn integer_key(value: impl Into<i128>) -> u128 {
    value.into() as u128 & KEY_MASK
}

/// The integer of a key made by [`integer_key`].
pub(super) fn integer_of_key(key: u128) -> i128 {
    ((key << 32) as i128) >> 32
}

/// Floats as keys: the same for the same number, whatever its width.
#[inline]
pub(crate) fn float_key(value: f64) -> u128 {
    if value.is_nan() {
        return NAN_KEY;
    }
    u128::from((value + 0.0).to_bits())
}

/// A point in time as a key: nanoseconds since 1970.
#[inline]
pub(crate) fn time_key(value: i64, nanoseconds: i64) -> u128 {
    integer_key(i128::from(value) * i128::from(nanoseconds))
}

/// How many nanoseconds a unit of a date or timestamp type lasts.
pub(crate) fn nanoseconds(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Date32 => 86_400_000_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    }
}

/// Evaluates an expression with `$keys` bound to an iterator over the keys of an array of numbers,
/// booleans or times (arbitrary for nulls).
macro_rules! with_keys {
    ($array:expr, $keys:ident => $body:expr) => {{
        use arrow::array::AsArray;
        use arrow::datatypes::*;
        use $crate::lookup::keys::{float_key, integer_key, nanoseconds, time_key};
        let array: &dyn arrow::array::Array = $array;
        macro_rules! primitive {
            ($arrow_type:ty, $value:ident => $key:expr) => {{
                let $keys = array.as_primitive::<$arrow_type>().values().iter().map(|$value| $key);
                $body
            }};
        }
        let unit = nanoseconds(array.data_type());
        match array.data_type() {
            DataType::Boolean => {
                let $keys = array.as_boolean().values().iter().map(|value| u128::from(value));
                $body
            }
            DataType::Int8 => primitive!(Int8Type, value => integer_key(*value)),
            DataType::Int16 => primitive!(Int16Type, value => integer_key(*value)),
            DataType::Int32 => primitive!(Int32Type, value => integer_key(*value)),
            DataType::Int64 => primitive!(Int64Type, value => integer_key(*value)),
            DataType::UInt8 => primitive!(UInt8Type, value => integer_key(*value)),
            DataType::UInt16 => primitive!(UInt16Type, value => integer_key(*value)),
            DataType::UInt32 => primitive!(UInt32Type, value => integer_key(*value)),
            DataType::UInt64 => primitive!(UInt64Type, value => integer_key(*value)),
            DataType::Float16 => primitive!(Float16Type, value => float_key(f64::from(*value))),
            DataType::Float32 => primitive!(Float32Type, value => float_key(f64::from(*value))),
            DataType::Float64 => primitive!(Float64Type, value => float_key(*value)),
            DataType::Date32 => primitive!(Date32Type, value => time_key(i64::from(*value), unit)),
            DataType::Date64 => primitive!(Date64Type, value => time_key(*value, unit)),
            DataType::Timestamp(TimeUnit::Second, _) => {
                primitive!(TimestampSecondType, value => time_key(*value, unit))
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                primitive!(TimestampMillisecondType, value => time_key(*value, unit))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                primitive!(TimestampMicrosecondType, value => time_key(*value, unit))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                primitive!(TimestampNanosecondType, value => time_key(*value, unit))
            }
            found => return Err($crate::lookup::LookupError::Unsupported { found: found.clone() }),
        }
    }};
}
pub(crate) use with_keys;

/// Whether all members of a row are null.
pub(crate) fn all_null(columns: &[ArrayRef]) -> impl Fn(usize) -> bool + use<> {
    let masks: Vec<_> = columns
        .iter()
        .map(|column| column.logical_nulls())
        .collect();
    move |row| {
        masks
            .iter()
            .all(|mask| mask.as_ref().is_some_and(|mask| mask.is_null(row)))
    }
}
