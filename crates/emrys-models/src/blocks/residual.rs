//! [`Residual`].

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::Activation;
use crate::{
    AnyTensor, Block, BlockSpec, BoxedBlock, Built, Pass, Problems, Result, Scope, Signature, Spec,
    Value,
};

/// A block whose input is added to its output.
///
/// # Shapes
/// - input: `[B, D]` or `[B, T, D]`
/// - output: the same
/// # Parameters
/// Those of the block, under `block`.
/// # Formula
/// `activation(x + block(x))`
/// # Errors
/// At build: the input is not one tensor; the block gives another shape than it takes.
/// # References
/// He et al. 2016, arXiv:1512.03385. The activation is [`Activation::Linear`] by default, as in
/// Merlin's `connect_with_residual`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    block: Spec,
    #[serde(default)]
    activation: Activation,
}

impl Residual {
    /// The sum of a block's input and output.
    pub fn new(block: impl Into<Spec>) -> Residual {
        Residual {
            block: block.into(),
            activation: Activation::Linear,
        }
    }

    /// What follows the sum.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Residual {
        self.activation = activation;
        self
    }
}

impl BlockSpec for Residual {
    const NAME: &'static str = "residual";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        if !matches!(input, Signature::Tensor(_)) {
            return Err(scope.problem(format!(
                "expected one tensor to add to, found {input}; connect a Concat first"
            )));
        }
        let built = scope.enter(self.block.name(), |scope| self.block.build(input, scope))?;
        if built.output != *input {
            return Err(scope.problem(format!(
                "the block `{}` gives {} but takes {input}; the sum needs them equal",
                self.block.name(),
                built.output
            )));
        }
        let block = ResidualBlock {
            block: built.block,
            activation: self.activation,
        };
        Ok(Built::new(block, built.output))
    }
}

#[derive(Module, Debug)]
struct ResidualBlock {
    block: BoxedBlock,
    #[module(skip)]
    activation: Activation,
}

impl Block for ResidualBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        let output = self.block.forward(input.clone(), pass)?;
        match (input, output) {
            (Value::Tensor(AnyTensor::Rank2(x)), Value::Tensor(AnyTensor::Rank2(y))) => {
                Ok(self.activation.forward(x + y).into())
            }
            (Value::Tensor(AnyTensor::Rank3(x)), Value::Tensor(AnyTensor::Rank3(y))) => {
                Ok(self.activation.forward(x + y).into())
            }
            (_, output) => {
                Err(output.unexpected(Residual::NAME, "a tensor of the shape of the input"))
            }
        }
    }
}
