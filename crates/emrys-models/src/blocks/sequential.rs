//! [`Sequential`].

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::children::Children;
use crate::{
    Block, BlockSpec, BoxedBlock, Built, Pass, Problems, Result, Scope, Signature, Spec, Value,
};

/// Blocks one after the other; what [`Compose::connect`](crate::Compose::connect) makes.
///
/// # Shapes
/// - input: that of the first block
/// - output: that of the last block
/// # Parameters
/// Those of the blocks, each under its name, or under `<position>_<type>` where it has none, such
/// as `1_mlp.layers.0.weight`.
/// # Errors
/// At build: no blocks; two blocks of one name; what the first block that cannot take its input
/// reports (what follows it is not checked, since its input is not known).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequential {
    blocks: Vec<Spec>,
}

impl Sequential {
    /// These blocks in order.
    pub fn new(blocks: impl IntoIterator<Item = Spec>) -> Sequential {
        let empty = Sequential { blocks: Vec::new() };
        blocks.into_iter().fold(empty, Sequential::then)
    }

    /// One more block at the end. An unnamed [`Sequential`] is taken apart, so that the paths of
    /// parameters do not depend on how a chain was put together.
    #[must_use]
    pub(crate) fn then(mut self, block: impl Into<Spec>) -> Sequential {
        let block = block.into();
        match block.downcast_unnamed::<Sequential>() {
            Some(chain) => self.blocks.extend(chain.blocks.iter().cloned()),
            None => self.blocks.push(block),
        }
        self
    }
}

impl BlockSpec for Sequential {
    const NAME: &'static str = "sequential";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        if self.blocks.is_empty() {
            return Err(scope.problem("there are no blocks; give at least one"));
        }
        let mut signature = input.clone();
        let mut blocks: Vec<(String, BoxedBlock)> = Vec::new();
        for (position, spec) in self.blocks.iter().enumerate() {
            let name = match spec.explicit_name() {
                Some(name) => name.to_owned(),
                None => format!("{position}_{}", spec.type_name()),
            };
            if blocks.iter().any(|(other, _)| *other == name) {
                return Err(scope.problem(format!(
                    "two blocks of a sequence are called `{name}`; give one another name"
                )));
            }
            let built = scope.enter(&name, |scope| spec.build(&signature, scope))?;
            signature = built.output;
            blocks.push((name, built.block));
        }
        Ok(Built::new(
            SequentialBlock {
                blocks: Children::new(blocks),
            },
            signature,
        ))
    }
}

#[derive(Module, Debug)]
struct SequentialBlock {
    blocks: Children,
}

impl Block for SequentialBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        self.blocks
            .iter()
            .try_fold(input, |value, (_, block)| block.forward(value, pass))
    }

    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        self.blocks.get(name)
    }
}
