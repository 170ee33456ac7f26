//! [`Activation`].

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// What follows a linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `x`.
    #[default]
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x * P(X <= x)` for a standard normal `X`, not its approximation by tanh.
    Gelu,
    /// The scaled exponential linear unit (Klambauer et al. 2017).
    Selu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `ln(1 + exp(x))`.
    Softplus,
}

impl Activation {
    /// Applies the function to every element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Linear => x,
            Activation::Relu => activation::relu(x),
            Activation::Sigmoid => activation::sigmoid(x),
            Activation::Tanh => activation::tanh(x),
            Activation::Gelu => activation::gelu(x),
            Activation::Selu => activation::selu(x),
            Activation::Silu => activation::silu(x),
            Activation::Softplus => activation::softplus(x, 1.0),
        }
    }
}
