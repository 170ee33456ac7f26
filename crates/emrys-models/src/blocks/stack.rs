//! [`Stack`].

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{
    AnyTensor, Block, BlockSpec, Built, Pass, Problems, Result, RowShape, Scope, Signature, Value,
};

/// Puts named vectors of one width on top of each other, in order of their names by code point.
///
/// # Shapes
/// - input: F named `[B, D]`
/// - output: `[B, F, D]`
/// # Errors
/// At build: no input; widths that differ; lists of vectors.
/// # References
/// Merlin's `stack` puts the fields on the last axis by default, `[B, D, F]`; this one is its
/// `axis=1`, which interactions need.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {}

impl Stack {
    /// The block; it has no options.
    pub fn new() -> Stack {
        Stack {}
    }
}

impl BlockSpec for Stack {
    const NAME: &'static str = "stack";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let (fields, width) = stack_shape(input, scope)?;
        Ok(Built::new(
            StackBlock {},
            Signature::Tensor(RowShape::Matrix(fields, width)),
        ))
    }
}

#[derive(Module, Debug)]
struct StackBlock {}

impl Block for StackBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        stack(input, Stack::NAME).map(Value::from)
    }
}

/// The number of fields and their common width.
pub(crate) fn stack_shape(
    input: &Signature,
    scope: &Scope<'_>,
) -> Result<(usize, usize), Problems> {
    let entries = match input {
        Signature::Tensor(RowShape::Matrix(fields, width)) => return Ok((*fields, *width)),
        Signature::Dict(entries) if !entries.is_empty() => entries,
        other => {
            return Err(scope.problem(format!(
                "expected named vectors [B, D] of one width, found {other}"
            )));
        }
    };
    let vectors = Problems::gather(entries.iter().map(|(name, shape)| match shape {
        RowShape::Vector(width) => Ok((name, *width)),
        RowShape::Matrix(..) => Err(scope.problem(format!(
            "`{name}` has shape {shape}, expected a vector [B, D]; pool its list first"
        ))),
    }))?;
    let (first_name, first) = vectors[0];
    match vectors.iter().find(|(_, width)| *width != first) {
        None => Ok((vectors.len(), first)),
        Some((name, width)) => Err(scope.problem(format!(
            "`{first_name}` is {first} wide but `{name}` is {width} wide; fields need equal \
             widths, give all embeddings one dim"
        ))),
    }
}

/// All fields on top of each other.
pub(crate) fn stack(input: Value, block: &'static str) -> Result<Tensor<3>> {
    match input {
        Value::Tensor(AnyTensor::Rank3(tensor)) => Ok(tensor),
        Value::Dict(entries)
            if !entries.is_empty()
                && entries
                    .values()
                    .all(|tensor| matches!(tensor, AnyTensor::Rank2(_))) =>
        {
            let fields: Vec<_> = entries.into_values().filter_map(AnyTensor::rank2).collect();
            let count = fields.len();
            let [batch, width] = fields[0].dims();
            // Side by side and then cut into fields: one copy for all of them.
            Ok(Tensor::cat(fields, 1).reshape([batch, count, width]))
        }
        other => Err(other.unexpected(block, "named vectors")),
    }
}
