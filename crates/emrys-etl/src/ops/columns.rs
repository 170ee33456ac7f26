//! What operators share that work on each column by itself.

use arrow::datatypes::DataType;
use datafusion::functions::expr_fn::isnan;
use datafusion::prelude::Expr;
use emrys_schema::ColumnSchema;

use crate::operator::{InputSchema, Lowered, Relation, map_leaves};
use crate::{Error, Result};

/// One output per input column under the same name, by an expression over the column or over the
/// elements of its lists.
pub(super) fn each_column(
    input: &Relation,
    build: impl Fn(&ColumnSchema, Expr, &DataType) -> Result<Expr>,
) -> Result<Lowered> {
    let mut outputs = Vec::new();
    for column in input.columns() {
        let name = column.name();
        let data_type = input.arrow_type(name)?;
        let expr = map_leaves(input.expr(name)?, &data_type, |expr, leaf| {
            build(column, expr, leaf)
        })?;
        outputs.push((name.to_owned(), expr));
    }
    Ok(Lowered::Columns(outputs))
}

/// Passes every input column through.
pub(super) fn unchanged(input: &Relation) -> Result<Lowered> {
    each_column(input, |_, expr, _| Ok(expr))
}

/// Whether a value is missing: null, or NaN in floats, which tools without nulls use for it.
pub(super) fn is_missing(expr: Expr, data_type: &DataType) -> Expr {
    if data_type.is_floating() {
        expr.clone().is_null().or(isnan(expr))
    } else {
        expr.is_null()
    }
}

/// Checks that a column holds lists.
pub(super) fn require_list(input: &InputSchema, column: &ColumnSchema) -> Result<()> {
    if column.shape().is_list() {
        return Ok(());
    }
    Err(Error::UnsupportedType {
        operator: input.operator().to_owned(),
        column: column.name().to_owned(),
        found: column.dtype().to_string(),
        expected: "a list is needed; leave it out".to_owned(),
    })
}
