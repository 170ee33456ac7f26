//! Row-wise expressions over the elements of lists.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, RecordBatch,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, ident,
};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::Expr;

use crate::{Error, Result, expression};

/// The type of the innermost elements of a list; a scalar type itself.
pub fn leaf_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            leaf_type(field.data_type())
        }
        other => other,
    }
}

/// Applies an expression to a column, or to each innermost element if the column holds lists.
///
/// `build` makes the expression from an operand and its type. Lists keep their lengths, null
/// lists stay null.
///
/// # Errors
/// Those of `build`, and if the expression does not fit the type.
pub fn map_leaves(
    input: Expr,
    data_type: &DataType,
    build: impl FnOnce(Expr, &DataType) -> Result<Expr>,
) -> Result<Expr> {
    let leaf = leaf_type(data_type);
    if leaf == data_type {
        return build(input, data_type);
    }
    let element = ListMap::new(leaf, build(ident(ELEMENT), leaf)?)?;
    Ok(ScalarUDF::new_from_impl(element).call(vec![input]))
}

const ELEMENT: &str = "x";

/// A function over list columns that evaluates an expression on the elements.
#[derive(Debug)]
struct ListMap {
    /// What tells two of them apart, with the element type.
    source: Expr,
    element: Arc<Schema>,
    expr: Arc<dyn PhysicalExpr>,
    output: DataType,
    signature: Signature,
}

impl ListMap {
    fn new(leaf: &DataType, expr: Expr) -> Result<ListMap> {
        let source = expr.clone();
        let field = Field::new(ELEMENT, leaf.clone(), true);
        let (expr, output) = expression::compile(expr, vec![field.clone()])
            .map_err(Error::query("compiling an expression on lists"))?;
        Ok(ListMap {
            source,
            element: Arc::new(Schema::new(vec![field])),
            expr,
            output: output.data_type().clone(),
            signature: Signature::any(1, Volatility::Immutable),
        })
    }

    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        match array.data_type() {
            DataType::List(_) => self.apply_list::<i32>(array),
            DataType::LargeList(_) => self.apply_list::<i64>(array),
            DataType::FixedSizeList(_, length) => {
                let lists = array.as_fixed_size_list();
                let values = self.apply(lists.values())?;
                Ok(Arc::new(FixedSizeListArray::try_new(
                    element_field(values.data_type()),
                    *length,
                    values,
                    lists.nulls().cloned(),
                )?))
            }
            _ => {
                let batch =
                    RecordBatch::try_new(Arc::clone(&self.element), vec![Arc::clone(array)])?;
                self.expr.evaluate(&batch)?.into_array(array.len())
            }
        }
    }

    fn apply_list<O: OffsetSizeTrait>(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let lists = array.as_list::<O>();
        // A sliced array still holds the values of all rows; only those in use are evaluated.
        let offsets = lists.offsets();
        let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
        let values = self.apply(&lists.values().slice(first, last - first))?;
        let lengths = offsets
            .windows(2)
            .map(|pair| pair[1].as_usize() - pair[0].as_usize());
        Ok(Arc::new(GenericListArray::<O>::try_new(
            element_field(values.data_type()),
            OffsetBuffer::from_lengths(lengths),
            values,
            lists.nulls().cloned(),
        )?))
    }
}

fn element_field(data_type: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type.clone(), true))
}

fn with_leaf(data_type: &DataType, leaf: &DataType) -> DataType {
    match data_type {
        DataType::List(field) => DataType::List(element_field(&with_leaf(field.data_type(), leaf))),
        DataType::LargeList(field) => {
            DataType::LargeList(element_field(&with_leaf(field.data_type(), leaf)))
        }
        DataType::FixedSizeList(field, length) => {
            DataType::FixedSizeList(element_field(&with_leaf(field.data_type(), leaf)), *length)
        }
        _ => leaf.clone(),
    }
}

impl ScalarUDFImpl for ListMap {
    fn name(&self) -> &'static str {
        "map_list"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        let leaf = self.element.field(0).data_type();
        Ok(format!(
            "map_list({}, {} over {leaf})",
            args[0], self.source
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(with_leaf(&arg_types[0], &self.output))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let [input] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(
                "map_list takes one argument".to_owned(),
            ));
        };
        let array = input.clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}

impl PartialEq for ListMap {
    fn eq(&self, other: &ListMap) -> bool {
        self.source == other.source && self.element == other.element
    }
}

impl Eq for ListMap {}

impl Hash for ListMap {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.element.hash(state);
    }
}
