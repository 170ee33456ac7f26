//! Sums in twice the precision of `f64`.

/// An unevaluated sum `high + low` of two doubles, with about 106 significant bits.
///
/// Plain sums of doubles depend on the order of the terms, and so on how data were partitioned
/// among threads. With twice the precision the order changes only bits that are rounded away in
/// the end. The error-free transformations are those of Knuth (two-sum) and Dekker (two-product,
/// here by fused multiply-add).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct SumPair {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl SumPair {
    /// Adds a number.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        let (sum, error) = two_sum(self.high, value);
        *self = SumPair::normalised(sum, self.low + error);
    }

    /// Adds the square of a number.
    #[inline]
    pub(super) fn add_square(&mut self, value: f64) {
        let square = value * value;
        self.merge(SumPair {
            high: square,
            low: value.mul_add(value, -square),
        });
    }

    /// Adds another sum.
    #[inline]
    pub(super) fn merge(&mut self, other: SumPair) {
        let (sum, error) = two_sum(self.high, other.high);
        *self = SumPair::normalised(sum, error + self.low + other.low);
    }

    /// The sum as a double.
    pub(super) fn value(self) -> f64 {
        self.high + self.low
    }

    /// The sum divided by a number, in full precision.
    pub(super) fn divided_by(self, divisor: f64) -> SumPair {
        let quotient = self.high / divisor;
        let remainder = (-quotient).mul_add(divisor, self.high) + self.low;
        SumPair::normalised(quotient, remainder / divisor)
    }

    /// The square of the sum, in full precision.
    pub(super) fn squared(self) -> SumPair {
        let square = self.high * self.high;
        let error = self.high.mul_add(self.high, -square);
        SumPair::normalised(square, error + 2.0 * self.high * self.low)
    }

    /// The difference to another sum.
    pub(super) fn minus(mut self, other: SumPair) -> SumPair {
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
    fn infinite_terms_stay_infinite() {
        let mut sum = SumPair::default();
        sum.add(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.value(), f64::INFINITY);
    }
}
