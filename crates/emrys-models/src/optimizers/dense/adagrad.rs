//! Adagrad.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::state::take_tensor;

/// `a += g^2; w -= lr * g / sqrt(a + epsilon)`
#[derive(Clone)]
pub(super) struct Adagrad {
    pub(super) initial_accumulator: f64,
    pub(super) epsilon: f64,
}

/// The accumulator `a`.
#[derive(Clone)]
pub(super) struct AdagradState<const D: usize> {
    accumulator: Tensor<D>,
}

impl Optimizer for Adagrad {
    type State<const D: usize> = AdagradState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdagradState<D>>,
    ) -> (Tensor<D>, Option<AdagradState<D>>) {
        let squares = grad.clone().square();
        let accumulator = match state {
            Some(state) => state.accumulator + squares,
            None => squares.add_scalar(self.initial_accumulator),
        };
        let root = accumulator.clone().add_scalar(self.epsilon).sqrt();
        let tensor = tensor - grad.mul_scalar(lr) / root;
        (tensor, Some(AdagradState { accumulator }))
    }

    fn to_device<const D: usize>(state: AdagradState<D>, device: &Device) -> AdagradState<D> {
        AdagradState {
            accumulator: state.accumulator.to_device(device),
        }
    }
}

impl<const D: usize> RecordState for AdagradState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "accumulator", self.accumulator.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        Some(Self {
            accumulator: take_tensor(prefix, "accumulator", src, device)?,
        })
    }
}
