//! The hash of a value, or of several values in their order.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use crate::Error;
use crate::hash::{hash_array, hash_bits};
use crate::lookup::LookupError;

/// The hash of each row (`UInt64`), never null.
///
/// For one column it is that of [`hash`](crate::hash); for several it depends on their order, and
/// equal members do not cancel.
pub(crate) fn value_hash(operator: &str, columns: Vec<Expr>) -> Expr {
    let function = ValueHash {
        operator: operator.to_owned(),
        signature: Signature::any(columns.len(), Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(columns)
}

/// The hashes of rows; members are mixed in one after the other.
fn hashes(columns: &[ArrayRef]) -> Result<Vec<u64>, LookupError> {
    let [first, others @ ..] = columns else {
        return Ok(Vec::new());
    };
    let mut hashes = hash_array(first)?;
    for column in others {
        for (hash, member) in hashes.iter_mut().zip(hash_array(column)?) {
            // An odd factor and a second mixing make the order count.
            *hash = hash_bits(hash.wrapping_mul(FACTOR).wrapping_add(member));
        }
    }
    Ok(hashes)
}

/// 2^64 divided by the golden ratio, made odd: the step of `SplitMix64`.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueHash {
    operator: String,
    signature: Signature,
}

impl ScalarUDFImpl for ValueHash {
    fn name(&self) -> &'static str {
        "value_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let columns: EngineResult<Vec<ArrayRef>> = args
            .args
            .iter()
            .map(|column| column.clone().into_array(args.number_rows))
            .collect();
        let hashes = hashes(&columns?).map_err(|error| Error::Data {
            operator: self.operator.clone(),
            problem: error.to_string(),
        })?;
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(hashes))))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn one_column_has_its_own_hash() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        assert_eq!(
            hashes(&[column.clone()]).unwrap(),
            hash_array(&column).unwrap()
        );
    }

    #[test]
    fn members_do_not_cancel_and_their_order_counts() {
        let left: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 7, 9]));
        let right: ArrayRef = Arc::new(Int64Array::from(vec![2, 1, 7, 9]));
        let mut found = hashes(&[left.clone(), right.clone()]).unwrap();
        found.extend(hashes(&[right, left]).unwrap());
        // Rows 0 and 1 are each other's reverse, rows 2 and 3 the same either way.
        assert_eq!(found[0], found[5]);
        assert_eq!(found[1], found[4]);
        assert_ne!(found[0], found[1]);
        assert_ne!(found[2], found[3]);
        assert_eq!(found[2..4], found[6..8]);
    }
}
