//! Rows of tables as Arrow and parquet.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::error::EmbeddingError;
use super::tables::EmbeddingTables;

/// How vectors are laid out in a table of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VectorLayout {
    /// A column per dimension, named `0`, `1`, ..., as Merlin writes them.
    #[default]
    Columns,
    /// One column `embedding` of lists of fixed size.
    List,
}

/// Rows per record batch and row group.
const ROWS_PER_BATCH: usize = 65_536;

impl EmbeddingTables {
    /// The rows of a table as record batches: `id` (`i64`), then the vectors (`f32`).
    ///
    /// Batches are made one by one, so that a table of any size takes the memory of one.
    ///
    /// # Errors
    /// There is no such table.
    pub fn record_batches(
        &self,
        table: &str,
        layout: VectorLayout,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<'_>, EmbeddingError>
    {
        let dim = self.spec(table)?.dim;
        let schema = arrow_schema(table, dim, layout)?;
        let batches = self
            .weights(table)?
            .chunks(ROWS_PER_BATCH * dim)
            .zip(0i64..);
        Ok(batches.map(move |(rows, index)| {
            let count = rows.len() / dim;
            let first = index * ROWS_PER_BATCH as i64;
            let ids = Int64Array::from_iter_values((first..).take(count));
            let mut columns: Vec<ArrayRef> = vec![Arc::new(ids)];
            match layout {
                VectorLayout::Columns => columns.extend((0..dim).map(|column| {
                    let values = rows.iter().skip(column).step_by(dim).copied();
                    Arc::new(Float32Array::from_iter_values(values)) as ArrayRef
                })),
                VectorLayout::List => {
                    let values = Arc::new(Float32Array::from_iter_values(rows.iter().copied()));
                    let width = i32::try_from(dim).map_err(too_wide)?;
                    let lists = FixedSizeListArray::try_new(item_field(), width, values, None)?;
                    columns.push(Arc::new(lists));
                }
            }
            RecordBatch::try_new(Arc::clone(&schema), columns)
        }))
    }

    /// Writes the rows of a table to a parquet file, in the form of
    /// [`record_batches`](Self::record_batches). The file appears when it is whole.
    ///
    /// # Errors
    /// There is no such table; the file cannot be written.
    pub fn export_parquet(
        &self,
        table: &str,
        layout: VectorLayout,
        path: &Path,
    ) -> Result<(), EmbeddingError> {
        let io_error = |source| EmbeddingError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let parquet_error = |source| EmbeddingError::Parquet {
            path: path.to_owned(),
            source,
        };
        let batches = self.record_batches(table, layout)?;
        let schema = arrow_schema(table, self.spec(table)?.dim, layout)?;

        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished).map_err(io_error)?;
        let mut writer = ArrowWriter::try_new(file, schema, None).map_err(parquet_error)?;
        for batch in batches {
            let batch = batch.map_err(|error| parquet_error(ParquetError::from(error)))?;
            writer.write(&batch).map_err(parquet_error)?;
        }
        writer.close().map_err(parquet_error)?;
        std::fs::rename(&unfinished, path).map_err(io_error)
    }
}

fn arrow_schema(
    table: &str,
    dim: usize,
    layout: VectorLayout,
) -> Result<SchemaRef, EmbeddingError> {
    let mut fields = vec![Field::new("id", DataType::Int64, false)];
    match layout {
        VectorLayout::Columns => fields.extend(
            (0..dim).map(|column| Field::new(column.to_string(), DataType::Float32, false)),
        ),
        VectorLayout::List => {
            let width = i32::try_from(dim).map_err(|error| EmbeddingError::Arrow {
                table: table.to_owned(),
                source: too_wide(error),
            })?;
            let list = DataType::FixedSizeList(item_field(), width);
            fields.push(Field::new("embedding", list, false));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Arrow's lists of fixed size have a width of 32 bits.
fn too_wide(error: std::num::TryFromIntError) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

fn item_field() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}
