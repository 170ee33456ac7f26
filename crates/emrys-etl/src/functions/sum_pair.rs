//! Sums in twice the precision of `f64`.

use serde::{Deserialize, Serialize};

use crate::operator::any_float;

/// An unevaluated sum `high + low` of two doubles, with about 106 significant bits.
///
/// Plain sums of doubles depend on the order of the terms, and so on how data were partitioned
/// among threads. With twice the precision the order changes only bits that are rounded away in
/// the end. The error-free transformations are those of Knuth (two-sum) and Dekker (two-product,
/// here by fused multiply-add).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SumPair {
    #[serde(with = "any_float")]
    pub(crate) high: f64,
    #[serde(with = "any_float")]
    pub(crate) low: f64,
}

impl SumPair {
    /// Adds a number.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let (sum, error) = two_sum(self.high, value);
        *self = SumPair::normalised(sum, self.low + error);
    }

    /// Adds the square of a number.
    #[inline]
    pub(crate) fn add_square(&mut self, value: f64) {
        let square = value * value;
        self.merge(SumPair {
            high: square,
            low: value.mul_add(value, -square),
        });
    }

    /// Adds another sum.
    #[inline]
    pub(crate) fn merge(&mut self, other: SumPair) {
        let (sum, error) = two_sum(self.high, other.high);
        *self = SumPair::normalised(sum, error + self.low + other.low);
    }

    /// An integer, exactly.
    pub(crate) fn from_integer(value: i128) -> SumPair {
        let high = value as f64;
        // What is lost is less than 2^53 for integers of 64 bits.
        SumPair {
            high,
            low: (value - high as i128) as f64,
        }
    }

    /// The sum to 80 bits, which do not depend on the order of the terms but in one case among
    /// millions, so that it can be stored and compared. Not for sums that are subtracted from each
    /// other later.
    pub(crate) fn rounded(self) -> SumPair {
        if !self.high.is_finite() {
            return self;
        }
        // Adding and subtracting a number whose last place is 2^-80 of the sum rounds to there.
        let power = f64::from_bits(self.high.to_bits() & f64::INFINITY.to_bits());
        let coarse = 1.5 * power / f64::from(1 << 28);
        SumPair {
            high: self.high,
            low: (self.low + coarse) - coarse,
        }
    }

    /// The sum as a double.
    pub(crate) fn value(self) -> f64 {
        self.high + self.low
    }

    /// The sum divided by a number, in full precision.
    pub(crate) fn divided_by(self, divisor: f64) -> SumPair {
        let quotient = self.high / divisor;
        let remainder = (-quotient).mul_add(divisor, self.high) + self.low;
        SumPair::normalised(quotient, remainder / divisor)
    }

    /// The square of the sum, in full precision.
    pub(crate) fn squared(self) -> SumPair {
        let square = self.high * self.high;
        let error = self.high.mul_add(self.high, -square);
        SumPair::normalised(square, error + 2.0 * self.high * self.low)
    }

    /// The difference to another sum.
    pub(crate) fn minus(mut self, other: SumPair) -> SumPair {
        self.merge(SumPair {
            high: -other.high,
            low: -other.low,
        });
        self
    }

    #[inline]
    fn normalised(high: f64, low: f64) -> SumPair {
        // Infinite sums have no error term; `inf - inf` would make it NaN.
        if !high.is_finite() {
            return SumPair { high, low: 0.0 };
        }
        let sum = high + low;
        SumPair {
            high: sum,
            low: low - (sum - high),
        }
    }
}

#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    if !sum.is_finite() {
        return (sum, 0.0);
    }
    let other = sum - a;
    (sum, (a - (sum - other)) + (b - other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_doubles_lose_is_kept() {
        let mut sum = SumPair::default();
        for value in [1e16, 1.0, -1e16] {
            sum.add(value);
        }
        assert_eq!(sum.value(), 1.0);
    }

    #[test]
    fn the_order_of_terms_does_not_matter() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i).sin() * 1e9).collect();
        let sum = |values: &mut dyn Iterator<Item = &f64>| {
            let mut sum = SumPair::default();
            values.for_each(|value| sum.add(*value));
            sum.value()
        };
        assert_eq!(sum(&mut values.iter()), sum(&mut values.iter().rev()));
    }

    #[test]
    fn integers_are_exact() {
        for value in [i64::MAX, i64::MIN, (1 << 53) + 1, -1, 0] {
            let pair = SumPair::from_integer(i128::from(value));
            assert_eq!(pair.high as i128 + pair.low as i128, i128::from(value));
        }
    }

    #[test]
    fn rounding_keeps_the_double_and_forgets_noise() {
        let noisy = SumPair {
            high: 3.0,
            low: 1e-17 + 1e-33,
        };
        let rounded = noisy.rounded();
        assert_eq!(rounded.value(), noisy.value());
        assert!((rounded.low - 1e-17).abs() < 1e-23);
        assert_eq!(rounded, rounded.rounded());
        let infinite = SumPair {
            high: f64::INFINITY,
            low: 0.0,
        };
        assert_eq!(infinite.rounded(), infinite);
    }

    #[test]
    fn infinite_terms_stay_infinite() {
        let mut sum = SumPair::default();
        sum.add(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.value(), f64::INFINITY);
    }
}
