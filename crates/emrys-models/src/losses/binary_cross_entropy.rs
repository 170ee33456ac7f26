//! Binary cross entropy, from logits and from probabilities.

use burn::tensor::Tensor;

/// The binary cross entropy of each row, from logits.
///
/// # Shapes
/// - logits `z`: `[B]`, labels `y`: `[B]`, each in `[0, 1]`
/// - output: `[B]`
/// # Formula
/// `z (1/2 - y) + |z| / 2 + ln(1 + exp(-|z|))`, which equals `-y ln s(z) - (1 - y) ln(1 - s(z))`
/// and is exact for every finite `z`. Written with `|z| / 2` instead of `max(z, 0)` because then
/// its derivative is `s(z) - y` at `z = 0` too, where models start.
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::losses::binary_cross_entropy;
///
/// let device = Device::default();
/// let logits = Tensor::<1>::from_floats([0.0, 500.0, 500.0], &device);
/// let labels = Tensor::<1>::from_floats([1.0, 1.0, 0.0], &device);
/// let loss: Vec<f32> = binary_cross_entropy(logits, labels).into_data().try_to_vec().unwrap();
/// assert_eq!(loss, [2f32.ln(), 0.0, 500.0]);
/// ```
pub fn binary_cross_entropy(logits: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
    let distance = logits.clone().abs();
    let tail = distance.clone().neg().exp().log1p();
    logits * (labels.neg() + 0.5) + distance * 0.5 + tail
}

/// The binary cross entropy of each row, from probabilities.
///
/// Only for models whose output is not a logit; [`binary_cross_entropy`] is exact where this one
/// rounds.
///
/// # Shapes
/// - probabilities `p`: `[B]`, labels `y`: `[B]`, each in `[0, 1]`
/// - output: `[B]`
/// # Formula
/// `-(y ln(p' + e) + (1 - y) ln(1 - p' + e))` with `p'` limited to `[e, 1 - e]` and `e = 1e-7`, as
/// Keras has it. Where the limit holds the gradient is 0.
pub fn binary_cross_entropy_of_probabilities(
    probabilities: Tensor<1>,
    labels: Tensor<1>,
) -> Tensor<1> {
    const EPSILON: f32 = 1e-7;
    let p = probabilities.clamp(EPSILON, 1.0 - EPSILON);
    let positive = labels.clone() * (p.clone() + EPSILON).log();
    let negative = (labels.neg() + 1.0) * (p.neg() + (1.0 + EPSILON)).log();
    (positive + negative).neg()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn host(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn it_equals_the_formula_in_f64_at_any_logit() {
        let device = Device::default();
        let logits = [
            -1e4, -88.0, -20.0, -1.5, -1e-6, 0.0, 1e-6, 0.3, 17.0, 100.0, 3e4f32,
        ];
        for label in [0.0, 0.25, 1.0f32] {
            let rows = binary_cross_entropy(
                Tensor::from_floats(logits, &device),
                Tensor::from_floats([label; 11], &device),
            );
            for (loss, logit) in host(rows).into_iter().zip(logits) {
                let z = f64::from(logit);
                let exact = z.max(0.0) - f64::from(label) * z + (-z.abs()).exp().ln_1p();
                let difference = (f64::from(loss) - exact).abs();
                assert!(
                    difference <= 2e-7 * exact.max(1e-30),
                    "{loss} is not {exact} at {z}"
                );
            }
        }
    }

    #[test]
    fn its_gradient_is_sigmoid_minus_label_also_at_zero() {
        let device = Device::default().autodiff();
        let values = [-200.0, -3.0, 0.0, 0.0, 2.0, 200.0f32];
        let labels = [0.0, 1.0, 0.0, 1.0, 0.5, 0.0f32];
        let logits = Tensor::<1>::from_floats(values, &device).require_grad();
        let rows = binary_cross_entropy(logits.clone(), Tensor::from_floats(labels, &device));
        let gradient = host(logits.grad(&rows.sum().backward()).unwrap());
        for ((gradient, z), y) in gradient.into_iter().zip(values).zip(labels) {
            let exact = 1.0 / (1.0 + (-f64::from(z)).exp()) - f64::from(y);
            assert!(
                (f64::from(gradient) - exact).abs() < 1e-6,
                "{gradient} is not {exact} at {z}"
            );
        }
    }

    #[test]
    fn probabilities_of_zero_and_one_stay_finite() {
        let device = Device::default();
        let rows = binary_cross_entropy_of_probabilities(
            Tensor::from_floats([0.0, 1.0, 0.5], &device),
            Tensor::from_floats([1.0, 0.0, 1.0], &device),
        );
        let rows = host(rows);
        assert!(
            rows[0] > 15.0 && rows[0] < 16.2 && rows[1] > 15.0 && rows[1] < 16.2,
            "{rows:?}"
        );
        assert!((rows[2] - 2f32.ln()).abs() < 1e-6);
    }
}
