//! Adagrad on rows, one accumulator per weight.

use super::RowUpdate;

/// The slot that holds the sum of squared gradients.
pub(super) const SQUARES: &str = "sum_of_squares";

/// `a += g^2; w -= lr * g / sqrt(a + epsilon)`
///
/// The slot holds `a - initial_accumulator`, the plain sum of squares: it starts from zero, so a
/// table's state is made of untouched zero pages, whatever the accumulator starts from.
pub(super) struct AdagradRow {
    learning_rate: f32,
    offset: f32,
}

impl AdagradRow {
    pub(super) fn new(learning_rate: f64, initial_accumulator: f64, epsilon: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
            offset: (initial_accumulator + epsilon) as f32,
        }
    }
}

impl RowUpdate for AdagradRow {
    fn update(&self, gradient: &[f32], weights: &mut [f32], [squares, _]: [&mut [f32]; 2]) {
        for ((w, a), g) in weights.iter_mut().zip(squares).zip(gradient) {
            *a += g * g;
            // A gradient of 0 moves nothing, also when accumulator and epsilon are both 0.
            let step = g / (*a + self.offset).sqrt();
            *w -= if *g == 0.0 {
                0.0
            } else {
                self.learning_rate * step
            };
        }
    }
}
