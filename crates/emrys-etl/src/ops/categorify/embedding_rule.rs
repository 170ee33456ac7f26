//! How wide an embedding of so many categories should be.

use emrys_schema::EmbeddingSize;
use serde::{Deserialize, Serialize};

/// Suggests the width of an embedding: `factor * cardinality ^ exponent`, rounded (halves to even)
/// and limited to `[min, max]`.
///
/// The default is NVTabular's rule: 1.6, 0.56, 16 and 512.
///
/// ```
/// use emrys_etl::ops::EmbeddingRule;
///
/// assert_eq!(EmbeddingRule::default().dimension(1_000), 77);
/// let narrow = EmbeddingRule { max: 32, ..EmbeddingRule::default() };
/// assert_eq!(narrow.dimension(1_000), 32);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingRule {
    /// The width for one category, before rounding.
    pub factor: f64,
    /// How fast the width grows.
    pub exponent: f64,
    /// The least width.
    pub min: u64,
    /// The greatest width.
    pub max: u64,
}

impl Default for EmbeddingRule {
    fn default() -> EmbeddingRule {
        EmbeddingRule {
            factor: 1.6,
            exponent: 0.56,
            min: 16,
            max: 512,
        }
    }
}

impl EmbeddingRule {
    /// The width for a number of ids.
    pub fn dimension(&self, cardinality: u64) -> u64 {
        let width = (self.factor * (cardinality as f64).powf(self.exponent)).round_ties_even();
        // Negative widths and NaN become 0, infinite ones the greatest number.
        (width as u64).max(self.min).min(self.max)
    }

    pub(super) fn size(&self, cardinality: u64) -> EmbeddingSize {
        EmbeddingSize {
            cardinality,
            dimension: self.dimension(cardinality),
        }
    }
}
