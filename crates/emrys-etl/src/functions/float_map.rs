//! Functions of one float, computed in one pass over a column.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::logarithm::{log_plus_one, logs_plus_one};

/// A function of one number; null stays null and NaN stays NaN.
///
/// The engine's own expressions would make an array for every cast, comparison and operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FloatMap {
    /// Limits to a range, in the precision of the operand; infinite bounds do not limit.
    Clip { min: f64, max: f64 },
    /// The logarithm of one plus the number as `Float32`, computed in double precision: in single
    /// precision, one plus a small number would lose it.
    LogPlusOne,
    /// What is left after `mean` is subtracted, divided by `std`, computed in double precision.
    Scale { mean: f64, std: f64, single: bool },
}

impl FloatMap {
    /// The function of an expression of the given type; what is no float is cast to `Float64`.
    pub(crate) fn of(self, operand: Expr, data_type: &DataType) -> Expr {
        let operand = match data_type {
            DataType::Float32 | DataType::Float64 => operand,
            _ => datafusion::logical_expr::cast(operand, DataType::Float64),
        };
        let signature = Signature::any(1, Volatility::Immutable);
        let function = FloatFunction {
            map: self,
            signature,
        };
        ScalarUDF::new_from_impl(function).call(vec![operand])
    }

    fn bits(self) -> (u8, u64, u64) {
        match self {
            FloatMap::Clip { min, max } => (0, min.to_bits(), max.to_bits()),
            FloatMap::LogPlusOne => (1, 0, 0),
            FloatMap::Scale { mean, std, single } => {
                (2 + u8::from(single), mean.to_bits(), std.to_bits())
            }
        }
    }

    fn output(self, operand: &DataType) -> DataType {
        match self {
            FloatMap::Clip { .. } => operand.clone(),
            FloatMap::LogPlusOne | FloatMap::Scale { single: true, .. } => DataType::Float32,
            FloatMap::Scale { single: false, .. } => DataType::Float64,
        }
    }

    fn apply(self, values: &ArrayRef) -> EngineResult<ArrayRef> {
        if values.data_type() == &DataType::Float32 {
            let values = values.as_primitive::<Float32Type>();
            return Ok(match self {
                FloatMap::Clip { min, max } => {
                    let (min, max) = (min as f32, max as f32);
                    Arc::new(values.unary::<_, Float32Type>(|x| clip(x, min, max)))
                }
                FloatMap::LogPlusOne => {
                    let logs = logs_plus_one(values.values());
                    Arc::new(Float32Array::new(logs.into(), values.nulls().cloned()))
                }
                FloatMap::Scale { mean, std, single } if single => Arc::new(
                    values.unary::<_, Float32Type>(|x| ((f64::from(x) - mean) / std) as f32),
                ),
                FloatMap::Scale { mean, std, .. } => {
                    Arc::new(values.unary::<_, Float64Type>(|x| (f64::from(x) - mean) / std))
                }
            });
        }
        let values = cast(values, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        Ok(match self {
            FloatMap::Clip { min, max } => {
                Arc::new(values.unary::<_, Float64Type>(|x| clip(x, min, max)))
            }
            FloatMap::LogPlusOne => Arc::new(values.unary::<_, Float32Type>(log_plus_one)),
            FloatMap::Scale { mean, std, single } if single => {
                Arc::new(values.unary::<_, Float32Type>(|x| ((x - mean) / std) as f32))
            }
            FloatMap::Scale { mean, std, .. } => {
                Arc::new(values.unary::<_, Float64Type>(|x| (x - mean) / std))
            }
        })
    }
}

/// NaN is in no order, and stays.
fn clip<T: PartialOrd>(value: T, min: T, max: T) -> T {
    if value < min {
        min
    } else if value > max {
        max
    } else {
        value
    }
}

#[derive(Debug)]
struct FloatFunction {
    map: FloatMap,
    signature: Signature,
}

impl PartialEq for FloatFunction {
    fn eq(&self, other: &FloatFunction) -> bool {
        self.map.bits() == other.map.bits()
    }
}

impl Eq for FloatFunction {}

impl Hash for FloatFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.map.bits().hash(state);
    }
}

impl ScalarUDFImpl for FloatFunction {
    fn name(&self) -> &'static str {
        match self.map {
            FloatMap::Clip { .. } => "clip",
            FloatMap::LogPlusOne => "log_plus_one",
            FloatMap::Scale { .. } => "scale",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let name = self.name();
        Ok(match self.map {
            FloatMap::LogPlusOne => format!("{name}({})", args.join(", ")),
            FloatMap::Clip { min, max } => format!("{name}({}, {min}, {max})", args.join(", ")),
            FloatMap::Scale { mean, std, single } => {
                let bits = if single { 32 } else { 64 };
                format!("{name}{bits}({}, {mean}, {std})", args.join(", "))
            }
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.map.output(&arg_types[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.map.apply(&values)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;

    fn applied(map: FloatMap, values: impl Array + 'static) -> ArrayRef {
        let values: ArrayRef = Arc::new(values);
        let result = map.apply(&values).unwrap();
        assert_eq!(result.data_type(), &map.output(values.data_type()));
        result
    }

    #[test]
    fn bounds_limit_and_nan_and_null_stay() {
        let map = FloatMap::Clip {
            min: -1.0,
            max: f64::INFINITY,
        };
        let values = Float32Array::from(vec![Some(-3.0), Some(5.0), None, Some(f32::NAN)]);
        let result = applied(map, values);
        let result = result.as_primitive::<Float32Type>();
        assert_eq!((result.value(0), result.value(1)), (-1.0, 5.0));
        assert!(result.is_null(2) && result.value(3).is_nan());
    }

    #[test]
    fn small_numbers_survive_the_logarithm() {
        let values = Float32Array::from(vec![1e-9, 0.0]);
        let expected: ArrayRef = Arc::new(Float32Array::from(vec![1e-9_f64.ln_1p() as f32, 0.0]));
        let result = applied(FloatMap::LogPlusOne, values);
        let error = result.as_primitive::<Float32Type>().value(0)
            - expected.as_primitive::<Float32Type>().value(0);
        assert!(error.abs() < 1e-15, "{error}");
    }

    #[test]
    fn scaling_is_done_in_double_precision() {
        let map = |single| FloatMap::Scale {
            mean: 1e9,
            std: 2.0,
            single,
        };
        let values = Float64Array::from(vec![Some(1e9 + 1.0), None]);
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None]));
        assert_eq!(&applied(map(false), values.clone()), &expected);
        let expected: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.5), None]));
        assert_eq!(&applied(map(true), values), &expected);
    }

    #[test]
    fn functions_of_other_numbers_are_others() {
        let function = |map: FloatMap| map.of(datafusion::prelude::col("x"), &DataType::Float32);
        let clip = |min| FloatMap::Clip { min, max: 9.0 };
        assert_eq!(function(clip(1.0)), function(clip(1.0)));
        assert_ne!(function(clip(1.0)), function(clip(2.0)));
        assert_ne!(function(FloatMap::LogPlusOne), function(clip(2.0)));
    }
}
