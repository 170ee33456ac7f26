//! From the graph that a user writes to DataFusion's plans.
//!
//! [`graph`] numbers the nodes, [`bind`] finds every column and checks the schemas, [`lower`]
//! builds the relations.

pub(crate) mod bind;
pub(crate) mod cut;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod lineage;
pub(crate) mod lower;
pub(crate) mod picture;

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{ident, lit};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use emrys_schema::{DType, Schema};

use crate::expression::ToArrowIfKnown;
use crate::functions::lossless_cast;
use crate::io::ROW_ID;
use crate::{Error, Result};
use bind::Binding;

/// The columns of a data set that a graph uses, under the names they have inside the plan.
///
/// A column whose type is not the one in the binding (the type it had when the workflow was
/// fitted) is cast without loss, or the run stops at the value that does not fit. Nulls stand for
/// removed columns; nothing that is put out comes from them. The row id, if an operator needs it,
/// counts from `first_row`.
///
/// # Errors
/// [`Error::UnknownColumn`] and [`Error::UnsupportedType`], all at once.
pub(crate) fn dataset_columns(
    binding: &Binding,
    frame: &DFSchema,
    dataset: &Schema,
    removed: &BTreeSet<String>,
    first_row: u64,
) -> Result<Vec<Expr>> {
    let mut errors = Vec::new();
    let mut columns = Vec::new();
    for column in binding.used_columns() {
        let name = column.schema.name();
        if removed.contains(name) {
            let field = column.schema.to_arrow_if_known()?;
            let null = ScalarValue::try_from(field.data_type());
            let null = null.map_err(Error::query("leaving an input out"))?;
            columns.push(lit(null).alias(&column.internal));
            continue;
        }
        let (Some(found), Ok(field)) = (dataset.get(name), frame.field_with_unqualified_name(name))
        else {
            errors.push(Error::UnknownColumn {
                operator: "transform".to_owned(),
                column: name.to_owned(),
                available: dataset.names().into_iter().map(str::to_owned).collect(),
            });
            continue;
        };
        let expected = column.schema.dtype();
        let same_shape = found.shape().dims().len() == column.schema.shape().dims().len();
        let expr = if same_shape && (found.dtype() == expected || expected == DType::Unknown) {
            ident(name)
        } else if same_shape && found.shape().is_scalar() && castable(field.data_type(), expected) {
            let target = column.schema.to_arrow()?.data_type().clone();
            lossless_cast(ident(name), name, target)
        } else {
            errors.push(Error::UnsupportedType {
                operator: "transform".to_owned(),
                column: name.to_owned(),
                found: format!("{}{}", found.dtype(), found.shape()),
                expected: format!(
                    "it was {expected}{} when the workflow was fitted; cast it",
                    column.schema.shape()
                ),
            });
            continue;
        };
        columns.push(expr.alias(&column.internal));
    }
    Error::collect(errors)?;
    if binding.needs_row_id {
        columns.push(match first_row {
            0 => ident(ROW_ID),
            first => (ident(ROW_ID) + lit(first.cast_signed())).alias(ROW_ID),
        });
    }
    Ok(columns)
}

/// Numbers may come in another numeric type as long as every value fits; a column of nulls fits
/// every type.
fn castable(found: &DataType, expected: DType) -> bool {
    found == &DataType::Null || (found.is_numeric() && expected.is_numeric())
}
