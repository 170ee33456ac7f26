//! Stochastic gradient descent on rows.

use super::RowUpdate;

/// `w -= lr * g`
pub(super) struct SgdRow {
    learning_rate: f32,
}

impl SgdRow {
    pub(super) fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
        }
    }
}

impl RowUpdate for SgdRow {
    fn update(&self, gradient: &[f32], weights: &mut [f32], _slots: [&mut [f32]; 2]) {
        for (w, g) in weights.iter_mut().zip(gradient) {
            *w -= self.learning_rate * g;
        }
    }
}
