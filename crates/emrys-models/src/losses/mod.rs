//! What training minimises: functions of `f32` tensors that autodiff can follow.
//!
//! Every loss is first one number a row; [`Reduction`] makes a scalar of it.
//!
//! | Loss | of | range |
//! |---|---|---|
//! | [`binary_cross_entropy`] | logits and labels in `[0, 1]` | 0 and up, nats |
//! | [`binary_cross_entropy_of_probabilities`] | probabilities and labels | 0 to about 16.1 a row |
//! | [`squared_error`] | predictions and labels | 0 and up |
//! | [`softmax_cross_entropy`] | logits over classes and the right class | 0 and up, nats |
//! | [`SampledSoftmax`] | queries, candidates and negatives | 0 and up, nats |

mod binary_cross_entropy;
mod sampled_softmax;
mod softmax_cross_entropy;
mod squared_error;

pub use binary_cross_entropy::{binary_cross_entropy, binary_cross_entropy_of_probabilities};
pub use sampled_softmax::{Candidates, FalseNegatives, SampledSoftmax};
pub use softmax_cross_entropy::softmax_cross_entropy;
pub use squared_error::squared_error;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How the losses of the rows of a batch become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The sum divided by the number of rows, whatever their weights (as Keras does).
    #[default]
    Mean,
    /// The sum, as TensorFlow Recommenders does; it grows with the batch, and good learning rates
    /// shrink with it.
    Sum,
}

impl Reduction {
    /// Reduces `rows` `[B]`, each multiplied by its weight if there are weights `[B]`, to `[1]`.
    ///
    /// # Example
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use emrys_models::losses::Reduction;
    ///
    /// let device = Device::default();
    /// let rows = Tensor::<1>::from_floats([1.0, 3.0], &device);
    /// let weights = Tensor::<1>::from_floats([1.0, 0.0], &device);
    /// assert_eq!(Reduction::Mean.apply(rows, Some(weights)).into_scalar::<f32>(), 0.5);
    /// ```
    pub fn apply(self, rows: Tensor<1>, weights: Option<Tensor<1>>) -> Tensor<1> {
        let rows = match weights {
            Some(weights) => rows * weights,
            None => rows,
        };
        match self {
            Self::Mean => rows.mean(),
            Self::Sum => rows.sum(),
        }
    }
}
