//! The encoders of one column of a row group.

use std::io::Write;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, Field, Int32Type, Int64Type};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::basic::Type as PhysicalType;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::id_column::IdColumn;

/// Encodes one column of one row group.
pub(super) enum Column {
    /// By the parquet library, which has an encoder for each leaf.
    General(Vec<ArrowColumnWriter>),
    Int32Ids(IdColumn<i32>),
    Int64Ids(IdColumn<i64>),
}

impl Column {
    /// A column of ids that are mostly below `cardinality`.
    pub(super) fn of_ids(
        leaf: ColumnDescPtr,
        properties: &WriterProperties,
        cardinality: usize,
    ) -> Result<Column> {
        Ok(match leaf.physical_type() {
            PhysicalType::INT32 => Column::Int32Ids(IdColumn::new(leaf, properties, cardinality)?),
            _ => Column::Int64Ids(IdColumn::new(leaf, properties, cardinality)?),
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
            Column::Int32Ids(ids) => ids.write(integers::<Int32Type>(array)?),
            Column::Int64Ids(ids) => ids.write(integers::<Int64Type>(array)?),
        }
    }

    /// The bytes held.
    pub(super) fn memory_size(&self) -> usize {
        match self {
            Column::General(leaves) => leaves.iter().map(ArrowColumnWriter::memory_size).sum(),
            Column::Int32Ids(ids) => ids.memory_size(),
            Column::Int64Ids(ids) => ids.memory_size(),
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
        };
        row_group.append_column(&bytes, close)
    }
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    array.as_primitive_opt().ok_or_else(|| {
        ParquetError::ArrowError(format!(
            "ids are {}, but {} was declared",
            array.data_type(),
            T::DATA_TYPE
        ))
    })
}
