//! The types of values, whatever their encoding in memory or in files.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};

/// The schema with [`plain_type`]s and without file-wide metadata.
pub(crate) fn plain_schema(schema: &ArrowSchema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| with_type(field, plain_type(field.data_type())));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The type of the values whatever their encoding in memory: texts are `Utf8`, dictionaries are
/// their values, lists have 32-bit offsets.
///
/// Files that hold the same values in other encodings are of one type.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    let plain_child = |child: &FieldRef| with_type(child, plain_type(child.data_type()));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child) => DataType::List(plain_child(child)),
        DataType::FixedSizeList(child, length) => {
            DataType::FixedSizeList(plain_child(child), *length)
        }
        DataType::Struct(children) => DataType::Struct(children.iter().map(plain_child).collect()),
        other => other.clone(),
    }
}

/// Whether two plain types hold the same values: names and nullability of list elements may
/// differ.
pub(crate) fn same_type(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::List(left), DataType::List(right)) => {
            same_type(left.data_type(), right.data_type())
        }
        (DataType::FixedSizeList(left, m), DataType::FixedSizeList(right, n)) => {
            m == n && same_type(left.data_type(), right.data_type())
        }
        (DataType::Struct(left), DataType::Struct(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    left.name() == right.name() && same_type(left.data_type(), right.data_type())
                })
        }
        _ => left == right,
    }
}

/// The field with another type.
pub(crate) fn with_type(field: &Field, data_type: DataType) -> FieldRef {
    Arc::new(field.clone().with_data_type(data_type))
}
