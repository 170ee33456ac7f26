//! Optimizers for the parameters of blocks.

mod adagrad;
mod adam;
mod sgd;
mod state;

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use self::adagrad::Adagrad;
use self::adam::Adam;
use self::sgd::Sgd;

pub use state::{load_dense_state, save_dense_state};

/// An optimizer for the parameters of blocks, with Keras' formulas.
///
/// | optimizer | formula |
/// |---|---|
/// | `Sgd` | `w -= lr * g` |
/// | `Sgd` with momentum | `m = momentum * m - lr * g; w += m` (Nesterov: `w += momentum * m - lr * g`) |
/// | `Adagrad` | `a += g^2; w -= lr * g / sqrt(a + epsilon)` |
/// | `Adam` | `w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)` |
///
/// These are not Burn's own: its Adagrad has no initial accumulator and adds epsilon to the root,
/// its Adam adds epsilon to the corrected moment, and its momentum does not contain the learning
/// rate, so that all three train differently from Keras' (the last once the rate changes).
///
/// # Example
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::optimizers::DenseOptimizer;
///
/// let device = Device::default().autodiff();
/// let layer = LinearConfig::new(3, 1).init(&device);
/// let before = layer.weight.val().into_data();
///
/// let config = DenseOptimizer::adam().with_learning_rate(0.01);
/// let mut optimizer = config.init();
/// let loss = layer.forward(Tensor::<2>::ones([2, 3], &device)).sum();
/// let gradients = GradientsParams::from_grads(loss.backward(), &layer);
/// let layer = optimizer.step(config.learning_rate(), layer, gradients);
/// assert_ne!(layer.weight.val().into_data(), before);
/// ```
/// # References
/// Duchi, Hazan and Singer 2011 (Adagrad); Kingma and Ba 2015, arXiv:1412.6980 (Adam).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum DenseOptimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Step size.
        learning_rate: f64,
        /// Share of the last step that is added to this one; 0 keeps no state.
        #[serde(default)]
        momentum: f64,
        /// Whether the step looks ahead (Nesterov).
        #[serde(default)]
        nesterov: bool,
    },
    /// Adagrad.
    Adagrad {
        /// Step size.
        learning_rate: f64,
        /// What every accumulator starts from.
        initial_accumulator: f64,
        /// Added to the accumulator, inside the root.
        epsilon: f64,
    },
    /// Adam.
    Adam {
        /// Step size.
        learning_rate: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the uncorrected second moment.
        epsilon: f64,
    },
}

impl DenseOptimizer {
    /// Stochastic gradient descent with learning rate 0.01 and no momentum.
    pub fn sgd() -> Self {
        Self::Sgd {
            learning_rate: 0.01,
            momentum: 0.0,
            nesterov: false,
        }
    }

    /// Adagrad with Keras' defaults: learning rate 0.001, accumulators from 0.1, epsilon 1e-7.
    pub fn adagrad() -> Self {
        Self::Adagrad {
            learning_rate: 0.001,
            initial_accumulator: 0.1,
            epsilon: 1e-7,
        }
    }

    /// Adam with Keras' defaults: learning rate 0.001, betas 0.9 and 0.999, epsilon 1e-7.
    pub fn adam() -> Self {
        Self::Adam {
            learning_rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
        }
    }

    /// The same optimizer with another learning rate.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        match &mut self {
            Self::Sgd { learning_rate, .. }
            | Self::Adagrad { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => *learning_rate = rate,
        }
        self
    }

    /// The learning rate, to be given to every step of the optimizer that [`init`](Self::init)
    /// makes.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Sgd { learning_rate, .. }
            | Self::Adagrad { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => learning_rate,
        }
    }

    /// The optimizer's name, as in its serialised form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adagrad { .. } => "adagrad",
            Self::Adam { .. } => "adam",
        }
    }

    /// Makes an optimizer without state for a whole module.
    pub fn init(&self) -> ModuleOptimizer {
        match self.rule() {
            Rule::Sgd(rule) => rule.into(),
            Rule::Adagrad(rule) => rule.into(),
            Rule::Adam(rule) => rule.into(),
        }
    }

    /// Gives the parameters of `group` to this optimizer, the others stay with `optimizer`.
    ///
    /// Burn's step takes one learning rate, or a
    /// [`ModuleLearningRate`](burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate) with
    /// one for each group.
    #[must_use]
    pub fn for_group(&self, group: ParamGroup, optimizer: ModuleOptimizer) -> ModuleOptimizer {
        match self.rule() {
            Rule::Sgd(rule) => optimizer.with_group(group, rule, None),
            Rule::Adagrad(rule) => optimizer.with_group(group, rule, None),
            Rule::Adam(rule) => optimizer.with_group(group, rule, None),
        }
    }

    fn rule(&self) -> Rule {
        match *self {
            Self::Sgd {
                momentum, nesterov, ..
            } => Rule::Sgd(Sgd { momentum, nesterov }),
            Self::Adagrad {
                initial_accumulator,
                epsilon,
                ..
            } => Rule::Adagrad(Adagrad {
                initial_accumulator,
                epsilon,
            }),
            Self::Adam {
                beta1,
                beta2,
                epsilon,
                ..
            } => Rule::Adam(Adam {
                beta1,
                beta2,
                epsilon,
            }),
        }
    }
}

/// An optimizer of Burn, which gets the learning rate at each step.
enum Rule {
    Sgd(Sgd),
    Adagrad(Adagrad),
    Adam(Adam),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_survive_json() {
        for optimizer in [
            DenseOptimizer::sgd(),
            DenseOptimizer::adagrad(),
            DenseOptimizer::adam().with_learning_rate(0.5),
        ] {
            let text = serde_json::to_string(&optimizer).unwrap();
            assert!(text.contains(optimizer.name()), "{text}");
            let back: DenseOptimizer = serde_json::from_str(&text).unwrap();
            assert_eq!(back, optimizer);
        }
    }

    #[test]
    fn momentum_may_be_left_out() {
        let text = r#"{"name": "sgd", "learning_rate": 0.01}"#;
        let optimizer: DenseOptimizer = serde_json::from_str(text).unwrap();
        assert_eq!(optimizer, DenseOptimizer::sgd());
    }
}
