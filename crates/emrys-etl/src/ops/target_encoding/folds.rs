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

use crate::hash::{hash_array, hash_bits};
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
    /// A column of integers, modulo the number of folds; null is 0. Use it to keep rows together
    /// that must not inform each other, such as those of one session.
    Column(String),
    /// A hash of columns of any type and of the seed, modulo the number of folds: rows with the
    /// same values in them are in one fold, whatever their place in the data.
    Hash(Vec<String>),
}

impl Folds {
    /// The columns that are needed to tell the folds.
    pub(super) fn columns(&self) -> &[String] {
        match self {
            Folds::RowNumber => &[],
            Folds::Column(name) => std::slice::from_ref(name),
            Folds::Hash(names) => names,
        }
    }
}

/// The fold of each row, from 0 to `kfold - 1` (`UInt8`).
pub(super) fn fold(input: &Relation, folds: &Folds, seed: Option<u64>, kfold: u32) -> Result<Expr> {
    let kfold = u8::try_from(kfold)
        .map_err(|_| Error::Internal(format!("kfold {kfold} passed the check")))?;
    let (number, seed) = match folds {
        Folds::RowNumber => (input.row_id()?, seed),
        Folds::Column(name) => (cast(input.expr(name)?, DataType::Int64), None),
        Folds::Hash(names) => {
            let columns = names.iter().map(|name| input.expr(name));
            let signature = Signature::any(names.len(), Volatility::Immutable);
            let function = FoldOfHash {
                seed: seed.unwrap_or(0),
                kfold,
                signature,
            };
            return Ok(ScalarUDF::new_from_impl(function).call(columns.collect::<Result<_>>()?));
        }
    };
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
        let folds = rows.iter().map(|row| self.of(row.unwrap_or(0)));
        let folds = UInt8Array::from_iter_values(folds);
        Ok(ColumnarValue::Array(Arc::new(folds)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FoldOfHash {
    seed: u64,
    kfold: u8,
    signature: Signature,
}

impl ScalarUDFImpl for FoldOfHash {
    fn name(&self) -> &'static str {
        "fold_of_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::UInt8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let mut mixed = vec![hash_bits(self.seed); args.number_rows];
        for column in args.args {
            let column = column.into_array(args.number_rows)?;
            let hashes = hash_array(&column).map_err(|error| Error::Data {
                operator: "target_encoding".to_owned(),
                problem: format!("folds: {error}"),
            })?;
            for (mixed, hash) in mixed.iter_mut().zip(hashes) {
                *mixed = hash_bits(*mixed ^ hash);
            }
        }
        let kfold = u64::from(self.kfold);
        // Less than `kfold`, which is a `u8`.
        let folds = mixed.into_iter().map(|mixed| (mixed % kfold) as u8);
        Ok(ColumnarValue::Array(Arc::new(
            UInt8Array::from_iter_values(folds),
        )))
    }
}
