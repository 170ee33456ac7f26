//! [`Inputs`].

use serde::{Deserialize, Serialize};

use super::{ContinuousFeatures, Embeddings, Parallel};
use crate::{BlockSpec, Built, Problems, Scope, Signature};

/// All features of a raw batch: embeddings of the categorical columns, and the continuous ones.
///
/// # Shapes
/// - input: a raw batch
/// - output: named tensors: for each categorical column its embedding, for each continuous column
///   its numbers
/// # Parameters
/// None; the tables of the embeddings live beside the blocks of a model.
/// # Errors
/// At build: the schema has neither categorical nor continuous columns; what
/// [`ContinuousFeatures`] and [`Embeddings`] report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    embeddings: Embeddings,
    continuous: ContinuousFeatures,
}

impl Inputs {
    /// These embeddings, and all continuous columns.
    pub fn new(embeddings: Embeddings) -> Inputs {
        Inputs {
            embeddings,
            continuous: ContinuousFeatures::new(),
        }
    }

    /// Other continuous columns.
    #[must_use]
    pub fn with_continuous(mut self, continuous: ContinuousFeatures) -> Inputs {
        self.continuous = continuous;
        self
    }
}

impl BlockSpec for Inputs {
    const NAME: &'static str = "inputs";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let built = Parallel::new([
            ("continuous", crate::Spec::from(self.continuous.clone())),
            ("embeddings", self.embeddings.clone().into()),
        ])
        .build(input, scope)?;
        match &built.output {
            Signature::Dict(entries) if entries.is_empty() => Err(scope.problem(format!(
                "the schema has neither categorical nor continuous columns (columns: {}); tag \
                 them in the workflow",
                match input {
                    Signature::Features(schema) => schema.names().join(", "),
                    other => other.to_string(),
                }
            ))),
            _ => Ok(built),
        }
    }
}
