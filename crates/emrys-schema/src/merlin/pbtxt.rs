//! `schema.pbtxt`: protobuf's text of the message.

use std::collections::HashSet;
use std::fmt::Write;

use super::extra_metadata::{self, FieldMessage, Kind, ListMessage, StructMessage, ValueMessage};
use super::feature::{Annotation, Feature, FeatureType, FloatDomain, IntDomain, ValueCount};
use super::text_format::{Field, Problem, Result as TextResult, parse, quote, quote_bytes};
use crate::column::Properties;
use crate::error::suggest;
use crate::{ColumnSchema, Error, Result, Schema};

const ORIGIN: &str = "schema.pbtxt";
const STRUCT_TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

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

impl Schema {
    /// The schema as Merlin's `schema.pbtxt`; see the [front page](crate#files) for what it loses.
    ///
    /// ```
    /// use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
    ///
    /// let schema = Schema::new([ColumnSchema::new("user", DType::Int32)
    ///     .with_tags([Tag::Categorical])
    ///     .with_domain(Domain::int(0, 6040))])?;
    /// let text = schema.to_pbtxt()?;
    /// assert!(text.starts_with("feature {\n  name: \"user\"\n  type: INT\n  int_domain {\n    max: 6040\n"));
    /// assert_eq!(Schema::from_pbtxt(&text)?, schema);
    /// # Ok::<(), emrys_schema::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PropertyTooDeep`].
    pub fn to_pbtxt(&self) -> Result<String> {
        self.check_properties()?;
        Ok(self
            .iter()
            .map(|column| feature_text(Feature::from(column)))
            .collect())
    }

    /// Reads Merlin's `schema.pbtxt`. Fields of TensorFlow Metadata that Merlin does not use are
    /// ignored.
    ///
    /// # Errors
    /// [`Error::Parse`], with line and column.
    pub fn from_pbtxt(text: &str) -> Result<Schema> {
        let columns = parse(text).and_then(|fields| columns(&fields));
        Schema::new(
            columns.map_err(|problem| Error::parse_at(ORIGIN, text, problem.at, problem.text))?,
        )
    }
}

fn feature_text(feature: Feature) -> String {
    let mut text = TextWriter::default();
    text.message("feature", |text| {
        text.line("name", quote(&feature.name));
        if let Some(ValueCount { min, max }) = feature.value_count {
            text.message("value_count", |text| {
                text.unless_default("min", min);
                text.unless_default("max", max);
            });
        }
        if feature.kind != FeatureType::Unknown {
            text.line("type", feature.kind.name());
        }
        if let Some(IntDomain {
            name,
            min,
            max,
            is_categorical,
        }) = feature.int_domain
        {
            text.message("int_domain", |text| {
                text.optional("name", name.as_deref().map(quote));
                text.unless_default("min", min);
                text.unless_default("max", max);
                text.unless_default("is_categorical", is_categorical);
            });
        }
        if let Some(FloatDomain { name, min, max }) = feature.float_domain {
            text.message("float_domain", |text| {
                text.optional("name", name.as_deref().map(quote));
                text.optional("min", float_text(min));
                text.optional("max", float_text(max));
            });
        }
        let Annotation {
            tag,
            extra_metadata,
        } = feature.annotation;
        text.message("annotation", |text| {
            for tag in tag {
                text.line("tag", quote(&tag));
            }
            for properties in extra_metadata {
                text.message("extra_metadata", |text| {
                    text.line("type_url", quote(STRUCT_TYPE));
                    text.line("value", quote_bytes(&extra_metadata::encode(&properties)));
                });
            }
        });
    });
    text.text
}

/// All digits of the double: protobuf rounds them to its 32 bits, we read them back.
fn float_text(bound: f64) -> Option<String> {
    (bound != 0.0).then(|| format!("{bound:?}").to_lowercase())
}

#[derive(Default)]
struct TextWriter {
    text: String,
    depth: usize,
}

impl TextWriter {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:1$}{name}: {value}", "", 2 * self.depth);
    }

    fn optional(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.line(name, value);
        }
    }

    /// Defaults are left out, as in proto3.
    fn unless_default<T: Default + PartialEq + std::fmt::Display>(&mut self, name: &str, value: T) {
        if value != T::default() {
            self.line(name, value);
        }
    }

    fn message(&mut self, name: &str, fields: impl FnOnce(&mut TextWriter)) {
        let _ = writeln!(self.text, "{:1$}{name} {{", "", 2 * self.depth);
        self.depth += 1;
        fields(self);
        self.depth -= 1;
        let _ = writeln!(self.text, "{:1$}}}", "", 2 * self.depth);
    }
}

fn columns(fields: &[Field<'_>]) -> TextResult<Vec<ColumnSchema>> {
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

fn feature(field: &Field<'_>) -> TextResult<Feature> {
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

fn value_count(field: &Field<'_>) -> TextResult<ValueCount> {
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

fn int_domain(field: &Field<'_>) -> TextResult<IntDomain> {
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

fn float_domain(field: &Field<'_>) -> TextResult<FloatDomain> {
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

fn annotation(field: &Field<'_>) -> TextResult<Annotation> {
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
fn extra_metadata(field: &Field<'_>) -> TextResult<Option<Properties>> {
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
fn struct_message(field: &Field<'_>) -> TextResult<StructMessage> {
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

fn value_message(field: &Field<'_>) -> TextResult<ValueMessage> {
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
                let values: TextResult<_> = field
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
    fn once<'f>(&mut self, field: &'f Field<'a>) -> TextResult<&'f Field<'a>> {
        if self.0.insert(field.name) {
            Ok(field)
        } else {
            Err(field.problem(format!("`{}` occurs twice", field.name)))
        }
    }
}

fn expect_name(field: &Field<'_>, name: &str) -> TextResult<()> {
    if field.name == name {
        Ok(())
    } else {
        Err(unknown(field, &[name]))
    }
}

fn check_unused(field: &Field<'_>, used: &[&str], unused: &[&str]) -> TextResult<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Domain, Shape, Tag};

    fn error(text: &str) -> String {
        Schema::from_pbtxt(text).unwrap_err().to_string()
    }

    #[test]
    fn a_column_is_written_as_protobuf_writes_it() {
        let schema = Schema::new([
            ColumnSchema::new("größe", DType::Float32)
                .with_shape(Shape::ragged(0, Some(3)))
                .with_tags([Tag::Continuous])
                .with_domain(Domain::float(-0.1, 1.0)),
            ColumnSchema::new("any", DType::Unknown).with_shape(Shape::ragged(0, None)),
        ])
        .unwrap();
        let text = schema.to_pbtxt().unwrap();
        insta::assert_snapshot!(text, @r#"
        feature {
          name: "größe"
          value_count {
            max: 3
          }
          type: FLOAT
          float_domain {
            min: -0.1
            max: 1.0
          }
          annotation {
            tag: "continuous"
            extra_metadata {
              type_url: "type.googleapis.com/google.protobuf.Struct"
              value: "\n8\n\005_dims\022/2-\n\0212\017\n\t\021\000\000\000\000\000\000\000\000\n\002\010\000\n\0302\026\n\t\021\000\000\000\000\000\000\000\000\n\t\021\000\000\000\000\000\000\010@\n\r\n\007is_list\022\002 \001\n\017\n\tis_ragged\022\002 \001\n\034\n\017dtype_item_size\022\t\021\000\000\000\000\000\000@@"
            }
          }
        }
        feature {
          name: "any"
          value_count {
          }
          annotation {
            extra_metadata {
              type_url: "type.googleapis.com/google.protobuf.Struct"
              value: "\n1\n\005_dims\022(2&\n\0212\017\n\t\021\000\000\000\000\000\000\000\000\n\002\010\000\n\0212\017\n\t\021\000\000\000\000\000\000\000\000\n\002\010\000\n\r\n\007is_list\022\002 \001\n\017\n\tis_ragged\022\002 \001"
            }
          }
        }
        "#);
        assert_eq!(Schema::from_pbtxt(&text).unwrap(), schema);
    }

    #[test]
    fn what_merlin_does_not_use_is_skipped() {
        let schema = Schema::from_pbtxt(
            r#"
            # written by hand
            default_environment: ["TRAINING", 'SERVING']
            string_domain { name: "colours" value: "red" }
            feature {
              name: "x" type: FLOAT lifecycle_stage: BETA
              presence { min_fraction: 1.0 }
              shape < dim { size: 1 } >
              float_domain { max: 1 disallow_nan: true }
              annotation { tag: "user_id" comment: "free text" }
            }
            tensor_representation_group { key: "" value { } }
            "#,
        );
        let expected = ColumnSchema::new("x", DType::Float64)
            .with_tags([Tag::UserId])
            .with_domain(Domain::float(0.0, 1.0));
        assert_eq!(schema.unwrap(), Schema::new([expected]).unwrap());
    }

    #[test]
    fn extra_metadata_may_be_spelled_out() {
        let schema = Schema::from_pbtxt(
            r#"feature { name: "x" type: INT annotation { extra_metadata {
                [type.googleapis.com/google.protobuf.Struct] {
                  fields { key: "dtype_item_size" value { number_value: 32 } }
                  fields { key: "path" value { string_value: "a/b" } }
                  fields { key: "sizes" value { list_value {
                    values { number_value: 1.5 } values { bool_value: true } values { null_value: NULL_VALUE }
                  } } }
                  fields { key: "more" value { struct_value { fields { key: "k" value { } } } } }
                }
            } } }"#,
        )
        .unwrap();
        let column = ColumnSchema::new("x", DType::Int32)
            .with_property("path", "a/b")
            .with_property("sizes", serde_json::json!([1.5, true, null]))
            .with_property("more", serde_json::json!({"k": null}));
        assert_eq!(schema, Schema::new([column]).unwrap());
    }

    #[test]
    fn bounds_beyond_all_numbers_survive() {
        let domain = Domain::float(f64::NEG_INFINITY, 1e300);
        let column = ColumnSchema::new("x", DType::Float64).with_domain(domain);
        let schema = Schema::new([column]).unwrap();
        let text = schema.to_pbtxt().unwrap();
        assert!(text.contains("min: -inf\n    max: 1e300\n"), "{text}");
        assert_eq!(Schema::from_pbtxt(&text).unwrap(), schema);
    }

    #[test]
    fn other_kinds_of_extra_metadata_are_skipped() {
        for other in [
            r#"type_url: "type.googleapis.com/x.Y" value: "\377""#,
            "[type.googleapis.com/x.Y] { z: 1 }",
        ] {
            let text =
                format!("feature {{ name: \"x\" annotation {{ extra_metadata {{ {other} }} }} }}");
            let expected = Schema::new([ColumnSchema::new("x", DType::Unknown)]).unwrap();
            assert_eq!(Schema::from_pbtxt(&text).unwrap(), expected);
        }
    }

    #[test]
    fn errors_tell_line_and_column() {
        let errors = [
            "feature {\n  nmae: \"x\"\n}",
            "feature {\n  type: INT\n}",
            "feature {\n  name: \"größe\" type: DOUBLE\n}",
            "feature { name: \"x\" name: \"y\" }",
            "feature { name: \"x\" }\n\nfeature { name: \"x\" }",
            "feature { name: \"x\" int_domain { max: 1.5 } }",
            "feature { name: 7 }",
            "feature: 7",
            "feature {\n  name: \"x\"\n  annotation {\n",
            "feature { name: \"x\" annotation { tag: \"id\" tag: \"continuous\" } }",
            "feature { name: \"x\" annotation { extra_metadata {\n value: \"\\377\" } } }",
            "hello world",
        ]
        .map(error);
        insta::assert_snapshot!(errors.join("\n"), @"
        schema.pbtxt, line 2, column 3: field `nmae` does not exist here; did you mean `name`?
        schema.pbtxt, line 1, column 1: the feature has no name
        schema.pbtxt, line 2, column 17: type DOUBLE does not exist, expected INT, FLOAT or BYTES
        schema.pbtxt, line 1, column 21: `name` occurs twice
        schema.pbtxt, line 3, column 1: column `x` occurs twice; rename one of the two
        schema.pbtxt, line 1, column 39: `max` is `1.5`, expected a 64-bit integer
        schema.pbtxt, line 1, column 17: `name` is `7`, expected a quoted string
        schema.pbtxt, line 1, column 10: `feature` is `7`, expected a message in braces
        schema.pbtxt, line 3, column 14: the message that begins here is not closed
        schema.pbtxt, line 1, column 1: column `x`: tags `id` and `continuous` exclude each other; keep one of them
        schema.pbtxt, line 2, column 2: the bytes are not a google.protobuf.Struct: failed to decode Protobuf message: invalid varint
        schema.pbtxt, line 1, column 7: found `w`, expected `:` or `{`
        ");
    }
}
