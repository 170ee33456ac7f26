//! Sums of many numbers at once.

use super::sum_pair::SumPair;

/// How many sums are taken side by side, so that an addition does not wait for the one before, and
/// vector instructions serve several.
const LANES: usize = 8;

/// Numbers up to this size have squares that never overflow, however many are summed.
const SAFE: f64 = 1e140;

/// Adds numbers, and their squares, to sums; false if some number is NaN, infinite or so large that
/// its square might overflow, and nothing was added.
pub(super) fn add_all(sum: &mut SumPair, squares: &mut SumPair, values: &[f64]) -> bool {
    // NaN is not smaller either.
    if !values
        .iter()
        .fold(true, |all, value| all & (value.abs() <= SAFE))
    {
        return false;
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        #[expect(unsafe_code, reason = "the processor has the instructions")]
        // SAFETY: see the reason.
        unsafe {
            add_avx2(sum, squares, values);
        }
        return true;
    }
    add(sum, squares, values);
    true
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn add_avx2(sum: &mut SumPair, squares: &mut SumPair, values: &[f64]) {
    add(sum, squares, values);
}

#[inline(always)]
fn add(sum: &mut SumPair, squares: &mut SumPair, values: &[f64]) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (mut wide_sum, mut wide_squares) = (Wide::default(), Wide::default());
    for chunk in chunks {
        wide_sum.add(chunk, &[0.0; LANES]);
        let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            high[lane] = chunk[lane] * chunk[lane];
            low[lane] = chunk[lane].mul_add(chunk[lane], -high[lane]);
        }
        wide_squares.add(&high, &low);
    }
    for value in rest {
        sum.add(*value);
        squares.add_square(*value);
    }
    wide_sum.parts().for_each(|part| sum.merge(part));
    wide_squares.parts().for_each(|part| squares.merge(part));
}

/// [`SumPair`]s side by side, of numbers whose sums are finite.
#[derive(Default)]
struct Wide {
    high: [f64; LANES],
    low: [f64; LANES],
}

impl Wide {
    /// Adds a pair `high + low` to each, as [`SumPair::merge`] does.
    #[inline(always)]
    fn add(&mut self, high: &[f64; LANES], low: &[f64; LANES]) {
        for lane in 0..LANES {
            let (a, b) = (self.high[lane], high[lane]);
            let sum = a + b;
            let other = sum - a;
            let error = (a - (sum - other)) + (b - other);
            let error = error + self.low[lane] + low[lane];
            self.high[lane] = sum + error;
            self.low[lane] = error - (self.high[lane] - sum);
        }
    }

    fn parts(&self) -> impl Iterator<Item = SumPair> {
        let parts = self.high.into_iter().zip(self.low);
        parts.map(|(high, low)| SumPair { high, low })
    }
}

#[cfg(test)]
mod tests {
    use super::{SAFE, SumPair, add_all};

    fn one_by_one(values: &[f64]) -> (SumPair, SumPair) {
        let (mut sum, mut squares) = (SumPair::default(), SumPair::default());
        for value in values {
            sum.add(*value);
            squares.add_square(*value);
        }
        (sum, squares)
    }

    #[test]
    fn lanes_give_the_sums_of_single_additions() {
        for len in [0, 1, 7, 8, 9, 1000, 4099] {
            let value = |i| f64::from(i).sin() * 10_f64.powi(i % 30 - 10);
            let values: Vec<f64> = (0..len).map(value).collect();
            let (mut sum, mut squares) = (SumPair::default(), SumPair::default());
            assert!(add_all(&mut sum, &mut squares, &values));
            let expected = one_by_one(&values);
            assert_eq!(sum.value(), expected.0.value(), "{len} values");
            assert_eq!(squares.value(), expected.1.value(), "{len} values");
        }
    }

    #[test]
    fn what_doubles_lose_is_kept_in_every_lane() {
        let mut values = vec![1e16; 8];
        values.extend([1.0; 8]);
        values.extend([-1e16; 8]);
        let (mut sum, mut squares) = (SumPair::default(), SumPair::default());
        assert!(add_all(&mut sum, &mut squares, &values));
        assert_eq!(sum.value(), 8.0);
    }

    #[test]
    fn numbers_that_might_overflow_are_left_to_the_caller() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0 * SAFE] {
            let (mut sum, mut squares) = (SumPair::default(), SumPair::default());
            assert!(!add_all(&mut sum, &mut squares, &[1.0, value]));
            assert_eq!((sum, squares), Default::default());
        }
    }
}
