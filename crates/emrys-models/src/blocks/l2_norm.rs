//! [`L2Norm`].

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::elementwise::map_tensors;
use crate::{AnyTensor, Block, BlockSpec, Built, Pass, Problems, Result, Scope, Signature, Value};

/// Scales each vector to length 1.
///
/// # Shapes
/// - input: a tensor, or named tensors; the last axis is scaled
/// - output: the same
/// # Parameters
/// None.
/// # Formula
/// `x / sqrt(max(sum of x^2, 1e-12))`; a vector of zeros stays zero.
/// # Errors
/// At build: the input is a raw batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L2Norm {}

impl L2Norm {
    /// The block; it has no options.
    pub fn new() -> L2Norm {
        L2Norm {}
    }
}

/// Scales the vectors on the last axis to length 1.
pub(crate) fn l2_normalize<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let squares = x.clone().square().sum_dim(D - 1);
    x / squares.clamp_min(1e-12).sqrt()
}

impl BlockSpec for L2Norm {
    const NAME: &'static str = "l2_norm";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        match input {
            Signature::Features(_) => {
                Err(scope.problem(format!("expected tensors, found {input}")))
            }
            _ => Ok(Built::new(L2NormBlock {}, input.clone())),
        }
    }
}

#[derive(Module, Debug)]
struct L2NormBlock {}

impl Block for L2NormBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        map_tensors(input, L2Norm::NAME, |tensor| match tensor {
            AnyTensor::Rank2(x) => l2_normalize(x).into(),
            AnyTensor::Rank3(x) => l2_normalize(x).into(),
        })
    }
}
