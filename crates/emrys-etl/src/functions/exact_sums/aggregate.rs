//! The aggregates of the engine.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::groups::{Groups, One, fields, parts};

/// The aggregate whose results [`ExactSum::from_array`] reads: count and sum of the numbers that
/// are neither null nor NaN, of `Int64`, `UInt64` or `Float64`.
pub(crate) fn exact_sum(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(ExactSums::new(false))));
    FUNCTION.call(vec![expr])
}

/// The aggregate whose results [`ExactSquares::from_array`] reads: the same with the sum of
/// squares.
pub(crate) fn exact_squares(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(ExactSums::new(true))));
    FUNCTION.call(vec![expr])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSums {
    squares: bool,
    signature: Signature,
}

impl ExactSums {
    fn new(squares: bool) -> ExactSums {
        ExactSums {
            squares,
            signature: Signature::uniform(
                1,
                vec![DataType::Int64, DataType::UInt64, DataType::Float64],
                Volatility::Immutable,
            ),
        }
    }
}

impl AggregateUDFImpl for ExactSums {
    fn name(&self) -> &'static str {
        if self.squares {
            "exact_squares"
        } else {
            "exact_sum"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Struct(fields(self.squares)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> EngineResult<Vec<FieldRef>> {
        let field = |(part, data_type): &(&str, DataType)| {
            let name = format!("{}[{part}]", args.name);
            Arc::new(Field::new(name, data_type.clone(), true))
        };
        Ok(parts(self.squares).map(field).collect())
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> EngineResult<Box<dyn Accumulator>> {
        Ok(Box::new(One(Groups::new(self.squares))))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> EngineResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.squares)))
    }
}
