//! The fields of the message, and how proto3's JSON spells them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::column::Properties;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::merlin) struct Feature {
    pub(in crate::merlin) name: String,
    #[serde(
        default,
        alias = "value_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub(in crate::merlin) value_count: Option<ValueCount>,
    #[serde(rename = "type", default, skip_serializing_if = "is_default")]
    pub(in crate::merlin) kind: FeatureType,
    #[serde(default, alias = "int_domain", skip_serializing_if = "Option::is_none")]
    pub(in crate::merlin) int_domain: Option<IntDomain>,
    #[serde(
        default,
        alias = "float_domain",
        skip_serializing_if = "Option::is_none"
    )]
    pub(in crate::merlin) float_domain: Option<FloatDomain>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(in crate::merlin) annotation: Annotation,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::merlin) struct ValueCount {
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(in crate::merlin) min: i64,
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(in crate::merlin) max: i64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::merlin) struct IntDomain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::merlin) name: Option<String>,
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(in crate::merlin) min: i64,
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(in crate::merlin) max: i64,
    #[serde(
        default,
        alias = "is_categorical",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub(in crate::merlin) is_categorical: bool,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::merlin) struct FloatDomain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::merlin) name: Option<String>,
    #[serde(default, with = "float", skip_serializing_if = "is_default")]
    pub(in crate::merlin) min: f64,
    #[serde(default, with = "float", skip_serializing_if = "is_default")]
    pub(in crate::merlin) max: f64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::merlin) struct Annotation {
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(in crate::merlin) tag: Vec<String>,
    #[serde(
        rename = "extraMetadata",
        alias = "extra_metadata",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(in crate::merlin) extra_metadata: Vec<Properties>,
}

/// The physical type of a feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::merlin) enum FeatureType {
    #[default]
    Unknown,
    Bytes,
    Int,
    Float,
    Struct,
}

impl FeatureType {
    /// By the name or the number of the protobuf enum.
    pub(in crate::merlin) fn from_name(name: &str) -> Option<FeatureType> {
        Some(match name {
            "TYPE_UNKNOWN" | "0" => FeatureType::Unknown,
            "BYTES" | "1" => FeatureType::Bytes,
            "INT" | "2" => FeatureType::Int,
            "FLOAT" | "3" => FeatureType::Float,
            "STRUCT" | "4" => FeatureType::Struct,
            _ => return None,
        })
    }

    pub(in crate::merlin) fn name(self) -> &'static str {
        match self {
            FeatureType::Unknown => "TYPE_UNKNOWN",
            FeatureType::Bytes => "BYTES",
            FeatureType::Int => "INT",
            FeatureType::Float => "FLOAT",
            FeatureType::Struct => "STRUCT",
        }
    }
}

impl Serialize for FeatureType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for FeatureType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FeatureType, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = match &value {
            Value::Null => return Ok(FeatureType::Unknown),
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        FeatureType::from_name(&name).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "type {value} does not exist, expected INT, FLOAT or BYTES"
            ))
        })
    }
}

/// The integer that a double stands for: up to 2^53, where doubles begin to skip integers.
pub(super) fn whole(number: f64) -> Option<i64> {
    let fits = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    let negative_zero = number == 0.0 && number.is_sign_negative();
    #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^53")]
    (fits && !negative_zero).then_some(number as i64)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Proto3's JSON allows null for any field that is not set.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Proto3's JSON writes 64-bit integers as strings and reads numbers as well.
mod int64 {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    use super::whole;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = match &value {
            Value::Null => Some(0),
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            _ => None,
        };
        number.ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "found {value}, expected a 64-bit integer, as a number or a string"
            ))
        })
    }
}

/// Proto3's JSON writes numbers that JSON lacks as strings.
mod float {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::bound;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if number.is_infinite() {
            let name = if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            serializer.serialize_str(name)
        } else {
            bound::serialize(number, serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        struct Bound(#[serde(with = "bound")] f64);
        Ok(Option::<Bound>::deserialize(deserializer)?.map_or(0.0, |bound| bound.0))
    }
}
