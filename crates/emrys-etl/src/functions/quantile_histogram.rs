//! Quantiles in one pass, whatever the order of the rows and however they are spread over threads.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type, UInt64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, cast,
};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;

/// The quantiles that the aggregate gives.
pub(crate) const QUANTILES: [f64; 5] = [0.01, 0.25, 0.5, 0.75, 0.99];

/// Bits of a float that are not told apart: 11 of the mantissa's 52 stay, so that a result is at
/// most one part in 2048 nearer to zero than the exact one. Whole numbers up to 4096 are exact.
const DROPPED_BITS: u32 = 41;

/// The aggregate whose result is a list with the [`QUANTILES`] of all numbers, null if there is
/// none. Nulls and NaN are left out.
///
/// It counts how often each leading part of the floats occurs: unlike a digest, whose centroids
/// depend on the order of what was merged, counts are the same in any order.
pub(crate) fn quantile_histogram(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        Arc::new(AggregateUDF::new_from_impl(QuantileHistogram {
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        }))
    });
    FUNCTION.call(vec![cast(expr, DataType::Float64)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct QuantileHistogram {
    signature: Signature,
}

impl AggregateUDFImpl for QuantileHistogram {
    fn name(&self) -> &'static str {
        "quantile_histogram"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(list_of(DataType::Float64))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> EngineResult<Vec<FieldRef>> {
        let field = |part: &str, item| {
            Arc::new(Field::new(
                format!("{}[{part}]", args.name),
                list_of(item),
                true,
            ))
        };
        Ok(vec![
            field("keys", DataType::Int32),
            field("counts", DataType::UInt64),
        ])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> EngineResult<Box<dyn Accumulator>> {
        Ok(Box::<Histogram>::default())
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// How often each key occurs.
#[derive(Debug, Default)]
struct Histogram {
    counts: HashMap<i32, u64, foldhash::fast::FixedState>,
}

/// The leading bits of a number's magnitude, with its sign: in the order of the numbers.
fn key(value: f64) -> i32 {
    // At most 22 bits are left.
    let magnitude = (value.abs().to_bits() >> DROPPED_BITS) as i32;
    if value < 0.0 { -magnitude } else { magnitude }
}

/// The number of a key that is nearest to zero.
fn value(key: i32) -> f64 {
    let magnitude = f64::from_bits(u64::from(key.unsigned_abs()) << DROPPED_BITS);
    if key < 0 { -magnitude } else { magnitude }
}

impl Histogram {
    fn sorted(&self) -> Vec<(i32, u64)> {
        let mut counts: Vec<(i32, u64)> = self.counts.iter().map(|(k, n)| (*k, *n)).collect();
        counts.sort_unstable();
        counts
    }

    /// For each quantile the smallest number that has at least that share of all numbers at or
    /// below it; none if there are no numbers.
    fn quantiles(&self) -> Option<[f64; QUANTILES.len()]> {
        let counts = self.sorted();
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let (last, _) = *counts.last()?;
        Some(QUANTILES.map(|quantile| {
            let wanted = (quantile * total as f64).ceil().max(1.0);
            let mut seen = 0;
            let found = counts.iter().find(|(_, count)| {
                seen += count;
                seen as f64 >= wanted
            });
            value(found.map_or(last, |(key, _)| *key))
        }))
    }
}

impl Accumulator for Histogram {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        for value in values[0].as_primitive::<Float64Type>().iter().flatten() {
            if !value.is_nan() {
                *self.counts.entry(key(value)).or_default() += 1;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        match self.quantiles() {
            Some(quantiles) => Ok(list(Arc::new(Float64Array::from(quantiles.to_vec())))),
            None => ScalarValue::try_from(&list_of(DataType::Float64)),
        }
    }

    fn size(&self) -> usize {
        size_of::<Histogram>() + self.counts.capacity() * size_of::<(i32, u64, u8)>()
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        let counts = self.sorted();
        let keys = Int32Array::from_iter_values(counts.iter().map(|(key, _)| *key));
        let counts = UInt64Array::from_iter_values(counts.iter().map(|(_, count)| *count));
        Ok(vec![list(Arc::new(keys)), list(Arc::new(counts))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        let (keys, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for row in 0..keys.len() {
            let (keys, counts) = (keys.value(row), counts.value(row));
            let keys = keys.as_primitive::<Int32Type>().values();
            for (key, count) in keys
                .iter()
                .zip(counts.as_primitive::<UInt64Type>().values())
            {
                *self.counts.entry(*key).or_default() += count;
            }
        }
        Ok(())
    }
}

fn list(items: ArrayRef) -> ScalarValue {
    SingleRowListArrayBuilder::new(items).build_list_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::default();
        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        histogram.update_batch(&[values]).unwrap();
        histogram
    }

    #[test]
    fn keys_stand_in_the_order_of_the_numbers() {
        let numbers = [
            f64::NEG_INFINITY,
            -3.5,
            -1e-9,
            -0.0,
            1e-300,
            0.1,
            4096.0,
            f64::INFINITY,
        ];
        assert!(numbers.is_sorted_by_key(|number| key(*number)));
        assert_eq!(key(-0.0), key(0.0));
        for number in [0.0, -1.0, 4095.0, 4096.0, 0.5, f64::INFINITY] {
            assert_eq!(value(key(number)).to_bits(), number.to_bits());
        }
        let error = (value(key(1.0 / 3.0)) - 1.0 / 3.0).abs() * 3.0;
        assert!(error < 1.0 / 2048.0, "{error}");
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_numbers() {
        let numbers: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            histogram(&numbers).quantiles(),
            Some([1.0, 25.0, 50.0, 75.0, 99.0])
        );
        assert_eq!(histogram(&[f64::NAN, 7.0]).quantiles(), Some([7.0; 5]));
        assert_eq!(histogram(&[]).quantiles(), None);
    }

    #[test]
    fn merged_histograms_are_those_of_all_numbers() {
        let (mut left, mut right) = (histogram(&[1.0, 5.0, 9.0]), histogram(&[2.0, 5.0]));
        let states: Vec<ArrayRef> = right
            .state()
            .unwrap()
            .iter()
            .map(|state| state.to_array().unwrap())
            .collect();
        left.merge_batch(&states).unwrap();
        assert_eq!(
            left.sorted(),
            histogram(&[1.0, 2.0, 5.0, 5.0, 9.0]).sorted()
        );
    }
}
