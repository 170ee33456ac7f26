//! Adagrad on rows, one accumulator per row.

use super::RowUpdate;

/// The slot that holds the sum over steps of the row's mean squared gradient.
pub(super) const MEAN_SQUARES: &str = "sum_of_mean_squares";

/// `a += mean(g^2); w -= lr * g / (sqrt(a) + epsilon)`
///
/// As in [`super::adagrad`], the slot holds `a - initial_accumulator`.
pub(super) struct RowWiseAdagradRow {
    learning_rate: f32,
    initial_accumulator: f32,
    epsilon: f32,
}

impl RowWiseAdagradRow {
    pub(super) fn new(learning_rate: f64, initial_accumulator: f64, epsilon: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
            initial_accumulator: initial_accumulator as f32,
            epsilon: epsilon as f32,
        }
    }
}

impl RowUpdate for RowWiseAdagradRow {
    fn update(&self, gradient: &[f32], weights: &mut [f32], [accumulator, _]: [&mut [f32]; 2]) {
        let squares: f32 = gradient.iter().map(|g| g * g).sum();
        if squares == 0.0 {
            return;
        }
        accumulator[0] += squares / gradient.len() as f32;
        let root = (self.initial_accumulator + accumulator[0]).sqrt();
        let rate = self.learning_rate / (root + self.epsilon);
        for (w, g) in weights.iter_mut().zip(gradient) {
            *w -= rate * g;
        }
    }
}
