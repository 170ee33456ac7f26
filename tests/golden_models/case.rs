//! A case: its description and its tensors.

use std::collections::BTreeMap;
use std::path::Path;

use emrys_schema::{ColumnSchema, DType, Domain, Schema, Shape, Tag};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value as Json;

/// Why a case does not pass.
#[derive(Debug)]
pub enum Stop {
    /// What it needs does not exist yet.
    Skip(String),
    /// It gives something else than the peer.
    Fail(String),
}

pub type Outcome = Result<(), Stop>;

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Fail(error.to_string())
    }
}

/// A tensor of a case, its numbers widened.
#[derive(Debug, Clone)]
pub struct Golden {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
    /// Whether it holds integers or booleans.
    pub is_integer: bool,
}

impl Golden {
    pub fn f32(&self) -> Vec<f32> {
        self.values.iter().map(|value| *value as f32).collect()
    }

    pub fn i64(&self) -> Vec<i64> {
        self.values.iter().map(|value| *value as i64).collect()
    }

    pub fn i32(&self) -> Vec<i32> {
        self.values.iter().map(|value| *value as i32).collect()
    }
}

#[derive(Debug)]
pub struct Case {
    pub id: String,
    pub kind: String,
    pub name: String,
    pub params: Json,
    /// Everything in `case.json`.
    pub json: Json,
    pub tensors: BTreeMap<String, Golden>,
}

impl Case {
    pub fn read(folder: &Path) -> Case {
        let read = |name: &str| {
            std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let json: Json = serde_json::from_slice(&read("case.json")).expect("case.json is JSON");
        let text = |key: &str| json[key].as_str().expect("a text").to_owned();
        let bytes = read("tensors.safetensors");
        let file = SafeTensors::deserialize(&bytes).expect("tensors.safetensors is readable");
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            let (values, is_integer) = widen(view.dtype(), view.data());
            (
                name,
                Golden {
                    shape: view.shape().to_vec(),
                    values,
                    is_integer,
                },
            )
        });
        Case {
            id: text("id"),
            kind: text("kind"),
            name: text("name"),
            params: json["params"].clone(),
            tensors: tensors.collect(),
            json,
        }
    }

    /// A tensor that the case must have.
    pub fn tensor(&self, name: &str) -> Result<&Golden, Stop> {
        self.tensors
            .get(name)
            .ok_or_else(|| Stop::Fail(format!("the case has no tensor `{name}`")))
    }

    /// The tensors whose names start with `prefix`, by the rest of their names.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Golden)> {
        self.tensors
            .iter()
            .filter_map(move |(name, golden)| name.strip_prefix(prefix).map(|rest| (rest, golden)))
    }

    /// A list of sizes among the parameters; none for null.
    pub fn sizes(&self, key: &str) -> Option<Vec<usize>> {
        sizes(&self.params[key])
    }

    pub fn float(&self, key: &str) -> Option<f64> {
        self.params[key].as_f64()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.params[key].as_str()
    }

    /// The same case with another name for an input column.
    pub fn with_column_renamed(&self, old: &str, new: &str) -> Case {
        let mut json = self.json.clone();
        for column in json["schema"]["columns"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            if column["name"] == old {
                column["name"] = new.into();
            }
        }
        let input = format!("inputs/{old}");
        let tensors = self.tensors.iter().map(|(name, golden)| {
            let name = if *name == input {
                format!("inputs/{new}")
            } else {
                name.clone()
            };
            (name, golden.clone())
        });
        Case {
            id: self.id.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            params: self.params.clone(),
            json,
            tensors: tensors.collect(),
        }
    }

    /// The schema, if the case has one.
    pub fn schema(&self) -> Option<Schema> {
        let columns = self.json["schema"]["columns"].as_array()?;
        Some(Schema::new(columns.iter().map(column)).expect("distinct names"))
    }
}

pub fn sizes(json: &Json) -> Option<Vec<usize>> {
    let list = json.as_array()?;
    Some(
        list.iter()
            .map(|size| size.as_u64().expect("a size") as usize)
            .collect(),
    )
}

fn column(json: &Json) -> ColumnSchema {
    let name = json["name"].as_str().expect("a name");
    let dtype = match json["dtype"].as_str() {
        Some("int64") => DType::Int64,
        Some("int32") => DType::Int32,
        Some("float32") => DType::Float32,
        other => panic!("dtype {other:?}"),
    };
    let tags = json["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str);
    let mut column = ColumnSchema::new(name, dtype).with_tags(tags.map(Tag::from));
    if let (Some(min), Some(max)) = (
        json["domain"]["min"].as_i64(),
        json["domain"]["max"].as_i64(),
    ) {
        let domain = Domain::int(min, max);
        column = column.with_domain(match json["domain"]["name"].as_str() {
            Some(name) => domain.named(name),
            None => domain,
        });
    }
    match &json["list"] {
        Json::String(list) if list == "ragged" => column.with_shape(Shape::ragged(0, None)),
        Json::Number(length) => column.with_shape(Shape::fixed(length.as_u64().expect("a length"))),
        _ => column,
    }
}

fn widen(dtype: Dtype, bytes: &[u8]) -> (Vec<f64>, bool) {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        assert!(rest.is_empty(), "whole numbers");
        chunks.iter().map(|chunk| read(*chunk)).collect()
    }
    match dtype {
        Dtype::F32 => (each(bytes, |b| f64::from(f32::from_le_bytes(b))), false),
        Dtype::F64 => (each(bytes, f64::from_le_bytes), false),
        Dtype::I64 => (each(bytes, |b| i64::from_le_bytes(b) as f64), true),
        Dtype::I32 => (each(bytes, |b| f64::from(i32::from_le_bytes(b))), true),
        Dtype::U8 | Dtype::BOOL => (each(bytes, |[b]| f64::from(b)), true),
        other => panic!("dtype {other:?}"),
    }
}
