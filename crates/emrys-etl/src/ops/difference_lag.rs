//! See [`DifferenceLag`].

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::error::Result as EngineResult;
use datafusion::functions_window::expr_fn::{lag, lead};
use datafusion::logical_expr::expr_fn::ExprFunctionExt;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit,
    when,
};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use serde::{Deserialize, Serialize};

use super::one_or_many::OneOrMany;
use crate::functions::{Lists, list_array};
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation, leaf_type};
use crate::{Error, Result};

/// Subtracts the value of a row before (or after) from each value, such as the time since the last
/// event of a user.
///
/// The row before is the one before in the order of the data set; sort it by the partition columns
/// and by time first. Where the two rows differ in a partition column there is no difference.
///
/// # Output
/// For each column and shift `<column>_difference_lag_<shift>` as `float32`; rows keep their order.
/// A positive shift looks back, a negative one ahead. Integers are subtracted as `int64` (`uint64`
/// as `float64`) before they become `float32`. The order runs through the whole data set, whatever
/// its partitions: they are read one after the other, in bounded memory.
/// # Schema
/// Adds `continuous`; drops the domain.
/// # Nulls, NaN and empty input
/// Null where one of the values or of the partition columns is null, and where there is no such row.
/// NaN stays NaN. No rows in, no rows out.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Within each list, from element to element; the partition columns are not needed, since a list is
/// a partition. Lists keep their lengths: elements without another one to subtract become null.
/// # Errors
/// At build: a column that is not numeric (cast times to integers first); lists of lists; no shift,
/// a shift of 0 or one given twice.
/// # Compared with Merlin
/// Merlin starts anew in each partition of the data, and does not know lists.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::DifferenceLag};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new(["user", "ts"].map(|name| ColumnSchema::new(name, DType::Int64)))?;
/// let since_last = cols(["ts"]) >> DifferenceLag::new(["user"]).with_shifts([1, -1]);
/// let output = Workflow::new(since_last).output_schema(&schema)?;
/// assert_eq!(output.names(), ["ts_difference_lag_1", "ts_difference_lag_-1"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferenceLag {
    #[serde(default)]
    partition_cols: OneOrMany<String>,
    #[serde(default = "one_before")]
    shift: OneOrMany<i64>,
}

fn one_before() -> OneOrMany<i64> {
    OneOrMany::One(1)
}

impl DifferenceLag {
    /// The difference to the row before, among rows that are equal in the partition columns; among
    /// all rows if none are given.
    pub fn new(partition_cols: impl IntoIterator<Item = impl Into<String>>) -> DifferenceLag {
        DifferenceLag {
            partition_cols: partition_cols.into_iter().collect(),
            shift: one_before(),
        }
    }

    /// How many rows before the other row is, or after it if negative; 1 by default.
    #[must_use]
    pub fn with_shifts(mut self, shifts: impl IntoIterator<Item = i64>) -> Self {
        self.shift = shifts.into_iter().collect();
        self
    }

    /// Columns and shifts with the names of their differences.
    fn outputs<'a>(
        &'a self,
        input: &'a InputSchema,
    ) -> impl Iterator<Item = (&'a ColumnSchema, i64, String)> {
        input.columns().flat_map(move |column| {
            self.shift.as_slice().iter().map(move |shift| {
                let name = format!("{}_difference_lag_{shift}", column.name());
                (column, *shift, name)
            })
        })
    }
}

impl Operator for DifferenceLag {
    type State = ();

    fn name() -> &'static str {
        "DifferenceLag"
    }

    fn description() -> &'static str {
        "Subtracts the value of a row before or after from each value."
    }

    fn check(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        let shifts = self.shift.as_slice();
        let wrong = shifts
            .iter()
            .find(|shift| **shift == 0 || !seen.insert(**shift));
        let found = match wrong {
            Some(shift) => shift.to_string(),
            None if shifts.is_empty() => "empty".to_owned(),
            None => return Ok(()),
        };
        Err(Error::InvalidOption {
            operator: "difference_lag".to_owned(),
            option: "shift".to_owned(),
            value: found,
            expected: "at least one number is needed, each other than 0 and once".to_owned(),
        })
    }

    fn dependencies(&self) -> Vec<String> {
        self.partition_cols.as_slice().to_vec()
    }

    fn needs_row_id(&self) -> bool {
        true
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_numeric()?;
        for name in self.partition_cols.as_slice() {
            input.column(name)?;
        }
        let nested = input
            .columns()
            .find(|column| column.shape().dims().len() > 1);
        if let Some(column) = nested {
            return Err(Error::UnsupportedType {
                operator: input.operator().to_owned(),
                column: column.name().to_owned(),
                found: format!("{}{}", column.dtype(), column.shape()),
                expected: "a number or a list of numbers is needed; leave it out".to_owned(),
            });
        }
        let columns = self.outputs(input).map(|(column, _, name)| {
            column
                .clone()
                .with_name(name)
                .with_dtype(DType::Float32)
                .with_domain(None)
                .with_tags([Tag::Continuous])
        });
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let mut columns = Vec::new();
        for (column, shift, name) in self.outputs(input) {
            let value = input.expr(column.name())?;
            let data_type = input.arrow_type(column.name())?;
            let is_list = leaf_type(&data_type) != &data_type;
            let difference = match is_list {
                true => difference_in_lists(value, shift),
                false => self.difference(input, value, &data_type, shift)?,
            };
            columns.push((name, difference));
        }
        Ok(Lowered::Columns(columns))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "The time since the last event of the same user, and until the next.",
                config: serde_json::json!({"partition_cols": ["user"], "shift": [1, -1]}),
                input: serde_json::json!({
                    "user": [0, 0, 0, 1, 1, 2], "ts": [1000, 1005, 1100, 2000, 2001, 3000],
                }),
                selection: serde_json::json!(["ts"]),
                output: serde_json::json!({
                    "ts_difference_lag_1": [null, 5.0, 95.0, null, 1.0, null],
                    "ts_difference_lag_-1": [-5.0, -95.0, null, -1.0, null, null],
                }),
            },
            Example {
                title: "Within the lists of sessions.",
                config: serde_json::json!({}),
                input: serde_json::json!({"times": [[10, 12, 17], [20], [], null]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "times_difference_lag_1": [[null, 2.0, 5.0], [null], [], null],
                }),
            },
        ]
    }
}

impl DifferenceLag {
    fn difference(
        &self,
        input: &Relation,
        value: Expr,
        data_type: &DataType,
        shift: i64,
    ) -> Result<Expr> {
        let row = input.row_id()?;
        let other = |expr: Expr| {
            let other = match shift {
                before if before > 0 => lag(expr, Some(before), None),
                after => lead(expr, Some(after.saturating_neg()), None),
            };
            other
                .order_by(vec![row.clone().sort(true, false)])
                .build()
                .map_err(Error::query("looking at other rows"))
        };
        let number = cast(value, exact_type(data_type));
        let difference = cast(number.clone() - other(number)?, DataType::Float32);
        let mut same: Option<Expr> = None;
        for name in self.partition_cols.as_slice() {
            let key = input.expr(name)?;
            let equal = key.clone().eq(other(key)?);
            same = Some(match same {
                Some(others) => others.and(equal),
                None => equal,
            });
        }
        match same {
            None => Ok(difference),
            Some(same) => when(same, difference)
                .otherwise(lit(ScalarValue::Float32(None)))
                .map_err(Error::query("building an expression")),
        }
    }
}

/// The type in which differences of numbers of a type are exact.
fn exact_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::UInt64 => DataType::Float64,
        integer if integer.is_integer() => DataType::Int64,
        _ => DataType::Float64,
    }
}

fn difference_in_lists(lists: Expr, shift: i64) -> Expr {
    let function = ListDifference {
        shift,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![lists])
}

/// Differences between the elements of each list, as a function of the engine.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ListDifference {
    shift: i64,
    signature: Signature,
}

impl ListDifference {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let lists = Lists::new(array)?;
        let numbers = cast_array(&lists.values, &exact_type(lists.values.data_type()))?;
        let difference = |row: usize, other: usize| {
            let known = numbers.is_valid(row) && numbers.is_valid(other);
            known.then(|| match numbers.as_primitive_opt::<Int64Type>() {
                Some(integers) => integers.value(row).wrapping_sub(integers.value(other)) as f32,
                None => {
                    let floats = numbers.as_primitive::<Float64Type>();
                    (floats.value(row) - floats.value(other)) as f32
                }
            })
        };
        let shift = isize::try_from(self.shift).unwrap_or(isize::MAX);
        let differences: Float32Array = lists
            .ranges()
            .iter()
            .flat_map(|list| {
                list.clone().map(|row| {
                    let other = row.checked_add_signed(shift.saturating_neg())?;
                    list.contains(&other).then(|| difference(row, other))?
                })
            })
            .collect();
        let lengths: Vec<usize> = lists.ranges().iter().map(ExactSizeIterator::len).collect();
        list_array(Arc::new(differences), lengths, lists.nulls)
    }
}

impl ScalarUDFImpl for ListDifference {
    fn name(&self) -> &'static str {
        "list_difference"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        Ok(format!("list_difference({}, {})", args[0], self.shift))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        let element = Field::new_list_field(DataType::Float32, true);
        Ok(DataType::List(Arc::new(element)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}
