//! Which columns a node takes.

use emrys_schema::{Schema, Tag};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Columns by name, by tag, or all of them; and groups of columns that belong together.
///
/// Plain columns come before groups, whatever the order they were written in: this decides the
/// order of the outputs of operators that work on groups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Selector {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    All,
    Name(String),
    Tag(Tag),
    Group(Vec<String>),
}

/// One member of a resolved selection: a column, or several that an operator treats as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Selected {
    /// A single column.
    Column(String),
    /// Columns that belong together, such as the parts of a combined key.
    Group(Vec<String>),
}

impl Selected {
    /// The columns, one for a single column.
    pub fn columns(&self) -> &[String] {
        match self {
            Selected::Column(name) => std::slice::from_ref(name),
            Selected::Group(names) => names,
        }
    }

    /// The names joined, as outputs of groups are called.
    pub fn joined(&self, separator: &str) -> String {
        self.columns().join(separator)
    }
}

impl Selector {
    /// The columns of those names.
    pub fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Selector {
        Selector {
            items: names
                .into_iter()
                .map(|name| Item::Name(name.into()))
                .collect(),
        }
    }

    /// The columns that have any of the tags; for a compound tag, all its parts.
    pub fn tags(tags: impl IntoIterator<Item = impl Into<Tag>>) -> Selector {
        Selector {
            items: tags.into_iter().map(|tag| Item::Tag(tag.into())).collect(),
        }
    }

    /// One group of the columns of those names.
    pub fn group(names: impl IntoIterator<Item = impl Into<String>>) -> Selector {
        Selector {
            items: vec![Item::Group(names.into_iter().map(Into::into).collect())],
        }
    }

    /// Every column.
    pub fn all() -> Selector {
        Selector {
            items: vec![Item::All],
        }
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The columns of both.
    #[must_use]
    pub fn and(mut self, other: Selector) -> Selector {
        self.items.extend(other.items);
        self
    }

    /// The selection without the names that are not wanted; a group goes as a whole.
    pub(crate) fn keeping(&self, wanted: impl Fn(&str) -> bool) -> Selector {
        let keeps = |item: &Item| match item {
            Item::Name(name) => wanted(name),
            Item::Group(names) => names.iter().all(|name| wanted(name)),
            Item::All | Item::Tag(_) => true,
        };
        Selector {
            items: self
                .items
                .iter()
                .filter(|item| keeps(item))
                .cloned()
                .collect(),
        }
    }

    /// Whether the selection takes every column there is.
    pub(crate) fn takes_all(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::All))
    }

    /// Whether the selection names the column.
    pub(crate) fn mentions(&self, column: &str) -> bool {
        self.items.iter().any(|item| match item {
            Item::Name(name) => name == column,
            Item::Group(names) => names.iter().any(|name| name == column),
            Item::All | Item::Tag(_) => false,
        })
    }

    /// The columns of `schema` that are selected, without duplicates, groups last.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a name that is not there, [`Error::InvalidOption`] for a group
    /// without names; a tag that no column has selects nothing.
    pub fn resolve(&self, schema: &Schema, asked_by: &str) -> Result<Vec<Selected>> {
        let check = |name: &String| match schema.get(name) {
            Some(_) => Ok(()),
            None => Err(Error::UnknownColumn {
                operator: asked_by.to_owned(),
                column: name.clone(),
                available: schema.names().into_iter().map(str::to_owned).collect(),
            }),
        };
        let mut singles: Vec<String> = Vec::new();
        let mut groups: Vec<Vec<String>> = Vec::new();
        let mut add = |name: &str| {
            if singles.iter().all(|other| other != name) {
                singles.push(name.to_owned());
            }
        };
        for item in &self.items {
            match item {
                Item::All => schema.names().into_iter().for_each(&mut add),
                Item::Name(name) => {
                    check(name)?;
                    add(name);
                }
                Item::Tag(tag) => {
                    schema
                        .select_by_tag(tag.clone())
                        .names()
                        .into_iter()
                        .for_each(&mut add);
                }
                Item::Group(names) if names.is_empty() => {
                    return Err(Error::InvalidOption {
                        operator: asked_by.to_owned(),
                        option: "columns".to_owned(),
                        value: "a group of no columns".to_owned(),
                        expected: "at least one is needed; name it, or leave the group out"
                            .to_owned(),
                    });
                }
                Item::Group(names) => {
                    names.iter().try_for_each(check)?;
                    if !groups.contains(names) {
                        groups.push(names.clone());
                    }
                }
            }
        }
        Ok(singles
            .into_iter()
            .map(Selected::Column)
            .chain(groups.into_iter().map(Selected::Group))
            .collect())
    }
}

/// What was resolved, by name.
impl From<&[Selected]> for Selector {
    fn from(selected: &[Selected]) -> Selector {
        let item = |selected: &Selected| match selected {
            Selected::Column(name) => Item::Name(name.clone()),
            Selected::Group(names) => Item::Group(names.clone()),
        };
        Selector {
            items: selected.iter().map(item).collect(),
        }
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Selector {
    fn from(names: [S; N]) -> Selector {
        Selector::names(names)
    }
}

impl<S: Into<String>> From<Vec<S>> for Selector {
    fn from(names: Vec<S>) -> Selector {
        Selector::names(names)
    }
}

impl From<&str> for Selector {
    fn from(name: &str) -> Selector {
        Selector::names([name])
    }
}

#[cfg(test)]
mod tests {
    use emrys_schema::{ColumnSchema, DType};

    use super::*;

    fn schema() -> Schema {
        Schema::new(["a", "b", "c"].map(|name| ColumnSchema::new(name, DType::Int64)))
            .unwrap()
            .with_column(ColumnSchema::new("c", DType::Int64).with_tags([Tag::UserId]))
    }

    #[test]
    fn groups_come_after_plain_columns() {
        let selector = Selector::group(["a", "b"]).and(Selector::names(["c", "a"]));
        assert_eq!(
            selector.resolve(&schema(), "select").unwrap(),
            [
                Selected::Column("c".into()),
                Selected::Column("a".into()),
                Selected::Group(vec!["a".into(), "b".into()]),
            ]
        );
    }

    #[test]
    fn a_column_found_twice_is_selected_once() {
        let selector = Selector::tags([Tag::UserId]).and(Selector::all());
        let names: Vec<_> = selector.resolve(&schema(), "select").unwrap();
        assert_eq!(names.len(), 3);
        assert_eq!(names[0], Selected::Column("c".into()));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = Selector::names(["bb"])
            .resolve(&schema(), "select")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "select: column `bb` is not in the input (input: a, b, c)"
        );
    }

    #[test]
    fn a_group_of_no_columns_is_refused() {
        let error = Selector::group(Vec::<String>::new())
            .resolve(&schema(), "select")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "select: `columns` is a group of no columns, but at least one is needed; name it, or \
             leave the group out"
        );
    }
}
