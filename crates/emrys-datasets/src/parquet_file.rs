//! Parquet files that appear whole or not at all, and streams of their batches.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// Rows per batch on the way through; a batch and a row group are all that is held.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// Rows per row group: small enough that a loader's shuffle finds several in a modest file.
const ROW_GROUP_ROWS: usize = 65_536;

/// A parquet file that is being written under a temporary name.
///
/// Dropped before [`finish`](ParquetFile::finish), it leaves nothing behind.
pub(crate) struct ParquetFile {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once the file is finished.
    writer: Option<ArrowWriter<File>>,
    rows: u64,
}

impl ParquetFile {
    /// Begins a file, creating its folder if needed.
    pub(crate) fn create(path: &Path, schema: SchemaRef) -> Result<ParquetFile> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_folder(folder)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);

        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(Error::parquet(path))?;
        Ok(ParquetFile {
            path: path.to_owned(),
            temporary,
            writer: Some(writer),
            rows: 0,
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.write(batch).map_err(Error::parquet(&self.path))?;
            self.rows += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// Completes the file under its own name, replacing an older one, and returns its rows.
    pub(crate) fn finish(mut self) -> Result<u64> {
        if let Some(writer) = self.writer.take() {
            let written = writer
                .close()
                .map_err(Error::parquet(&self.path))
                .and_then(|_| {
                    fs::rename(&self.temporary, &self.path).map_err(Error::io("create", &self.path))
                });
            if written.is_err() {
                // The error says what happened; a file left behind could only add confusion.
                let _ = fs::remove_file(&self.temporary);
            }
            written?;
        }
        Ok(self.rows)
    }
}

impl Drop for ParquetFile {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Opens a parquet file for streaming and returns its rows and its batches.
pub(crate) fn open(path: &Path) -> Result<(u64, ParquetRecordBatchReader)> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(path))?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(Error::parquet(path))?;
    Ok((rows, reader))
}

pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))
}
