//! Optimizers that update only the looked-up rows of an embedding table.

mod adagrad;
mod lazy_adam;
mod row_wise_adagrad;
mod sgd;

use serde::{Deserialize, Serialize};

use self::adagrad::AdagradRow;
use self::lazy_adam::LazyAdamRow;
use self::row_wise_adagrad::RowWiseAdagradRow;
use self::sgd::SgdRow;

/// An optimizer for embedding rows: gradients of repeated ids are summed, then every touched row
/// gets exactly one update; all other rows keep their weights and state bit for bit.
///
/// | optimizer | state per row | formula for a touched row with summed gradient `g` |
/// |---|---|---|
/// | `Sgd` | none | `w -= lr * g` |
/// | `Adagrad` | `dim` numbers | `a += g^2; w -= lr * g / sqrt(a + epsilon)` |
/// | `RowWiseAdagrad` | 1 number | `a += mean(g^2); w -= lr * g / (sqrt(a) + epsilon)` |
/// | `LazyAdam` | `2 * dim` numbers | Adam's, with the global step `t` in its bias correction |
///
/// # Example
/// ```
/// use emrys_models::optimizers::SparseOptimizer;
///
/// let optimizer = SparseOptimizer::adagrad().with_learning_rate(0.05);
/// assert_eq!(optimizer.learning_rate(), 0.05);
/// assert_eq!(optimizer.name(), "adagrad");
/// ```
/// # References
/// Duchi, Hazan and Singer 2011 (Adagrad); Kingma and Ba 2015, arXiv:1412.6980 (Adam); Mudigere et
/// al. 2022, arXiv:2104.05158 (row-wise Adagrad, as in FBGEMM's `EXACT_ROWWISE_ADAGRAD`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SparseOptimizer {
    /// Stochastic gradient descent, without momentum: momentum would move rows that no one looked
    /// up.
    Sgd {
        /// Step size.
        learning_rate: f64,
    },
    /// Adagrad with one accumulator per weight.
    Adagrad {
        /// Step size.
        learning_rate: f64,
        /// What every accumulator starts from; Keras' 0.1 damps the first steps.
        initial_accumulator: f64,
        /// Added to the accumulator, inside the root (Keras 2.11 and later).
        epsilon: f64,
    },
    /// Adagrad with one accumulator per row: the state of a table is `1 / dim` of its weights.
    RowWiseAdagrad {
        /// Step size.
        learning_rate: f64,
        /// What every accumulator starts from.
        initial_accumulator: f64,
        /// Added to the root of the accumulator (FBGEMM).
        epsilon: f64,
    },
    /// Adam on touched rows: moments of other rows do not decay, and those rows do not move.
    LazyAdam {
        /// Step size.
        learning_rate: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the uncorrected second moment (Keras).
        epsilon: f64,
    },
}

/// What an optimizer keeps per row: a name for files and the number of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    pub(crate) width: usize,
}

/// The update of one row. `slots` are the row's parts of the optimizer's slots, in the order of
/// [`SparseOptimizer::slots`]; a slot that the optimizer lacks is empty.
pub(crate) trait RowUpdate: Sync {
    fn update(&self, gradient: &[f32], weights: &mut [f32], slots: [&mut [f32]; 2]);
}

impl SparseOptimizer {
    /// Stochastic gradient descent with learning rate 0.01.
    pub fn sgd() -> Self {
        Self::Sgd {
            learning_rate: 0.01,
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

    /// Row-wise Adagrad with FBGEMM's defaults: learning rate 0.01, accumulators from 0, epsilon
    /// 1e-8.
    pub fn row_wise_adagrad() -> Self {
        Self::RowWiseAdagrad {
            learning_rate: 0.01,
            initial_accumulator: 0.0,
            epsilon: 1e-8,
        }
    }

    /// Lazy Adam with Keras' defaults: learning rate 0.001, betas 0.9 and 0.999, epsilon 1e-7.
    pub fn lazy_adam() -> Self {
        Self::LazyAdam {
            learning_rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
        }
    }

    /// The same optimizer with another learning rate; a schedule calls this before each step.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        match &mut self {
            Self::Sgd { learning_rate }
            | Self::Adagrad { learning_rate, .. }
            | Self::RowWiseAdagrad { learning_rate, .. }
            | Self::LazyAdam { learning_rate, .. } => *learning_rate = rate,
        }
        self
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Sgd { learning_rate }
            | Self::Adagrad { learning_rate, .. }
            | Self::RowWiseAdagrad { learning_rate, .. }
            | Self::LazyAdam { learning_rate, .. } => learning_rate,
        }
    }

    /// The optimizer's name, as in its serialised form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adagrad { .. } => "adagrad",
            Self::RowWiseAdagrad { .. } => "row_wise_adagrad",
            Self::LazyAdam { .. } => "lazy_adam",
        }
    }

    /// The state that a table of width `dim` needs per row.
    pub(crate) fn slots(&self, dim: usize) -> Vec<Slot> {
        let slot = |name, width| Slot { name, width };
        match self {
            Self::Sgd { .. } => vec![],
            Self::Adagrad { .. } => vec![slot(adagrad::SQUARES, dim)],
            Self::RowWiseAdagrad { .. } => vec![slot(row_wise_adagrad::MEAN_SQUARES, 1)],
            Self::LazyAdam { .. } => vec![slot(lazy_adam::M, dim), slot(lazy_adam::V, dim)],
        }
    }

    /// Calls `apply` with the row update of global step `step` (the first step is 1).
    ///
    /// The optimizer is chosen here, once per step, so that the loop over rows is compiled for
    /// each of them.
    pub(crate) fn with_row_update(&self, step: u64, apply: impl RowUpdateVisitor) {
        match *self {
            Self::Sgd { learning_rate } => apply.visit(&SgdRow::new(learning_rate)),
            Self::Adagrad {
                learning_rate,
                initial_accumulator,
                epsilon,
            } => apply.visit(&AdagradRow::new(
                learning_rate,
                initial_accumulator,
                epsilon,
            )),
            Self::RowWiseAdagrad {
                learning_rate,
                initial_accumulator,
                epsilon,
            } => apply.visit(&RowWiseAdagradRow::new(
                learning_rate,
                initial_accumulator,
                epsilon,
            )),
            Self::LazyAdam {
                learning_rate,
                beta1,
                beta2,
                epsilon,
            } => apply.visit(&LazyAdamRow::new(
                learning_rate,
                [beta1, beta2],
                epsilon,
                step,
            )),
        }
    }
}

/// A loop over rows that is generic in the row update (closures cannot be).
pub(crate) trait RowUpdateVisitor {
    fn visit<R: RowUpdate>(self, rule: &R);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_survive_json() {
        for optimizer in [
            SparseOptimizer::sgd(),
            SparseOptimizer::adagrad(),
            SparseOptimizer::row_wise_adagrad().with_learning_rate(0.5),
            SparseOptimizer::lazy_adam(),
        ] {
            let text = serde_json::to_string(&optimizer).unwrap();
            assert!(text.contains(optimizer.name()), "{text}");
            let back: SparseOptimizer = serde_json::from_str(&text).unwrap();
            assert_eq!(back, optimizer);
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let text = r#"{"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}"#;
        assert!(serde_json::from_str::<SparseOptimizer>(text).is_err());
    }
}
