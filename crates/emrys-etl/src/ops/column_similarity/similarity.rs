//! The similarity of two ids, as a function of the engine.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::FeatureMatrices;
use super::features::Features;
use crate::functions::Shared;

/// The similarity of the ids of two columns (`Float64`).
pub(super) fn similarity(features: &FeatureMatrices, left: Expr, right: Expr) -> Expr {
    let function = Similarity {
        left: Shared(Arc::clone(&features.left)),
        right: Shared(Arc::clone(&features.right)),
        signature: Signature::any(2, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![left, right])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Similarity {
    left: Shared<Features>,
    right: Shared<Features>,
    signature: Signature,
}

impl ScalarUDFImpl for Similarity {
    fn name(&self) -> &'static str {
        "column_similarity"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let ids = |argument: usize| -> EngineResult<ArrayRef> {
            let array = args.args[argument].clone().into_array(args.number_rows)?;
            // Ids beyond 64 bits become null, and have no features either way.
            Ok(cast(&array, &DataType::Int64)?)
        };
        let (left, right) = (ids(0)?, ids(1)?);
        let pairs = left
            .as_primitive::<Int64Type>()
            .iter()
            .zip(right.as_primitive::<Int64Type>());
        let similarities: Float64Array = pairs
            .map(|(left, right)| self.left.inner(left?, &self.right, right?))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(similarities)))
    }
}
