//! Sums while they are made: of groups, or of all rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type, UInt64Type};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::scalar::ScalarValue;

use super::ExactSum;
use crate::functions::sum_pair::SumPair;
use crate::functions::wide_sums;

/// The parts of a group, as states and as the result.
static PARTS: [(&str, DataType); 5] = [
    ("count", DataType::Int64),
    ("sum_high", DataType::Float64),
    ("sum_low", DataType::Float64),
    ("squares_high", DataType::Float64),
    ("squares_low", DataType::Float64),
];

/// The parts that there are, with squares or without.
pub(super) fn parts(squares: bool) -> impl Iterator<Item = &'static (&'static str, DataType)> {
    PARTS.iter().take(if squares { 5 } else { 3 })
}

/// The fields of a result.
pub(super) fn fields(squares: bool) -> Fields {
    parts(squares)
        .map(|(part, data_type)| Field::new(*part, data_type.clone(), false))
        .collect()
}

/// What is known of each group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    sums: Vec<ExactSum>,
    /// As many as sums, if squares are asked for.
    squares: Option<Vec<SumPair>>,
}

impl Groups {
    pub(super) fn new(squares: bool) -> Groups {
        Groups {
            sums: Vec::new(),
            squares: squares.then(Vec::new),
        }
    }

    fn resize(&mut self, groups: usize) {
        let groups = groups.max(self.sums.len());
        self.sums.resize(groups, ExactSum::default());
        if let Some(squares) = &mut self.squares {
            squares.resize(groups, SumPair::default());
        }
    }

    fn add(&mut self, group: usize, value: f64) {
        if value.is_nan() {
            return;
        }
        self.sums[group].count += 1;
        self.sums[group].sum.add(value);
        if let Some(squares) = &mut self.squares {
            squares[group].add_square(value);
        }
    }

    fn add_integer(&mut self, group: usize, value: i128) {
        let pair = SumPair::from_integer(value);
        if pair.low == 0.0 {
            return self.add(group, pair.high);
        }
        self.sums[group].count += 1;
        self.sums[group].sum.merge(pair);
        if let Some(squares) = &mut self.squares {
            squares[group].merge(pair.squared());
        }
    }

    /// Adds each value to the group of its row, where `kept` says so.
    fn add_array(
        &mut self,
        values: &ArrayRef,
        groups: impl Iterator<Item = usize>,
        kept: impl Fn(usize) -> bool,
    ) -> EngineResult<()> {
        let kept = |row: usize| values.is_valid(row) && kept(row);
        let rows = groups.enumerate().filter(|(row, _)| kept(*row));
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                rows.for_each(|(row, group)| self.add_integer(group, values.value(row).into()));
            }
            DataType::UInt64 => {
                let values = values.as_primitive::<UInt64Type>();
                rows.for_each(|(row, group)| self.add_integer(group, values.value(row).into()));
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>();
                rows.for_each(|(row, group)| self.add(group, values.value(row)));
            }
            other => {
                return Err(DataFusionError::Internal(format!("a sum of {other}")));
            }
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Groups {
        Groups {
            sums: emit_to.take_needed(&mut self.sums),
            squares: self
                .squares
                .as_mut()
                .map(|squares| emit_to.take_needed(squares)),
        }
    }

    fn columns(&self) -> Vec<ArrayRef> {
        let counts: Int64Array = self.sums.iter().map(|group| group.count).collect();
        let float = |values: &mut dyn Iterator<Item = f64>| -> ArrayRef {
            Arc::new(values.collect::<Float64Array>())
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(counts),
            float(&mut self.sums.iter().map(|group| group.sum.high)),
            float(&mut self.sums.iter().map(|group| group.sum.low)),
        ];
        if let Some(squares) = &self.squares {
            columns.push(float(&mut squares.iter().map(|pair| pair.high)));
            columns.push(float(&mut squares.iter().map(|pair| pair.low)));
        }
        columns
    }

    fn result(&mut self) -> EngineResult<ArrayRef> {
        // Variances are small differences of large sums, which need every bit.
        if self.squares.is_none() {
            for group in &mut self.sums {
                group.sum = group.sum.rounded();
            }
        }
        let fields = fields(self.squares.is_some());
        Ok(Arc::new(StructArray::try_new(
            fields,
            self.columns(),
            None,
        )?))
    }

    fn merge_parts(&mut self, parts: &[ArrayRef], groups: &[usize]) -> EngineResult<()> {
        let [counts, high, low, squares @ ..] = parts else {
            return Err(DataFusionError::Internal("sums have no state".to_owned()));
        };
        let counts = counts.as_primitive::<Int64Type>();
        let pairs = |high: &ArrayRef, low: &ArrayRef| {
            let (high, low) = (
                high.as_primitive::<Float64Type>().clone(),
                low.as_primitive::<Float64Type>().clone(),
            );
            move |row: usize| SumPair {
                high: high.value(row),
                low: low.value(row),
            }
        };
        let sums = pairs(high, low);
        for (row, group) in groups.iter().enumerate() {
            self.sums[*group].merge(ExactSum {
                count: counts.value(row),
                sum: sums(row),
            });
        }
        if let (Some(own), [high, low]) = (&mut self.squares, squares) {
            let squares = pairs(high, low);
            for (row, group) in groups.iter().enumerate() {
                own[*group].merge(squares(row));
            }
        }
        Ok(())
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> EngineResult<()> {
        self.resize(total_num_groups);
        self.add_array(&values[0], group_indices.iter().copied(), |row| {
            opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> EngineResult<ArrayRef> {
        self.take(emit_to).result()
    }

    fn state(&mut self, emit_to: EmitTo) -> EngineResult<Vec<ArrayRef>> {
        Ok(self.take(emit_to).columns())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> EngineResult<()> {
        self.resize(total_num_groups);
        self.merge_parts(values, group_indices)
    }

    /// Every row as a group of its own, when grouping before the exchange does not pay.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> EngineResult<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut each = Groups::new(self.squares.is_some());
        let indices: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &indices, opt_filter, rows)?;
        Ok(each.columns())
    }

    fn size(&self) -> usize {
        let squares = self.squares.as_ref().map_or(0, Vec::capacity);
        self.sums.capacity() * size_of::<ExactSum>() + squares * size_of::<SumPair>()
    }
}

/// The accumulator over all rows: a single group.
#[derive(Debug)]
pub(super) struct One(pub(super) Groups);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        self.0.resize(1);
        let floats = values[0].as_primitive_opt::<Float64Type>();
        if let (
            Some(floats),
            Groups {
                sums,
                squares: Some(squares),
            },
        ) = (floats, &mut self.0)
            && floats.null_count() == 0
            && wide_sums::add_all(&mut sums[0].sum, &mut squares[0], floats.values())
        {
            sums[0].count += floats.len() as i64;
            return Ok(());
        }
        let zeros = std::iter::repeat_n(0, values[0].len());
        self.0.add_array(&values[0], zeros, |_| true)
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        self.0.resize(1);
        ScalarValue::try_from_array(&self.0.result()?, 0)
    }

    fn size(&self) -> usize {
        size_of::<One>() + self.0.size()
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        self.0.resize(1);
        let columns = self.0.columns();
        columns
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0))
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        self.0.resize(1);
        let rows = states.first().map_or(0, |counts| counts.len());
        self.0.merge_parts(states, &vec![0; rows])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::exact_sums::ExactSquares;

    fn groups(values: &[f64]) -> Groups {
        let mut groups = Groups::new(true);
        let array: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        let zeros = vec![0; values.len()];
        groups.update_batch(&[array], &zeros, None, 1).unwrap();
        groups
    }

    fn squares(mut groups: Groups) -> ExactSquares {
        ExactSquares::from_array(&groups.evaluate(EmitTo::All).unwrap()).unwrap()[0]
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let values: Vec<f64> = (0..999).map(|i| f64::from(i).cos() * 1e6).collect();
        let whole = squares(groups(&values));
        let mut sum = ExactSquares::default();
        for part in values.chunks(37).rev() {
            sum.merge(squares(groups(part)));
        }
        assert_eq!(sum.total.count, 999);
        assert_eq!(sum.total.sum.value(), whole.total.sum.value());
        assert_eq!(sum.total.mean(), whole.total.mean());
        assert_eq!(sum.variance(), whole.variance());
    }

    #[test]
    fn a_large_offset_does_not_cancel() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0].map(|value| value + 1e9);
        assert_eq!(squares(groups(&values)).variance(), 2.5);
    }

    #[test]
    fn a_constant_has_no_variance() {
        let sums = squares(groups(&[13.7; 100]));
        assert_eq!(sums.variance(), 0.0);
        assert_eq!(sums.total.mean(), 13.7);
    }

    #[test]
    fn one_number_has_no_variance_and_none_no_mean() {
        assert!(squares(groups(&[1.0])).variance().is_nan());
        assert!(squares(groups(&[f64::NAN])).total.mean().is_nan());
        assert_eq!(squares(groups(&[])).total.count, 0);
    }

    #[test]
    fn large_integers_are_exact() {
        let sums_of = |start: i64| {
            let times = [0, 1, 2, 3, 4].map(|step| start + step);
            let times: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
            let mut sums = Groups::new(true);
            sums.update_batch(&[times], &[0; 5], None, 1).unwrap();
            squares(sums)
        };
        let milliseconds = 1_600_000_000_000;
        assert_eq!(sums_of(milliseconds).variance(), 2.5);
        let nanoseconds = 1_600_000_000_000_000_001;
        let sum = sums_of(nanoseconds).total.sum;
        let sum = sum.high as i128 + sum.low as i128;
        assert_eq!(sum, 5 * i128::from(nanoseconds) + 10);
    }

    #[test]
    fn nan_does_not_count() {
        let found = squares(groups(&[f64::NAN, 2.0]));
        assert_eq!((found.total.count, found.total.mean()), (1, 2.0));
        assert!(found.variance().is_nan());
    }

    #[test]
    fn states_merge_into_the_same_groups() {
        let mut merged = Groups::new(true);
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0]));
        let states = merged.convert_to_state(&[values], None).unwrap();
        merged.merge_batch(&states, &[0, 1, 0, 1], 2).unwrap();
        let found = ExactSum::from_array(&{
            let mut sums = Groups {
                squares: None,
                ..merged.take(EmitTo::All)
            };
            sums.result().unwrap()
        })
        .unwrap();
        assert_eq!(found[0].sum.value(), 4.0);
        assert_eq!((found[1].count, found[1].mean()), (2, 3.0));
    }
}
