//! Stochastic gradient descent, with or without momentum.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::state::take_tensor;

/// `w -= lr * g`, or with momentum `m = momentum * m - lr * g; w += m` (Nesterov: `w += momentum *
/// m - lr * g`).
#[derive(Clone)]
pub(super) struct Sgd {
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
}

/// The last step, `m`.
#[derive(Clone)]
pub(super) struct SgdState<const D: usize> {
    momentum: Tensor<D>,
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let step = grad.mul_scalar(lr);
        if self.momentum == 0.0 {
            return (tensor - step, None);
        }
        let momentum = match state {
            Some(state) => state.momentum.mul_scalar(self.momentum) - step.clone(),
            None => step.clone().neg(),
        };
        let tensor = if self.nesterov {
            tensor + momentum.clone().mul_scalar(self.momentum) - step
        } else {
            tensor + momentum.clone()
        };
        (tensor, Some(SgdState { momentum }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState {
            momentum: state.momentum.to_device(device),
        }
    }
}

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "momentum", self.momentum.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        Some(Self {
            momentum: take_tensor(prefix, "momentum", src, device)?,
        })
    }
}
