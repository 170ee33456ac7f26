//! [`ElementwiseSum`] and [`ElementwiseProduct`].

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{
    AnyTensor, Block, BlockSpec, Built, Pass, Problems, Result, RowShape, Scope, Signature, Value,
};

/// Adds named tensors of one shape.
///
/// # Shapes
/// - input: named `[B, D]` or named `[B, T, D]`
/// - output: `[B, D]` or `[B, T, D]`
/// # Parameters
/// None.
/// # Errors
/// At build: no input; shapes that differ; one tensor without a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementwiseSum {}

impl ElementwiseSum {
    /// The block; it has no options.
    pub fn new() -> ElementwiseSum {
        ElementwiseSum {}
    }
}

impl BlockSpec for ElementwiseSum {
    const NAME: &'static str = "elementwise_sum";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let output = Signature::Tensor(common_shape(input, scope)?);
        Ok(Built::new(ElementwiseSumBlock {}, output))
    }
}

#[derive(Module, Debug)]
struct ElementwiseSumBlock {}

impl Block for ElementwiseSumBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        reduce(input, ElementwiseSum::NAME, Tensor::add, Tensor::add)
    }
}

/// Multiplies named tensors of one shape element by element.
///
/// # Shapes
/// - input: named `[B, D]` or named `[B, T, D]`
/// - output: `[B, D]` or `[B, T, D]`
/// # Parameters
/// None.
/// # Errors
/// At build: no input; shapes that differ; one tensor without a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementwiseProduct {}

impl ElementwiseProduct {
    /// The block; it has no options.
    pub fn new() -> ElementwiseProduct {
        ElementwiseProduct {}
    }
}

impl BlockSpec for ElementwiseProduct {
    const NAME: &'static str = "elementwise_product";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let output = Signature::Tensor(common_shape(input, scope)?);
        Ok(Built::new(ElementwiseProductBlock {}, output))
    }
}

#[derive(Module, Debug)]
struct ElementwiseProductBlock {}

impl Block for ElementwiseProductBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        reduce(input, ElementwiseProduct::NAME, Tensor::mul, Tensor::mul)
    }
}

/// The one shape of all named inputs.
pub(super) fn common_shape(input: &Signature, scope: &Scope<'_>) -> Result<RowShape, Problems> {
    let first = match input {
        Signature::Dict(entries) => entries.first_key_value().map(|first| (first, entries)),
        _ => None,
    };
    let Some(((first_name, first), entries)) = first else {
        return Err(scope.problem(format!("expected named tensors, found {input}")));
    };
    match entries.iter().find(|(_, shape)| *shape != first) {
        None => Ok(*first),
        Some((name, shape)) => Err(scope.problem(format!(
            "`{first_name}` has shape {first} but `{name}` has {shape}; the shapes must be equal"
        ))),
    }
}

/// Combines all named inputs in order of their names.
fn reduce(
    input: Value,
    block: &'static str,
    vectors: fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
    lists: fn(Tensor<3>, Tensor<3>) -> Tensor<3>,
) -> Result<Value> {
    let mut tensors = input.into_dict(block)?.into_values();
    let empty = || Value::Dict([].into()).unexpected(block, "named tensors of one shape");
    let first = tensors.next().ok_or_else(empty)?;
    let sum = tensors.try_fold(first, |sum, next| match (sum, next) {
        (AnyTensor::Rank2(sum), AnyTensor::Rank2(next)) => Ok(vectors(sum, next).into()),
        (AnyTensor::Rank3(sum), AnyTensor::Rank3(next)) => Ok(lists(sum, next).into()),
        (_, next) => Err(Value::Tensor(next).unexpected(block, "named tensors of one shape")),
    })?;
    Ok(Value::Tensor(sum))
}

/// Changes each tensor of a value.
pub(super) fn map_tensors(
    input: Value,
    block: &'static str,
    change: impl Fn(AnyTensor) -> AnyTensor,
) -> Result<Value> {
    match input {
        Value::Tensor(tensor) => Ok(Value::Tensor(change(tensor))),
        Value::Dict(entries) => Ok(Value::Dict(
            entries
                .into_iter()
                .map(|(name, tensor)| (name, change(tensor)))
                .collect(),
        )),
        features @ Value::Features(_) => Err(features.unexpected(block, "tensors")),
    }
}
