//! How parameters start: [`Initializer`].

use rand::Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};
use serde::{Deserialize, Serialize};

/// How the numbers of a parameter are drawn.
///
/// Numbers are drawn on the host from a generator that the model's seed determines, so the same
/// seed gives the same parameters on every device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Initializer {
    /// All zero.
    Zeros,
    /// All one number.
    Constant {
        /// The number.
        value: f32,
    },
    /// Uniform in `[low, high)`.
    Uniform {
        /// The least number.
        low: f32,
        /// The bound from above.
        high: f32,
    },
    /// Normal, with draws further than two standard deviations from the mean drawn again.
    TruncatedNormal {
        /// The mean.
        mean: f32,
        /// The standard deviation before truncation.
        std: f32,
    },
    /// Uniform in `[-l, l)` with `l = sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    GlorotUniform,
}

impl Initializer {
    /// Keras' default for embedding tables: uniform in `[-0.05, 0.05)`.
    pub const EMBEDDING: Initializer = Initializer::Uniform {
        low: -0.05,
        high: 0.05,
    };

    /// Fills `values` with draws; the fans are those of the matrix that `values` is (a part of).
    pub fn fill(self, values: &mut [f32], fan_in: usize, fan_out: usize, rng: &mut impl Rng) {
        match self {
            Initializer::Zeros => values.fill(0.0),
            Initializer::Constant { value } => values.fill(value),
            Initializer::Uniform { low, high } => fill_uniform(values, low, high, rng),
            Initializer::GlorotUniform => {
                let limit = (6.0 / (fan_in + fan_out) as f32).sqrt();
                fill_uniform(values, -limit, limit, rng);
            }
            Initializer::TruncatedNormal { mean, std } => {
                for value in values {
                    let mut draw: f32 = StandardNormal.sample(rng);
                    while draw.abs() > 2.0 {
                        draw = StandardNormal.sample(rng);
                    }
                    *value = mean + std * draw;
                }
            }
        }
    }
}

/// Where `low < high` does not hold, there is nothing to draw: all numbers are `low`.
fn fill_uniform(values: &mut [f32], low: f32, high: f32, rng: &mut impl Rng) {
    match Uniform::new(low, high) {
        Ok(uniform) => values.fill_with(|| uniform.sample(rng)),
        Err(_) => values.fill(low),
    }
}
