//! What a column means: [`Tag`] and [`TagSet`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

macro_rules! tags {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// The meaning of a column, in Merlin's vocabulary.
        ///
        /// Compound tags ([`Tag::UserId`], [`Tag::ItemId`], [`Tag::SessionId`],
        /// [`Tag::TextTokenized`]) stand for two others and are split when they enter a
        /// [`TagSet`]. Names that are not in the vocabulary become [`Tag::Custom`].
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Tag {
            $($(#[$doc])* $variant,)+
            /// A tag of the user's own.
            Custom(String),
        }

        impl Tag {
            /// Every tag of the vocabulary, compound ones included.
            pub const VOCABULARY: &'static [Tag] = &[$(Tag::$variant),+];

            /// The name used in schema files, such as `user_id`.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Tag::$variant => $text,)+
                    Tag::Custom(name) => name,
                }
            }

            fn from_name(name: &str) -> Tag {
                match name.to_ascii_lowercase().as_str() {
                    $($text => Tag::$variant,)+
                    _ => Tag::Custom(name.to_owned()),
                }
            }
        }
    };
}

tags! {
    /// Ids of a finite set.
    Categorical = "categorical",
    /// Real numbers.
    Continuous = "continuous",
    /// Several values per row.
    List = "list",
    /// A list whose order matters.
    Sequence = "sequence",
    /// Text.
    Text = "text",
    /// Split into tokens.
    Tokenized = "tokenized",
    /// A point in time.
    Time = "time",
    /// A vector, for example from a pretrained model.
    Embedding = "embedding",
    /// Identifies its entity.
    Id = "id",
    /// Describes a user.
    User = "user",
    /// Describes an item.
    Item = "item",
    /// Describes a session.
    Session = "session",
    /// Describes the circumstances of an event.
    Context = "context",
    /// A label to be predicted.
    Target = "target",
    /// A label for regression.
    Regression = "regression",
    /// A label for classification.
    Classification = "classification",
    /// Has two values.
    Binary = "binary",
    /// Has more than two values.
    MultiClass = "multi_class",
    /// A label with two classes.
    BinaryClassification = "binary_classification",
    /// A label with more than two classes.
    MultiClassClassification = "multi_class_classification",
    /// Compound: user and id.
    UserId = "user_id",
    /// Compound: item and id.
    ItemId = "item_id",
    /// Compound: session and id.
    SessionId = "session_id",
    /// Compound: text and tokenized.
    TextTokenized = "text_tokenized",
}

impl Tag {
    /// The tags this one stands for: two for a compound tag, else itself.
    pub fn atoms(&self) -> Vec<Tag> {
        match self {
            Tag::UserId => vec![Tag::User, Tag::Id],
            Tag::ItemId => vec![Tag::Item, Tag::Id],
            Tag::SessionId => vec![Tag::Session, Tag::Id],
            Tag::TextTokenized => vec![Tag::Text, Tag::Tokenized],
            atom => vec![atom.clone()],
        }
    }

    /// Whether a column cannot carry both tags: it is categorical, continuous or an embedding,
    /// and an id is neither continuous nor an embedding.
    pub fn excludes(&self, other: &Tag) -> bool {
        const EXCLUSIVE: [(Tag, Tag); 5] = [
            (Tag::Categorical, Tag::Continuous),
            (Tag::Categorical, Tag::Embedding),
            (Tag::Continuous, Tag::Embedding),
            (Tag::Continuous, Tag::Id),
            (Tag::Embedding, Tag::Id),
        ];
        EXCLUSIVE
            .iter()
            .any(|(a, b)| (self == a && other == b) || (self == b && other == a))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Tag {
    /// Names of the vocabulary in any case, else a custom tag.
    fn from(name: &str) -> Tag {
        Tag::from_name(name)
    }
}

impl From<String> for Tag {
    fn from(name: String) -> Tag {
        Tag::from_name(&name)
    }
}

impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tag, D::Error> {
        String::deserialize(deserializer).map(Tag::from)
    }
}

/// The tags of a column: no duplicates, no compounds, no two that exclude each other.
///
/// The order of insertion is kept for display; equality ignores it.
///
/// ```
/// use emrys_schema::{Tag, TagSet};
///
/// let tags = TagSet::new(["user_id", "categorical", "season"])?;
/// assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["user", "id", "categorical", "season"]);
/// assert!(tags.contains(&Tag::UserId));
/// // An id cannot be continuous: the newer tag wins.
/// assert_eq!(tags.with([Tag::Continuous]), TagSet::new(["user", "season", "continuous"])?);
/// # Ok::<(), emrys_schema::Error>(())
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct TagSet {
    tags: Vec<Tag>,
}

impl TagSet {
    /// The empty set.
    pub const EMPTY: TagSet = TagSet { tags: Vec::new() };

    /// Collects tags, splitting compounds.
    ///
    /// # Errors
    /// [`Error::TagCollision`] if two tags exclude each other, such as continuous and id.
    pub fn new(tags: impl IntoIterator<Item = impl Into<Tag>>) -> Result<TagSet> {
        let mut set = TagSet::EMPTY;
        for tag in tags {
            for atom in tag.into().atoms() {
                if let Some(other) = set.tags.iter().find(|other| other.excludes(&atom)) {
                    return Err(Error::TagCollision {
                        first: other.clone(),
                        second: atom,
                    });
                }
                if !set.tags.contains(&atom) {
                    set.tags.push(atom);
                }
            }
        }
        Ok(set)
    }

    /// The set with `tags` added; older tags that exclude a new one are removed.
    #[must_use]
    pub fn with(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> TagSet {
        for tag in tags {
            for atom in tag.into().atoms() {
                self.tags.retain(|other| !other.excludes(&atom));
                if !self.tags.contains(&atom) {
                    self.tags.push(atom);
                }
            }
        }
        self
    }

    /// The set without `tags` (compounds remove both parts).
    #[must_use]
    pub fn without(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> TagSet {
        for tag in tags {
            let atoms = tag.into().atoms();
            self.tags.retain(|other| !atoms.contains(other));
        }
        self
    }

    /// Whether the set has the tag; for a compound, all its parts.
    pub fn contains(&self, tag: &Tag) -> bool {
        tag.atoms().iter().all(|atom| self.tags.contains(atom))
    }

    /// The tags in order of insertion.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.tags.iter()
    }

    /// How many tags there are, compounds counting as their parts.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there is no tag.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    fn sorted(&self) -> Vec<&Tag> {
        let mut tags: Vec<_> = self.tags.iter().collect();
        tags.sort();
        tags
    }
}

impl PartialEq for TagSet {
    fn eq(&self, other: &TagSet) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Eq for TagSet {}

impl<'a> IntoIterator for &'a TagSet {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'de> Deserialize<'de> for TagSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<TagSet, D::Error> {
        TagSet::new(Vec::<Tag>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compound_tags_expand_to_their_parts() {
        let set = TagSet::new([Tag::UserId, Tag::User]).unwrap();
        assert_eq!(set.len(), 2);
        assert!(set.contains(&Tag::UserId) && set.contains(&Tag::Id));
        assert!(!set.contains(&Tag::ItemId));
    }

    #[test]
    fn a_new_tag_removes_those_it_excludes() {
        let set = TagSet::new([Tag::UserId, Tag::Categorical])
            .unwrap()
            .with([Tag::Continuous]);
        assert_eq!(set, TagSet::new([Tag::User, Tag::Continuous]).unwrap());
    }

    #[test]
    fn tags_that_exclude_each_other_are_refused() {
        let error = TagSet::new([Tag::Continuous, Tag::ItemId]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tags `continuous` and `id` exclude each other; keep one of them"
        );
    }

    #[test]
    fn names_of_any_case_are_known() {
        assert_eq!(Tag::from("User_ID"), Tag::UserId);
        assert_eq!(Tag::from("Season"), Tag::Custom("Season".into()));
    }
}
