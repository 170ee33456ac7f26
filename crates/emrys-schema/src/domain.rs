//! The range of a column's values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The closed range of a column's values, with an optional name.
///
/// Columns whose integer domains have the same name index the same vocabulary, and so share one
/// embedding table.
///
/// ```
/// use emrys_schema::Domain;
///
/// let genres = Domain::int(0, 20).named("genre");
/// assert_eq!(genres.to_string(), "genre [0, 20]");
/// assert_eq!(genres.int_max(), Some(20));
/// assert_eq!(Domain::float(0.0, 1.0).to_string(), "[0.0, 1.0]");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Domain {
    /// A range of integers.
    Int {
        /// The vocabulary that the values index.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A range of real numbers.
    Float {
        /// The name of the range.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The least value.
        #[serde(with = "bound")]
        min: f64,
        /// The greatest value.
        #[serde(with = "bound")]
        max: f64,
    },
}

impl Domain {
    /// The integers from `min` to `max`.
    pub fn int(min: i64, max: i64) -> Domain {
        Domain::Int {
            name: None,
            min,
            max,
        }
    }

    /// The real numbers from `min` to `max`.
    pub fn float(min: f64, max: f64) -> Domain {
        Domain::Float {
            name: None,
            min,
            max,
        }
    }

    /// The same range under a name.
    #[must_use]
    pub fn named(mut self, new_name: impl Into<String>) -> Domain {
        let (Domain::Int { name, .. } | Domain::Float { name, .. }) = &mut self;
        *name = Some(new_name.into());
        self
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&str> {
        let (Domain::Int { name, .. } | Domain::Float { name, .. }) = self;
        name.as_deref()
    }

    /// The greatest integer, for an integer domain.
    pub fn int_max(&self) -> Option<i64> {
        match self {
            Domain::Int { max, .. } => Some(*max),
            Domain::Float { .. } => None,
        }
    }
}

impl fmt::Display for Domain {
    /// The name if there is one, then `[min, max]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            write!(f, "{name} ")?;
        }
        match self {
            Domain::Int { min, max, .. } => write!(f, "[{min}, {max}]"),
            Domain::Float { min, max, .. } => write!(f, "[{min:?}, {max:?}]"),
        }
    }
}

/// JSON has no infinite numbers; as bounds of a range they are meant, so they are written as
/// `"inf"` and `"-inf"`.
pub(crate) mod bound {
    use std::fmt;

    use serde::de::{self, Visitor};
    use serde::{Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(crate) fn serialize<S: Serializer>(bound: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if bound.is_finite() {
            serializer.serialize_f64(*bound)
        } else {
            serializer.collect_str(bound)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        struct BoundVisitor;

        impl Visitor<'_> for BoundVisitor {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"inf\" or \"-inf\"")
            }

            fn visit_f64<E: de::Error>(self, bound: f64) -> Result<f64, E> {
                Ok(bound)
            }

            fn visit_i64<E: de::Error>(self, bound: i64) -> Result<f64, E> {
                Ok(bound as f64)
            }

            fn visit_u64<E: de::Error>(self, bound: u64) -> Result<f64, E> {
                Ok(bound as f64)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
                // Covers proto3's "Infinity" and "NaN" too.
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(BoundVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_survive_json() {
        for domain in [
            Domain::int(-3, i64::MAX).named("x"),
            Domain::float(0.1, 1e300),
            Domain::float(f64::NEG_INFINITY, f64::INFINITY).named("all"),
        ] {
            let json = serde_json::to_string(&domain).unwrap();
            assert_eq!(
                serde_json::from_str::<Domain>(&json).unwrap(),
                domain,
                "{json}"
            );
        }
    }

    #[test]
    fn whole_numbers_are_read_as_float_bounds() {
        let domain: Domain = serde_json::from_str(r#"{"float": {"min": 0, "max": 5}}"#).unwrap();
        assert_eq!(domain, Domain::float(0.0, 5.0));
    }
}
