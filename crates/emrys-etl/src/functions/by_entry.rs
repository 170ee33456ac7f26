//! A column as its distinct values and their places.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array};
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::prelude::Expr;

/// The operand as a dictionary, for who does work once for each entry: that of the file, if a scan
/// reads one, or a dictionary with an entry for each row.
pub(crate) fn by_entry(operand: Expr) -> Expr {
    ScalarUDF::new_from_impl(ByEntry {
        signature: Signature::any(1, Volatility::Immutable),
    })
    .call(vec![operand])
}

/// The operand of an expression that [`by_entry`] has made.
pub(crate) fn by_entry_of(expr: &Arc<dyn PhysicalExpr>) -> Option<&Arc<dyn PhysicalExpr>> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    call.fun().inner().downcast_ref::<ByEntry>()?;
    call.args().first()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ByEntry {
    signature: Signature,
}

impl ScalarUDFImpl for ByEntry {
    fn name(&self) -> &'static str {
        "by_entry"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        let values = Box::new(arg_types[0].clone());
        Ok(DataType::Dictionary(Box::new(DataType::Int32), values))
    }

    /// Of the rows of a batch. A scan that has entries hands them on without this.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        let keys = Int32Array::from_iter_values(0..i32::try_from(values.len()).unwrap_or(i32::MAX));
        let dictionary: ArrayRef = Arc::new(DictionaryArray::try_new(keys, values)?);
        Ok(ColumnarValue::Array(dictionary))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::compute::cast;
    use arrow::datatypes::{Field, Int32Type};
    use datafusion::common::config::ConfigOptions;

    use super::*;

    #[test]
    fn rows_are_their_own_entries() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(5)]));
        let function = ByEntry {
            signature: Signature::any(1, Volatility::Immutable),
        };
        let data_type = function.return_type(&[DataType::Int64]).unwrap();
        let field = |data_type: &DataType| Arc::new(Field::new("c", data_type.clone(), true));
        let made = function.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::clone(&values))],
            arg_fields: vec![field(&DataType::Int64)],
            number_rows: 3,
            return_field: field(&data_type),
            config_options: Arc::new(ConfigOptions::new()),
        });
        let made = made.unwrap().into_array(3).unwrap();
        assert_eq!(made.data_type(), &data_type);
        assert_eq!(
            made.as_dictionary::<Int32Type>().keys().values(),
            &[0, 1, 2]
        );
        assert_eq!(&cast(&made, &DataType::Int64).unwrap(), &values);
    }
}
