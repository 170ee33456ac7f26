//! Parquet files that hold a table of their own, such as what operators learned, read without a
//! query.
//!
//! They may have been damaged since they were written. So what a footer says of numbers of rows is
//! compared before memory is asked for, and panics of the parquet reader come as errors.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::ParquetMetaData;

use super::damage::without_panic;
use crate::{Error, Result};

/// A parquet file whose footer was read.
#[derive(Debug)]
pub(crate) struct TableFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    rows: usize,
    bytes: usize,
}

impl TableFile {
    /// # Errors
    /// If there is no such file, or it is no parquet file or a damaged one.
    pub(crate) fn open(path: &Path) -> Result<TableFile> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let load = || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = without_panic(load).map_err(Error::parquet("read", path))?;
        let file_bytes = file.metadata().map_err(Error::io("read", path))?.len();
        let Some((rows, bytes)) = rows_and_bytes(metadata.metadata(), file_bytes) else {
            return Err(damaged(path, "the numbers of its footer do not fit"));
        };
        Ok(TableFile {
            path: path.to_owned(),
            metadata,
            rows,
            bytes,
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(crate) fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the values take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// About how many bytes the texts of a column take without their lengths. Memory may be asked
    /// for by this number, so it is no more than the size of the file allows.
    pub(crate) fn text_bytes(&self, column: &str) -> usize {
        let groups = self.metadata().row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns());
        let bytes = chunks
            .filter(|chunk| chunk.column_path().string() == column)
            .map(|chunk| {
                let lengths = chunk.num_values().saturating_mul(TEXT_LENGTH);
                let texts = chunk.uncompressed_size().saturating_sub(lengths);
                texts.clamp(0, chunk.compressed_size().saturating_mul(USUAL_RATIO))
            });
        usize::try_from(bytes.sum::<i64>()).unwrap_or_default()
    }

    /// The rows of some row groups.
    ///
    /// # Errors
    /// If the file cannot be opened any more; later, if it is damaged.
    pub(crate) fn batches(
        &self,
        row_groups: Vec<usize>,
        batch_rows: usize,
    ) -> Result<TableBatches> {
        // Row groups are read side by side, and copies of a file share one position.
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        let build = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(row_groups)
                .with_batch_size(batch_rows.max(1))
                .build()
        };
        let reader = without_panic(build).map_err(Error::parquet("read", &self.path))?;
        Ok(TableBatches {
            path: self.path.clone(),
            reader: Some(reader),
        })
    }

    /// All rows, a part at a time.
    ///
    /// # Errors
    /// As [`batches`](TableFile::batches).
    pub(crate) fn all_batches(&self, batch_rows: usize) -> Result<TableBatches> {
        self.batches((0..self.metadata().num_row_groups()).collect(), batch_rows)
    }

    /// All rows at once.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn read(&self) -> Result<RecordBatch> {
        let batches = self.all_batches(self.rows)?.collect::<Result<Vec<_>>>()?;
        concat_batches(self.schema(), &batches).map_err(|error| damaged(&self.path, error))
    }
}

/// The rows of a [`TableFile`]; nothing comes after an error.
pub(crate) struct TableBatches {
    path: PathBuf,
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for TableBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let reader = self.reader.as_mut()?;
        let batch = without_panic(|| reader.next().transpose());
        if batch.is_err() {
            self.reader = None;
        }
        batch
            .map_err(|error| damaged(&self.path, error))
            .transpose()
    }
}

fn damaged(path: &Path, problem: impl ToString) -> Error {
    Error::File {
        action: "read",
        path: path.to_owned(),
        problem: format!(
            "the file is damaged ({}); write it again",
            problem.to_string()
        ),
    }
}

/// How many bytes the length of a text takes in a page.
const TEXT_LENGTH: i64 = 4;

/// Distinct texts seldom grow more when they are decompressed.
const USUAL_RATIO: i64 = 4;

/// The most that values grow when they are decompressed.
const LARGEST_RATIO: i64 = 1 << 17;

/// How many rows there are, and how many bytes their pages take without compression, if the parts
/// of a footer agree with each other and the file.
fn rows_and_bytes(footer: &ParquetMetaData, file_bytes: u64) -> Option<(usize, usize)> {
    let (mut rows, mut bytes) = (0_i64, 0_i64);
    for group in footer.row_groups() {
        for chunk in group.columns() {
            let start = chunk
                .dictionary_page_offset()
                .unwrap_or(chunk.data_page_offset());
            let end = u64::try_from(start.checked_add(chunk.compressed_size())?).ok()?;
            let is_flat = chunk.column_descr().max_rep_level() == 0;
            let sound = start >= 0
                && chunk.compressed_size() >= 0
                && end <= file_bytes
                && (!is_flat || chunk.num_values() == group.num_rows())
                && chunk.uncompressed_size() >= 0
                && chunk.uncompressed_size() / LARGEST_RATIO <= chunk.compressed_size();
            if !sound {
                return None;
            }
            bytes = bytes.checked_add(chunk.uncompressed_size())?;
        }
        rows = rows.checked_add(group.num_rows())?;
    }
    if rows != footer.file_metadata().num_rows() {
        return None;
    }
    Some((usize::try_from(rows).ok()?, usize::try_from(bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn write(path: &Path) -> RecordBatch {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..100).map(|n| format!("t{n}")),
        ));
        let batch = RecordBatch::try_from_iter([("key", keys), ("text", texts)]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(40));
        let file = File::create(path).unwrap();
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        batch
    }

    #[test]
    fn a_whole_file_gives_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        let batch = write(&path);
        let file = TableFile::open(&path).unwrap();
        assert_eq!((file.rows(), file.metadata().num_row_groups()), (100, 3));
        assert!(file.bytes() >= 100 * 8, "{}", file.bytes());
        // Ten texts of two bytes and ninety of three, and the headers of three pages.
        let texts = file.text_bytes("text");
        assert!((290..700).contains(&texts), "{texts}");
        assert_eq!(file.text_bytes("absent"), 0);
        assert_eq!(file.read().unwrap(), batch);
        let second: Vec<RecordBatch> = file
            .batches(vec![1], 30)
            .unwrap()
            .collect::<Result<_>>()
            .unwrap();
        assert_eq!(second, [batch.slice(40, 30), batch.slice(70, 10)]);
    }

    /// Each byte in turn: the rows of before, others, or an error, but never a panic.
    #[test]
    fn damaged_bytes_give_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        let mut errors = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                std::fs::write(&path, bytes).unwrap();
                let read = TableFile::open(&path).and_then(|file| file.read());
                if let Err(error) = read {
                    assert!(error.to_string().contains("table.parquet"), "{error}");
                    errors += 1;
                }
            }
        }
        assert!(errors > whole.len() / 4, "{errors} errors");
    }
}
