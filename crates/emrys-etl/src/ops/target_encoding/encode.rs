//! The encoding of a category, as a function of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, UInt8Type, UInt32Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::table::{GroupTable, Sums};
use crate::functions::Shared;

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
    fn smooth(&self, sum: f64, count: i64) -> f64 {
        let weight = count as f64 + self.p_smooth;
        if weight == 0.0 {
            self.mean
        } else {
            (sum + self.p_smooth * self.mean) / weight
        }
    }

    /// The encoding of a category by all its rows.
    fn whole(&self, sums: &Sums, category: usize) -> f64 {
        let (sum, count) = self.total(sums, category, None);
        self.smooth(sum, count)
    }

    /// Sum and count over the folds of a category but one. The folds are added rather than the
    /// one subtracted: a difference of sums could leave noise where no row is left.
    fn total(&self, sums: &Sums, category: usize, but: Option<usize>) -> (f64, i64) {
        let folds = self.table.folds as usize;
        let entries = (0..folds).filter(|fold| Some(*fold) != but);
        entries
            .map(|fold| category * folds + fold)
            .fold((0.0, 0), |(sum, count), entry| {
                (sum + sums.sums[entry], count + sums.counts[entry])
            })
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
        let sums = &self.table.targets[self.target];
        let encoded: Float64Array = codes
            .iter()
            .enumerate()
            .map(|(row, code)| {
                let Some(category) = (*code as usize).checked_sub(1) else {
                    return self.mean;
                };
                match folds {
                    Some(folds) if folds.is_valid(row) => {
                        let fold = usize::from(folds.value(row));
                        let (sum, count) = self.total(sums, category, Some(fold));
                        self.smooth(sum, count)
                    }
                    _ => self.whole(sums, category),
                }
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(encoded)))
    }
}
