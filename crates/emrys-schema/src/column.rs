//! One column of a [`Schema`](crate::Schema).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DType, Domain, Shape, Tag, TagSet};

/// The property of [`ColumnSchema::embedding_size`], under Merlin's name.
pub(crate) const EMBEDDING_SIZES: &str = "embedding_sizes";

/// Free properties of a column, in order of insertion.
pub type Properties = serde_json::Map<String, Value>;

/// The name, type, shape, meaning and range of a column.
///
/// ```
/// use emrys_schema::{ColumnSchema, DType, Domain, Shape, Tag};
///
/// let genres = ColumnSchema::new("genres", DType::Int64)
///     .with_shape(Shape::ragged(0, Some(6)))
///     .with_tags([Tag::Item, Tag::Categorical])
///     .with_domain(Domain::int(0, 20))
///     .with_property("source", "movies.dat");
/// assert!(genres.has_tag(Tag::Item) && !genres.has_tag(Tag::ItemId));
/// assert_eq!(genres.cardinality(), Some(21));
/// assert_eq!(genres.domain_name(), "genres");
/// assert_eq!(genres.property("source").unwrap(), "movies.dat");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSchema {
    name: String,
    dtype: DType,
    #[serde(default, skip_serializing_if = "Shape::is_scalar")]
    shape: Shape,
    #[serde(default, skip_serializing_if = "TagSet::is_empty")]
    tags: TagSet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<Domain>,
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    properties: Properties,
}

/// The size of an embedding table, as operators suggest it to models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingSize {
    /// The number of rows.
    pub cardinality: u64,
    /// The width of a row.
    pub dimension: u64,
}

impl ColumnSchema {
    /// A scalar column without tags.
    pub fn new(name: impl Into<String>, dtype: DType) -> ColumnSchema {
        ColumnSchema {
            name: name.into(),
            dtype,
            shape: Shape::SCALAR,
            tags: TagSet::EMPTY,
            domain: None,
            properties: Properties::new(),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape of a row.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The tags.
    pub fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// The range of the values, where it is known.
    pub fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// The free properties.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// One of the free properties.
    pub fn property(&self, key: &str) -> Option<&Value> {
        self.properties.get(key)
    }

    /// The same column under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> ColumnSchema {
        self.name = name.into();
        self
    }

    /// The same column with another element type.
    #[must_use]
    pub fn with_dtype(mut self, dtype: DType) -> ColumnSchema {
        self.dtype = dtype;
        self
    }

    /// The same column with another shape.
    #[must_use]
    pub fn with_shape(mut self, shape: Shape) -> ColumnSchema {
        self.shape = shape;
        self
    }

    /// Adds tags; older tags that exclude a new one are removed (see [`Tag::excludes`]).
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> ColumnSchema {
        self.tags = self.tags.with(tags);
        self
    }

    /// Removes tags; a compound removes both its parts.
    #[must_use]
    pub fn without_tags(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> ColumnSchema {
        self.tags = self.tags.without(tags);
        self
    }

    /// Sets the range of the values.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<Option<Domain>>) -> ColumnSchema {
        self.domain = domain.into();
        self
    }

    /// Sets one property, replacing an older one of the same key.
    #[must_use]
    pub fn with_property(
        mut self,
        key: impl Into<String>,
        value: impl Into<Value>,
    ) -> ColumnSchema {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Sets several properties, replacing older ones of the same keys.
    #[must_use]
    pub fn with_properties(mut self, properties: Properties) -> ColumnSchema {
        self.properties.extend(properties);
        self
    }

    /// Removes one property.
    #[must_use]
    pub fn without_property(mut self, key: &str) -> ColumnSchema {
        self.properties.shift_remove(key);
        self
    }

    /// Suggests the size of the embedding table, as property `embedding_sizes`.
    #[must_use]
    pub fn with_embedding_size(self, size: EmbeddingSize) -> ColumnSchema {
        self.with_property(
            EMBEDDING_SIZES,
            serde_json::json!({"cardinality": size.cardinality, "dimension": size.dimension}),
        )
    }

    /// The suggested size of the embedding table, from property `embedding_sizes`.
    pub fn embedding_size(&self) -> Option<EmbeddingSize> {
        let sizes = self.properties.get(EMBEDDING_SIZES)?;
        let size = |key| sizes.get(key)?.as_u64();
        Some(EmbeddingSize {
            cardinality: size("cardinality")?,
            dimension: size("dimension")?,
        })
    }

    /// How many rows an embedding table of this column needs: the greatest value of its integer
    /// domain plus one.
    pub fn cardinality(&self) -> Option<u64> {
        let max = self.domain.as_ref()?.int_max()?;
        Some(u64::try_from(max).ok()? + 1)
    }

    /// The name of the vocabulary: the domain's name, else the column's.
    pub fn domain_name(&self) -> &str {
        self.domain
            .as_ref()
            .and_then(Domain::name)
            .unwrap_or(&self.name)
    }

    /// Whether the column has the tag; for a compound tag, all its parts.
    pub fn has_tag(&self, tag: impl Into<Tag>) -> bool {
        self.tags.contains(&tag.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedding_size_is_kept_as_a_property() {
        let size = EmbeddingSize {
            cardinality: 7,
            dimension: 16,
        };
        let column = ColumnSchema::new("x", DType::Int64).with_embedding_size(size);
        assert_eq!(column.embedding_size(), Some(size));
        assert_eq!(
            column.without_property("embedding_sizes").embedding_size(),
            None
        );
    }

    #[test]
    fn only_integer_domains_have_a_cardinality() {
        let column = ColumnSchema::new("x", DType::Int64);
        assert_eq!(column.cardinality(), None);
        assert_eq!(
            column
                .clone()
                .with_domain(Domain::int(0, i64::MAX))
                .cardinality(),
            Some(1 << 63)
        );
        assert_eq!(
            column
                .clone()
                .with_domain(Domain::int(-5, -1))
                .cardinality(),
            None
        );
        assert_eq!(
            column.with_domain(Domain::float(0.0, 1.0)).cardinality(),
            None
        );
    }

    #[test]
    fn a_domain_name_is_shared() {
        let column =
            ColumnSchema::new("clicked", DType::Int64).with_domain(Domain::int(0, 9).named("item"));
        assert_eq!(column.domain_name(), "item");
    }

    #[test]
    fn unknown_keys_in_json_are_refused() {
        let error =
            serde_json::from_str::<ColumnSchema>(r#"{"name": "x", "dtype": "int8", "tag": []}"#);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("unknown field `tag`, expected one of")
        );
    }
}
