//! One form for each value of a key.

use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use crate::lookup::canonical as canonical_array;

/// The expression with NaN as null and -0.0 as 0.0, so that group-bys have one group for each
/// value; anything but a float is left as it is.
pub(crate) fn canonical(expr: Expr, data_type: &DataType) -> Expr {
    if !data_type.is_floating() {
        return expr;
    }
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(Canonical { signature }).call(vec![expr])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Canonical {
    signature: Signature,
}

impl ScalarUDFImpl for Canonical {
    fn name(&self) -> &'static str {
        "canonical"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(canonical_array(&values)))
    }
}
