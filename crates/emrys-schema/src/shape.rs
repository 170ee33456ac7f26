//! How many values a row of a column holds.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One list dimension: every list has at least `min` and at most `max` values.
///
/// In JSON it is its length, or `[min, max]` with null for no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
        Dim {
            min: length,
            max: Some(length),
        }
    }

    /// The length, if all lists have the same.
    pub fn length(self) -> Option<u64> {
        self.max.filter(|max| *max == self.min)
    }
}

impl Serialize for Dim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.length() {
            Some(length) => serializer.serialize_u64(length),
            None => (self.min, self.max).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Dim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dim, D::Error> {
        struct DimVisitor;

        impl<'de> Visitor<'de> for DimVisitor {
            type Value = Dim;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length or [min, max]")
            }

            fn visit_u64<E: de::Error>(self, length: u64) -> Result<Dim, E> {
                Ok(Dim::fixed(length))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Dim, A::Error> {
                let min = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let max: Option<u64> = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(1, &self))?;
                match max {
                    Some(max) if max < min => Err(de::Error::custom(format_args!(
                        "lists of at least {min} and at most {max} values"
                    ))),
                    _ => Ok(Dim { min, max }),
                }
            }
        }

        deserializer.deserialize_any(DimVisitor)
    }
}

/// The shape of one row: scalar, or one [`Dim`] per level of nesting, outermost first.
///
/// The batch dimension is not part of it.
///
/// ```
/// use emrys_schema::{Dim, Shape};
///
/// assert!(Shape::SCALAR.is_scalar());
/// assert!(!Shape::fixed(3).is_ragged());
/// assert!(Shape::ragged(0, Some(20)).is_ragged());
/// let sessions_of_pages = Shape::new([Dim::ANY, Dim::fixed(4)]);
/// assert_eq!(sessions_of_pages.to_string(), "[0..][4]");
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_short_in_json() {
        let shape = Shape::new([
            Dim::fixed(3),
            Dim::ANY,
            Dim {
                min: 1,
                max: Some(4),
            },
        ]);
        let json = serde_json::to_string(&shape).unwrap();
        assert_eq!(json, "[3,[0,null],[1,4]]");
        assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), shape);
    }

    #[test]
    fn a_minimum_above_the_maximum_is_refused() {
        let error = serde_json::from_str::<Dim>("[5, 3]")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "lists of at least 5 and at most 3 values at line 1 column 6"
        );
    }

    #[test]
    fn value_count_is_the_outermost_dimension() {
        assert_eq!(Shape::SCALAR.value_count(), None);
        assert_eq!(
            Shape::new([Dim::fixed(3), Dim::ANY]).value_count(),
            Some(Dim::fixed(3))
        );
    }
}
