//! Aggregates of each list of a column, as a function of the engine.

use arrow::array::{Array, ArrayRef};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::{Lists, RangeAggregate, element_of};

/// One value per list: the aggregate of its elements; null for a null list.
pub(crate) fn list_aggregate(lists: Expr, aggregate: RangeAggregate) -> Expr {
    let function = ListAggregateOf {
        aggregate,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![lists])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ListAggregateOf {
    aggregate: RangeAggregate,
    signature: Signature,
}

impl ListAggregateOf {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let lists = Lists::new(array)?;
        let results = self.aggregate.evaluate(&lists.values, lists.ranges())?;
        match array.null_count() {
            0 => Ok(results),
            _ => Ok(nullif(&results, &is_null(array)?)?),
        }
    }
}

impl ScalarUDFImpl for ListAggregateOf {
    fn name(&self) -> &'static str {
        "list_aggregate"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        let sums = if self.aggregate.integer_sums {
            ", integer sums"
        } else {
            ""
        };
        Ok(format!("list_{}({}{sums})", self.aggregate.kind, args[0]))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        let element = element_of(&arg_types[0])?;
        Ok(self.aggregate.output_type(element.data_type()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}
