//! Adam on touched rows.

use super::RowUpdate;

/// The slot of first moments.
pub(super) const M: &str = "m";
/// The slot of second moments.
pub(super) const V: &str = "v";

/// `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
/// w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)`
pub(super) struct LazyAdamRow {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    /// The learning rate with the bias correction of this step.
    rate: f32,
}

impl LazyAdamRow {
    pub(super) fn new(learning_rate: f64, betas: [f64; 2], epsilon: f64, step: u64) -> Self {
        let [beta1, beta2] = betas;
        let t = step as f64;
        let rate = learning_rate * (1.0 - beta2.powf(t)).sqrt() / (1.0 - beta1.powf(t));
        Self {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            epsilon: epsilon as f32,
            rate: rate as f32,
        }
    }
}

impl RowUpdate for LazyAdamRow {
    fn update(&self, gradient: &[f32], weights: &mut [f32], [first, second]: [&mut [f32]; 2]) {
        let moments = first.iter_mut().zip(second);
        for ((w, (m, v)), g) in weights.iter_mut().zip(moments).zip(gradient) {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *w -= self.rate * *m / (v.sqrt() + self.epsilon);
        }
    }
}
