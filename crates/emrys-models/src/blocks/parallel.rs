//! [`Parallel`].

use std::collections::BTreeMap;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::children::Children;
use crate::{
    AnyTensor, Block, BlockSpec, BoxedBlock, Built, Pass, Problems, Result, RowShape, Scope,
    Signature, Spec, Value,
};

/// Blocks side by side; what
/// [`Compose::connect_branch`](crate::Compose::connect_branch) makes.
///
/// What a branch reads: if the input is a dictionary that has the name of *every* branch as a key,
/// each branch reads the tensor of its name; else each branch reads the whole input.
///
/// What comes out: a dictionary. A branch that gives one tensor puts it under the branch's name; a
/// branch that gives a dictionary adds its entries under their own names.
///
/// A branch that gives no tensors at all, such as
/// [`ContinuousFeatures`](super::ContinuousFeatures) on a schema without such columns, is left out.
///
/// # Shapes
/// - input: what all branches take
/// - output: named tensors
/// # Parameters
/// Those of the branches, each under its name, such as `branches.deep.layers.0.weight`.
/// # Errors
/// At build: no branches; what any branch reports; two entries of one name (Merlin keeps the later
/// one); a branch that gives a raw batch.
/// # Example
/// ```
/// use emrys_models::Compose;
/// use emrys_models::blocks::{Concat, Mlp, Parallel};
///
/// let deep = Mlp::new([64, 32]);
/// let wide = Mlp::linear(1);
/// let both = Parallel::new([("deep", deep), ("wide", wide)]).connect(Concat::new());
/// # let _ = both;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    branches: Vec<Branch>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    add_rest: bool,
}

/// A block of a [`Parallel`], under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    name: String,
    block: Spec,
}

impl<S: Into<Spec>> From<S> for Branch {
    /// A branch named as its block.
    fn from(block: S) -> Branch {
        let block = block.into();
        Branch {
            name: block.name().to_owned(),
            block,
        }
    }
}

impl<N: Into<String>, S: Into<Spec>> From<(N, S)> for Branch {
    /// A block under a name.
    fn from((name, block): (N, S)) -> Branch {
        Branch {
            name: name.into(),
            block: block.into(),
        }
    }
}

impl Parallel {
    /// These branches: blocks, or pairs of a name and a block.
    ///
    /// Later ones of equal names get `_1`, `_2` and so on appended.
    pub fn new(branches: impl IntoIterator<Item = impl Into<Branch>>) -> Parallel {
        let empty = Parallel {
            branches: Vec::new(),
            add_rest: false,
        };
        branches.into_iter().fold(empty, Parallel::with_branch)
    }

    /// One more branch.
    #[must_use]
    pub fn with_branch(mut self, branch: impl Into<Branch>) -> Parallel {
        let mut branch = branch.into();
        let taken = |name: &str| self.branches.iter().any(|other| other.name == name);
        if taken(&branch.name) {
            let mut number = 1;
            while taken(&format!("{}_{number}", branch.name)) {
                number += 1;
            }
            branch.name = format!("{}_{number}", branch.name);
        }
        self.branches.push(branch);
        self
    }

    /// Passes on the named inputs whose names are not among those of the branches' outputs.
    #[must_use]
    pub fn with_rest(mut self) -> Parallel {
        self.add_rest = true;
        self
    }
}

/// Adds what a branch gives to what the branches before it gave.
pub(super) fn merge_signature(
    merged: &mut BTreeMap<String, RowShape>,
    branch: &str,
    output: &Signature,
    scope: &Scope<'_>,
) -> Result<(), Problems> {
    let entries = match output {
        Signature::Tensor(shape) => BTreeMap::from([(branch.to_owned(), *shape)]),
        Signature::Dict(entries) => entries.clone(),
        Signature::Features(_) => {
            return Err(scope.problem(format!(
                "branch `{branch}` gives {output}, expected tensors; read it with \
                 ContinuousFeatures, Embeddings or Inputs"
            )));
        }
    };
    Problems::gather(entries.into_iter().map(|(name, shape)| {
        match merged.insert(name.clone(), shape) {
            None => Ok(()),
            Some(_) => Err(scope.problem(format!(
                "branch `{branch}` gives `{name}`, which a branch before gives too; rename one \
                 of the two"
            ))),
        }
    }))?;
    Ok(())
}

/// Adds what a branch gives to what the branches before it gave.
pub(super) fn merge(
    merged: &mut BTreeMap<String, AnyTensor>,
    branch: &str,
    output: Value,
    block: &'static str,
) -> Result<()> {
    match output {
        Value::Tensor(tensor) => {
            merged.insert(branch.to_owned(), tensor);
        }
        Value::Dict(entries) => merged.extend(entries),
        features @ Value::Features(_) => return Err(features.unexpected(block, "tensors")),
    }
    Ok(())
}

impl BlockSpec for Parallel {
    const NAME: &'static str = "parallel";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        if self.branches.is_empty() {
            return Err(scope.problem("there are no branches; give at least one"));
        }
        let entries = match input {
            Signature::Dict(entries) => Some(entries),
            _ => None,
        };
        let routed = entries.filter(|entries| {
            self.branches
                .iter()
                .all(|branch| entries.contains_key(&branch.name))
        });
        let built = Problems::gather(self.branches.iter().map(|branch| {
            let input = match routed {
                Some(entries) => &Signature::Tensor(entries[&branch.name]),
                None => input,
            };
            let built = scope.enter(&branch.name, |scope| branch.block.build(input, scope))?;
            Ok((branch.name.clone(), built))
        }))?;

        let mut output = BTreeMap::new();
        let mut blocks = Vec::new();
        let mut problems = Vec::new();
        for (name, built) in built {
            if matches!(&built.output, Signature::Dict(entries) if entries.is_empty()) {
                continue;
            }
            problems.push(merge_signature(&mut output, &name, &built.output, scope));
            blocks.push((name, built.block));
        }
        Problems::gather(problems)?;

        let mut rest = Vec::new();
        if self.add_rest {
            let Some(entries) = entries else {
                return Err(scope.problem(format!(
                    "expected named tensors to pass on the rest of, found {input}"
                )));
            };
            for (name, shape) in entries {
                if !output.contains_key(name) {
                    rest.push(name.clone());
                    output.insert(name.clone(), *shape);
                }
            }
        }
        let block = ParallelBlock {
            branches: Children::new(blocks),
            routed: routed.is_some(),
            rest,
        };
        Ok(Built::new(block, Signature::Dict(output)))
    }
}

#[derive(Module, Debug)]
struct ParallelBlock {
    branches: Children,
    /// Whether each branch reads the entry of its name.
    #[module(skip)]
    routed: bool,
    /// The inputs that are passed on.
    #[module(skip)]
    rest: Vec<String>,
}

impl Block for ParallelBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        let missing =
            |name: &str, entries: &BTreeMap<String, AnyTensor>| crate::Error::MissingEntry {
                block: Parallel::NAME,
                name: name.to_owned(),
                available: entries.keys().cloned().collect(),
            };
        let mut output = BTreeMap::new();
        for (name, block) in self.branches.iter() {
            let input = match &input {
                Value::Dict(entries) if self.routed => {
                    let entry = entries.get(name).cloned();
                    Value::Tensor(entry.ok_or_else(|| missing(name, entries))?)
                }
                other => other.clone(),
            };
            merge(
                &mut output,
                name,
                block.forward(input, pass)?,
                Parallel::NAME,
            )?;
        }
        if !self.rest.is_empty() {
            let mut entries = input.into_dict(Parallel::NAME)?;
            for name in &self.rest {
                let entry = entries
                    .remove(name)
                    .ok_or_else(|| missing(name, &entries))?;
                output.insert(name.clone(), entry);
            }
        }
        Ok(Value::Dict(output))
    }

    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        self.branches.get(name)
    }
}
