//! The natural logarithm of many numbers.
//!
//! The library's function takes one number at a time, and its last bits differ between platforms.
//! This one is arithmetic alone, in a loop that compilers turn into vector instructions, and has
//! the same bits everywhere. The method and the coefficients are those of the C library of Sun
//! (`e_log.c` of FreeBSD's msun): the number is split into `2^k * (1 + f)` with `1 + f` around one,
//! and `ln(1 + f)` is a polynomial of `f / (2 + f)`. Its error is below one unit in the last place.

/// The high and low parts of `ln(2)`.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

const POLYNOMIAL: [f64; 7] = [
    6.666_666_666_666_735e-1,
    3.999_999_999_940_942e-1,
    2.857_142_874_366_239e-1,
    2.222_219_843_214_978_4e-1,
    1.818_357_216_161_805e-1,
    1.531_383_769_920_937_3e-1,
    1.479_819_860_511_658_6e-1,
];

/// `ln(1 + x)` of each number, computed in double precision.
pub(super) fn logs_plus_one(values: &[f32]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        #[expect(unsafe_code, reason = "the processor has the instructions")]
        // SAFETY: see the reason.
        unsafe {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return logs_plus_one_avx512(values);
            }
            if is_x86_feature_detected!("avx2") {
                return logs_plus_one_avx2(values);
            }
        }
    }
    logs_plus_one_of(values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn logs_plus_one_avx512(values: &[f32]) -> Vec<f32> {
    logs_plus_one_of(values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn logs_plus_one_avx2(values: &[f32]) -> Vec<f32> {
    logs_plus_one_of(values)
}

#[inline(always)]
fn logs_plus_one_of(values: &[f32]) -> Vec<f32> {
    let mut logs = vec![0.0; values.len()];
    let mut all_usual = true;
    for (log, value) in logs.iter_mut().zip(values) {
        let number = 1.0 + f64::from(*value);
        all_usual &= is_usual(number);
        *log = ln(number) as f32;
    }
    if !all_usual {
        for (log, value) in logs.iter_mut().zip(values) {
            let number = 1.0 + f64::from(*value);
            if !is_usual(number) {
                *log = number.ln() as f32;
            }
        }
    }
    logs
}

/// `ln(1 + x)` of one number, with the same bits as [`logs_plus_one`].
pub(super) fn log_plus_one(value: f64) -> f32 {
    let number = 1.0 + value;
    let log = if is_usual(number) {
        ln(number)
    } else {
        number.ln()
    };
    log as f32
}

/// Whether a number is positive, finite and normal.
#[inline(always)]
fn is_usual(number: f64) -> bool {
    (f64::MIN_POSITIVE..f64::INFINITY).contains(&number)
}

/// The logarithm of a [usual](is_usual) number.
#[inline(always)]
fn ln(number: f64) -> f64 {
    // The upper half of the root of 1/2, so that `1 + f` is between the roots of 1/2 and 2.
    const ROOT: u64 = 0x3FE6_A09E << 32;
    const ONE: u64 = 0x3FF0_0000 << 32;
    const MANTISSA: u64 = (1 << 52) - 1;
    let shifted = number.to_bits().wrapping_add(ONE - ROOT);
    // The bits of `2^52 + exponent`; vector instructions convert no 64-bit integers.
    const TWO_TO_52: u64 = 0x4330_0000 << 32;
    let k = f64::from_bits(TWO_TO_52 | shifted >> 52) - (f64::from_bits(TWO_TO_52) + 1023.0);
    let f = f64::from_bits((shifted & MANTISSA).wrapping_add(ROOT)) - 1.0;

    let [p1, p2, p3, p4, p5, p6, p7] = POLYNOMIAL;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (p2 + w * (p4 + w * p6));
    let odd = z * (p1 + w * (p3 + w * (p5 + w * p7)));
    let half_square = 0.5 * f * f;
    s * (half_square + (odd + even)) + k * LN2_LOW - half_square + f + k * LN2_HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm_to_the_last_bits() {
        let mut number = 1e-300_f64;
        while number < 1e300 {
            let (found, expected) = (ln(number), number.ln());
            let error = (found - expected).abs();
            assert!(
                error <= expected.abs().max(1e-300) * 2.3e-16,
                "{number}: {found}"
            );
            number *= 1.001_234;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn whole_numbers_have_the_bits_of_the_library() {
        let values: Vec<f32> = (0..100_000_u32).map(|i| (i * 7) as f32).collect();
        for (value, log) in values.iter().zip(logs_plus_one(&values)) {
            let expected = (1.0 + f64::from(*value)).ln() as f32;
            assert_eq!(log.to_bits(), expected.to_bits(), "{value}");
            assert_eq!(log.to_bits(), log_plus_one(f64::from(*value)).to_bits());
        }
    }

    #[test]
    fn unusual_numbers_are_those_of_the_library() {
        let values = [
            -1.0,
            -2.0,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            0.0,
            f32::MAX,
        ];
        for (value, log) in values.iter().zip(logs_plus_one(&values)) {
            let expected = (1.0 + f64::from(*value)).ln() as f32;
            assert!(
                log == expected || (log.is_nan() && expected.is_nan()),
                "{value}: {log}"
            );
        }
    }
}
