//! The `Feature` message of TensorFlow Metadata, as Merlin uses it for a column.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value, json};

use crate::column::Properties;
use crate::{ColumnSchema, DType, Dim, Domain, Shape, Tag, TagSet};

// Keys of the extra metadata that say something about the column itself.
const DIMS: &str = "_dims";
const IS_LIST: &str = "is_list";
const IS_RAGGED: &str = "is_ragged";
const ITEM_SIZE: &str = "dtype_item_size";
/// Ours: the element type where the message cannot tell it. Merlin takes it for a free property.
const EXACT_DTYPE: &str = "emrys_dtype";

/// Longer lists are not told from one another: every length is also written as a double.
const MOST_VALUES: u64 = 1 << 53;

/// Keys of properties under which Merlin keeps what the message says elsewhere.
const RESERVED: [&str; 7] = [
    "domain",
    "value_count",
    DIMS,
    IS_LIST,
    IS_RAGGED,
    ITEM_SIZE,
    EXACT_DTYPE,
];

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feature {
    pub(super) name: String,
    #[serde(
        default,
        alias = "value_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) value_count: Option<ValueCount>,
    #[serde(rename = "type", default, skip_serializing_if = "is_default")]
    pub(super) kind: FeatureType,
    #[serde(default, alias = "int_domain", skip_serializing_if = "Option::is_none")]
    pub(super) int_domain: Option<IntDomain>,
    #[serde(
        default,
        alias = "float_domain",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) float_domain: Option<FloatDomain>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) annotation: Annotation,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ValueCount {
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(super) min: i64,
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(super) max: i64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IntDomain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(super) min: i64,
    #[serde(default, with = "int64", skip_serializing_if = "is_default")]
    pub(super) max: i64,
    #[serde(
        default,
        alias = "is_categorical",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub(super) is_categorical: bool,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct FloatDomain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, with = "float", skip_serializing_if = "is_default")]
    pub(super) min: f64,
    #[serde(default, with = "float", skip_serializing_if = "is_default")]
    pub(super) max: f64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Annotation {
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) tag: Vec<String>,
    #[serde(
        rename = "extraMetadata",
        alias = "extra_metadata",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) extra_metadata: Vec<Properties>,
}

/// The physical type of a feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum FeatureType {
    #[default]
    Unknown,
    Bytes,
    Int,
    Float,
    Struct,
}

impl FeatureType {
    /// By the name or the number of the protobuf enum.
    pub(super) fn from_name(name: &str) -> Option<FeatureType> {
        Some(match name {
            "TYPE_UNKNOWN" | "0" => FeatureType::Unknown,
            "BYTES" | "1" => FeatureType::Bytes,
            "INT" | "2" => FeatureType::Int,
            "FLOAT" | "3" => FeatureType::Float,
            "STRUCT" | "4" => FeatureType::Struct,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
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

impl From<&ColumnSchema> for Feature {
    fn from(column: &ColumnSchema) -> Feature {
        let dtype = column.dtype();
        let (kind, exact) = match dtype {
            DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => (FeatureType::Int, true),
            DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => {
                (FeatureType::Int, false)
            }
            DType::Float16 | DType::Float32 | DType::Float64 => (FeatureType::Float, true),
            DType::String => (FeatureType::Bytes, true),
            DType::Unknown => (FeatureType::Unknown, true),
            DType::Bool | DType::Binary | DType::Date | DType::Timestamp(_) => {
                (FeatureType::Unknown, false)
            }
        };

        let mut extra: Properties = column
            .properties()
            .iter()
            .filter(|(key, _)| !RESERVED.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !exact {
            extra.insert(EXACT_DTYPE.to_owned(), Value::from(dtype.to_string()));
        }
        let dims = column.shape().dims().iter().map(|dim| Dim {
            min: dim.min.min(MOST_VALUES),
            max: dim.max.map(|max| max.min(MOST_VALUES)),
        });
        let dims: Vec<Dim> = std::iter::once(Dim::ANY).chain(dims).collect();
        extra.insert(DIMS.to_owned(), json!(dims));
        extra.insert(IS_LIST.to_owned(), column.shape().is_list().into());
        extra.insert(IS_RAGGED.to_owned(), column.shape().is_ragged().into());
        if let Some(bits) = dtype.bits().filter(|_| dtype.is_numeric()) {
            extra.insert(ITEM_SIZE.to_owned(), bits.into());
        }

        let mut feature = Feature {
            name: column.name().to_owned(),
            value_count: dims.get(1).map(|dim| ValueCount {
                min: dim.min.cast_signed(),
                max: dim.max.unwrap_or(0).cast_signed(),
            }),
            kind,
            annotation: Annotation {
                tag: column.tags().iter().map(Tag::to_string).collect(),
                extra_metadata: vec![extra],
            },
            ..Feature::default()
        };
        match column.domain().cloned() {
            Some(Domain::Int { name, min, max }) => {
                let is_categorical = column.has_tag(Tag::Categorical);
                feature.int_domain = Some(IntDomain {
                    name,
                    min,
                    max,
                    is_categorical,
                });
            }
            Some(Domain::Float { name, min, max }) => {
                feature.float_domain = Some(FloatDomain { name, min, max });
            }
            None => {}
        }
        feature
    }
}

/// The errors are texts; the readers of the formats add the place.
impl TryFrom<Feature> for ColumnSchema {
    type Error = String;

    fn try_from(feature: Feature) -> Result<ColumnSchema, String> {
        let name = feature.name;
        let in_column = |problem: String| format!("column `{name}`: {problem}");

        let mut extra_metadata = feature.annotation.extra_metadata.into_iter();
        let mut properties = extra_metadata.next().unwrap_or_default();
        if extra_metadata.next().is_some() {
            return Err(in_column(
                "`extra_metadata` occurs twice, expected one".to_owned(),
            ));
        }
        let is_list = properties.shift_remove(IS_LIST) == Some(Value::Bool(true));
        let dims = properties.shift_remove(DIMS).unwrap_or_default();
        let shape = shape(&dims, feature.value_count.as_ref(), is_list).map_err(in_column)?;
        let item_size = properties.shift_remove(ITEM_SIZE);
        let exact = properties.shift_remove(EXACT_DTYPE);
        let dtype = dtype(feature.kind, item_size.as_ref(), exact.as_ref());
        for key in RESERVED {
            properties.shift_remove(key);
        }

        let mut tags = feature.annotation.tag;
        let mut domain = None;
        if let Some(IntDomain {
            name,
            min,
            max,
            is_categorical,
        }) = feature.int_domain
        {
            if is_categorical {
                tags.push(Tag::Categorical.to_string());
            }
            domain = Some(Domain::Int { name, min, max });
        } else if let Some(FloatDomain { name, min, max }) = feature.float_domain {
            domain = Some(Domain::Float { name, min, max });
        }
        let tags = TagSet::new(tags).map_err(|error| in_column(error.to_string()))?;

        Ok(ColumnSchema::new(name, dtype)
            .with_shape(shape)
            .with_tags(tags.iter().cloned())
            .with_domain(domain)
            .with_properties(properties))
    }
}

/// From `_dims`, of which the first is the batch, else from the value count, else from the flag.
fn shape(dims: &Value, value_count: Option<&ValueCount>, is_list: bool) -> Result<Shape, String> {
    match dims {
        Value::Null => {}
        Value::Array(dims) if dims.is_empty() => {}
        Value::Array(all) => {
            let list_dims: Option<Vec<Dim>> = all[1..].iter().map(dim).collect();
            return list_dims.map(Shape::new).ok_or_else(|| bad_dims(dims));
        }
        _ => return Err(bad_dims(dims)),
    }
    let bound = |count: i64| {
        u64::try_from(count)
            .ok()
            .filter(|count| *count > 0)
            .map(|count| count.min(MOST_VALUES))
    };
    let counts = value_count.map(|count| (bound(count.min), bound(count.max)));
    match counts {
        Some((Some(min), Some(max))) if max < min => Err(format!(
            "`value_count` has a minimum of {min} above its maximum of {max}"
        )),
        Some((min, max)) if min.is_some() || max.is_some() => {
            Ok(Shape::ragged(min.unwrap_or(0), max))
        }
        _ if is_list => Ok(Shape::new([Dim::ANY])),
        _ => Ok(Shape::SCALAR),
    }
}

fn bad_dims(dims: &Value) -> String {
    format!("`_dims` is {dims}, expected lengths and [minimum, maximum] pairs")
}

fn dim(value: &Value) -> Option<Dim> {
    match value {
        Value::Null => Some(Dim::ANY),
        Value::Number(length) => length.as_u64().map(Dim::fixed),
        Value::Array(pair) => {
            let [min, max] = pair.as_slice() else {
                return None;
            };
            let min = min.as_u64()?;
            let max = if max.is_null() {
                None
            } else {
                Some(max.as_u64()?)
            };
            max.is_none_or(|max| min <= max).then_some(Dim { min, max })
        }
        _ => None,
    }
}

/// The type of the message, refined by our own property unless Merlin has changed the type since.
fn dtype(feature_type: FeatureType, item_size: Option<&Value>, exact: Option<&Value>) -> DType {
    let bits = item_size.and_then(Value::as_u64);
    let exact = exact
        .and_then(Value::as_str)
        .and_then(|name| name.parse::<DType>().ok());
    match feature_type {
        FeatureType::Int => match exact {
            Some(exact) if exact.is_unsigned_integer() && exact.bits().map(u64::from) == bits => {
                exact
            }
            _ => match bits {
                Some(8) => DType::Int8,
                Some(16) => DType::Int16,
                Some(32) => DType::Int32,
                _ => DType::Int64,
            },
        },
        FeatureType::Float => match bits {
            Some(16) => DType::Float16,
            Some(32) => DType::Float32,
            _ => DType::Float64,
        },
        FeatureType::Bytes => DType::String,
        FeatureType::Unknown => exact
            .filter(|exact| !exact.is_numeric())
            .unwrap_or_default(),
        FeatureType::Struct => DType::Unknown,
    }
}

/// Whole numbers as integers: protobuf's `Struct` knows doubles only.
pub(super) fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *value = whole.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// The integer that a double stands for: up to 2^53, where doubles begin to skip integers.
fn whole(number: f64) -> Option<i64> {
    let fits = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    let negative_zero = number == 0.0 && number.is_sign_negative();
    #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^53")]
    (fits && !negative_zero).then_some(number as i64)
}

/// A double as JSON: whole if it is, null if JSON cannot tell it.
pub(super) fn number(number: f64) -> Value {
    match whole(number) {
        Some(whole) => whole.into(),
        None => Number::from_f64(number).map_or(Value::Null, Value::Number),
    }
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
    use super::{Deserialize, Deserializer, Serializer, Value, whole};

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
    use super::{Deserialize, Deserializer, Serializer};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeUnit;

    fn written(column: &ColumnSchema) -> Value {
        serde_json::to_value(Feature::from(column)).unwrap()
    }

    fn read(feature: Value) -> Result<ColumnSchema, String> {
        let feature: Feature =
            serde_json::from_value(feature).map_err(|error| error.to_string())?;
        ColumnSchema::try_from(feature)
    }

    fn read_with(extra_metadata: Value) -> ColumnSchema {
        read(json!({"name": "x", "type": "INT", "annotation": {"extraMetadata": [extra_metadata]}}))
            .unwrap()
    }

    #[test]
    fn a_column_is_written_as_merlin_writes_it() {
        let column = ColumnSchema::new("genres", DType::Int64)
            .with_shape(Shape::ragged(0, Some(3)))
            .with_tags([Tag::Categorical])
            .with_domain(Domain::int(0, 7).named("genres"))
            .with_property("max_size", 0);
        let expected = json!({
            "name": "genres",
            "valueCount": {"max": "3"},
            "type": "INT",
            "intDomain": {"name": "genres", "max": "7", "isCategorical": true},
            "annotation": {
                "tag": ["categorical"],
                "extraMetadata": [{
                    "max_size": 0,
                    "_dims": [[0, null], [0, 3]],
                    "is_list": true,
                    "is_ragged": true,
                    "dtype_item_size": 64
                }]
            }
        });
        assert_eq!(written(&column), expected);
        assert_eq!(read(expected).unwrap(), column);
    }

    #[test]
    fn every_type_survives() {
        for dtype in DType::ALL {
            let column = ColumnSchema::new("x", *dtype).with_shape(Shape::fixed(2));
            assert_eq!(read(written(&column)).unwrap(), column);
        }
    }

    #[test]
    fn a_type_that_merlin_changed_since_wins_over_our_property() {
        assert_eq!(
            read_with(json!({"emrys_dtype": "uint32", "dtype_item_size": 32})).dtype(),
            DType::UInt32
        );
        assert_eq!(
            read_with(json!({"emrys_dtype": "uint32", "dtype_item_size": 64})).dtype(),
            DType::Int64
        );
        assert_eq!(
            read_with(json!({"emrys_dtype": "date"})).dtype(),
            DType::Int64
        );
        let untyped = json!({"name": "x", "annotation": {"extraMetadata": [{"emrys_dtype": "timestamp[ms]"}]}});
        assert_eq!(
            read(untyped).unwrap().dtype(),
            DType::Timestamp(TimeUnit::Millisecond)
        );
    }

    #[test]
    fn dims_win_over_counts_and_counts_over_the_flag() {
        let read = |value_count: Value, extra: Value| {
            let annotation = json!({"extraMetadata": [extra]});
            let feature = json!({"name": "x", "type": "INT", "valueCount": value_count, "annotation": annotation});
            read(feature).unwrap().shape().to_string()
        };
        assert_eq!(read(json!({"max": "3"}), json!({"_dims": [[0, null]]})), "");
        assert_eq!(
            read(
                json!({"max": "3"}),
                json!({"_dims": [[0, null], 4, [1, null], null]})
            ),
            "[4][1..][0..]"
        );
        assert_eq!(
            read(json!({"max": "3"}), json!({"is_list": false})),
            "[0..3]"
        );
        assert_eq!(
            read(json!({"min": 2, "max": 2}), json!({"_dims": null})),
            "[2]"
        );
        assert_eq!(read(json!({"min": "5"}), json!({"_dims": []})), "[5..]");
        assert_eq!(
            read(json!({}), json!({"is_list": true, "is_ragged": true})),
            "[0..]"
        );
        assert_eq!(read(Value::Null, json!({})), "");
    }

    #[test]
    fn old_files_without_extra_metadata_are_read() {
        let column = read(json!({
            "name": "categories",
            "value_count": {"min": 1, "max": 4.0},
            "type": 2,
            "int_domain": {"name": null, "min": "1", "max": "331", "is_categorical": true},
            "annotation": {"tag": ["item"], "comment": ["free text"]},
            "lifecycle_stage": "BETA"
        }));
        let expected = ColumnSchema::new("categories", DType::Int64)
            .with_shape(Shape::ragged(1, Some(4)))
            .with_tags([Tag::Item, Tag::Categorical])
            .with_domain(Domain::int(1, 331));
        assert_eq!(column.unwrap(), expected);
    }

    #[test]
    fn bounds_that_json_lacks_survive() {
        let column = ColumnSchema::new("x", DType::Float32)
            .with_domain(Domain::float(f64::NEG_INFINITY, 1e300));
        let feature = written(&column);
        assert_eq!(
            feature["floatDomain"],
            json!({"min": "-Infinity", "max": 1e300})
        );
        assert_eq!(read(feature).unwrap(), column);
    }

    #[test]
    fn reserved_properties_are_not_written() {
        let column = ColumnSchema::new("x", DType::Int8)
            .with_property("is_list", true)
            .with_property("own", 1);
        let read = read(written(&column)).unwrap();
        assert_eq!(
            read,
            ColumnSchema::new("x", DType::Int8).with_property("own", 1)
        );
    }

    #[test]
    fn contradictions_are_told() {
        let error = |extra: Value, tags: Value, value_count: Value| {
            let annotation = json!({"tag": tags, "extraMetadata": extra});
            read(json!({"name": "x", "valueCount": value_count, "annotation": annotation}))
                .unwrap_err()
        };
        let none = || json!([]);
        let errors = [
            error(json!([{}, {}]), none(), json!({})),
            error(json!([{"_dims": [null, [3, 1]]}]), none(), json!({})),
            error(json!([{"_dims": "all"}]), none(), json!({})),
            error(none(), json!(["continuous", "item_id"]), json!({})),
            error(none(), none(), json!({"min": 4, "max": 3})),
            error(none(), none(), json!({"min": "four"})),
            read(json!({"name": "x", "type": "DOUBLE"})).unwrap_err(),
            read(json!({"type": "INT"})).unwrap_err(),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r#"
        column `x`: `extra_metadata` occurs twice, expected one
        column `x`: `_dims` is [null,[3,1]], expected lengths and [minimum, maximum] pairs
        column `x`: `_dims` is "all", expected lengths and [minimum, maximum] pairs
        column `x`: tags `continuous` and `id` exclude each other; keep one of them
        column `x`: `value_count` has a minimum of 4 above its maximum of 3
        found "four", expected a 64-bit integer, as a number or a string
        type "DOUBLE" does not exist, expected INT, FLOAT or BYTES
        missing field `name`
        "#);
    }
}
