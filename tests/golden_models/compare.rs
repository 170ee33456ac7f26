//! Compares numbers with those of a case, within the tolerances of its kind.

use burn::tensor::Tensor;

use crate::case::{Case, Golden, Outcome, Stop};

/// How far a number may be from the expected one.
#[derive(Debug, Clone, Copy)]
pub enum Tolerance {
    /// Outputs and losses in f32; a case may widen it.
    Forward,
    /// Outputs in f32 of retrieval logits, normalisations and recurrent layers.
    ForwardWide,
    /// Gradients.
    Gradient,
    /// Weights and state after steps.
    Step,
    /// Integers, ids, frozen weights.
    Exact,
    /// Metrics computed in f64.
    Metric,
}

impl Tolerance {
    fn bounds(self, case: &Case, expected: &[f64]) -> (f64, f64) {
        let largest = expected
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let given =
            |key: &str, default: f64| case.json["tolerance"][key].as_f64().unwrap_or(default);
        match self {
            Tolerance::Forward => (given("rtol", 1e-5), given("atol", 1e-6)),
            Tolerance::ForwardWide => (given("rtol", 1e-5), given("atol", 1e-5)),
            Tolerance::Gradient => (1e-4, (1e-5 * largest).max(2e-6)),
            Tolerance::Step => (1e-4, 1e-5),
            Tolerance::Exact => (0.0, 0.0),
            Tolerance::Metric => (1e-9, 1e-12),
        }
    }
}

/// Whether `found` are the numbers of the case's tensor `name`.
pub fn same(case: &Case, name: &str, found: &[f64], tolerance: Tolerance) -> Outcome {
    let expected = case.tensor(name)?;
    same_as(case, name, expected, found, tolerance)
}

/// Whether `found` are the numbers of `expected`, which the message calls `name`.
pub fn same_as(
    case: &Case,
    name: &str,
    expected: &Golden,
    found: &[f64],
    tolerance: Tolerance,
) -> Outcome {
    if expected.values.len() != found.len() {
        return Err(Stop::Fail(format!(
            "`{name}` has {} numbers, expected {:?}",
            found.len(),
            expected.shape
        )));
    }
    let (rtol, atol) = tolerance.bounds(case, &expected.values);
    let pairs = || expected.values.iter().zip(found);
    let wrong = |(expected, found): (&f64, &f64)| {
        let equal = expected == found || (expected.is_nan() && found.is_nan());
        // Negated so that a NaN is wrong.
        !equal && !((expected - found).abs() <= atol + rtol * expected.abs())
    };
    let Some(first) = pairs().position(wrong) else {
        return Ok(());
    };
    let count = pairs().filter(|pair| wrong(*pair)).count();
    Err(Stop::Fail(format!(
        "`{name}`: {count} of {} numbers differ, first at {first}: expected {}, found {} \
         (rtol {rtol}, atol {atol})",
        found.len(),
        expected.values[first],
        found[first]
    )))
}

/// Whether a tensor has the numbers and the shape of the case's tensor `name`.
pub fn same_tensor<const D: usize>(
    case: &Case,
    name: &str,
    found: Tensor<D>,
    tolerance: Tolerance,
) -> Outcome {
    let expected = case.tensor(name)?;
    let shape = found.dims();
    // A scalar is a tensor of one number in Burn.
    if expected.shape != shape && !expected.shape.is_empty() {
        return Err(Stop::Fail(format!(
            "`{name}` has shape {shape:?}, expected {:?}",
            expected.shape
        )));
    }
    same(case, name, &numbers(found), tolerance)
}

/// The numbers of a tensor.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
