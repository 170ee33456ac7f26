//! Built blocks: [`Block`], and [`BoxedBlock`] that holds any of them.

use std::fmt::Debug;

use burn::module::Module;

use crate::erased::ErasedBlock;
use crate::{Result, Signature, Value};

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    training: bool,
    seed: u64,
}

impl Pass {
    /// Training: dropout drops. `seed` determines what is random; give another one at each step.
    pub const fn training(seed: u64) -> Pass {
        Pass {
            training: true,
            seed,
        }
    }

    /// Evaluation and prediction: nothing is random.
    pub const fn evaluation() -> Pass {
        Pass {
            training: false,
            seed: 0,
        }
    }

    /// Whether this is training.
    pub const fn is_training(&self) -> bool {
        self.training
    }

    /// What determines the random numbers of this pass.
    pub const fn seed(&self) -> u64 {
        self.seed
    }
}

/// A built block: parameters, and the function that they define.
///
/// Derive `burn::module::Module` for the struct and give it a `forward`; blocks inside of it are
/// [`BoxedBlock`]s, which are modules too, whatever they hold. Parameters have ranks of at most
/// 8, as everywhere in Burn; a block with a greater one does not compile:
///
/// ```compile_fail,E0080
/// use burn::module::{Module, Param};
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::{Block, BoxedBlock, Pass, Result, Value};
///
/// #[derive(Debug, Module)]
/// struct Volumes {
///     kernel: Param<Tensor<9>>,
/// }
///
/// impl Block for Volumes {
///     fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
///         Ok(input)
///     }
/// }
///
/// let kernel = Tensor::zeros([1; 9], &Device::default());
/// BoxedBlock::new(Volumes { kernel: Param::from_tensor(kernel) });
/// ```
pub trait Block: Module + Sync + 'static {
    /// Computes the output.
    ///
    /// # Errors
    /// [`Error::UnexpectedValue`](crate::Error::UnexpectedValue) if the input is of another kind
    /// than the block was built for, and what reading a raw batch gives.
    ///
    /// # Panics
    /// May panic if the widths of the input are not those that the block was built for.
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value>;

    /// The part of that name, for blocks that consist of named parts.
    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        let _ = name;
        None
    }
}

/// Any [`Block`], as a Burn module: optimizers, records, freezing and visitors of Burn see
/// through it.
#[derive(Debug, Clone)]
pub struct BoxedBlock {
    pub(crate) inner: Box<dyn ErasedBlock>,
}

impl BoxedBlock {
    /// Boxes a block.
    pub fn new(block: impl Block) -> BoxedBlock {
        BoxedBlock {
            inner: Box::new(block),
        }
    }

    /// Computes the output; see [`Block::forward`].
    ///
    /// # Errors
    /// As [`Block::forward`].
    pub fn forward(&self, input: impl Into<Value>, pass: &Pass) -> Result<Value> {
        self.inner.forward(input.into(), pass)
    }

    /// The part of that name, for blocks that consist of named parts.
    pub fn part(&self, name: &str) -> Option<&BoxedBlock> {
        self.inner.part(name)
    }
}

/// A block and the shape of what it gives.
#[derive(Debug, Clone)]
pub struct Built {
    /// The block.
    pub block: BoxedBlock,
    /// What it gives.
    pub output: Signature,
}

impl Built {
    /// Boxes a block.
    pub fn new(block: impl Block, output: Signature) -> Built {
        Built {
            block: BoxedBlock::new(block),
            output,
        }
    }
}
