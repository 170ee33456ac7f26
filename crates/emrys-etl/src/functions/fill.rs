//! A value in the place of missing ones.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, Scalar, StringViewArray,
    make_view,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{CastOptions, cast, cast_with_options, is_null};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow::util::display::FormatOptions;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{
    ColumnarValue, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;

/// The operand with `value` where it is null, or NaN if it is a float.
///
/// The engine's `CASE` filters rows and merges them again; here most batches are passed on or
/// copied once.
pub(crate) fn fill(operand: Expr, value: ScalarValue) -> Expr {
    ScalarUDF::new_from_impl(Fill {
        value,
        signature: Signature::any(1, Volatility::Immutable),
    })
    .call(vec![operand])
}

/// The operand and the value, as an array of one row, of an expression made by [`fill`] over values
/// that are null only where their bits say so: not over floats or lists.
///
/// Who looks at each value anyway can count nulls as the value, and save a copy of the column.
pub(crate) fn filled(expr: &Expr, schema: &DFSchema) -> Option<(Expr, ArrayRef)> {
    let Expr::ScalarFunction(call) = expr.clone().unalias_nested().data else {
        return None;
    };
    let fill = call.func.inner().downcast_ref::<Fill>()?;
    let [operand] = &call.args[..] else {
        return None;
    };
    let data_type = operand.get_type(schema).ok()?;
    let is_plain = data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
    if !is_plain {
        return None;
    }
    let value = fill.value_of(&data_type).ok()?;
    Some((operand.clone(), value))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fill {
    value: ScalarValue,
    signature: Signature,
}

/// A value that does not fit the type is an error, not a null.
pub(crate) const STRICT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: FormatOptions::new(),
};

impl Fill {
    fn value_of(&self, data_type: &DataType) -> EngineResult<ArrayRef> {
        Ok(cast_with_options(
            &self.value.to_array()?,
            data_type,
            &STRICT,
        )?)
    }

    fn apply(&self, values: &ArrayRef) -> EngineResult<ArrayRef> {
        let data_type = values.data_type();
        if !data_type.is_floating() && values.logical_null_count() == 0 {
            return Ok(Arc::clone(values));
        }
        let value = self.value_of(data_type)?;
        Ok(match data_type {
            DataType::Float32 => filled_floats::<Float32Type>(values, &value, f32::is_nan),
            DataType::Float64 => filled_floats::<Float64Type>(values, &value, f64::is_nan),
            DataType::Int32 => filled_integers::<Int32Type>(values, &value),
            DataType::Int64 => filled_integers::<Int64Type>(values, &value),
            DataType::Utf8View => filled_views(values.as_string_view(), value.as_string_view())?,
            DataType::Float16 => {
                let wide = self.apply(&cast(values, &DataType::Float32)?)?;
                cast(&wide, data_type)?
            }
            _ => {
                let missing = is_null(values)?;
                zip(&missing, &Scalar::new(value), values)?
            }
        })
    }
}

fn filled_floats<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    value: &ArrayRef,
    is_nan: impl Fn(T::Native) -> bool,
) -> ArrayRef {
    let (values, value) = (
        values.as_primitive::<T>(),
        value.as_primitive::<T>().value(0),
    );
    let or_value = |found: &T::Native| if is_nan(*found) { value } else { *found };
    let mut filled: Vec<T::Native> = values.values().iter().map(or_value).collect();
    if let Some(nulls) = values.nulls() {
        put_at_nulls(&mut filled, nulls, value);
    }
    Arc::new(PrimitiveArray::<T>::new(filled.into(), None))
}

/// Sets the places of nulls.
pub(crate) fn put_at_nulls<T: Copy>(places: &mut [T], nulls: &NullBuffer, value: T) {
    let bits = nulls.inner().bit_chunks();
    let mut words = bits.iter().chain([bits.remainder_bits()]);
    for places in places.chunks_mut(64) {
        // A set bit is a value that is there.
        let mut missing = !words.next().unwrap_or(u64::MAX);
        missing &= u64::MAX >> (64 - places.len());
        while missing != 0 {
            places[missing.trailing_zeros() as usize] = value;
            missing &= missing - 1;
        }
    }
}

fn filled_integers<T: ArrowPrimitiveType>(values: &ArrayRef, value: &ArrayRef) -> ArrayRef {
    let (values, value) = (
        values.as_primitive::<T>(),
        value.as_primitive::<T>().value(0),
    );
    let mut filled = values.values().to_vec();
    if let Some(nulls) = values.nulls() {
        put_at_nulls(&mut filled, nulls, value);
    }
    Arc::new(PrimitiveArray::<T>::new(filled.into(), None))
}

/// Short values are within the views; a long one adds a buffer.
fn filled_views(values: &StringViewArray, value: &StringViewArray) -> EngineResult<ArrayRef> {
    let value = value.value(0).as_bytes();
    let mut buffers: Vec<Buffer> = values.data_buffers().to_vec();
    let block = u32::try_from(buffers.len())
        .map_err(|_| DataFusionError::Internal("an array has too many buffers".to_owned()))?;
    let view = make_view(value, block, 0);
    if value.len() > 12 {
        buffers.push(Buffer::from(value));
    }
    let mut views = values.views().to_vec();
    if let Some(nulls) = values.nulls() {
        put_at_nulls(&mut views, nulls, view);
    }
    #[expect(
        unsafe_code,
        reason = "the views are those of a valid array, and one of a string in the last buffer"
    )]
    // SAFETY: see the reason.
    let filled = unsafe { StringViewArray::new_unchecked(views.into(), buffers, None) };
    Ok(Arc::new(filled))
}

impl ScalarUDFImpl for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(format!("fill({}, {})", args.join(", "), self.value))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&values)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BooleanArray, DictionaryArray, Float32Array, Int32Array, Int64Array, StringArray,
    };

    fn filled(values: impl Array + 'static, value: impl Into<ScalarValue>) -> ArrayRef {
        let function = Fill {
            value: value.into(),
            signature: Signature::any(1, Volatility::Immutable),
        };
        let values: ArrayRef = Arc::new(values);
        let filled = function.apply(&values).unwrap();
        assert_eq!(filled.data_type(), values.data_type());
        filled
    }

    #[test]
    fn null_and_nan_are_filled() {
        let floats = Float32Array::from(vec![Some(1.0), None, Some(f32::NAN)]);
        let expected: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 7.0, 7.0]));
        assert_eq!(&filled(floats, 7_i64), &expected);
        let expected: ArrayRef = Arc::new(Float32Array::from(vec![2.0, 7.0]));
        assert_eq!(
            &filled(Float32Array::from(vec![2.0, f32::NAN]), 7_i64),
            &expected
        );
        let integers = Int64Array::from(vec![Some(1), None]);
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![1, 7]));
        assert_eq!(&filled(integers, 7_i64), &expected);
    }

    #[test]
    fn texts_are_filled_in_every_form() {
        let values = vec![
            Some("a"),
            None,
            Some("a text of more than twelve bytes"),
            None,
        ];
        for value in ["", "short", "another text of more than twelve bytes"] {
            let expected: Vec<_> = values.iter().map(|v| v.unwrap_or(value)).collect();
            let views = filled(StringViewArray::from(values.clone()), value);
            let expected_views: ArrayRef = Arc::new(StringViewArray::from(expected.clone()));
            assert_eq!(&views, &expected_views);
            let sliced = StringViewArray::from(values.clone()).slice(1, 2);
            assert_eq!(&filled(sliced, value), &expected_views.slice(1, 2));
            let plain: ArrayRef = Arc::new(StringArray::from(expected));
            assert_eq!(&filled(StringArray::from(values.clone()), value), &plain);
            let dictionary: DictionaryArray<Int32Type> = values.iter().copied().collect();
            assert_eq!(
                &cast(&filled(dictionary, value), &DataType::Utf8).unwrap(),
                &plain
            );
        }
    }

    #[test]
    fn other_types_are_filled() {
        let flags = BooleanArray::from(vec![Some(false), None]);
        let expected: ArrayRef = Arc::new(BooleanArray::from(vec![false, true]));
        assert_eq!(&filled(flags, true), &expected);
        let small = arrow::array::Int8Array::from(vec![Some(1), None]);
        let expected: ArrayRef = Arc::new(arrow::array::Int8Array::from(vec![1, 7]));
        assert_eq!(&filled(small, 7_i64), &expected);
    }

    #[test]
    fn long_arrays_are_filled() {
        for (len, from) in [(1, 0), (64, 0), (200, 0), (200, 3), (129, 64)] {
            let values: Vec<Option<i64>> = (0..len).map(|i| (i % 3 > 0).then_some(i)).collect();
            let expected: Vec<i64> = values[from..].iter().map(|v| v.unwrap_or(-1)).collect();
            let sliced = Int64Array::from(values.clone()).slice(from, values.len() - from);
            let expected: ArrayRef = Arc::new(Int64Array::from(expected));
            assert_eq!(&filled(sliced, -1_i64), &expected);
        }
    }

    #[test]
    fn arrays_without_gaps_are_passed_on() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let function = Fill {
            value: ScalarValue::from(0_i64),
            signature: Signature::any(1, Volatility::Immutable),
        };
        assert!(Arc::ptr_eq(&function.apply(&values).unwrap(), &values));
    }
}
