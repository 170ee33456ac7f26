//! The number of a key in a fitted table.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::Shared;
use crate::Error;
use crate::lookup::ValueIndex;

/// The code of each row's key (`UInt32`): zero if the key is not in the index.
pub(crate) fn key_code(operator: &str, index: &Arc<ValueIndex>, keys: Vec<Expr>) -> Expr {
    let function = KeyCode {
        operator: operator.to_owned(),
        index: Shared(Arc::clone(index)),
        signature: Signature::any(keys.len(), Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(keys)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyCode {
    operator: String,
    index: Shared<ValueIndex>,
    signature: Signature,
}

impl ScalarUDFImpl for KeyCode {
    fn name(&self) -> &'static str {
        "key_code"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let keys: EngineResult<Vec<ArrayRef>> = args
            .args
            .iter()
            .map(|key| key.clone().into_array(args.number_rows))
            .collect();
        let codes = self.index.lookup(&keys?).map_err(|error| Error::Data {
            operator: self.operator.clone(),
            problem: error.to_string(),
        })?;
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from(codes))))
    }
}
