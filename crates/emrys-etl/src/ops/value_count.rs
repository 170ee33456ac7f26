//! See [`ValueCount`].

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::prelude::{Expr, coalesce};
use emrys_schema::{ColumnSchema, Dim, Schema, Shape};
use serde::{Deserialize, Serialize};

use crate::functions::{Aggregate, Lists, RangeAggregate, element_of, list_aggregate};
use crate::operator::{
    Example, FitResults, InputSchema, Lowered, NewIds, Operator, Relation, Statistic,
};
use crate::{Error, Result};

/// Tells the shortest and the longest length of lists in the schema.
///
/// # Fits
/// The least and the greatest length of each list column, in the scan that all scalar statistics of
/// a round share. More data widens the bounds.
/// # Output
/// The same columns; single values pass through too. Lists that all had one length become lists of
/// a fixed length.
/// # Schema
/// The outer list dimension is `min..=max`, or fixed if the two are equal. A dimension that is fixed
/// already stays so, and one whose lists are all empty is left open.
/// # Nulls, NaN and empty input
/// A null list counts as empty, which is how loaders read it. Without rows the schema stays as it
/// was.
/// # Unseen values
/// Other data may have shorter and longer lists; they pass through, unless the length was fixed.
/// `ListSlice` limits lengths.
/// # List columns
/// Those are what it is for; of lists of lists, the outer lists are counted.
/// # Errors
/// At transform: a list of another length, where all had the same when the workflow was fitted.
/// # Compared with Merlin
/// Columns of single values stay what they are, where Merlin's schema makes lists of them.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::ValueCount};
/// # use arrow::array::{ArrayRef, ListArray, RecordBatch};
/// # use arrow::datatypes::Int64Type;
/// # use std::sync::Arc;
/// # let genres: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
/// #     Some(vec![Some(1), Some(2), Some(3)]), Some(vec![Some(1)]),
/// # ]));
/// # let batch = RecordBatch::try_from_iter([("genres", genres)]).unwrap();
/// # let movies = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let fitted = Workflow::new(cols(["genres"]) >> ValueCount::default()).fit(&movies)?;
/// assert_eq!(fitted.output_schema().get("genres").unwrap().shape().to_string(), "[1..3]");
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValueCount {}

/// What [`ValueCount`] learns: the shortest and longest lists of each column that has any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    columns: BTreeMap<String, Length>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Length {
    min: u64,
    max: u64,
}

impl Length {
    fn dim(self) -> Dim {
        match self.max {
            // Arrow's lists of no elements are of no use.
            0 => Dim::ANY,
            max => Dim {
                min: self.min,
                max: Some(max),
            },
        }
    }
}

fn ragged_columns(input: &InputSchema) -> impl Iterator<Item = &ColumnSchema> {
    input.columns().filter(|column| {
        let lists = column.shape().value_count();
        lists.is_some_and(|lists| lists.length().is_none())
    })
}

fn statistic_name(bound: &str, column: &str) -> String {
    format!("{bound} length of {column}")
}

impl Operator for ValueCount {
    type State = Lengths;

    fn name() -> &'static str {
        "ValueCount"
    }

    fn description() -> &'static str {
        "Tells the shortest and the longest length of lists in the schema."
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&Lengths>) -> Result<Schema> {
        let columns = input.columns().map(|column| {
            let length = state.and_then(|state| state.columns.get(column.name()));
            let Some((length, [_, inner @ ..])) = length.zip(Some(column.shape().dims())) else {
                return column.clone();
            };
            let lists = std::iter::once(length.dim());
            let dims: Vec<Dim> = lists.chain(inner.iter().copied()).collect();
            column.clone().with_shape(Shape::new(dims))
        });
        Ok(Schema::new(columns)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let length = RangeAggregate {
            kind: Aggregate::Len,
            integer_sums: false,
        };
        let mut statistics = Vec::new();
        for column in ragged_columns(input) {
            let name = column.name();
            let length = coalesce(vec![list_aggregate(input.expr(name)?, length), lit(0i32)]);
            for (bound, expr) in [("least", min(length.clone())), ("greatest", max(length))] {
                let name = statistic_name(bound, name);
                statistics.push(Statistic::Aggregate { name, expr });
            }
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<Lengths> {
        let mut columns = BTreeMap::new();
        for column in ragged_columns(input) {
            let bound = |bound: &str| results.number(&statistic_name(bound, column.name()));
            // No rows have no lengths.
            if let (Some(min), Some(max)) = (bound("least")?, bound("greatest")?) {
                let (min, max) = (min as u64, max as u64);
                columns.insert(column.name().to_owned(), Length { min, max });
            }
        }
        Ok(Lengths { columns })
    }

    fn refit(
        &self,
        state: &Lengths,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<Lengths> {
        let mut merged = state.clone();
        for (name, new) in self.fit(input, results)?.columns {
            let length = merged.columns.entry(name).or_insert(new);
            length.min = length.min.min(new.min);
            length.max = length.max.max(new.max);
        }
        Ok(merged)
    }

    fn lower(&self, state: &Lengths, input: &Relation) -> Result<Lowered> {
        let mut outputs = Vec::new();
        for column in input.columns() {
            let name = column.name();
            let length = state
                .columns
                .get(name)
                .and_then(|length| length.dim().length());
            let expr = input.expr(name)?;
            let expr = match length {
                Some(length) => fixed_lists(expr, name, length)?,
                None => expr,
            };
            outputs.push((name.to_owned(), expr));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "The data stay as they are.",
            config: serde_json::json!({}),
            input: serde_json::json!({"genres": [[1, 2], [], null], "year": [1995, 1999, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"genres": [[1, 2], [], null], "year": [1995, 1999, null]}),
        }]
    }
}

/// Lists that must all have one length, as Arrow's lists of a fixed length.
fn fixed_lists(lists: Expr, column: &str, length: u64) -> Result<Expr> {
    let length = i32::try_from(length).map_err(|_| {
        Error::Internal(format!(
            "`{column}` had lists of {length} elements in a batch"
        ))
    })?;
    let function = FixedLists {
        column: column.to_owned(),
        length,
        signature: Signature::any(1, Volatility::Immutable),
    };
    Ok(ScalarUDF::new_from_impl(function).call(vec![lists]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FixedLists {
    column: String,
    length: i32,
    signature: Signature,
}

impl FixedLists {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let lists = Lists::new(array)?;
        let expected = self.length as usize;
        let wrong = lists.ranges().iter().enumerate();
        let wrong = wrong.filter(|(row, range)| range.len() != expected && array.is_valid(*row));
        match wrong.map(|(_, range)| range.len()).next() {
            None => Ok(cast(
                array,
                &self.return_type(&[array.data_type().clone()])?,
            )?),
            Some(length) => Err(Error::Data {
                operator: "value_count".to_owned(),
                problem: format!(
                    "a list of `{}` has {length} elements, but all had {expected} when the \
                     workflow was fitted; let ListSlice pad or cut them before",
                    self.column
                ),
            }
            .into()),
        }
    }
}

impl ScalarUDFImpl for FixedLists {
    fn name(&self) -> &'static str {
        "fixed_lists"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        let element = element_of(&arg_types[0])?;
        Ok(DataType::FixedSizeList(Arc::clone(element), self.length))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::scalar::ScalarValue;
    use emrys_schema::DType;

    use super::*;

    fn input() -> InputSchema {
        let column = ColumnSchema::new("x", DType::Int64).with_shape(Shape::ragged(0, None));
        let schema = Schema::new([column]).unwrap();
        InputSchema::new(
            "value_count".to_owned(),
            Vec::new(),
            schema,
            Schema::default(),
        )
    }

    fn lengths(min: Option<i32>, max: Option<i32>) -> FitResults {
        let mut results = FitResults::default();
        for (bound, value) in [("least", min), ("greatest", max)] {
            let name = statistic_name(bound, "x");
            results.aggregates.insert(name, ScalarValue::Int32(value));
        }
        results
    }

    fn shape(state: &Lengths) -> String {
        let output = ValueCount::default()
            .output_schema(&input(), Some(state))
            .unwrap();
        output.get("x").unwrap().shape().to_string()
    }

    #[test]
    fn more_data_widen_the_bounds() {
        let operator = ValueCount::default();
        let refit = |state: &Lengths, results| {
            operator
                .refit(state, &input(), results, NewIds::Append)
                .unwrap()
        };
        let nothing = operator.fit(&input(), lengths(None, None)).unwrap();
        assert_eq!(shape(&nothing), "[0..]");
        let first = refit(&nothing, lengths(Some(2), Some(2)));
        assert_eq!(shape(&first), "[2]");
        let second = refit(&first, lengths(Some(1), Some(5)));
        assert_eq!(shape(&second), "[1..5]");
        assert_eq!(refit(&second, lengths(None, None)), second);
    }
}
