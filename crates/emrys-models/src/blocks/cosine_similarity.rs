//! [`CosineSimilarity`].

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::elementwise::common_shape;
use super::l2_norm::l2_normalize;
use crate::{
    AnyTensor, Block, BlockSpec, Built, Pass, Problems, Result, RowShape, Scope, Signature, Value,
};

/// The cosine of the angle between two named vectors.
///
/// # Shapes
/// - input: two named `[B, D]`
/// - output: `[B, 1]`, in `[-1, 1]`; 0 where a vector is zero
/// # Parameters
/// None.
/// # Formula
/// `<l2(a), l2(b)>` with `l2` of [`L2Norm`](super::L2Norm)
/// # Errors
/// At build: another number of inputs than two; widths that differ; lists of vectors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineSimilarity {}

impl CosineSimilarity {
    /// The block; it has no options.
    pub fn new() -> CosineSimilarity {
        CosineSimilarity {}
    }
}

impl BlockSpec for CosineSimilarity {
    const NAME: &'static str = "cosine_similarity";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        match (common_shape(input, scope)?, input) {
            (RowShape::Vector(_), Signature::Dict(entries)) if entries.len() == 2 => {
                let output = Signature::Tensor(RowShape::Vector(1));
                Ok(Built::new(CosineSimilarityBlock {}, output))
            }
            _ => Err(scope.problem(format!(
                "expected exactly two named vectors [B, D], found {input}"
            ))),
        }
    }
}

#[derive(Module, Debug)]
struct CosineSimilarityBlock {}

impl Block for CosineSimilarityBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        let mut tensors = input.into_dict(CosineSimilarity::NAME)?.into_values();
        match (tensors.next(), tensors.next()) {
            (Some(AnyTensor::Rank2(a)), Some(AnyTensor::Rank2(b))) => {
                Ok((l2_normalize(a) * l2_normalize(b)).sum_dim(1).into())
            }
            (first, second) => {
                let found = first.into_iter().chain(second).enumerate();
                let found = Value::dict(found.map(|(index, tensor)| (index.to_string(), tensor)));
                Err(found.unexpected(CosineSimilarity::NAME, "two named vectors"))
            }
        }
    }
}
