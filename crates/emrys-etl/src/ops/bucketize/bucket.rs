//! The binary search, as a function of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use crate::hash::hash_bytes;

/// The number of boundaries that are less than or equal to a value (`Float64`).
pub(super) fn bucket_of(boundaries: Vec<f64>, value: Expr) -> Expr {
    let bytes = boundaries
        .iter()
        .flat_map(|boundary| boundary.to_le_bytes());
    let function = BucketOf {
        name: format!("bucketize_{:016x}", hash_bytes(&bytes.collect::<Vec<u8>>())),
        boundaries,
        signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![value])
}

#[derive(Debug, PartialEq)]
struct BucketOf {
    /// Tells functions apart that are printed, so it depends on the boundaries.
    name: String,
    boundaries: Vec<f64>,
    signature: Signature,
}

impl Eq for BucketOf {}

impl Hash for BucketOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for BucketOf {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        let values = array.as_primitive::<Float64Type>();
        let bucket = |value: Option<f64>| {
            let bucket = match value {
                Some(value) if !value.is_nan() => self
                    .boundaries
                    .partition_point(|boundary| *boundary <= value),
                _ => self.boundaries.len(),
            };
            i32::try_from(bucket).unwrap_or(i32::MAX)
        };
        let buckets: Int32Array = values.iter().map(|value| Some(bucket(value))).collect();
        debug_assert_eq!(buckets.len(), array.len());
        Ok(ColumnarValue::Array(Arc::new(buckets)))
    }
}
