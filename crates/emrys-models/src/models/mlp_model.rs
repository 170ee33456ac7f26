//! [`MlpModel`].

use serde::{Deserialize, Serialize};

use crate::blocks::{Embeddings, Inputs, Mlp};
use crate::{BlockSpec, Built, Compose, Problems, Scope, Signature};

/// All features side by side, through dense layers.
///
/// # Shapes
/// - input: a raw batch
/// - output: `[B, units of the last layer]`
/// # Parameters
/// Those of the layers; an embedding table per domain of a categorical column.
/// # Errors
/// At build: what [`Inputs`] and [`Mlp`] report.
/// # Example
/// ```
/// use emrys_models::blocks::{Embeddings, Mlp};
/// use emrys_models::models::MlpModel;
///
/// let body = MlpModel::new(Embeddings::inferred(), Mlp::new([128, 64]));
/// # let _ = body;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpModel {
    inputs: Inputs,
    layers: Mlp,
}

impl MlpModel {
    /// These embeddings and all continuous columns, through these layers.
    pub fn new(embeddings: Embeddings, layers: Mlp) -> MlpModel {
        MlpModel {
            inputs: Inputs::new(embeddings),
            layers,
        }
    }

    /// Other inputs.
    #[must_use]
    pub fn with_inputs(mut self, inputs: Inputs) -> MlpModel {
        self.inputs = inputs;
        self
    }
}

impl BlockSpec for MlpModel {
    const NAME: &'static str = "mlp_model";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let inputs = self.inputs.clone().named("inputs");
        inputs
            .connect(self.layers.clone().named("layers"))
            .build(input, scope)
    }
}
