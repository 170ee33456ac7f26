//! [`DotProductInteraction`].

use std::num::TryFromIntError;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::stack::{stack, stack_shape};
use crate::{Block, BlockSpec, Built, Pass, Problems, Result, RowShape, Scope, Signature, Value};

/// Pairwise dot products between fields, as in DLRM.
///
/// # Shapes
/// - input: `[B, F, D]`, or F named `[B, D]`, which are stacked in order of their names
/// - output: `[B, F * (F - 1) / 2]`: the pairs (0, 1), (0, 2), .., (1, 2), ..
/// # Parameters
/// None.
/// # Formula
/// `y[b, k] = <x[b, i], x[b, j]>` for the k-th pair `i < j`
/// # Errors
/// At build: fewer than two fields; widths that differ; lists of vectors.
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::blocks::DotProductInteraction;
/// use emrys_models::{Pass, RowShape, Signature, build};
///
/// let device = Device::default();
/// let input = Signature::Tensor(RowShape::Matrix(3, 2));
/// let block = build(DotProductInteraction::new(), &input, &device, 0)?.block;
/// let fields = Tensor::<3>::from_data([[[1.0, 0.0], [2.0, 3.0], [0.0, 4.0]]], &device);
/// let products = block.forward(fields, &Pass::evaluation())?.into_rank2("example")?;
/// assert_eq!(products.into_data().try_to_vec::<f32>().unwrap(), [2.0, 0.0, 12.0]);
/// # Ok::<(), emrys_models::Error>(())
/// ```
/// # References
/// Naumov et al. 2019, arXiv:1906.00091. The order of the pairs is that of Merlin; TensorFlow
/// Recommenders' layer goes through the lower triangle, which differs from four fields on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DotProductInteraction {}

impl DotProductInteraction {
    /// The block; it has no options.
    pub fn new() -> DotProductInteraction {
        DotProductInteraction {}
    }
}

impl BlockSpec for DotProductInteraction {
    const NAME: &'static str = "dot_product_interaction";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let (fields, _) = stack_shape(input, scope)?;
        if fields < 2 {
            return Err(scope.problem(format!(
                "there is {fields} field, expected at least 2: one alone has nothing to interact \
                 with"
            )));
        }
        let pairs = upper_triangle(fields).map_err(|_| {
            scope.problem(format!(
                "there are {fields} fields, more than pairs can be counted for"
            ))
        })?;
        let output = Signature::Tensor(RowShape::Vector(pairs.len()));
        Ok(Built::new(DotProductInteractionBlock { pairs }, output))
    }
}

/// The places of the pairs `i < j` in a matrix `[fields, fields]`, row by row.
fn upper_triangle(fields: usize) -> Result<Vec<i32>, TryFromIntError> {
    (0..fields)
        .flat_map(|i| (i + 1..fields).map(move |j| i32::try_from(i * fields + j)))
        .collect()
}

#[derive(Module, Debug)]
struct DotProductInteractionBlock {
    #[module(skip)]
    pairs: Vec<i32>,
}

impl Block for DotProductInteractionBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        let x = stack(input, DotProductInteraction::NAME)?;
        let [batch, fields, _] = x.dims();
        let products = x
            .clone()
            .matmul(x.transpose())
            .reshape([batch, fields * fields]);
        let pairs = TensorData::new(self.pairs.clone(), [self.pairs.len()]);
        let pairs = Tensor::<1, Int>::from_data(pairs, &products.device());
        Ok(products.select(1, pairs).into())
    }
}
