//! The `Feature` message of TensorFlow Metadata, as Merlin uses it for a column.

mod message;
#[cfg(test)]
mod tests;

use serde_json::{Number, Value, json};

use crate::column::Properties;
use crate::{ColumnSchema, DType, Dim, Domain, Shape, Tag, TagSet};
use message::whole;
pub(super) use message::{Annotation, Feature, FeatureType, FloatDomain, IntDomain, ValueCount};

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

/// A double as JSON: whole if it is, null if JSON cannot tell it.
pub(super) fn number(number: f64) -> Value {
    match whole(number) {
        Some(whole) => whole.into(),
        None => Number::from_f64(number).map_or(Value::Null, Value::Number),
    }
}
