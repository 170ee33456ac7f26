//! [`ContinuousFeatures`].

use std::collections::BTreeMap;

use burn::module::Module;
use emrys_schema::{ColumnSchema, Schema, Tag};
use serde::{Deserialize, Serialize};

use super::Selection;
use crate::{
    Block, BlockSpec, Built, Features, Pass, Problems, Result, RowShape, Scope, Signature, Value,
};

/// Picks the columns of numbers from a raw batch.
///
/// # Shapes
/// - input: a raw batch
/// - output: for each column `[B, 1]`, or `[B, T]` for lists of T numbers; nothing if the schema
///   has no such column
/// # Parameters
/// None.
/// # Errors
/// At build: the input is not a raw batch; a name that is not in the schema; a column that is not
/// numeric; lists whose lengths differ. At forward: a column is not in the batch.
/// # Example
/// ```
/// use emrys_models::blocks::{ContinuousFeatures, Concat, Mlp};
/// use emrys_models::Compose;
///
/// // All columns tagged continuous, through a small network.
/// let bottom = ContinuousFeatures::new().connect(Mlp::new([64]));
/// # let _ = bottom;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuousFeatures {
    columns: Selection,
}

impl ContinuousFeatures {
    /// The columns tagged [`Tag::Continuous`], without targets.
    pub fn new() -> ContinuousFeatures {
        ContinuousFeatures::of(Tag::Continuous)
    }

    /// The columns of those names (`["price", "age"]`), with that tag, or of that schema.
    pub fn of(columns: impl Into<Selection>) -> ContinuousFeatures {
        ContinuousFeatures {
            columns: columns.into(),
        }
    }
}

impl Default for ContinuousFeatures {
    fn default() -> ContinuousFeatures {
        ContinuousFeatures::new()
    }
}

impl BlockSpec for ContinuousFeatures {
    const NAME: &'static str = "continuous_features";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let columns = self.columns.resolve(input_schema(input, scope)?, scope)?;
        let shapes = Problems::gather(columns.iter().map(|column| {
            Ok((
                column.name().to_owned(),
                RowShape::Vector(width(column, scope)?),
            ))
        }))?;
        let shapes: BTreeMap<String, RowShape> = shapes.into_iter().collect();
        scope.read_numbers(shapes.keys());
        let block = ContinuousFeaturesBlock {
            columns: shapes.clone(),
        };
        Ok(Built::new(block, Signature::Dict(shapes)))
    }
}

/// The schema of the raw batch that the block reads.
pub(crate) fn input_schema<'a>(
    input: &'a Signature,
    scope: &Scope<'_>,
) -> Result<&'a Schema, Problems> {
    match input {
        Signature::Features(schema) => Ok(schema),
        other => Err(scope.problem(format!(
            "expected a raw batch, found {other}; only the first blocks of a model read columns"
        ))),
    }
}

/// How many numbers a row of the column holds.
fn width(column: &ColumnSchema, scope: &Scope<'_>) -> Result<usize, Problems> {
    if !column.dtype().is_numeric() {
        return Err(scope.problem(format!(
            "column `{}` has dtype {:?}, expected numbers; encode it in the workflow",
            column.name(),
            column.dtype()
        )));
    }
    let dims = column.shape().dims();
    match dims {
        [] => Ok(1),
        [dim] if let Some(length) = dim.length() => list_length(column, length, scope),
        _ => Err(scope.problem(format!(
            "column `{}` holds lists of different lengths, expected one number or lists of one \
             length; pad or reduce them in the workflow",
            column.name()
        ))),
    }
}

/// The length of a column's lists as a size in memory.
pub(super) fn list_length(
    column: &ColumnSchema,
    length: u64,
    scope: &Scope<'_>,
) -> Result<usize, Problems> {
    usize::try_from(length).map_err(|_| {
        scope.problem(format!(
            "column `{}` holds lists of {length} values, more than this machine can address",
            column.name()
        ))
    })
}

#[derive(Module, Debug)]
struct ContinuousFeaturesBlock {
    #[module(skip)]
    columns: BTreeMap<String, RowShape>,
}

impl Block for ContinuousFeaturesBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        let features: Features = input.into_features(ContinuousFeatures::NAME)?;
        let mut columns = BTreeMap::new();
        for name in self.columns.keys() {
            let column = features.column(ContinuousFeatures::NAME, name)?;
            columns.insert(name.clone(), column.into());
        }
        Ok(Value::Dict(columns))
    }
}
