//! The encoders of one column of a row group.

use std::io::Write;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, Field, Float32Type, Float64Type, Int32Type, Int64Type};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::basic::Type as PhysicalType;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::encoding::Encoder;
use super::flat_column::{FloatColumn, IdColumn};

/// Encodes one column of one row group.
pub(super) enum Column {
    /// By the parquet library, which has an encoder for each leaf.
    General(Vec<ArrowColumnWriter>),
    Int32Ids(IdColumn<i32>),
    Int64Ids(IdColumn<i64>),
    Float32(FloatColumn<f32>),
    Float64(FloatColumn<f64>),
}

impl Column {
    /// A column by the encoder that was chosen for it, of which `general` is the first leaf.
    pub(super) fn new(
        encoder: Encoder,
        leaf: ColumnDescPtr,
        properties: &WriterProperties,
        general: ArrowColumnWriter,
    ) -> Result<Column> {
        Ok(match (encoder, leaf.physical_type()) {
            (Encoder::General, _) => Column::General(vec![general]),
            (Encoder::Ids { cardinality }, PhysicalType::INT32) => {
                Column::Int32Ids(IdColumn::of_ids(leaf, properties, cardinality)?)
            }
            (Encoder::Ids { cardinality }, _) => {
                Column::Int64Ids(IdColumn::of_ids(leaf, properties, cardinality)?)
            }
            (Encoder::Floats, PhysicalType::FLOAT) => {
                Column::Float32(FloatColumn::of_floats(leaf, properties)?)
            }
            (Encoder::Floats, _) => Column::Float64(FloatColumn::of_floats(leaf, properties)?),
        })
    }

    /// The next leaf of a nested column.
    pub(super) fn add_leaf(&mut self, writer: ArrowColumnWriter) {
        if let Column::General(leaves) = self {
            leaves.push(writer);
        }
    }

    pub(super) fn write(&mut self, field: &Field, array: &ArrayRef) -> Result<()> {
        match self {
            Column::General(leaves) => {
                for (leaf, writer) in compute_leaves(field, array)?.iter().zip(leaves) {
                    writer.write(leaf)?;
                }
                Ok(())
            }
            Column::Int32Ids(ids) => ids.write(numbers::<Int32Type>(array)?),
            Column::Int64Ids(ids) => ids.write(numbers::<Int64Type>(array)?),
            Column::Float32(floats) => floats.write(numbers::<Float32Type>(array)?),
            Column::Float64(floats) => floats.write(numbers::<Float64Type>(array)?),
        }
    }

    /// The bytes held.
    pub(super) fn memory_size(&self) -> usize {
        match self {
            Column::General(leaves) => leaves.iter().map(ArrowColumnWriter::memory_size).sum(),
            Column::Int32Ids(ids) => ids.memory_size(),
            Column::Int64Ids(ids) => ids.memory_size(),
            Column::Float32(floats) => floats.memory_size(),
            Column::Float64(floats) => floats.memory_size(),
        }
    }

    /// About how many bytes the column would take if the row group were ended now.
    pub(super) fn encoded_size(&self) -> usize {
        match self {
            Column::General(leaves) => {
                let sizes = leaves.iter().map(|leaf| leaf.get_estimated_total_bytes());
                sizes.sum()
            }
            Column::Int32Ids(ids) => ids.encoded_size(),
            Column::Int64Ids(ids) => ids.encoded_size(),
            Column::Float32(floats) => floats.encoded_size(),
            Column::Float64(floats) => floats.encoded_size(),
        }
    }

    /// Writes the column to the file.
    pub(super) fn close<W: Write + Send>(
        self,
        row_group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let (bytes, close) = match self {
            Column::General(leaves) => {
                for writer in leaves {
                    writer.close()?.append_to_row_group(row_group)?;
                }
                return Ok(());
            }
            Column::Int32Ids(ids) => ids.close()?,
            Column::Int64Ids(ids) => ids.close()?,
            Column::Float32(floats) => floats.close()?,
            Column::Float64(floats) => floats.close()?,
        };
        row_group.append_column(&bytes, close)
    }
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    array.as_primitive_opt().ok_or_else(|| {
        ParquetError::ArrowError(format!(
            "values are {}, but {} was declared",
            array.data_type(),
            T::DATA_TYPE
        ))
    })
}
