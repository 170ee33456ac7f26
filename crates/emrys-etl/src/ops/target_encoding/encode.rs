//! The encoding of a category, as a function of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, UInt8Type, UInt32Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::table::GroupTable;
use crate::functions::{ExactSum, Shared};

/// The encoding of the category with a code; out of fold, if a fold is given (`Float64`).
pub(super) fn encoding(
    table: &Arc<GroupTable>,
    target: usize,
    mean: f64,
    p_smooth: f64,
    code: Expr,
    fold: Option<Expr>,
) -> Expr {
    let mut arguments = vec![code];
    arguments.extend(fold);
    let function = Encoding {
        table: Shared(Arc::clone(table)),
        target,
        mean,
        p_smooth,
        signature: Signature::any(arguments.len(), Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(arguments)
}

#[derive(Debug, PartialEq)]
struct Encoding {
    table: Shared<GroupTable>,
    target: usize,
    mean: f64,
    p_smooth: f64,
    signature: Signature,
}

impl Eq for Encoding {}

impl Hash for Encoding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.table.hash(state);
        self.target.hash(state);
    }
}

impl Encoding {
    fn smooth(&self, total: ExactSum) -> f64 {
        let weight = total.count as f64 + self.p_smooth;
        if weight == 0.0 {
            self.mean
        } else {
            (total.sum.value() + self.p_smooth * self.mean) / weight
        }
    }
}

impl ScalarUDFImpl for Encoding {
    fn name(&self) -> &'static str {
        "target_encoding"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let arrays: EngineResult<Vec<ArrayRef>> = args
            .args
            .iter()
            .map(|value| value.clone().into_array(args.number_rows))
            .collect();
        let arrays = arrays?;
        let codes = arrays[0].as_primitive::<UInt32Type>().values();
        let folds = arrays.get(1).map(|folds| folds.as_primitive::<UInt8Type>());
        let encoded: Float64Array = codes
            .iter()
            .enumerate()
            .map(|(row, code)| {
                let Some(record) = self.table.table.record(*code) else {
                    return self.mean;
                };
                // Out of fold; all rows where there are no folds.
                let but = folds.map(|folds| usize::from(folds.value(row)));
                self.smooth(self.table.records.total(record, self.target, but))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(encoded)))
    }
}
