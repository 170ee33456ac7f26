//! [`LogitsTemperature`].

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::elementwise::map_tensors;
use crate::{AnyTensor, Block, BlockSpec, Built, Pass, Problems, Result, Scope, Signature, Value};

/// Divides logits by a temperature: above 1 makes probabilities softer, below 1 sharper.
///
/// # Shapes
/// - input: a tensor, or named tensors
/// - output: the same
/// # Parameters
/// None.
/// # Formula
/// `x / temperature`
/// # Errors
/// At build: a temperature that is not above 0; the input is a raw batch.
/// # References
/// Merlin's `LogitsTemperatureScaler`, which in the releases of its tutorials divided the
/// *probabilities* of a binary task; the binary task of this crate has an option for that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitsTemperature {
    temperature: f32,
}

impl LogitsTemperature {
    /// Divides by `temperature`, which must be above 0.
    pub fn new(temperature: f32) -> LogitsTemperature {
        LogitsTemperature { temperature }
    }
}

impl BlockSpec for LogitsTemperature {
    const NAME: &'static str = "logits_temperature";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(scope.problem(format!(
                "temperature is {}, expected a finite number above 0",
                self.temperature
            )));
        }
        if let Signature::Features(_) = input {
            return Err(scope.problem(format!("expected tensors, found {input}")));
        }
        let block = LogitsTemperatureBlock {
            temperature: self.temperature,
        };
        Ok(Built::new(block, input.clone()))
    }
}

#[derive(Module, Debug)]
struct LogitsTemperatureBlock {
    #[module(skip)]
    temperature: f32,
}

impl Block for LogitsTemperatureBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        map_tensors(input, LogitsTemperature::NAME, |tensor| match tensor {
            AnyTensor::Rank2(x) => (x / self.temperature).into(),
            AnyTensor::Rank3(x) => (x / self.temperature).into(),
        })
    }
}
