//! Count, sum, mean and variance that do not depend on how rows are spread over threads.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
    cast,
};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;

use super::sum_pair::SumPair;
use crate::{Error, Result};

/// The moments of a set of numbers; nulls and NaN are left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    pub(crate) count: i64,
    pub(crate) sum: f64,
    /// NaN if there is no number.
    pub(crate) mean: f64,
    /// The sample variance (divided by `count - 1`); NaN for fewer than two numbers.
    pub(crate) variance: f64,
}

/// The aggregate whose results [`Moments::from_array`] and [`Moments::from_scalar`] read.
pub(crate) fn stable_moments(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(StableMoments::new())));
    FUNCTION.call(vec![cast(expr, DataType::Float64)])
}

impl Moments {
    /// Reads a column of results.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is none.
    pub(crate) fn from_array(array: &ArrayRef) -> Result<Vec<Moments>> {
        let wrong = || Error::Internal("moments have another type".to_owned());
        let rows = array.as_struct_opt().ok_or_else(wrong)?;
        let counts = rows
            .column(0)
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(wrong)?;
        let float = |i: usize| {
            rows.column(i)
                .as_primitive_opt::<Float64Type>()
                .ok_or_else(wrong)
        };
        let (sums, means, variances) = (float(1)?, float(2)?, float(3)?);
        Ok((0..rows.len())
            .map(|row| Moments {
                count: counts.value(row),
                sum: sums.value(row),
                mean: means.value(row),
                variance: variances.value(row),
            })
            .collect())
    }

    /// Reads a single result.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is none.
    pub(crate) fn from_scalar(value: &ScalarValue) -> Result<Moments> {
        let array = value.to_array().map_err(Error::query("reading moments"))?;
        let moments = Moments::from_array(&array)?;
        moments
            .first()
            .copied()
            .ok_or_else(|| Error::Internal("no moments".to_owned()))
    }
}

fn result_fields() -> Fields {
    Fields::from(vec![
        Field::new("count", DataType::Int64, false),
        Field::new("sum", DataType::Float64, false),
        Field::new("mean", DataType::Float64, false),
        Field::new("variance", DataType::Float64, false),
    ])
}

/// What is known of one group.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    count: i64,
    sum: SumPair,
    squares: SumPair,
}

impl Group {
    #[inline]
    fn add(&mut self, value: f64) {
        if !value.is_nan() {
            self.count += 1;
            self.sum.add(value);
            self.squares.add_square(value);
        }
    }

    fn merge(&mut self, other: Group) {
        self.count += other.count;
        self.sum.merge(other.sum);
        self.squares.merge(other.squares);
    }

    fn variance(self) -> f64 {
        if self.count < 2 {
            return f64::NAN;
        }
        let count = self.count as f64;
        // The textbook formula cancels badly in single precision of the sums, not in double.
        let spread = self
            .squares
            .minus(self.sum.squared().divided_by(count))
            .value();
        (spread / (count - 1.0)).max(0.0)
    }
}

fn results(groups: &[Group]) -> EngineResult<ArrayRef> {
    let mean = |group: &Group| match group.count {
        0 => f64::NAN,
        count => group.sum.divided_by(count as f64).value(),
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            groups
                .iter()
                .map(|group| group.count)
                .collect::<Int64Array>(),
        ),
        Arc::new(
            groups
                .iter()
                .map(|group| group.sum.value())
                .collect::<Float64Array>(),
        ),
        Arc::new(groups.iter().map(mean).collect::<Float64Array>()),
        Arc::new(
            groups
                .iter()
                .map(|group| group.variance())
                .collect::<Float64Array>(),
        ),
    ];
    Ok(Arc::new(StructArray::try_new(
        result_fields(),
        columns,
        None,
    )?))
}

/// Count, and high and low parts of the sum and of the sum of squares.
fn states(groups: &[Group]) -> Vec<ArrayRef> {
    let part = |part: fn(&Group) -> f64| -> ArrayRef {
        Arc::new(groups.iter().map(part).collect::<Float64Array>())
    };
    vec![
        Arc::new(
            groups
                .iter()
                .map(|group| group.count)
                .collect::<Int64Array>(),
        ),
        part(|group| group.sum.high),
        part(|group| group.sum.low),
        part(|group| group.squares.high),
        part(|group| group.squares.low),
    ]
}

fn read_states(states: &[ArrayRef]) -> EngineResult<impl Iterator<Item = Group> + '_> {
    let [counts, parts @ ..] = states else {
        return Err(DataFusionError::Internal(
            "moments have no state".to_owned(),
        ));
    };
    let counts = counts.as_primitive::<Int64Type>();
    let parts: Vec<&Float64Array> = parts
        .iter()
        .map(|p| p.as_primitive::<Float64Type>())
        .collect();
    Ok((0..counts.len()).map(move |row| Group {
        count: counts.value(row),
        sum: SumPair {
            high: parts[0].value(row),
            low: parts[1].value(row),
        },
        squares: SumPair {
            high: parts[2].value(row),
            low: parts[3].value(row),
        },
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StableMoments {
    signature: Signature,
}

impl StableMoments {
    fn new() -> StableMoments {
        StableMoments {
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for StableMoments {
    fn name(&self) -> &'static str {
        "stable_moments"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Struct(result_fields()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> EngineResult<Vec<FieldRef>> {
        let field = |part: &str, data_type| {
            Arc::new(Field::new(
                format!("{}[{part}]", args.name),
                data_type,
                true,
            ))
        };
        Ok(vec![
            field("count", DataType::Int64),
            field("sum_high", DataType::Float64),
            field("sum_low", DataType::Float64),
            field("squares_high", DataType::Float64),
            field("squares_low", DataType::Float64),
        ])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> EngineResult<Box<dyn Accumulator>> {
        Ok(Box::<One>::default())
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> EngineResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::<Many>::default())
    }
}

/// Adds numbers with the processor's fused multiply-add, which the library would call a function
/// for; the result is the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "fma")]
fn add_all_fused(group: &mut Group, values: &[f64]) {
    values.iter().for_each(|value| group.add(*value));
}

/// The accumulator over all rows.
#[derive(Debug, Default)]
struct One {
    group: Group,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        let values = values[0].as_primitive::<Float64Type>();
        if values.null_count() > 0 {
            values
                .iter()
                .flatten()
                .for_each(|value| self.group.add(value));
            return Ok(());
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("fma") {
            #[expect(unsafe_code, reason = "the processor has the instructions")]
            // SAFETY: see the reason.
            unsafe {
                add_all_fused(&mut self.group, values.values());
            }
            return Ok(());
        }
        values
            .values()
            .iter()
            .for_each(|value| self.group.add(*value));
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        ScalarValue::try_from_array(&results(&[self.group])?, 0)
    }

    fn size(&self) -> usize {
        size_of::<One>()
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        states(&[self.group])
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0))
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        read_states(states)?.for_each(|group| self.group.merge(group));
        Ok(())
    }
}

/// The accumulator of a group-by.
#[derive(Debug, Default)]
struct Many {
    groups: Vec<Group>,
}

impl Many {
    fn update(
        &mut self,
        total: usize,
        indices: &[usize],
        filter: Option<&BooleanArray>,
        mut apply: impl FnMut(&mut Group, usize),
    ) {
        self.groups
            .resize(total.max(self.groups.len()), Group::default());
        for (row, group) in indices.iter().enumerate() {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                apply(&mut self.groups[*group], row);
            }
        }
    }
}

impl GroupsAccumulator for Many {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> EngineResult<()> {
        let values = values[0].as_primitive::<Float64Type>();
        self.update(total_num_groups, group_indices, opt_filter, |group, row| {
            if values.is_valid(row) {
                group.add(values.value(row));
            }
        });
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> EngineResult<ArrayRef> {
        results(&emit_to.take_needed(&mut self.groups))
    }

    fn state(&mut self, emit_to: EmitTo) -> EngineResult<Vec<ArrayRef>> {
        Ok(states(&emit_to.take_needed(&mut self.groups)))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> EngineResult<()> {
        let parts: Vec<Group> = read_states(values)?.collect();
        self.update(total_num_groups, group_indices, None, |group, row| {
            group.merge(parts[row]);
        });
        Ok(())
    }

    /// Every row as a group of its own, when grouping before the exchange does not pay.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> EngineResult<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut each = Many::default();
        let indices: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &indices, opt_filter, rows)?;
        Ok(states(&each.groups))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Group>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> Moments {
        let mut one = One::default();
        one.update_batch(&[Arc::new(Float64Array::from(values.to_vec()))])
            .unwrap();
        Moments::from_scalar(&one.evaluate().unwrap()).unwrap()
    }

    #[test]
    fn a_large_offset_does_not_cancel() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0].map(|value| value + 1e9);
        assert_eq!(moments(&values).variance, 2.5);
    }

    #[test]
    fn a_constant_has_no_variance() {
        assert_eq!(moments(&[13.7; 100]).variance, 0.0);
        assert_eq!(moments(&[13.7; 100]).mean, 13.7);
    }

    #[test]
    fn one_number_has_no_variance_and_none_no_mean() {
        assert!(moments(&[1.0]).variance.is_nan());
        assert!(moments(&[f64::NAN]).mean.is_nan());
        assert_eq!(moments(&[]).count, 0);
    }

    #[test]
    fn merged_parts_give_the_same_bits() {
        let values: Vec<f64> = (0..999).map(|i| f64::from(i).cos() * 1e6).collect();
        let whole = moments(&values);
        let mut merged = One::default();
        for part in values.chunks(37).rev() {
            let mut one = One::default();
            one.update_batch(&[Arc::new(Float64Array::from(part.to_vec()))])
                .unwrap();
            let state: Vec<ArrayRef> = one
                .state()
                .unwrap()
                .iter()
                .map(|value| value.to_array().unwrap())
                .collect();
            merged.merge_batch(&state).unwrap();
        }
        assert_eq!(
            Moments::from_scalar(&merged.evaluate().unwrap()).unwrap(),
            whole
        );
    }
}
