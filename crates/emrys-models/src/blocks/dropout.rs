//! Dropout whose masks depend on the pass and the place in the model alone.

use burn::tensor::{Tensor, TensorData};

use crate::Pass;

/// Sets each element to zero with probability `rate` in training, and divides the others by
/// `1 - rate`; changes nothing in evaluation.
///
/// The mask is drawn on the host from the seed of the pass and the place of the block, never from
/// a generator that other code shares: a run that is resumed drops the same elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    rate: f32,
    seed: u64,
}

impl Dropout {
    /// `rate` in `[0, 1)`; `seed` is that of the place in the model.
    pub(super) fn new(rate: f32, seed: u64) -> Dropout {
        Dropout { rate, seed }
    }

    pub(super) fn forward<const D: usize>(self, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        if !pass.is_training() || self.rate == 0.0 {
            return x;
        }
        let shape = x.dims();
        let keep = 1.0 / (1.0 - self.rate);
        // The probability as a bound on the upper half of a 64-bit number.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the rate is in [0, 1)"
        )]
        let bound = (f64::from(self.rate) * 4_294_967_296.0) as u64;
        let start = splitmix(self.seed ^ splitmix(pass.seed()));
        let mask: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
            .map(|index| {
                if splitmix(start.wrapping_add(index)) >> 32 < bound {
                    0.0
                } else {
                    keep
                }
            })
            .collect();
        let mask = Tensor::<D>::from_data(TensorData::new(mask, shape), &x.device());
        x * mask
    }
}

/// One step of `SplitMix64` (Steele, Lea and Flood 2014) from `state`: a good hash of a counter.
fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_mask_depends_on_the_pass_and_keeps_the_mean() {
        let device = Device::default();
        let dropout = Dropout::new(0.25, 7);
        let drop = |seed| {
            let ones = Tensor::<2>::ones([100, 100], &device);
            dropout
                .forward(ones, &Pass::training(seed))
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
        };
        let mean = drop(1).iter().sum::<f32>() / 10_000.0;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(drop(1), drop(1));
        assert_ne!(drop(1), drop(2));
    }

    #[test]
    fn evaluation_changes_nothing() {
        let ones = Tensor::<2>::ones([3, 3], &Device::default());
        let out = Dropout::new(0.9, 7).forward(ones, &Pass::evaluation());
        assert_eq!(out.into_data().try_to_vec::<f32>().unwrap(), [1.0; 9]);
    }
}
