//! Vectors by id as parquet.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use burn::tensor::Tensor;

use super::catalogue::to_host;
use crate::Result;
use crate::parquet_file::ParquetFile;

/// How many rows are turned into columns at a time.
const ROWS: usize = 1 << 16;

/// Writes ids and vectors `[N, D]`: one column of ids, `D` columns `"0"`, `"1"`, ...
pub(super) fn write_vectors(
    path: &Path,
    id_column: &str,
    ids: &[i64],
    vectors: &Tensor<2>,
) -> Result<()> {
    let [rows, width] = vectors.dims();
    let numbers = (0..width).map(|index| Field::new(index.to_string(), DataType::Float32, false));
    let fields = std::iter::once(Field::new(id_column, DataType::Int64, false)).chain(numbers);
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut file = ParquetFile::create(path, Arc::clone(&schema))?;
    for start in (0..rows).step_by(ROWS) {
        let end = rows.min(start + ROWS);
        let block = to_host(vectors.clone().slice([start..end]));
        let column = |index: usize| -> ArrayRef {
            Arc::new(
                block
                    .iter()
                    .skip(index)
                    .step_by(width)
                    .copied()
                    .collect::<Float32Array>(),
            )
        };
        let ids: ArrayRef = Arc::new(Int64Array::from(ids[start..end].to_vec()));
        let columns = std::iter::once(ids).chain((0..width).map(column)).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
            .expect("all columns have the rows of the block");
        file.write(&batch)?;
    }
    file.finish()
}
