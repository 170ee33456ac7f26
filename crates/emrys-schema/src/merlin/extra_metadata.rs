//! Properties as the bytes of a `google.protobuf.Struct`.
//!
//! `prost_types::Struct` sorts its keys; these messages have the same bytes and keep the order.

use prost::Message;
use serde_json::Value;

use super::feature::number;
use crate::column::Properties;

#[derive(Clone, PartialEq, Message)]
pub(super) struct StructMessage {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<FieldMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldMessage {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<ValueMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueMessage {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(StructMessage),
    #[prost(message, tag = "6")]
    List(ListMessage),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListMessage {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<ValueMessage>,
}

/// The bytes of the `Struct`.
pub(super) fn encode(properties: &Properties) -> Vec<u8> {
    to_struct(properties).encode_to_vec()
}

/// Reads the bytes of a `Struct`; prost stops at 100 levels of messages.
pub(super) fn decode(bytes: &[u8]) -> Result<Properties, String> {
    let message = StructMessage::decode(bytes)
        .map_err(|error| format!("the bytes are not a google.protobuf.Struct: {error}"))?;
    Ok(from_struct(message))
}

fn to_struct(properties: &Properties) -> StructMessage {
    let fields = properties.iter().map(|(key, value)| FieldMessage {
        key: key.clone(),
        value: Some(to_value(value)),
    });
    StructMessage {
        fields: fields.collect(),
    }
}

fn to_value(value: &Value) -> ValueMessage {
    let kind = match value {
        Value::Null => Kind::Null(0),
        Value::Bool(bool) => Kind::Bool(*bool),
        // Every number of serde_json has a double, if a rounded one.
        Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::String(text.clone()),
        Value::Array(values) => Kind::List(ListMessage {
            values: values.iter().map(to_value).collect(),
        }),
        Value::Object(properties) => Kind::Struct(to_struct(properties)),
    };
    ValueMessage { kind: Some(kind) }
}

pub(super) fn from_struct(message: StructMessage) -> Properties {
    let fields = message.fields.into_iter();
    fields
        .map(|field| (field.key, from_value(field.value.unwrap_or_default())))
        .collect()
}

fn from_value(message: ValueMessage) -> Value {
    match message.kind {
        None | Some(Kind::Null(_)) => Value::Null,
        Some(Kind::Number(double)) => number(double),
        Some(Kind::String(text)) => Value::String(text),
        Some(Kind::Bool(bool)) => Value::Bool(bool),
        Some(Kind::Struct(message)) => Value::Object(from_struct(message)),
        Some(Kind::List(list)) => list.values.into_iter().map(from_value).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Properties {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn properties_survive_in_order() {
        let properties = object(json!({
            "z": null, "a": [1, 2.5, [], {}], "m": {"y": -3, "x": "größe"}, "": false
        }));
        let read = decode(&encode(&properties)).unwrap();
        assert_eq!(read, properties);
        assert!(read.keys().eq(properties.keys()));
    }

    #[test]
    fn the_bytes_are_those_of_protobuf() {
        assert_eq!(
            encode(&object(json!({"is_list": true}))),
            b"\n\r\n\x07is_list\x12\x02\x20\x01"
        );
        assert_eq!(
            encode(&object(json!({"num_buckets": null}))),
            b"\n\x11\n\x0bnum_buckets\x12\x02\x08\x00"
        );
    }

    #[test]
    fn doubles_become_integers_only_where_that_is_exact() {
        assert_eq!(number(7.0), json!(7));
        assert_eq!(number(-7.0), json!(-7));
        assert_eq!(number(0.5), json!(0.5));
        assert_eq!(number(1e300), json!(1e300));
        assert_eq!(number(-0.0), json!(-0.0));
        assert_eq!(number(f64::NAN), Value::Null);
    }

    #[test]
    fn deep_or_broken_bytes_are_errors() {
        assert!(decode(b"\n\xff").is_err());
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            let list = ListMessage { values: Vec::new() }.encode_to_vec();
            assert!(list.is_empty());
            // Field 6 (list) of Value, around field 1 (value) of List.
            let mut outer = vec![0x0a];
            prost::encode_length_delimiter(bytes.len(), &mut outer).unwrap();
            outer.append(&mut bytes);
            bytes = vec![0x32];
            prost::encode_length_delimiter(outer.len(), &mut bytes).unwrap();
            bytes.append(&mut outer);
        }
        let mut field = vec![0x12];
        prost::encode_length_delimiter(bytes.len(), &mut field).unwrap();
        field.append(&mut bytes);
        let mut message = vec![0x0a];
        prost::encode_length_delimiter(field.len(), &mut message).unwrap();
        message.append(&mut field);
        assert!(decode(&message).unwrap_err().contains("recursion"));
    }
}
