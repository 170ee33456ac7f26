//! [`Mlp`].

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module::linear};
use serde::{Deserialize, Serialize};

use super::concat::{concat, concat_shape};
use super::dropout::Dropout;
use super::{Activation, Filter};
use crate::{
    AnyTensor, Block, BlockSpec, Built, Initializer, Pass, Problems, Result, Scope, Signature,
    Value,
};

/// Dense layers one after the other.
///
/// Several named tensors are first put side by side in order of their names. On lists of vectors
/// the layers are applied at each position.
///
/// # Shapes
/// - input: `[B, D]` or `[B, T, D]`, or named tensors that [`Concat`](super::Concat) takes
/// - output: the same with the last number of units instead of D
/// # Parameters
/// For each layer `layers.<i>.weight` `[in, out]`, from Glorot's uniform distribution as in Keras,
/// and `layers.<i>.bias` `[out]`, zero.
/// # Formula
/// `x <- dropout(activation(x W + b))`, once per layer.
/// # Training and evaluation
/// Dropout acts in training only. Its masks depend on the seed of the [`Pass`] and on the block's
/// place in the model.
/// # Errors
/// At build: no layers; a layer of no units; another number of activations than of layers; a
/// dropout rate outside of `[0, 1)`; inputs that cannot be put side by side.
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::blocks::{Activation, Mlp};
/// use emrys_models::{Pass, RowShape, Signature, build};
///
/// let mlp = Mlp::new([64, 32]).with_last_linear();
/// let device = Device::default();
/// let built = build(mlp, &Signature::Tensor(RowShape::Vector(10)), &device, 42)?;
/// assert_eq!(built.output, Signature::Tensor(RowShape::Vector(32)));
/// let output = built.block.forward(Tensor::<2>::ones([5, 10], &device), &Pass::evaluation())?;
/// assert_eq!(output.into_rank2("example")?.dims(), [5, 32]);
/// # Ok::<(), emrys_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    units: Vec<usize>,
    #[serde(default = "Activations::relu")]
    activation: Activations,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    dropout: f32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    last_linear: bool,
    #[serde(default = "glorot")]
    kernel_initializer: Initializer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
}

/// One activation for all layers, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Activations {
    All(Activation),
    Each(Vec<Activation>),
}

impl Activations {
    fn relu() -> Activations {
        Activations::All(Activation::Relu)
    }
}

fn yes() -> bool {
    true
}

fn glorot() -> Initializer {
    Initializer::GlorotUniform
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(rate: &f32) -> bool {
    *rate == 0.0
}

impl Mlp {
    /// Layers of that many units, with biases, each followed by [`Activation::Relu`].
    pub fn new(units: impl Into<Vec<usize>>) -> Mlp {
        Mlp {
            units: units.into(),
            activation: Activations::relu(),
            bias: true,
            dropout: 0.0,
            last_linear: false,
            kernel_initializer: glorot(),
            filter: None,
        }
    }

    /// One linear layer: no activation follows it.
    pub fn linear(units: usize) -> Mlp {
        Mlp::new([units]).with_activation(Activation::Linear)
    }

    /// What follows each layer.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Mlp {
        self.activation = Activations::All(activation);
        self
    }

    /// What follows each layer, one for each of them.
    #[must_use]
    pub fn with_activations(mut self, activations: impl Into<Vec<Activation>>) -> Mlp {
        self.activation = Activations::Each(activations.into());
        self
    }

    /// No biases.
    #[must_use]
    pub fn without_bias(mut self) -> Mlp {
        self.bias = false;
        self
    }

    /// The probability, in `[0, 1)`, that an element is dropped in training; 0 by default.
    #[must_use]
    pub fn with_dropout(mut self, rate: f32) -> Mlp {
        self.dropout = rate;
        self
    }

    /// Nothing follows the last layer: neither activation nor dropout.
    #[must_use]
    pub fn with_last_linear(mut self) -> Mlp {
        self.last_linear = true;
        self
    }

    /// How the weights start; [`Initializer::GlorotUniform`] by default.
    #[must_use]
    pub fn with_kernel_initializer(mut self, initializer: Initializer) -> Mlp {
        self.kernel_initializer = initializer;
        self
    }

    /// Which of the named inputs are read; all by default.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Mlp {
        self.filter = Some(filter);
        self
    }

    /// The units of the layers.
    pub fn units(&self) -> &[usize] {
        &self.units
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Problems> {
        let mut checks = Vec::new();
        if self.units.is_empty() {
            checks.push("there are no layers; give the units of at least one".to_owned());
        }
        if let Some(layer) = self.units.iter().position(|units| *units == 0) {
            checks.push(format!("layer {layer} has 0 units, expected at least 1"));
        }
        if let Activations::Each(each) = &self.activation
            && each.len() != self.units.len()
        {
            checks.push(format!(
                "there are {} activations for {} layers; give one for each layer, or one for all",
                each.len(),
                self.units.len()
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            checks.push(format!(
                "dropout is {}, expected a rate in [0, 1)",
                self.dropout
            ));
        }
        Problems::gather(checks.into_iter().map(|check| Err(scope.problem(check)))).map(drop_all)
    }

    fn activation(&self, layer: usize) -> Activation {
        match &self.activation {
            _ if self.last_linear && layer + 1 == self.units.len() => Activation::Linear,
            Activations::All(activation) => *activation,
            Activations::Each(each) => each[layer],
        }
    }
}

fn drop_all(_: Vec<()>) {}

impl BlockSpec for Mlp {
    const NAME: &'static str = "mlp";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        if let Some(filter) = &self.filter {
            let unfiltered = Mlp {
                filter: None,
                ..self.clone()
            };
            return crate::Compose::connect(filter.clone(), unfiltered).build(input, scope);
        }
        let ((), input) = Problems::both(self.check(scope), concat_shape(input, scope))?;
        let mut width = input.width();
        let layers = self.units.iter().enumerate().map(|(index, units)| {
            let is_last = index + 1 == self.units.len();
            let rate = if self.last_linear && is_last {
                0.0
            } else {
                self.dropout
            };
            let name = |parameter: &str| format!("layers.{index}.{parameter}");
            let fan_in = std::mem::replace(&mut width, *units);
            Dense {
                weight: scope.matrix(&name("weight"), [fan_in, *units], self.kernel_initializer),
                bias: self
                    .bias
                    .then(|| scope.vector(&name("bias"), *units, Initializer::Zeros)),
                activation: self.activation(index),
                dropout: Dropout::new(rate, scope.seed(&name("dropout"))),
            }
        });
        let block = MlpBlock {
            layers: layers.collect(),
        };
        Ok(Built::new(
            block,
            Signature::Tensor(input.with_width(width)),
        ))
    }
}

#[derive(Module, Debug)]
struct MlpBlock {
    layers: Vec<Dense>,
}

#[derive(Module, Debug)]
struct Dense {
    /// `[in, out]`.
    weight: Param<Tensor<2>>,
    /// `[out]`.
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    dropout: Dropout,
}

impl Dense {
    fn forward<const D: usize>(&self, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        let x = linear(x, self.weight.val(), self.bias.as_ref().map(Param::val));
        self.dropout.forward(self.activation.forward(x), pass)
    }
}

impl MlpBlock {
    fn through_all<const D: usize>(&self, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        self.layers
            .iter()
            .fold(x, |x, layer| layer.forward(x, pass))
    }
}

impl Block for MlpBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        Ok(match concat(input, Mlp::NAME)? {
            AnyTensor::Rank2(x) => self.through_all(x, pass).into(),
            AnyTensor::Rank3(x) => self.through_all(x, pass).into(),
        })
    }
}
