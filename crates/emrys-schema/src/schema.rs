//! An ordered list of columns.

use serde::{Deserialize, Serialize};

use crate::{ColumnSchema, Error, Result, Tag};

/// An ordered list of columns with distinct names.
///
/// Every operation is pure: it returns a new schema.
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
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !names.insert(column.name())) {
            return Err(Error::DuplicateColumn { name: twice.name().to_owned() });
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
            available: self.columns.iter().map(|column| column.name().to_owned()).collect(),
        })
    }

    /// The columns for which `predicate` holds.
    #[must_use]
    pub fn filter(&self, predicate: impl Fn(&ColumnSchema) -> bool) -> Schema {
        Schema { columns: self.columns.iter().filter(|column| predicate(column)).cloned().collect() }
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
        let columns: Result<Vec<_>> =
            names.into_iter().map(|name| self.column(name.as_ref()).cloned()).collect();
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
        columns.extend(other.columns.iter().filter(|c| self.get(c.name()).is_none()).cloned());
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
        match self.columns.iter_mut().find(|other| other.name() == column.name()) {
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
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Schema, D::Error> {
        #[derive(Deserialize)]
        struct Columns {
            columns: Vec<ColumnSchema>,
        }
        Schema::new(Columns::deserialize(deserializer)?.columns).map_err(serde::de::Error::custom)
    }
}
