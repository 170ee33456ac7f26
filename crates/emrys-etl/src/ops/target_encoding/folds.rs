//! Which fold a row is in.

use std::sync::Arc;

use arrow::array::{AsArray, UInt8Array};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::prelude::Expr;
use serde::{Deserialize, Serialize};

use crate::hash::hash_bits;
use crate::operator::Relation;
use crate::{Error, Result};

/// Where the fold of a row comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Folds {
    /// A hash of the row's number in the data set and the seed, or without a seed the number
    /// itself, modulo the number of folds.
    #[default]
    RowNumber,
    /// A column of integers, modulo the number of folds. Use it to keep rows together that must
    /// not inform each other, such as those of one session.
    Column(String),
}

/// The fold of each row, from 0 to `kfold - 1` (`UInt8`).
pub(super) fn fold(input: &Relation, folds: &Folds, seed: Option<u64>, kfold: u32) -> Result<Expr> {
    let (number, seed) = match folds {
        Folds::RowNumber => (input.row_id()?, seed),
        Folds::Column(name) => (cast(input.expr(name)?, DataType::Int64), None),
    };
    let kfold = u8::try_from(kfold)
        .map_err(|_| Error::Internal(format!("kfold {kfold} passed the check")))?;
    let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
    Ok(ScalarUDF::new_from_impl(FoldOf {
        seed,
        kfold,
        signature,
    })
    .call(vec![number]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FoldOf {
    seed: Option<u64>,
    kfold: u8,
    signature: Signature,
}

impl FoldOf {
    fn of(&self, row: i64) -> u8 {
        let kfold = u64::from(self.kfold);
        let fold = match self.seed {
            // The seed is mixed before it meets the row, so that seeds do not permute rows.
            Some(seed) => hash_bits(hash_bits(seed) ^ row.cast_unsigned()) % kfold,
            None => row.rem_euclid(i64::from(self.kfold)).cast_unsigned(),
        };
        // Less than `kfold`, which is a `u8`.
        fold as u8
    }
}

impl ScalarUDFImpl for FoldOf {
    fn name(&self) -> &'static str {
        "fold_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::UInt8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let rows = args.args[0].clone().into_array(args.number_rows)?;
        let rows = rows.as_primitive::<Int64Type>();
        let folds: UInt8Array = rows.iter().map(|row| row.map(|row| self.of(row))).collect();
        Ok(ColumnarValue::Array(Arc::new(folds)))
    }
}
