//! Arrow's schemas, and the schema inside parquet files.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, TimeUnit as ArrowTimeUnit};

use crate::{ColumnSchema, DType, Dim, Error, Result, Schema, Shape, TimeUnit};

/// The key of the schema in the metadata of Arrow schemas and parquet footers.
pub const FOOTER_KEY: &str = "emrys:schema";

impl Schema {
    /// The names, types and shapes of an Arrow schema.
    ///
    /// Tags, domains and properties come from [`Schema::embedded_in`].
    ///
    /// | Arrow | `DType` and shape | back to Arrow |
    /// |---|---|---|
    /// | `Boolean`, `Int8`-`UInt64`, `Float16`-`Float64` | the same | the same |
    /// | `Utf8`, `LargeUtf8`, `Utf8View` | string | `Utf8` |
    /// | `Binary`, `LargeBinary`, `BinaryView`, `FixedSizeBinary` | binary | `Binary` |
    /// | `Date32`, `Date64` | date | `Date32` |
    /// | `Timestamp` with or without zone | timestamp of the same unit | without zone (UTC) |
    /// | `Dictionary`, `RunEndEncoded` | those of the values | the type of the values |
    /// | `List`, `LargeList`, `ListView`, `LargeListView` | a dimension of any length | `List` |
    /// | `FixedSizeList` | a fixed dimension | `FixedSizeList` |
    /// | `Null` | unknown | error |
    /// | `Decimal`, `Time`, `Duration`, `Interval`, `Struct`, `Map`, `Union` | error | |
    ///
    /// Fields are nullable in Arrow; a schema says nothing about nulls.
    ///
    /// # Errors
    /// [`Error::UnsupportedArrowType`], [`Error::DuplicateColumn`].
    ///
    /// ```
    /// use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
    /// use emrys_schema::{DType, Schema};
    ///
    /// let item = Field::new("item", DataType::Float32, true);
    /// let arrow = ArrowSchema::new(vec![Field::new("vector", DataType::FixedSizeList(item.into(), 16), true)]);
    /// let schema = Schema::from_arrow(&arrow)?;
    /// assert_eq!(schema.column("vector")?.dtype(), DType::Float32);
    /// assert_eq!(schema.column("vector")?.shape().to_string(), "[16]");
    /// # Ok::<(), emrys_schema::Error>(())
    /// ```
    pub fn from_arrow(arrow: &ArrowSchema) -> Result<Schema> {
        let columns: Result<Vec<_>> = arrow
            .fields()
            .iter()
            .map(|field| ColumnSchema::from_arrow(field))
            .collect();
        Schema::new(columns?)
    }

    /// The Arrow schema of the same names, types and shapes, all nullable.
    ///
    /// # Errors
    /// [`Error::NoArrowType`].
    pub fn to_arrow(&self) -> Result<ArrowSchema> {
        let fields: Result<Vec<_>> = self.iter().map(ColumnSchema::to_arrow).collect();
        Ok(ArrowSchema::new(fields?))
    }

    /// The Arrow schema with this schema in its metadata, under [`FOOTER_KEY`].
    ///
    /// # Errors
    /// [`Error::PropertyTooDeep`].
    pub fn embed_in(&self, mut arrow: ArrowSchema) -> Result<ArrowSchema> {
        arrow
            .metadata
            .insert(FOOTER_KEY.to_owned(), self.to_footer_json()?);
        Ok(arrow)
    }

    /// The schema in the metadata of an Arrow schema, if there is one.
    ///
    /// # Errors
    /// [`Error::Parse`], [`Error::NewerFormat`].
    pub fn embedded_in(arrow: &ArrowSchema) -> Result<Option<Schema>> {
        arrow
            .metadata
            .get(FOOTER_KEY)
            .map(|json| Schema::from_footer_json(json))
            .transpose()
    }
}

impl ColumnSchema {
    /// The name, type and shape of an Arrow field.
    ///
    /// # Errors
    /// [`Error::UnsupportedArrowType`].
    pub fn from_arrow(field: &Field) -> Result<ColumnSchema> {
        let mut dims = Vec::new();
        let mut data_type = field.data_type();
        let dtype = loop {
            data_type = match data_type {
                DataType::List(item)
                | DataType::LargeList(item)
                | DataType::ListView(item)
                | DataType::LargeListView(item) => {
                    dims.push(Dim::ANY);
                    item.data_type()
                }
                DataType::FixedSizeList(item, length) => {
                    // Arrow refuses arrays of negative lengths, yet the type can be written down.
                    dims.push(Dim::fixed(
                        u64::try_from(*length).map_err(|_| unsupported(field))?,
                    ));
                    item.data_type()
                }
                DataType::Dictionary(_, values) => values,
                DataType::RunEndEncoded(_, values) => values.data_type(),
                leaf => break leaf_dtype(leaf).ok_or_else(|| unsupported(field))?,
            };
        };
        Ok(ColumnSchema::new(field.name(), dtype).with_shape(Shape::new(dims)))
    }

    /// The Arrow field of the same name, type and shape, nullable.
    ///
    /// # Errors
    /// [`Error::NoArrowType`] if the type is unknown, or fixed lists are longer than Arrow's.
    pub fn to_arrow(&self) -> Result<Field> {
        let no_type = |reason: &str| Error::NoArrowType {
            column: self.name().to_owned(),
            reason: reason.to_owned(),
        };
        let mut data_type = match self.dtype() {
            DType::Unknown => {
                return Err(no_type(
                    "its element type is unknown; set it with `with_dtype`",
                ));
            }
            DType::Bool => DataType::Boolean,
            DType::Int8 => DataType::Int8,
            DType::Int16 => DataType::Int16,
            DType::Int32 => DataType::Int32,
            DType::Int64 => DataType::Int64,
            DType::UInt8 => DataType::UInt8,
            DType::UInt16 => DataType::UInt16,
            DType::UInt32 => DataType::UInt32,
            DType::UInt64 => DataType::UInt64,
            DType::Float16 => DataType::Float16,
            DType::Float32 => DataType::Float32,
            DType::Float64 => DataType::Float64,
            DType::String => DataType::Utf8,
            DType::Binary => DataType::Binary,
            DType::Date => DataType::Date32,
            DType::Timestamp(unit) => DataType::Timestamp(
                match unit {
                    TimeUnit::Second => ArrowTimeUnit::Second,
                    TimeUnit::Millisecond => ArrowTimeUnit::Millisecond,
                    TimeUnit::Microsecond => ArrowTimeUnit::Microsecond,
                    TimeUnit::Nanosecond => ArrowTimeUnit::Nanosecond,
                },
                None,
            ),
        };
        for dim in self.shape().dims().iter().rev() {
            let item = Arc::new(Field::new_list_field(data_type, true));
            data_type = match dim.length() {
                Some(length) => {
                    let length = i32::try_from(length).map_err(|_| {
                        no_type("its lists are longer than 2147483647; make them ragged")
                    })?;
                    DataType::FixedSizeList(item, length)
                }
                None => DataType::List(item),
            };
        }
        Ok(Field::new(self.name(), data_type, true))
    }
}

fn unsupported(field: &Field) -> Error {
    Error::UnsupportedArrowType {
        column: field.name().to_owned(),
        arrow: field.data_type().to_string(),
    }
}

fn leaf_dtype(data_type: &DataType) -> Option<DType> {
    Some(match data_type {
        DataType::Null => DType::Unknown,
        DataType::Boolean => DType::Bool,
        DataType::Int8 => DType::Int8,
        DataType::Int16 => DType::Int16,
        DataType::Int32 => DType::Int32,
        DataType::Int64 => DType::Int64,
        DataType::UInt8 => DType::UInt8,
        DataType::UInt16 => DType::UInt16,
        DataType::UInt32 => DType::UInt32,
        DataType::UInt64 => DType::UInt64,
        DataType::Float16 => DType::Float16,
        DataType::Float32 => DType::Float32,
        DataType::Float64 => DType::Float64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DType::String,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DType::Binary,
        DataType::Date32 | DataType::Date64 => DType::Date,
        DataType::Timestamp(unit, _) => DType::Timestamp(match unit {
            ArrowTimeUnit::Second => TimeUnit::Second,
            ArrowTimeUnit::Millisecond => TimeUnit::Millisecond,
            ArrowTimeUnit::Microsecond => TimeUnit::Microsecond,
            ArrowTimeUnit::Nanosecond => TimeUnit::Nanosecond,
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tag;

    fn read(data_type: DataType) -> Result<ColumnSchema> {
        ColumnSchema::from_arrow(&Field::new("x", data_type, true))
    }

    fn list_of(data_type: DataType) -> Arc<Field> {
        Arc::new(Field::new_list_field(data_type, true))
    }

    #[test]
    fn every_known_type_and_shape_survives_arrow() {
        let shapes = [
            Shape::SCALAR,
            Shape::fixed(3),
            Shape::ragged(0, None),
            Shape::new([Dim::ANY, Dim::fixed(2), Dim::ANY]),
        ];
        for dtype in DType::ALL.iter().filter(|dtype| **dtype != DType::Unknown) {
            for shape in &shapes {
                let column = ColumnSchema::new("x", *dtype).with_shape(shape.clone());
                assert_eq!(
                    ColumnSchema::from_arrow(&column.to_arrow().unwrap()).unwrap(),
                    column
                );
            }
        }
    }

    #[test]
    fn encodings_and_zones_are_seen_through() {
        let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
        let nested = DataType::LargeList(list_of(dictionary(DataType::Utf8View)));
        let column = read(nested).unwrap();
        assert_eq!(
            (column.dtype(), column.shape()),
            (DType::String, &Shape::ragged(0, None))
        );

        let zoned = DataType::Timestamp(ArrowTimeUnit::Microsecond, Some("Europe/Berlin".into()));
        assert_eq!(
            read(zoned).unwrap().dtype(),
            DType::Timestamp(TimeUnit::Microsecond)
        );
        assert_eq!(read(DataType::Date64).unwrap().dtype(), DType::Date);
        assert_eq!(
            read(DataType::FixedSizeBinary(16)).unwrap().dtype(),
            DType::Binary
        );
        assert_eq!(read(DataType::Null).unwrap().dtype(), DType::Unknown);
    }

    #[test]
    fn bounds_of_ragged_lists_are_not_in_arrow() {
        let column = ColumnSchema::new("x", DType::Int64).with_shape(Shape::ragged(1, Some(5)));
        let read = ColumnSchema::from_arrow(&column.to_arrow().unwrap()).unwrap();
        assert_eq!(read.shape(), &Shape::ragged(0, None));
    }

    #[test]
    fn other_types_are_refused_with_the_name_of_the_column() {
        let decimal = read(DataType::Decimal128(10, 2)).unwrap_err();
        insta::assert_snapshot!(decimal, @"column `x` has the Arrow type Decimal128(10, 2), which a schema cannot describe; cast it or drop the column");
        let nested = read(DataType::List(list_of(DataType::Time32(
            ArrowTimeUnit::Second,
        ))))
        .unwrap_err();
        insta::assert_snapshot!(nested, @"column `x` has the Arrow type List(Time32(s)), which a schema cannot describe; cast it or drop the column");
        assert!(read(DataType::FixedSizeList(list_of(DataType::Int8), -1)).is_err());
    }

    #[test]
    fn columns_without_an_arrow_type_are_refused() {
        let unknown = ColumnSchema::new("x", DType::Unknown)
            .to_arrow()
            .unwrap_err();
        insta::assert_snapshot!(unknown, @"column `x` has no Arrow type: its element type is unknown; set it with `with_dtype`");
        let long = ColumnSchema::new("x", DType::Int8).with_shape(Shape::fixed(1 << 40));
        insta::assert_snapshot!(long.to_arrow().unwrap_err(), @"column `x` has no Arrow type: its lists are longer than 2147483647; make them ragged");
    }

    #[test]
    fn a_schema_travels_in_arrow_metadata() {
        let schema =
            Schema::new([ColumnSchema::new("x", DType::UInt8).with_tags([Tag::Target])]).unwrap();
        let arrow = schema.to_arrow().unwrap();
        assert_eq!(Schema::embedded_in(&arrow).unwrap(), None);
        let arrow = schema.embed_in(arrow).unwrap();
        assert_eq!(Schema::embedded_in(&arrow).unwrap(), Some(schema));
    }
}
