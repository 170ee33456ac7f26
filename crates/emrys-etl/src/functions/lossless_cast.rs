//! A cast that stops at the first value it would change.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use crate::Error;

/// Casts a column of the data set to the type it had when the workflow was fitted.
pub(crate) fn lossless_cast(input: Expr, column: &str, target: DataType) -> Expr {
    let function = LosslessCast {
        column: column.to_owned(),
        target,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![input])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LosslessCast {
    column: String,
    target: DataType,
    signature: Signature,
}

impl LosslessCast {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        // Missing values of integers come as NaN from tools without nullable integers.
        let array = if array.data_type().is_floating() && self.target.is_integer() {
            nan_to_null(array)?
        } else {
            Arc::clone(array)
        };
        let converted = cast(&array, &self.target)?;
        let back = cast(&converted, array.data_type())?;
        let changed: BooleanArray = distinct(&array, &back)?;
        match (0..changed.len()).find(|row| changed.value(*row)) {
            None => Ok(converted),
            Some(row) => {
                let text = ArrayFormatter::try_new(&array, &FormatOptions::default())?;
                Err(Error::Data {
                    operator: "transform".to_owned(),
                    problem: format!(
                        "column `{}` was {} when the workflow was fitted, but holds {} now; cast it",
                        self.column,
                        self.target,
                        text.value(row)
                    ),
                }
                .into())
            }
        }
    }
}

/// The numbers with nulls in the place of NaN.
pub(crate) fn nan_to_null(array: &ArrayRef) -> EngineResult<ArrayRef> {
    let floats = cast(array, &DataType::Float64)?;
    // NaN is the one value that differs from itself under IEEE rules; Arrow's kernels order it
    // totally, so it is compared with itself by hand.
    let values: &arrow::array::Float64Array = arrow::array::AsArray::as_primitive(&floats);
    let is_nan = BooleanArray::from_unary(values, f64::is_nan);
    Ok(arrow::compute::nullif(array, &is_nan)?)
}

impl ScalarUDFImpl for LosslessCast {
    fn name(&self) -> &'static str {
        "lossless_cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.target.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}
