//! [`Concat`].

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{
    AnyTensor, Block, BlockSpec, Built, Pass, Problems, Result, RowShape, Scope, Signature, Value,
};

/// Puts named tensors side by side, in order of their names by code point.
///
/// A single tensor passes unchanged. Blocks that need one tensor, such as
/// [`Mlp`](super::Mlp), do this with a dictionary by themselves.
///
/// # Shapes
/// - input: named `[B, D_i]`, or named `[B, T, D_i]` of one length T
/// - output: `[B, sum of D_i]` or `[B, T, sum of D_i]`
/// # Errors
/// At build: no input; ranks or lengths that differ.
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::{Pass, Signature, RowShape, Value, blocks::Concat, build};
///
/// let input = Signature::dict([("b", RowShape::Vector(1)), ("a", RowShape::Vector(2))]);
/// let device = Device::default();
/// let block = build(Concat::new(), &input, &device, 0)?.block;
/// let value = Value::dict([
///     ("b", Tensor::<2>::from_data([[3.0]], &device)),
///     ("a", Tensor::<2>::from_data([[1.0, 2.0]], &device)),
/// ]);
/// let output = block.forward(value, &Pass::evaluation())?.into_rank2("example")?;
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
/// # Ok::<(), emrys_models::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

impl Concat {
    /// The block; it has no options.
    pub fn new() -> Concat {
        Concat {}
    }
}

impl BlockSpec for Concat {
    const NAME: &'static str = "concat";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let output = concat_shape(input, scope)?;
        Ok(Built::new(ConcatBlock {}, Signature::Tensor(output)))
    }
}

#[derive(Module, Debug)]
struct ConcatBlock {}

impl Block for ConcatBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        Ok(Value::Tensor(concat(input, Concat::NAME)?))
    }
}

/// The shape of all inputs side by side.
pub(crate) fn concat_shape(input: &Signature, scope: &Scope<'_>) -> Result<RowShape, Problems> {
    let entries = match input {
        Signature::Tensor(shape) => return Ok(*shape),
        Signature::Dict(entries) => entries,
        Signature::Features(_) => {
            return Err(scope.problem(format!(
                "expected tensors, found {input}; read it with ContinuousFeatures, Embeddings or \
                 Inputs first"
            )));
        }
    };
    let Some((first_name, first)) = entries.first_key_value() else {
        return Err(scope.problem(
            "there is nothing to put side by side; the blocks before give no tensors (no column \
             of the schema has the tags they look for?)",
        ));
    };
    let width = entries.values().map(|shape| shape.width()).sum();
    if let Some((name, shape)) = entries
        .iter()
        .find(|(_, shape)| shape.with_width(0) != first.with_width(0))
    {
        return Err(scope.problem(format!(
            "`{first_name}` has shape {first} but `{name}` has {shape}; tensors side by side need \
             equal shapes except for the last axis"
        )));
    }
    Ok(first.with_width(width))
}

/// All inputs side by side.
pub(crate) fn concat(input: Value, block: &'static str) -> Result<AnyTensor> {
    match input {
        Value::Tensor(tensor) => Ok(tensor),
        Value::Dict(entries) => concat_entries(entries, block),
        other @ Value::Features(_) => Err(other.unexpected(block, "tensors")),
    }
}

fn concat_entries(entries: BTreeMap<String, AnyTensor>, block: &'static str) -> Result<AnyTensor> {
    let all_vectors = entries
        .values()
        .all(|tensor| matches!(tensor, AnyTensor::Rank2(_)));
    let all_lists = entries
        .values()
        .all(|tensor| matches!(tensor, AnyTensor::Rank3(_)));
    if entries.is_empty() || !(all_vectors || all_lists) {
        return Err(Value::Dict(entries).unexpected(block, "named tensors of one rank"));
    }
    let tensors = entries.into_values();
    Ok(if all_vectors {
        AnyTensor::Rank2(side_by_side(tensors.filter_map(AnyTensor::rank2).collect()))
    } else {
        AnyTensor::Rank3(side_by_side(tensors.filter_map(AnyTensor::rank3).collect()))
    })
}

fn side_by_side<const D: usize>(mut tensors: Vec<Tensor<D>>) -> Tensor<D> {
    if tensors.len() == 1 {
        tensors.remove(0)
    } else {
        Tensor::cat(tensors, D - 1)
    }
}
