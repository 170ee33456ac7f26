use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt64Array};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::sketch::Sketch;
use super::*;
use crate::StateStorage;

fn exact(dtype: DType, values: ArrayRef) -> Distribution {
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![1; values.len()]));
    let batch = RecordBatch::try_from_iter([("value", values), ("count", counts)]).unwrap();
    let rows = GroupedRows::from_batches(batch.schema(), vec![batch]);
    Distribution::from_counts(dtype, &rows, &Storage::default()).unwrap()
}

fn floats(values: &[f64]) -> Distribution {
    exact(
        DType::Float64,
        Arc::new(Float64Array::from(values.to_vec())),
    )
}

fn integers(values: &[i64]) -> Distribution {
    exact(DType::Int64, Arc::new(Int64Array::from(values.to_vec())))
}

fn sketch(values: &[f64]) -> Distribution {
    let mut sketch = Sketch::new();
    values.iter().for_each(|value| sketch.add(*value));
    sketch.finish().clone()
}

#[test]
fn the_median_of_an_even_number_of_values_is_the_mean_of_the_two_middle_ones() {
    assert_eq!(floats(&[4.0, 1.0, 3.0]).median(), Some(Number::Float(3.0)));
    assert_eq!(
        floats(&[4.0, 1.0, 2.0, -0.5]).median(),
        Some(Number::Float(1.5))
    );
    assert_eq!(floats(&[f64::NAN]).median(), None);
}

#[test]
fn medians_of_integers_are_integers_and_halves_go_to_even() {
    assert_eq!(integers(&[1, 2]).median(), Some(Number::Int(2)));
    assert_eq!(integers(&[2, 3]).median(), Some(Number::Int(2)));
    assert_eq!(integers(&[-2, -1]).median(), Some(Number::Int(-2)));
    assert_eq!(integers(&[-3, 5, 9]).median(), Some(Number::Int(5)));
    let near = [i64::MAX - 1, i64::MAX - 1, i64::MAX - 3];
    assert_eq!(
        integers(&near).median(),
        Some(Number::Int(i128::from(i64::MAX - 1)))
    );
    let unsigned = exact(
        DType::UInt64,
        Arc::new(UInt64Array::from(vec![u64::MAX, 0, u64::MAX])),
    );
    assert_eq!(unsigned.median(), Some(Number::Int(i128::from(u64::MAX))));
}

#[test]
fn quantiles_are_linear_between_values_and_do_not_repeat() {
    // As `numpy.quantile([0, 10, 20], [0.25, 0.5, 0.75])`.
    assert_eq!(floats(&[20.0, 0.0, 10.0]).quantiles(4), [5.0, 10.0, 15.0]);
    assert_eq!(floats(&[1.0, 1.0, 1.0, 7.0]).quantiles(4), [1.0, 2.5]);
    assert_eq!(floats(&[]).quantiles(4), [0.0; 0]);
}

#[test]
fn infinite_values_have_a_place_and_no_mean() {
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!(floats(&[low, 1.0, high]).median(), Some(Number::Float(1.0)));
    assert_eq!(floats(&[high, high]).median(), Some(Number::Float(high)));
}

#[test]
fn zero_has_no_sign_and_order_is_that_of_numbers() {
    let values = [-f64::MAX, -1.0, -0.0, 0.0, f64::MIN_POSITIVE, 1.0, f64::MAX];
    assert!(values.is_sorted_by_key(|value| float_key(*value)));
    assert_eq!(float_key(-0.0), float_key(0.0));
    let numbers = values.map(|value| Kind::Float.number(float_key(value)));
    assert_eq!(numbers, values.map(|value| Number::Float(value + 0.0)));
}

/// Values of several shapes.
fn samples() -> Vec<(&'static str, Vec<f64>)> {
    let mut random = StdRng::seed_from_u64(7);
    let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    let wide: Vec<f64> = (0..200_000).map(|_| (normal() * 3.0).exp()).collect();
    let signed: Vec<f64> = (0..200_000).map(|_| normal()).collect();
    let times = signed.iter().map(|value| 1.6e12 + value * 1e6).collect();
    let counts = wide.iter().map(|value| value.floor()).collect();
    vec![
        ("wide", wide),
        ("signed", signed),
        ("times", times),
        ("counts", counts),
    ]
}

#[test]
fn approximate_quantiles_are_within_a_thousandth_of_their_rank() {
    for (name, mut values) in samples() {
        let quantiles = sketch(&values).quantiles(100);
        let exact = floats(&values).quantiles(100);
        values.sort_by(f64::total_cmp);
        let rank = |value: f64| values.partition_point(|other| *other < value) as f64;
        let count = values.len() as f64;
        let worst = quantiles
            .iter()
            .zip(&exact)
            .map(|(found, right)| (rank(*found) - rank(*right)).abs() / count)
            .fold(0.0, f64::max);
        assert_eq!(quantiles.len(), exact.len(), "{name}");
        assert!(worst < 1e-3, "{name}: rank off by {worst}");
    }
}

#[test]
fn a_sketch_does_not_depend_on_order_or_parts() {
    for (name, mut values) in samples() {
        let whole = sketch(&values);
        assert!(whole.cells.len() <= CELLS);
        values.shuffle(&mut StdRng::seed_from_u64(1));
        let mut merged = Distribution::approximate(64, Vec::new());
        for part in values.chunks(30_011) {
            let part = Distribution::from_bytes(&sketch(part).to_bytes()).unwrap();
            merged = merged.merged(&part, &Storage::default()).unwrap();
        }
        assert_eq!(merged, whole, "{name}");
    }
}

#[test]
fn exact_distributions_add_up() {
    let (one, other) = (floats(&[1.0, 3.0]), floats(&[2.0, 3.0, 9.0]));
    let both = one.merged(&other, &Storage::default()).unwrap();
    assert_eq!(both, floats(&[9.0, 3.0, 3.0, 2.0, 1.0]));
    assert_eq!(both.median(), Some(Number::Float(3.0)));
}

#[test]
fn what_exceeds_a_quarter_of_the_limit_lies_on_disk() {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![2; 10_000]));
    let batch = RecordBatch::try_from_iter([("value", values), ("count", counts)]).unwrap();
    let rows = GroupedRows::from_batches(batch.schema(), vec![batch]);
    let made = |limit| {
        let storage = Storage::new(StateStorage::Auto, limit, None);
        let made = Distribution::from_counts(DType::Int64, &rows, &storage).unwrap();
        let both = made.merged(&made, &storage).unwrap();
        (made, both, storage.held())
    };
    let (made_on_disk, both_on_disk, held) = made(Some(700_000));
    assert_eq!(held, 0);
    let (made_in_memory, both_in_memory, held) = made(Some(8 << 20));
    assert!(held >= 2 * 240_000, "{held}");
    assert_eq!(
        (made_on_disk, both_on_disk),
        (made_in_memory.clone(), both_in_memory.clone())
    );
    assert_eq!(both_in_memory.count(), 2 * made_in_memory.count());
}

#[test]
fn bytes_of_something_else_are_refused() {
    for bytes in [&[][..], &[0; 7], &[0; 16], &[0; 33]] {
        assert!(Distribution::from_bytes(bytes).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn medians_and_quantiles_are_those_of_the_sorted_values(
        mut values in proptest::collection::vec(-50i64..50, 1..40),
        parts in 2u32..7,
    ) {
        let found = integers(&values);
        values.sort_unstable();
        let last = values.len() - 1;
        let middle = (values[last / 2] + values[last - last / 2]) as f64 / 2.0;
        let median = found.median().unwrap().to_f64();
        proptest::prop_assert_eq!(median, middle.round_ties_even());
        let mut expected: Vec<f64> = (1..parts)
            .map(|part| {
                let position = f64::from(part) * last as f64 / f64::from(parts);
                let (low, high) = (position.floor(), position.ceil());
                let (from, to) = (values[low as usize] as f64, values[high as usize] as f64);
                from + (to - from) * (position - low)
            })
            .collect();
        expected.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        let quantiles = found.quantiles(parts);
        let close = quantiles.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9);
        proptest::prop_assert!(close, "{:?}, not {:?}", quantiles, expected);
    }
}
