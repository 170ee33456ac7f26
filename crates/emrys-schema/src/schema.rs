//! An ordered list of columns.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{ColumnSchema, Error, Result, Tag};

/// An ordered list of columns with distinct names.
///
/// Every operation is pure: it returns a new schema. Equality minds the order of the columns.
///
/// ```
/// use emrys_schema::{ColumnSchema, DType, EmbeddingSize, Schema, Tag};
///
/// let schema = Schema::new([
///     ColumnSchema::new("item", DType::Int64)
///         .with_tags([Tag::ItemId])
///         .with_embedding_size(EmbeddingSize { cardinality: 7, dimension: 16 }),
///     ColumnSchema::new("price", DType::Float32).with_tags([Tag::Item, Tag::Continuous]),
///     ColumnSchema::new("click", DType::Int8).with_tags([Tag::Target]),
/// ])?;
/// let features = schema.excluding_tags([Tag::Target]);
/// assert_eq!(features.names(), ["item", "price"]);
/// assert_eq!(
///     features.to_string(),
///     "\
/// name   dtype    tags              embedding
/// -----  -------  ----------------  ---------
/// item   int64    item, id          7 x 16
/// price  float32  item, continuous
/// "
/// );
/// # Ok::<(), emrys_schema::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Schema {
    columns: Vec<ColumnSchema>,
}

impl Schema {
    /// A schema of the given columns.
    ///
    /// # Errors
    /// [`Error::DuplicateColumn`] if two columns have the same name.
    pub fn new(columns: impl IntoIterator<Item = ColumnSchema>) -> Result<Schema> {
        let columns: Vec<_> = columns.into_iter().collect();
        let mut names = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !names.insert(column.name())) {
            return Err(Error::DuplicateColumn {
                name: twice.name().to_owned(),
            });
        }
        Ok(Schema { columns })
    }

    /// The columns in order.
    pub fn columns(&self) -> &[ColumnSchema] {
        &self.columns
    }

    /// The columns in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ColumnSchema> {
        self.columns.iter()
    }

    /// The names in order.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(ColumnSchema::name).collect()
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The column of that name.
    pub fn get(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.name() == name)
    }

    /// The column of that name, or an error that names the nearest one.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`].
    pub fn column(&self, name: &str) -> Result<&ColumnSchema> {
        self.get(name).ok_or_else(|| Error::UnknownColumn {
            name: name.to_owned(),
            available: self
                .columns
                .iter()
                .map(|column| column.name().to_owned())
                .collect(),
        })
    }

    /// The columns for which `predicate` holds.
    #[must_use]
    pub fn filter(&self, predicate: impl Fn(&ColumnSchema) -> bool) -> Schema {
        Schema {
            columns: self
                .columns
                .iter()
                .filter(|column| predicate(column))
                .cloned()
                .collect(),
        }
    }

    /// The columns that have the tag; for a compound tag, all its parts.
    #[must_use]
    pub fn select_by_tag(&self, tag: impl Into<Tag>) -> Schema {
        let tag = tag.into();
        self.filter(|column| column.tags().contains(&tag))
    }

    /// The columns that have any of the tags.
    #[must_use]
    pub fn select_by_any_tag(&self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> Schema {
        let tags: Vec<Tag> = tags.into_iter().map(Into::into).collect();
        self.filter(|column| tags.iter().any(|tag| column.tags().contains(tag)))
    }

    /// The columns of those names, in the order asked for.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], [`Error::DuplicateColumn`].
    pub fn select(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Schema> {
        let columns: Result<Vec<_>> = names
            .into_iter()
            .map(|name| self.column(name.as_ref()).cloned())
            .collect();
        Schema::new(columns?)
    }

    /// The columns without those of the given names; names that are not there are no error.
    #[must_use]
    pub fn excluding(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Schema {
        let names: Vec<_> = names.into_iter().collect();
        self.filter(|column| names.iter().all(|name| name.as_ref() != column.name()))
    }

    /// The columns that have none of the tags.
    #[must_use]
    pub fn excluding_tags(&self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> Schema {
        let tags: Vec<Tag> = tags.into_iter().map(Into::into).collect();
        self.filter(|column| tags.iter().all(|tag| !column.tags().contains(tag)))
    }

    /// The columns of both; a column of both names stands where it stands in `self` and is the
    /// one of `other`.
    #[must_use]
    pub fn union(&self, other: &Schema) -> Schema {
        let mut columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| other.get(column.name()).unwrap_or(column).clone())
            .collect();
        columns.extend(
            other
                .columns
                .iter()
                .filter(|c| self.get(c.name()).is_none())
                .cloned(),
        );
        Schema { columns }
    }

    /// The columns whose names are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Schema) -> Schema {
        self.filter(|column| other.get(column.name()).is_none())
    }

    /// The schema with `column` in the place of the one of its name, or at the end.
    #[must_use]
    pub fn with_column(mut self, column: ColumnSchema) -> Schema {
        match self
            .columns
            .iter_mut()
            .find(|other| other.name() == column.name())
        {
            Some(place) => *place = column,
            None => self.columns.push(column),
        }
        self
    }
}

impl<'a> IntoIterator for &'a Schema {
    type Item = &'a ColumnSchema;
    type IntoIter = std::slice::Iter<'a, ColumnSchema>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Schema, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            #[serde(deserialize_with = "distinct_columns::<_, ColumnSchema>")]
            columns: Vec<ColumnSchema>,
        }
        let Fields { columns } = Fields::deserialize(deserializer)?;
        Ok(Schema { columns })
    }
}

/// Reads a list of columns; a second one of the same name is an error at its own place in the text.
pub(crate) fn distinct_columns<'de, D, C>(deserializer: D) -> Result<Vec<ColumnSchema>, D::Error>
where
    D: Deserializer<'de>,
    C: Deserialize<'de> + Into<ColumnSchema>,
{
    struct ColumnsVisitor<C>(PhantomData<C>);

    impl<'de, C: Deserialize<'de> + Into<ColumnSchema>> Visitor<'de> for ColumnsVisitor<C> {
        type Value = Vec<ColumnSchema>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of columns")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut names = HashSet::new();
            let mut columns: Vec<ColumnSchema> = Vec::new();
            while let Some(column) = seq.next_element::<C>()? {
                let column = column.into();
                if !names.insert(column.name().to_owned()) {
                    let name = column.name().to_owned();
                    return Err(serde::de::Error::custom(Error::DuplicateColumn { name }));
                }
                columns.push(column);
            }
            Ok(columns)
        }
    }

    deserializer.deserialize_seq(ColumnsVisitor(PhantomData::<C>))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn schema() -> Schema {
        Schema::new([
            ColumnSchema::new("user", DType::Int64).with_tags([Tag::UserId]),
            ColumnSchema::new("item", DType::Int64).with_tags([Tag::ItemId]),
            ColumnSchema::new("age", DType::Float32).with_tags([Tag::User, Tag::Continuous]),
            ColumnSchema::new("click", DType::Int8).with_tags([Tag::Target]),
        ])
        .unwrap()
    }

    #[test]
    fn a_compound_tag_selects_columns_with_all_its_parts() {
        assert_eq!(schema().select_by_tag(Tag::UserId).names(), ["user"]);
        assert_eq!(schema().select_by_tag("user").names(), ["user", "age"]);
        assert_eq!(
            schema()
                .select_by_any_tag([Tag::UserId, Tag::ItemId])
                .names(),
            ["user", "item"]
        );
    }

    #[test]
    fn names_are_selected_in_the_order_asked_for() {
        assert_eq!(
            schema().select(["click", "user"]).unwrap().names(),
            ["click", "user"]
        );
        let error = schema().select(["usr"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "column `usr` is not in the schema; did you mean `user`? (columns: user, item, age, click)"
        );
        assert!(schema().select(["user", "user"]).is_err());
    }

    #[test]
    fn excluding_ignores_names_that_are_not_there() {
        assert_eq!(
            schema().excluding(["item", "price"]).names(),
            ["user", "age", "click"]
        );
        assert_eq!(
            schema().excluding_tags([Tag::User, Tag::Target]).names(),
            ["item"]
        );
    }

    #[test]
    fn a_predicate_selects_columns() {
        assert_eq!(
            schema().filter(|column| column.dtype().is_float()).names(),
            ["age"]
        );
    }

    #[test]
    fn a_union_takes_shared_columns_from_the_right_in_the_place_of_the_left() {
        let right = Schema::new([
            ColumnSchema::new("price", DType::Float64),
            ColumnSchema::new("item", DType::String),
        ])
        .unwrap();
        let union = schema().union(&right);
        assert_eq!(union.names(), ["user", "item", "age", "click", "price"]);
        assert_eq!(union.get("item").unwrap().dtype(), DType::String);
        assert_eq!(union.difference(&schema()).names(), ["price"]);
    }

    #[test]
    fn schemas_differ_by_order_but_not_by_the_order_of_tags() {
        let schema = schema();
        assert_ne!(
            schema,
            schema.select(["item", "user", "age", "click"]).unwrap()
        );
        let retagged = ColumnSchema::new("user", DType::Int64).with_tags([Tag::Id, Tag::User]);
        assert_eq!(schema, schema.clone().with_column(retagged));
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let columns = [
            ColumnSchema::new("x", DType::Int8),
            ColumnSchema::new("x", DType::Bool),
        ];
        let error = Schema::new(columns).unwrap_err().to_string();
        assert_eq!(error, "column `x` occurs twice; rename one of the two");
    }
}
