//! The parameters of a model, without its embedding tables: [`Network`].

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Module;

use crate::blocks::Children;
use crate::{Block, BoxedBlock, Features, Pass, Result, Value};

/// The body of a model and the heads of its tasks, as one Burn module.
///
/// Parameters of the body are found under `body`, those of a task's head under `heads.<task>`.
#[derive(Module, Debug)]
pub struct Network {
    body: BoxedBlock,
    heads: Children,
}

impl Network {
    /// A body, and the heads of those tasks that have one.
    pub(crate) fn new(body: BoxedBlock, heads: Vec<(String, BoxedBlock)>) -> Network {
        Network {
            body,
            heads: Children::new(heads),
        }
    }

    /// Stands in for a network that is being changed.
    pub(crate) fn empty() -> Network {
        Network {
            body: BoxedBlock::new(Nothing {}),
            heads: Children::new(Vec::new()),
        }
    }

    /// What comes before the heads.
    pub fn body(&self) -> &BoxedBlock {
        &self.body
    }

    /// What the body and each head make of a batch.
    ///
    /// # Errors
    /// A column that a block reads is not in the batch.
    pub fn forward(&self, features: &Features, pass: &Pass) -> Result<Outputs> {
        let body = self.body.forward(features.clone(), pass)?;
        let mut heads = BTreeMap::new();
        for (task, head) in self.heads.iter() {
            heads.insert(task.to_owned(), head.forward(body.clone(), pass)?);
        }
        Ok(Outputs { body, heads })
    }
}

#[derive(Module, Debug)]
struct Nothing {}

impl Block for Nothing {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        Ok(input)
    }
}

/// What a model makes of a batch.
#[derive(Debug, Clone)]
pub struct Outputs {
    body: Value,
    heads: BTreeMap<String, Value>,
}

impl Outputs {
    /// What the body gives.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// What the head of a task gives; for a task without a head, what the body gives.
    pub fn get(&self, task: &str) -> &Value {
        self.heads.get(task).unwrap_or(&self.body)
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "body: {}", self.body)?;
        for (task, value) in &self.heads {
            write!(f, "\n{task}: {value}")?;
        }
        Ok(())
    }
}
