//! From a column to text.

use std::fmt::Write;

use crate::merlin::extra_metadata;
use crate::merlin::feature::{
    Annotation, Feature, FeatureType, FloatDomain, IntDomain, ValueCount,
};
use crate::merlin::text_format::{quote, quote_bytes};

const STRUCT_TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

/// A column as protobuf writes it.
pub(super) fn feature_text(feature: Feature) -> String {
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
