//! Squared error.

use burn::tensor::Tensor;

/// The squared difference of each row; its mean is the MSE.
///
/// # Shapes
/// - predictions: `[B]`, labels: `[B]`
/// - output: `[B]`
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::losses::{Reduction, squared_error};
///
/// let device = Device::default();
/// let predictions = Tensor::<1>::from_floats([1.0, 4.0], &device);
/// let labels = Tensor::<1>::from_floats([1.0, 2.0], &device);
/// let mse = Reduction::Mean.apply(squared_error(predictions, labels), None);
/// assert_eq!(mse.into_scalar::<f32>(), 2.0);
/// ```
pub fn squared_error(predictions: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
    let difference = predictions - labels;
    difference.clone() * difference
}
