//! [`Selection`].

use emrys_schema::{Schema, Tag};
use serde::{Deserialize, Serialize};

use crate::{Problems, Scope};

/// Which columns of a schema a block reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Selection {
    /// These columns.
    Names(Vec<String>),
    /// The columns with this tag; for a compound tag, with all its parts. Columns that are
    /// targets too are left out.
    Tag(Tag),
}

impl Selection {
    /// The columns that are meant, in the order of the schema.
    ///
    /// # Errors
    /// A problem for each name that is not in the schema.
    pub(crate) fn resolve(&self, schema: &Schema, scope: &Scope<'_>) -> Result<Schema, Problems> {
        match self {
            Selection::Names(names) => {
                Problems::gather(names.iter().map(|name| {
                    schema
                        .column(name)
                        .map_err(|error| scope.problem(error.to_string()))
                }))?;
                Ok(schema.filter(|column| names.iter().any(|name| name == column.name())))
            }
            Selection::Tag(tag) => Ok(schema
                .select_by_tag(tag.clone())
                .filter(|column| !is_target(column.tags()))),
        }
    }
}

/// Whether the tags are those of a label.
fn is_target(tags: &emrys_schema::TagSet) -> bool {
    [
        Tag::Target,
        Tag::Regression,
        Tag::Classification,
        Tag::BinaryClassification,
    ]
    .iter()
    .chain([&Tag::MultiClassClassification])
    .any(|tag| tags.contains(tag))
}

impl<const N: usize> From<[&str; N]> for Selection {
    fn from(names: [&str; N]) -> Selection {
        Selection::Names(names.map(str::to_owned).into())
    }
}

impl From<Vec<String>> for Selection {
    fn from(names: Vec<String>) -> Selection {
        Selection::Names(names)
    }
}

impl From<&Schema> for Selection {
    fn from(schema: &Schema) -> Selection {
        Selection::Names(schema.names().into_iter().map(str::to_owned).collect())
    }
}

impl From<Tag> for Selection {
    fn from(tag: Tag) -> Selection {
        Selection::Tag(tag)
    }
}
