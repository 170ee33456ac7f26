//! How many values a row of a column holds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One list dimension: every list has at least `min` and at most `max` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dim {
    /// The shortest length.
    pub min: u64,
    /// The greatest length; `None` if there is no known bound.
    pub max: Option<u64>,
}

impl Dim {
    /// Lists of any length.
    pub const ANY: Dim = Dim { min: 0, max: None };

    /// Lists of exactly `length` values.
    pub const fn fixed(length: u64) -> Dim {
        Dim { min: length, max: Some(length) }
    }

    /// The length, if all lists have the same.
    pub fn length(self) -> Option<u64> {
        self.max.filter(|max| *max == self.min)
    }
}

/// The shape of one row: scalar, or one [`Dim`] per level of nesting, outermost first.
///
/// The batch dimension is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape {
    dims: Vec<Dim>,
}

impl Shape {
    /// One value per row.
    pub const SCALAR: Shape = Shape { dims: Vec::new() };

    /// A shape of the given dimensions, outermost first; none is a scalar.
    pub fn new(dims: impl Into<Vec<Dim>>) -> Shape {
        Shape { dims: dims.into() }
    }

    /// Lists of exactly `length` values.
    pub fn fixed(length: u64) -> Shape {
        Shape::new([Dim::fixed(length)])
    }

    /// Lists of `min` to `max` values; `None` is no bound.
    pub fn ragged(min: u64, max: Option<u64>) -> Shape {
        Shape::new([Dim { min, max }])
    }

    /// The list dimensions, outermost first; empty for a scalar.
    pub fn dims(&self) -> &[Dim] {
        &self.dims
    }

    /// Whether a row holds one value.
    pub fn is_scalar(&self) -> bool {
        self.dims.is_empty()
    }

    /// Whether a row holds a list.
    pub fn is_list(&self) -> bool {
        !self.dims.is_empty()
    }

    /// Whether the lengths of the lists differ from row to row.
    pub fn is_ragged(&self) -> bool {
        self.dims.iter().any(|dim| dim.length().is_none())
    }

    /// The outermost list dimension: Merlin's `value_count`.
    pub fn value_count(&self) -> Option<Dim> {
        self.dims.first().copied()
    }
}

impl fmt::Display for Shape {
    /// Nothing for a scalar, else `[3]`, `[0..5]`, `[0..]`, once per dimension.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for dim in &self.dims {
            match (dim.length(), dim.max) {
                (Some(length), _) => write!(f, "[{length}]")?,
                (None, Some(max)) => write!(f, "[{}..{max}]", dim.min)?,
                (None, None) => write!(f, "[{}..]", dim.min)?,
            }
        }
        Ok(())
    }
}
