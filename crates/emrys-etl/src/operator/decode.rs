//! From ids back to values.

use std::fmt::Debug;

use arrow::array::{ArrayRef, Int64Array};

use crate::Result;

/// What turns the ids of an output column back into the values that they stand for.
pub trait Decode: Debug + Send + Sync {
    /// The columns that the ids were made from: one, or the members of a combination.
    fn columns(&self) -> &[String];

    /// The value of each id, one array for each of [`columns`](Decode::columns). An id that stands
    /// for no value is null, or has its marker.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for a number that is no id of the column;
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) for a marker that is no value of the
    /// column's type.
    fn decode(&self, ids: &Int64Array, markers: &Markers) -> Result<Vec<ArrayRef>>;
}

/// What stands in place of values for ids that have none; null where nothing is given.
///
/// Markers are texts, and are read as values of the column's type.
///
/// ```
/// use emrys_etl::operator::Markers;
///
/// let markers = Markers::new().with_padding("<pad>").with_unseen("<unseen>");
/// assert_eq!(markers.padding(), Some("<pad>"));
/// assert_eq!(markers.null(), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markers {
    padding: Option<String>,
    null: Option<String>,
    unseen: Option<String>,
}

impl Markers {
    /// Nulls everywhere.
    pub fn new() -> Markers {
        Markers::default()
    }

    /// Marks padding.
    #[must_use]
    pub fn with_padding(mut self, marker: impl Into<String>) -> Markers {
        self.padding = Some(marker.into());
        self
    }

    /// Marks values that were null.
    #[must_use]
    pub fn with_null(mut self, marker: impl Into<String>) -> Markers {
        self.null = Some(marker.into());
        self
    }

    /// Marks values that are not in the vocabulary.
    #[must_use]
    pub fn with_unseen(mut self, marker: impl Into<String>) -> Markers {
        self.unseen = Some(marker.into());
        self
    }

    /// The marker of padding.
    pub fn padding(&self) -> Option<&str> {
        self.padding.as_deref()
    }

    /// The marker of nulls.
    pub fn null(&self) -> Option<&str> {
        self.null.as_deref()
    }

    /// The marker of values that are not in the vocabulary.
    pub fn unseen(&self) -> Option<&str> {
        self.unseen.as_deref()
    }
}
