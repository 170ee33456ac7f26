//! The option that says which aggregates are computed of which columns.

use emrys_schema::{ColumnSchema, DType};
use serde::{Deserialize, Serialize};

use super::PerColumn;
use super::one_or_many::OneOrMany;
use crate::functions::{Aggregate, RangeAggregate};
use crate::operator::InputSchema;
use crate::{Error, Result};

/// Names of aggregates, for all columns or by column.
///
/// They are kept as text, so that a wrong name is told with those that there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Aggregates(PerColumn<OneOrMany<String>>);

impl Aggregates {
    /// The same aggregates for all columns.
    pub(super) fn all(kinds: impl IntoIterator<Item = Aggregate>) -> Aggregates {
        Aggregates(PerColumn::All(names(kinds)))
    }

    /// Aggregates for some columns.
    pub(super) fn by_column(
        columns: impl IntoIterator<Item = (impl Into<String>, impl IntoIterator<Item = Aggregate>)>,
    ) -> Aggregates {
        let columns = columns.into_iter();
        Aggregates(PerColumn::ByColumn(
            columns
                .map(|(name, kinds)| (name.into(), names(kinds)))
                .collect(),
        ))
    }

    /// Refuses names that are none of aggregates.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub(super) fn check(&self, operator: &str, allowed: &[Aggregate]) -> Result<()> {
        let invalid = |value: String, expected: String| Error::InvalidOption {
            operator: operator.to_owned(),
            option: "aggs".to_owned(),
            value,
            expected,
        };
        for (column, names) in self.0.iter() {
            let place = column
                .map(|name| format!(" for `{name}`"))
                .unwrap_or_default();
            if names.as_slice().is_empty() {
                return Err(invalid(
                    format!("empty{place}"),
                    "at least one is needed".to_owned(),
                ));
            }
            for name in names.as_slice() {
                let known = allowed.iter().map(|kind| kind.as_str());
                if known.clone().any(|known| known == name) {
                    continue;
                }
                let closest = emrys_schema::closest_name(name, known.clone());
                let advice = closest
                    .map(|name| format!("; did you mean `{name}`?"))
                    .unwrap_or_default();
                return Err(invalid(
                    format!("`{name}`{place}"),
                    format!(
                        "there is no such aggregate{advice} (known: {})",
                        known.collect::<Vec<_>>().join(", ")
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The columns of an input with their aggregates, in the order of the input.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] if aggregates are given for a column that is not there.
    pub(super) fn of<'a>(
        &self,
        input: &'a InputSchema,
    ) -> Result<Vec<(&'a ColumnSchema, Aggregate)>> {
        if let PerColumn::ByColumn(columns) = &self.0 {
            for name in columns.keys() {
                input.column(name)?;
            }
        }
        let dependencies = input.dependencies().iter();
        let columns = input.columns().map(|column| (column, true));
        Ok(columns
            .chain(dependencies.map(|column| (column, false)))
            .filter_map(|(column, is_input)| {
                let names = match &self.0 {
                    PerColumn::All(names) => is_input.then_some(names),
                    PerColumn::ByColumn(columns) => columns.get(column.name()),
                };
                Some((column, names?))
            })
            .flat_map(|(column, names)| {
                let kinds = names
                    .as_slice()
                    .iter()
                    .filter_map(|name| Aggregate::named(name));
                kinds.map(move |kind| (column, kind))
            })
            .collect())
    }

    /// Whether the aggregates are the same for all columns.
    pub(super) fn are_for_all(&self) -> bool {
        matches!(self.0, PerColumn::All(_))
    }
}

fn names(kinds: impl IntoIterator<Item = Aggregate>) -> OneOrMany<String> {
    kinds.into_iter().map(Aggregate::as_str).collect()
}

/// Checks that an aggregate can be computed of values of a type.
///
/// # Errors
/// [`Error::UnsupportedType`].
pub(super) fn require_type(
    input: &InputSchema,
    column: &ColumnSchema,
    kind: Aggregate,
    are_lists: bool,
) -> Result<()> {
    if are_lists && kind.needs_scalars() {
        return Err(Error::UnsupportedType {
            operator: input.operator().to_owned(),
            column: column.name().to_owned(),
            found: format!("{}{}", column.dtype(), column.shape()),
            expected: format!("`{kind}` needs single values; use ListAggregate on each list first"),
        });
    }
    if kind.needs_numbers() {
        let is_number = |dtype: DType| dtype.is_numeric() || dtype == DType::Bool;
        input.require(column, &format!("a number for `{kind}`"), is_number)?;
    }
    Ok(())
}

/// The column of the results: what counts or measures values has none of their meanings but the
/// entity that they describe.
pub(super) fn result_column(
    column: &ColumnSchema,
    name: String,
    aggregate: RangeAggregate,
) -> ColumnSchema {
    use emrys_schema::Tag;
    let dtype = aggregate.output_dtype(column.dtype());
    if aggregate.kind.keeps_values() {
        return column.clone().with_name(name).with_dtype(dtype);
    }
    let entities = [Tag::User, Tag::Item, Tag::Session, Tag::Context];
    let tags = column.tags().iter().filter(|tag| entities.contains(tag));
    ColumnSchema::new(name, dtype).with_tags(tags.cloned())
}
