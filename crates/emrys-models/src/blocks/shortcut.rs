//! [`Shortcut`].

use std::collections::BTreeMap;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::Filter;
use super::parallel::{merge, merge_signature};
use crate::{
    Block, BlockSpec, BoxedBlock, Built, Pass, Problems, Result, Scope, Signature, Spec, Value,
};

/// A block beside its own input.
///
/// The result is a dictionary: what the block gives, under the name of the block, and the input.
/// An input that is one tensor stands under `shortcut`; named inputs that the filter keeps stand
/// under their own names.
///
/// # Shapes
/// - input: what the block takes
/// - output: named tensors
/// # Parameters
/// Those of the block, under `block`.
/// # Errors
/// At build: what the block or the filter reports; two entries of one name.
/// # Example
/// ```
/// use emrys_models::Compose;
/// use emrys_models::blocks::{Concat, DotProductInteraction, Filter, Shortcut};
///
/// // `[bottom (64) | dot products]`: what the top of DLRM reads.
/// let interaction = Shortcut::new(DotProductInteraction::new())
///     .with_filter(Filter::names(["bottom_block"]))
///     .connect(Concat::new());
/// # let _ = interaction;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortcut {
    block: Spec,
    filter: Filter,
}

const SHORTCUT: &str = "shortcut";

impl Shortcut {
    /// The block beside all of its input.
    pub fn new(block: impl Into<Spec>) -> Shortcut {
        Shortcut {
            block: block.into(),
            filter: Filter::all(),
        }
    }

    /// Which of the named inputs are passed on.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Shortcut {
        self.filter = filter;
        self
    }
}

impl BlockSpec for Shortcut {
    const NAME: &'static str = "shortcut";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let filter = (!self.filter.keeps_everything()).then(|| self.filter.clone());
        let kept = filter
            .as_ref()
            .map(|filter| scope.enter(SHORTCUT, |scope| filter.build(input, scope)));
        let name = self.block.name().to_owned();
        let block = scope.enter(&name, |scope| self.block.build(input, scope));
        let (kept, block) = Problems::both(kept.transpose(), block)?;
        let mut output = BTreeMap::new();
        merge_signature(&mut output, &name, &block.output, scope)?;
        let passed = kept.as_ref().map_or(input, |kept| &kept.output);
        merge_signature(&mut output, SHORTCUT, passed, scope)?;
        let block = ShortcutBlock {
            name,
            block: block.block,
            filter: kept.map(|kept| kept.block),
        };
        Ok(Built::new(block, Signature::Dict(output)))
    }
}

#[derive(Module, Debug)]
struct ShortcutBlock {
    #[module(skip)]
    name: String,
    block: BoxedBlock,
    filter: Option<BoxedBlock>,
}

impl Block for ShortcutBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        let passed = match &self.filter {
            None => input.clone(),
            Some(filter) => filter.forward(input.clone(), pass)?,
        };
        let mut output = BTreeMap::new();
        merge(
            &mut output,
            &self.name,
            self.block.forward(input, pass)?,
            Shortcut::NAME,
        )?;
        merge(&mut output, SHORTCUT, passed, Shortcut::NAME)?;
        Ok(Value::Dict(output))
    }

    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        (name == self.name).then_some(&self.block)
    }
}
