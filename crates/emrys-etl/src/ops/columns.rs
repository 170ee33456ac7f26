//! What operators share that work on each column by itself.

use arrow::datatypes::DataType;
use datafusion::functions::expr_fn::isnan;
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, DType, Schema, Shape, Tag};

use crate::operator::{InputSchema, Lowered, Relation, map_leaves};
use crate::selector::Selected;
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

/// The groups of columns of an input; those that stand by themselves form one together, the first.
pub(super) fn groups(input: &InputSchema) -> Vec<Vec<String>> {
    let mut alone = Vec::new();
    let mut groups = Vec::new();
    for selected in input.selected() {
        match selected {
            Selected::Column(name) => alone.push(name.clone()),
            Selected::Group(names) => groups.push(names.clone()),
        }
    }
    if !alone.is_empty() {
        groups.insert(0, alone);
    }
    groups
}

/// The boolean columns `<column>_filled` that tell which values were missing.
pub(super) fn flag_columns(input: &InputSchema) -> impl Iterator<Item = ColumnSchema> {
    input.columns().map(|column| {
        column
            .clone()
            .with_name(flag_name(column.name()))
            .with_dtype(DType::Bool)
            .with_shape(Shape::SCALAR)
            .with_domain(None)
    })
}

/// The expressions of [`flag_columns`].
pub(super) fn flags(input: &Relation) -> Result<Vec<(String, Expr)>> {
    let flag = |column: &ColumnSchema| {
        let name = column.name();
        let missing = is_missing(input.expr(name)?, &input.arrow_type(name)?);
        Ok((flag_name(name), missing))
    };
    input.columns().map(flag).collect()
}

fn flag_name(column: &str) -> String {
    format!("{column}_filled")
}

/// The error for a column that the state does not know.
pub(super) fn not_fitted(input: &InputSchema, column: &str) -> Error {
    Error::Data {
        operator: input.operator().to_owned(),
        problem: format!("it was not fitted on `{column}`; fit the workflow again"),
    }
}

/// Checks that a type asked for outputs is `float32` or `float64`.
pub(super) fn check_float(operator: &str, option: &str, dtype: DType) -> Result<()> {
    match dtype {
        DType::Float32 | DType::Float64 => Ok(()),
        other => Err(Error::InvalidOption {
            operator: operator.to_owned(),
            option: option.to_owned(),
            value: other.to_string(),
            expected: "it must be float32 or float64".to_owned(),
        }),
    }
}

/// The schema of numbers of an input that were scaled: continuous floats.
pub(super) fn scaled_schema(input: &InputSchema, dtype: DType) -> Result<Schema> {
    input.require_numeric()?;
    Ok(Schema::new(input.columns().map(|column| {
        column
            .clone()
            .with_dtype(dtype)
            .with_domain(None)
            .with_tags([Tag::Continuous])
    }))?)
}

/// Checks that a column holds lists.
pub(super) fn require_list(input: &InputSchema, column: &ColumnSchema) -> Result<()> {
    // Files of Merlin do not tell the types of all columns; the data will.
    if column.shape().is_list() || column.dtype() == DType::Unknown {
        return Ok(());
    }
    Err(Error::UnsupportedType {
        operator: input.operator().to_owned(),
        column: column.name().to_owned(),
        found: column.dtype().to_string(),
        expected: "a list is needed; leave it out".to_owned(),
    })
}
