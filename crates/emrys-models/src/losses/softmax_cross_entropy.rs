//! Softmax cross entropy over classes.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// The softmax cross entropy of each row, from logits.
///
/// # Shapes
/// - logits: `[B, C]`, classes: `[B]`, each in `0..C`
/// - output: `[B]`
/// # Formula
/// `-sum over c of t_c log_softmax(z)_c` with the target `t = (1 - s) onehot + s / C` for label
/// smoothing `s`. The maximum of a row is subtracted before the exponential, so that no logit is
/// too large.
/// # Panics
/// If `label_smoothing` is not in `[0, 1)`.
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use emrys_models::losses::softmax_cross_entropy;
///
/// let device = Device::default();
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0], [1000.0, 0.0]], &device);
/// let classes = Tensor::<1, Int>::from_data([0, 0], &device);
/// let loss: Vec<f32> = softmax_cross_entropy(logits, classes, 0.0).into_data().try_to_vec().unwrap();
/// assert_eq!(loss, [2f32.ln(), 0.0]);
/// ```
/// # References
/// Szegedy et al. 2015, arXiv:1512.00567 (label smoothing).
pub fn softmax_cross_entropy(
    logits: Tensor<2>,
    classes: Tensor<1, Int>,
    label_smoothing: f32,
) -> Tensor<1> {
    assert!(
        (0.0..1.0).contains(&label_smoothing),
        "label smoothing lies in [0, 1)"
    );
    let log_probabilities = log_softmax(logits, 1);
    let right = log_probabilities
        .clone()
        .gather(1, classes.unsqueeze_dim(1))
        .squeeze_dim(1);
    if label_smoothing == 0.0 {
        return right.neg();
    }
    let all: Tensor<1> = log_probabilities.mean_dim(1).squeeze_dim(1);
    (right * (1.0 - label_smoothing) + all * label_smoothing).neg()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn smoothing_moves_weight_to_all_classes() {
        let device = Device::default();
        let logits = || Tensor::<2>::from_floats([[2.0, 0.0, -1.0, 0.5]], &device);
        let loss = |smoothing| {
            let classes = Tensor::<1, Int>::from_data([0], &device);
            softmax_cross_entropy(logits(), classes, smoothing).into_scalar::<f32>()
        };
        let log_p: Vec<f32> = log_softmax(logits(), 1).into_data().try_to_vec().unwrap();
        let target = [0.8 + 0.05, 0.05, 0.05, 0.05];
        let expected: f32 = -log_p
            .iter()
            .zip(target)
            .map(|(log_p, t)| log_p * t)
            .sum::<f32>();
        assert!((loss(0.2) - expected).abs() < 1e-6);
        assert!((loss(0.0) + log_p[0]).abs() < 1e-6);
    }
}
