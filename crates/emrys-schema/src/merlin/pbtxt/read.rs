//! From text to columns.

use std::collections::HashSet;

use crate::column::Properties;
use crate::error::suggest;
use crate::merlin::extra_metadata::{
    self, FieldMessage, Kind, ListMessage, StructMessage, ValueMessage,
};
use crate::merlin::feature::{
    Annotation, Feature, FeatureType, FloatDomain, IntDomain, ValueCount,
};
use crate::merlin::text_format::{Field, Problem, Result};
use crate::{ColumnSchema, Error};

/// Fields of TensorFlow Metadata's messages that Merlin and we do not use.
mod unused {
    pub(super) const SCHEMA: &[&str] = &[
        "annotation",
        "dataset_constraints",
        "default_environment",
        "float_domain",
        "generate_legacy_feature_spec",
        "int_domain",
        "represent_variable_length_as_ragged",
        "sparse_feature",
        "string_domain",
        "tensor_representation_group",
        "weighted_feature",
    ];
    pub(super) const FEATURE: &[&str] = &[
        "bool_domain",
        "comment",
        "deprecated",
        "distribution_constraints",
        "domain",
        "drift_comparator",
        "group_presence",
        "image_domain",
        "in_environment",
        "lifecycle_stage",
        "mid_domain",
        "natural_language_domain",
        "not_in_environment",
        "presence",
        "sequence_metadata",
        "shape",
        "skew_comparator",
        "string_domain",
        "struct_domain",
        "time_domain",
        "time_of_day_domain",
        "unique_constraints",
        "url_domain",
        "validation_derived_source",
        "value_counts",
    ];
    pub(super) const FLOAT_DOMAIN: &[&str] = &[
        "disallow_inf",
        "disallow_nan",
        "is_categorical",
        "is_embedding",
    ];
    pub(super) const ANNOTATION: &[&str] = &["comment"];
}

/// The columns of a schema's fields.
pub(super) fn columns(fields: &[Field<'_>]) -> Result<Vec<ColumnSchema>> {
    let mut names = HashSet::new();
    let mut columns: Vec<ColumnSchema> = Vec::new();
    for field in fields {
        match field.name {
            "feature" => {
                let column =
                    ColumnSchema::try_from(feature(field)?).map_err(|text| field.problem(text))?;
                if !names.insert(column.name().to_owned()) {
                    let error = Error::DuplicateColumn {
                        name: column.name().to_owned(),
                    };
                    return Err(field.problem(error.to_string()));
                }
                columns.push(column);
            }
            _ => check_unused(field, &["feature"], unused::SCHEMA)?,
        }
    }
    Ok(columns)
}

fn feature(field: &Field<'_>) -> Result<Feature> {
    let used = [
        "name",
        "value_count",
        "type",
        "int_domain",
        "float_domain",
        "annotation",
    ];
    let mut feature = Feature::default();
    let mut seen = Seen::default();
    for field in field.message()? {
        match field.name {
            "name" => feature.name = seen.once(field)?.string()?,
            "type" => {
                let name = seen.once(field)?.word("INT, FLOAT or BYTES")?;
                feature.kind = FeatureType::from_name(name).ok_or_else(|| {
                    field.problem(format!(
                        "type {name} does not exist, expected INT, FLOAT or BYTES"
                    ))
                })?;
            }
            "value_count" => feature.value_count = Some(value_count(seen.once(field)?)?),
            "int_domain" => feature.int_domain = Some(int_domain(seen.once(field)?)?),
            "float_domain" => feature.float_domain = Some(float_domain(seen.once(field)?)?),
            "annotation" => feature.annotation = annotation(seen.once(field)?)?,
            _ => check_unused(field, &used, unused::FEATURE)?,
        }
    }
    if !seen.0.contains("name") {
        return Err(field.problem("the feature has no name"));
    }
    Ok(feature)
}

fn value_count(field: &Field<'_>) -> Result<ValueCount> {
    let mut value_count = ValueCount::default();
    let mut seen = Seen::default();
    for field in field.message()? {
        match field.name {
            "min" => value_count.min = seen.once(field)?.int()?,
            "max" => value_count.max = seen.once(field)?.int()?,
            _ => check_unused(field, &["min", "max"], &[])?,
        }
    }
    Ok(value_count)
}

fn int_domain(field: &Field<'_>) -> Result<IntDomain> {
    let mut domain = IntDomain::default();
    let mut seen = Seen::default();
    for field in field.message()? {
        match field.name {
            "name" => domain.name = Some(seen.once(field)?.string()?),
            "min" => domain.min = seen.once(field)?.int()?,
            "max" => domain.max = seen.once(field)?.int()?,
            "is_categorical" => domain.is_categorical = seen.once(field)?.bool()?,
            _ => check_unused(field, &["name", "min", "max", "is_categorical"], &[])?,
        }
    }
    Ok(domain)
}

fn float_domain(field: &Field<'_>) -> Result<FloatDomain> {
    let mut domain = FloatDomain::default();
    let mut seen = Seen::default();
    for field in field.message()? {
        match field.name {
            "name" => domain.name = Some(seen.once(field)?.string()?),
            "min" => domain.min = seen.once(field)?.float()?,
            "max" => domain.max = seen.once(field)?.float()?,
            _ => check_unused(field, &["name", "min", "max"], unused::FLOAT_DOMAIN)?,
        }
    }
    Ok(domain)
}

fn annotation(field: &Field<'_>) -> Result<Annotation> {
    let mut annotation = Annotation::default();
    for field in field.message()? {
        match field.name {
            "tag" => annotation.tag.push(field.string()?),
            "extra_metadata" => annotation.extra_metadata.extend(extra_metadata(field)?),
            _ => check_unused(field, &["tag", "extra_metadata"], unused::ANNOTATION)?,
        }
    }
    Ok(annotation)
}

/// The properties, unless the `Any` holds something else than a `Struct`.
fn extra_metadata(field: &Field<'_>) -> Result<Option<Properties>> {
    let mut type_url = String::new();
    let mut value = None;
    let mut seen = Seen::default();
    for field in field.message()? {
        match field.name {
            "type_url" => type_url = seen.once(field)?.string()?,
            "value" => value = Some(seen.once(field)?),
            expanded if expanded.starts_with('[') => {
                return if is_struct(expanded.trim_matches(['[', ']'])) {
                    struct_message(field).map(|message| Some(extra_metadata::from_struct(message)))
                } else {
                    Ok(None)
                };
            }
            _ => check_unused(field, &["type_url", "value"], &[])?,
        }
    }
    match value {
        // Merlin takes the bytes for a `Struct` whatever their type, so they may have none.
        Some(value) if type_url.is_empty() || is_struct(&type_url) => {
            let properties = extra_metadata::decode(value.bytes()?);
            properties.map(Some).map_err(|text| value.problem(text))
        }
        _ => Ok(None),
    }
}

fn is_struct(type_url: &str) -> bool {
    type_url.rsplit('/').next() == Some("google.protobuf.Struct")
}

/// A `Struct` spelled out, as C++ prints it.
fn struct_message(field: &Field<'_>) -> Result<StructMessage> {
    let mut message = StructMessage::default();
    for entry in field.message()? {
        expect_name(entry, "fields")?;
        let mut field_message = FieldMessage::default();
        for field in entry.message()? {
            match field.name {
                "key" => field_message.key = field.string()?,
                "value" => field_message.value = Some(value_message(field)?),
                _ => check_unused(field, &["key", "value"], &[])?,
            }
        }
        message.fields.push(field_message);
    }
    Ok(message)
}

fn value_message(field: &Field<'_>) -> Result<ValueMessage> {
    let kinds = [
        "null_value",
        "number_value",
        "string_value",
        "bool_value",
        "struct_value",
        "list_value",
    ];
    let mut message = ValueMessage::default();
    for field in field.message()? {
        message.kind = Some(match field.name {
            "null_value" => Kind::Null(0),
            "number_value" => Kind::Number(field.float()?),
            "string_value" => Kind::String(field.string()?),
            "bool_value" => Kind::Bool(field.bool()?),
            "struct_value" => Kind::Struct(struct_message(field)?),
            "list_value" => {
                let values: Result<_> = field
                    .message()?
                    .iter()
                    .map(|value| expect_name(value, "values").and_then(|()| value_message(value)))
                    .collect();
                Kind::List(ListMessage { values: values? })
            }
            _ => return Err(unknown(field, &kinds)),
        });
    }
    Ok(message)
}

/// The fields of one message that occurred, of those that may occur once.
#[derive(Default)]
struct Seen<'a>(HashSet<&'a str>);

impl<'a> Seen<'a> {
    fn once<'f>(&mut self, field: &'f Field<'a>) -> Result<&'f Field<'a>> {
        if self.0.insert(field.name) {
            Ok(field)
        } else {
            Err(field.problem(format!("`{}` occurs twice", field.name)))
        }
    }
}

fn expect_name(field: &Field<'_>, name: &str) -> Result<()> {
    if field.name == name {
        Ok(())
    } else {
        Err(unknown(field, &[name]))
    }
}

fn check_unused(field: &Field<'_>, used: &[&str], unused: &[&str]) -> Result<()> {
    if unused.contains(&field.name) {
        Ok(())
    } else {
        Err(unknown(field, used))
    }
}

fn unknown(field: &Field<'_>, used: &[&str]) -> Problem {
    let suggestion = suggest(field.name, used.iter().copied());
    field.problem(format!(
        "field `{}` does not exist here{suggestion}",
        field.name
    ))
}
