//! From codes of keys to rows and values of the other table, as functions of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListBuilder, UInt32Array, UInt32Builder};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, UInt32Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::table::ExternalTable;
use crate::Result;

/// The only row with the key of a code; null if there is none.
pub(super) fn row_of(table: &ExternalTable, code: Expr) -> Expr {
    call(table, Answer::Row, DataType::UInt32, code)
}

/// All rows with the key of a code, as a list; null if there is none.
pub(super) fn rows_of(table: &ExternalTable, code: Expr) -> Expr {
    let element = Field::new_list_field(DataType::UInt32, true);
    call(table, Answer::Rows, DataType::List(Arc::new(element)), code)
}

/// The value of a column in a row of the table; null for no row.
pub(super) fn value_of(table: &ExternalTable, column: &str, row: Expr) -> Result<Expr> {
    let data_type = table.column(column)?.data_type().clone();
    Ok(call(
        table,
        Answer::Value(column.to_owned()),
        data_type,
        row,
    ))
}

fn call(table: &ExternalTable, answer: Answer, output: DataType, argument: Expr) -> Expr {
    let signature = Signature::exact(vec![DataType::UInt32], Volatility::Immutable);
    let function = Matches {
        table: table.clone(),
        answer,
        output,
        signature,
    };
    ScalarUDF::new_from_impl(function).call(vec![argument])
}

#[derive(Debug)]
struct Matches {
    table: ExternalTable,
    answer: Answer,
    output: DataType,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Answer {
    Row,
    Rows,
    Value(String),
}

impl PartialEq for Matches {
    fn eq(&self, other: &Matches) -> bool {
        self.answer == other.answer && self.table.same(&other.table)
    }
}

impl Eq for Matches {}

impl Hash for Matches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.answer.hash(state);
    }
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        match self.answer {
            Answer::Row => "external_row",
            Answer::Rows => "external_rows",
            Answer::Value(_) => "external_value",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        Ok(match &self.answer {
            Answer::Value(column) => format!("external_value({column}, {})", args[0]),
            _ => format!("{}({})", self.name(), args[0]),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.output.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let argument = args.args[0].clone().into_array(args.number_rows)?;
        let numbers = argument.as_primitive::<UInt32Type>();
        let array: ArrayRef = match &self.answer {
            Answer::Row => {
                let row = |code: u32| self.table.rows(code).first().copied();
                Arc::new(
                    numbers
                        .iter()
                        .map(|code| code.and_then(row))
                        .collect::<UInt32Array>(),
                )
            }
            Answer::Rows => {
                let mut lists = ListBuilder::new(UInt32Builder::new());
                for code in numbers {
                    let rows = code.map_or(&[][..], |code| self.table.rows(code));
                    lists.values().append_slice(rows);
                    lists.append(!rows.is_empty());
                }
                Arc::new(lists.finish())
            }
            Answer::Value(column) => {
                let values = self.table.column(column)?;
                take(values, numbers, None)?
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}
