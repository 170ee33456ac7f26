//! The slice as a function of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MutableArrayData, OffsetSizeTrait,
    make_array, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::{ListSlice, PadSide};
use crate::Error;
use crate::functions::{Lists, element_of, list_array};
use crate::ops::fill_missing::FillValue;

/// A part of each list.
pub(super) fn slice(slice: &ListSlice, lists: Expr) -> Expr {
    let function = SliceOf {
        slice: slice.clone(),
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![lists])
}

#[derive(Debug)]
struct SliceOf {
    slice: ListSlice,
    signature: Signature,
}

impl SliceOf {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let slice = &self.slice;
        let lists = Lists::new(array)?;
        let target = match slice.pad {
            true => usize::try_from(slice.longest().unwrap_or(0)).unwrap_or(0),
            false => 0,
        };
        let rows = lists.ranges().len();
        let capacity = rows.saturating_mul(target);
        if i32::try_from(capacity).is_err() {
            return Err(too_long(rows, target).into());
        }
        let padding = padding(lists.values.data_type(), &slice.pad_value, target)?.to_data();
        let values = lists.values.to_data();
        let mut sliced = MutableArrayData::new(vec![&values, &padding], false, capacity);
        let mut lengths = Vec::with_capacity(rows);
        for list in lists.ranges() {
            let kept = slice.kept(list.len());
            let missing = target.saturating_sub(kept.len());
            if slice.pad_side == PadSide::Left {
                sliced.try_extend(1, 0, missing)?;
            }
            sliced.try_extend(0, list.start + kept.start, list.start + kept.end)?;
            if slice.pad_side == PadSide::Right {
                sliced.try_extend(1, 0, missing)?;
            }
            lengths.push(kept.len() + missing);
        }
        let sliced = make_array(sliced.freeze());
        match self.return_type(&[array.data_type().clone()])? {
            DataType::FixedSizeList(element, length) => {
                Ok(Arc::new(FixedSizeListArray::try_new_with_length(
                    element,
                    length,
                    sliced,
                    None,
                    lengths.len(),
                )?))
            }
            _ => list_array(sliced, lengths, lists.nulls),
        }
    }
}

/// The error for more elements than a batch may have.
fn too_long(rows: usize, target: usize) -> Error {
    ListSlice::invalid(
        "pad",
        format!("true, to {target} elements"),
        format!(
            "{rows} rows of them are too many for one batch; pad less, or set a smaller batch size"
        ),
    )
}

/// Some values of a type that stand for no value: the padding, or lists without elements.
fn padding(data_type: &DataType, value: &FillValue, count: usize) -> EngineResult<ArrayRef> {
    fn empty_lists<O: OffsetSizeTrait>(element: &FieldRef, count: usize) -> EngineResult<ArrayRef> {
        Ok(Arc::new(GenericListArray::<O>::try_new(
            Arc::clone(element),
            OffsetBuffer::new_zeroed(count),
            new_empty_array(element.data_type()),
            None,
        )?))
    }
    match data_type {
        DataType::List(element) => empty_lists::<i32>(element, count),
        DataType::LargeList(element) => empty_lists::<i64>(element, count),
        DataType::FixedSizeList(element, length) => {
            let inner = padding(element.data_type(), value, count * *length as usize)?;
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(
                Arc::clone(element),
                *length,
                inner,
                None,
                count,
            )?))
        }
        // Without padding the value may be of any type, and is not needed.
        _ if count == 0 => Ok(new_empty_array(data_type)),
        _ => value.scalar().cast_to(data_type)?.to_array_of_size(count),
    }
}

impl ScalarUDFImpl for SliceOf {
    fn name(&self) -> &'static str {
        "list_slice"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        Ok(format!("list_slice({}, {:?})", args[0], self.slice))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        let element = element_of(&arg_types[0])?.data_type().clone();
        let element = Arc::new(Field::new_list_field(element, true));
        let target = self.slice.longest().filter(|_| self.slice.pad);
        Ok(match target.map(i32::try_from) {
            Some(Ok(length)) => DataType::FixedSizeList(element, length),
            _ => DataType::List(element),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}

impl PartialEq for SliceOf {
    fn eq(&self, other: &SliceOf) -> bool {
        self.slice == other.slice
    }
}

impl Eq for SliceOf {}

impl Hash for SliceOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.slice.start, self.slice.end, self.slice.pad).hash(state);
    }
}
