//! The types of columns, and the ones they are decoded as.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use emrys_schema::{ColumnSchema, DType};

use crate::Result;
use crate::io::formats::values::convert;
use crate::io::open_options::ColumnType;

/// A column of objects.
#[derive(Debug)]
pub(super) struct JsonColumn {
    pub(super) name: String,
    pub(super) data_type: DataType,
    /// How values come from texts; `None` for lists and objects.
    from_text: Option<ColumnType>,
    /// Whether the type was guessed.
    pub(super) guessed: bool,
}

impl JsonColumn {
    pub(super) fn given(name: &str, column_type: ColumnType) -> Result<JsonColumn> {
        Ok(JsonColumn {
            name: name.to_owned(),
            data_type: column_type.arrow(name)?,
            from_text: Some(column_type),
            guessed: false,
        })
    }

    pub(super) fn guessed(field: &Field) -> JsonColumn {
        let data_type = with_known_leaves(field.data_type());
        let plain = ColumnSchema::from_arrow(&Field::new(field.name(), data_type.clone(), true));
        let scalar = !data_type.is_nested();
        JsonColumn {
            name: field.name().clone(),
            from_text: scalar.then(|| plain.map_or(DType::String, |column| column.dtype()).into()),
            data_type,
            guessed: true,
        }
    }

    /// The column as it is shown.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), true)
    }

    /// The column as it is decoded: with texts, since the decoder makes 1 of 1.5 where an integer
    /// is expected.
    pub(super) fn decoded_field(&self) -> Field {
        Field::new(&self.name, with_text_leaves(&self.data_type), true)
    }

    /// The values of what was decoded; if one is not of the type, the error is its row.
    pub(super) fn convert(&self, decoded: &ArrayRef) -> Result<ArrayRef, usize> {
        match self.from_text {
            Some(column_type) => convert(decoded.as_string::<i32>(), column_type, self.guessed),
            None => self.cast(decoded).ok_or_else(|| {
                // A slice of lists would still have the elements of all.
                let bad = |row: &u64| {
                    take(decoded, &UInt64Array::from(vec![*row]), None)
                        .is_ok_and(|alone| self.cast(&alone).is_none())
                };
                let first = (0..decoded.len() as u64).find(bad);
                first
                    .and_then(|row| usize::try_from(row).ok())
                    .unwrap_or_default()
            }),
        }
    }

    fn cast(&self, decoded: &ArrayRef) -> Option<ArrayRef> {
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(decoded, &self.data_type, &strict).ok()
    }

    /// The type in words, for errors.
    pub(super) fn describe(&self) -> String {
        match self.from_text {
            Some(column_type) => column_type.to_string(),
            None => self.data_type.to_string(),
        }
    }
}

/// The type with strings for leaves of which all samples are null.
fn with_known_leaves(data_type: &DataType) -> DataType {
    with_leaves(data_type, &|leaf| match leaf {
        DataType::Null => DataType::Utf8,
        leaf => leaf.clone(),
    })
}

fn with_text_leaves(data_type: &DataType) -> DataType {
    with_leaves(data_type, &|_| DataType::Utf8)
}

fn with_leaves(data_type: &DataType, leaf: &impl Fn(&DataType) -> DataType) -> DataType {
    let child = |field: &FieldRef| {
        let data_type = with_leaves(field.data_type(), leaf);
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::List(field) => DataType::List(child(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(child).collect()),
        data_type => leaf(data_type),
    }
}
