//! From lists of tokens to lists of ids, as a function of the engine.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use super::UNKNOWN_ID;
use super::words::ColumnWords;
use crate::Error;
use crate::functions::{Lists, Shared, list_array};
use crate::lookup::ABSENT;

/// The ids of the tokens of each text, between those of the start and end tokens.
pub(super) fn ids_of(
    texts: Expr,
    column: &str,
    words: &Arc<ColumnWords>,
    start: Option<i64>,
    end: Option<i64>,
) -> Expr {
    let function = IdsOf {
        column: column.to_owned(),
        words: Shared(Arc::clone(words)),
        start,
        end,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![texts])
}

#[derive(Debug)]
struct IdsOf {
    column: String,
    words: Shared<ColumnWords>,
    start: Option<i64>,
    end: Option<i64>,
    signature: Signature,
}

impl IdsOf {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let lists = Lists::new(array)?;
        let tokens = cast(&lists.values, &DataType::Utf8)?;
        let codes = self
            .words
            .index
            .lookup(&[tokens])
            .map_err(|error| Error::Data {
                operator: "text_vocabulary".to_owned(),
                problem: format!("column `{}`: {error}", self.column),
            })?;
        let id = |code: u32| i64::from(if code == ABSENT { UNKNOWN_ID } else { code });
        let mut ids: Vec<i64> = Vec::with_capacity(codes.len() + 2 * lists.ranges().len());
        let mut lengths = Vec::with_capacity(lists.ranges().len());
        for (row, list) in lists.ranges().iter().enumerate() {
            let before = ids.len();
            if array.is_valid(row) {
                ids.extend(self.start);
                ids.extend(codes[list.clone()].iter().map(|code| id(*code)));
                ids.extend(self.end);
            }
            lengths.push(ids.len() - before);
        }
        list_array(Arc::new(Int64Array::from(ids)), lengths, lists.nulls)
    }
}

impl ScalarUDFImpl for IdsOf {
    fn name(&self) -> &'static str {
        "text_vocabulary"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        Ok(format!(
            "text_vocabulary({}, {:?}, {:?})",
            args[0], self.start, self.end
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        let element = Field::new_list_field(DataType::Int64, true);
        Ok(DataType::List(Arc::new(element)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}

impl PartialEq for IdsOf {
    fn eq(&self, other: &IdsOf) -> bool {
        self.words == other.words && (self.start, self.end) == (other.start, other.end)
    }
}

impl Eq for IdsOf {}

impl Hash for IdsOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.hash(state);
        (self.start, self.end).hash(state);
    }
}
