//! The aggregates of the engine.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::groups::{Groups, One};

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

/// The parts of a group, as states and as the result.
static PARTS: [(&str, DataType); 5] = [
    ("count", DataType::Int64),
    ("sum_high", DataType::Float64),
    ("sum_low", DataType::Float64),
    ("squares_high", DataType::Float64),
    ("squares_low", DataType::Float64),
];

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

    fn parts(&self) -> impl Iterator<Item = &'static (&'static str, DataType)> {
        PARTS.iter().take(if self.squares { 5 } else { 3 })
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
        Ok(self.parts().map(field).collect())
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

pub(super) fn fields(squares: bool) -> Fields {
    let parts = PARTS.iter().take(if squares { 5 } else { 3 });
    parts
        .map(|(part, data_type)| Field::new(*part, data_type.clone(), false))
        .collect()
}
