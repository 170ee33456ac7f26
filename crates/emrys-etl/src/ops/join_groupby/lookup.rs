//! The statistic of a row's key, as a function of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, Int64Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::Stat;
use super::records::{Group, Statistics};
use crate::Error;
use crate::functions::{Shared, SumPair};
use crate::lookup::WordKind;

/// A statistic of a column (none for the number of rows) for the key with a code; null for an
/// unknown key.
pub(super) fn statistic(
    group: &Arc<Group>,
    column: Option<usize>,
    stat: Stat,
    output: DataType,
    code: Expr,
) -> Expr {
    let function = Lookup {
        group: Shared(Arc::clone(group)),
        column: column.unwrap_or(0),
        stat,
        output,
        signature: Signature::exact(vec![DataType::UInt32], Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![code])
}

#[derive(Debug, PartialEq, Eq)]
struct Lookup {
    group: Shared<Group>,
    column: usize,
    stat: Stat,
    output: DataType,
    signature: Signature,
}

impl Hash for Lookup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.group, self.column, self.stat).hash(state);
    }
}

/// Counts end with the greatest number of their type.
fn count(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl Lookup {
    fn values(&self, codes: &[u32]) -> Result<ArrayRef, Error> {
        let records = &self.group.records;
        let (table, column) = (&self.group.table, self.column);
        let each = codes.iter().map(|code| table.record(*code));
        let array: ArrayRef = match self.stat {
            Stat::Count => {
                let rows = each.map(|record| Some(count(Statistics::rows(record?))));
                Arc::new(rows.collect::<Int32Array>())
            }
            Stat::Nunique => {
                let at = records.distinct_at(column).ok_or_else(|| {
                    Error::Internal("distinct values were not counted".to_owned())
                })?;
                let numbers = each.map(|record| Some(count(record?[at].cast_signed())));
                Arc::new(numbers.collect::<Int32Array>())
            }
            Stat::Mean => Arc::new(
                each.map(|record| {
                    let sum = records.sum(record?, column);
                    (sum.count > 0).then(|| sum.mean() as f32)
                })
                .collect::<Float32Array>(),
            ),
            Stat::Var | Stat::Std => Arc::new(
                each.map(|record| {
                    let squares = records.squares(record?, column);
                    let variance = (squares.total.count > 1).then(|| squares.variance())?;
                    Some(match self.stat {
                        Stat::Std => variance.sqrt() as f32,
                        _ => variance as f32,
                    })
                })
                .collect::<Float32Array>(),
            ),
            Stat::Sum => {
                let sums = each.map(|record| Some(records.sum(record?, column).sum));
                self.sums(sums)?
            }
            Stat::Min | Stat::Max => {
                let words = each.map(|record| {
                    let (min, max) = records.extremes(record?, column)?;
                    Some(if self.stat == Stat::Min { min } else { max })
                });
                self.words(words)
            }
        };
        cast(&array, &self.output)
            .map_err(|error| Error::Internal(format!("a statistic by key: {error}")))
    }

    fn sums(&self, sums: impl Iterator<Item = Option<SumPair>>) -> Result<ArrayRef, Error> {
        let integer = |sum: SumPair| sum.high as i128 + sum.low as i128;
        let too_large = |sum: SumPair| {
            let name = &self.group.records.columns[self.column].name;
            Error::Data {
                operator: "join_groupby".to_owned(),
                problem: format!(
                    "a sum of `{name}` is {}, which 64 bits do not hold; cast it to float64 before",
                    integer(sum)
                ),
            }
        };
        Ok(match self.group.records.columns[self.column].kind() {
            WordKind::Float => {
                Arc::new(sums.map(|sum| Some(sum?.value())).collect::<Float64Array>())
            }
            WordKind::Signed => {
                let sums = sums.map(|sum| {
                    sum.map(|sum| i64::try_from(integer(sum)).map_err(|_| too_large(sum)))
                        .transpose()
                });
                Arc::new(sums.collect::<Result<Int64Array, Error>>()?)
            }
            WordKind::Unsigned => {
                let sums = sums.map(|sum| {
                    sum.map(|sum| u64::try_from(integer(sum)).map_err(|_| too_large(sum)))
                        .transpose()
                });
                Arc::new(sums.collect::<Result<UInt64Array, Error>>()?)
            }
        })
    }

    fn words(&self, words: impl Iterator<Item = Option<u64>>) -> ArrayRef {
        match self.group.records.columns[self.column].kind() {
            WordKind::Float => Arc::new(
                words
                    .map(|word| word.map(f64::from_bits))
                    .collect::<Float64Array>(),
            ),
            WordKind::Signed => Arc::new(
                words
                    .map(|word| word.map(u64::cast_signed))
                    .collect::<Int64Array>(),
            ),
            WordKind::Unsigned => Arc::new(words.collect::<UInt64Array>()),
        }
    }
}

impl ScalarUDFImpl for Lookup {
    fn name(&self) -> &'static str {
        "join_groupby"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let column = self.column;
        Ok(format!(
            "join_groupby({}, {:?} of {column})",
            args.join(", "),
            self.stat
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.output.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let codes = args.args[0].clone().into_array(args.number_rows)?;
        let codes = codes.as_primitive::<UInt32Type>().values();
        Ok(ColumnarValue::Array(self.values(codes)?))
    }
}
