//! Adam.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::state::take_tensor;

/// `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
/// w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)`
#[derive(Clone)]
pub(super) struct Adam {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) epsilon: f64,
}

/// The moments `m` and `v`, and the number `t` of steps that the parameter took.
#[derive(Clone)]
pub(super) struct AdamState<const D: usize> {
    time: u64,
    m: Tensor<D>,
    v: Tensor<D>,
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let new_m = grad.clone().mul_scalar(1.0 - self.beta1);
        let new_v = grad.square().mul_scalar(1.0 - self.beta2);
        let state = match state {
            Some(AdamState { time, m, v }) => AdamState {
                time: time + 1,
                m: m.mul_scalar(self.beta1) + new_m,
                v: v.mul_scalar(self.beta2) + new_v,
            },
            None => AdamState {
                time: 1,
                m: new_m,
                v: new_v,
            },
        };
        let t = state.time as f64;
        let rate = lr * (1.0 - self.beta2.powf(t)).sqrt() / (1.0 - self.beta1.powf(t));
        let root = state.v.clone().sqrt().add_scalar(self.epsilon);
        let tensor = tensor - state.m.clone().mul_scalar(rate) / root;
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        AdamState {
            time: state.time,
            m: state.m.to_device(device),
            v: state.v.to_device(device),
        }
    }
}

impl<const D: usize> RecordState for AdamState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "time", self.time.into());
        out.push_tensor(prefix, "m", self.m.to_data());
        out.push_tensor(prefix, "v", self.v.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        Some(Self {
            time: src.take_scalar(prefix, "time")?.try_into().ok()?,
            m: take_tensor(prefix, "m", src, device)?,
            v: take_tensor(prefix, "v", src, device)?,
        })
    }
}
