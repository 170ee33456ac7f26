//! Parquet files that appear under their name when they are whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// A parquet file being written beside its final name.
pub(crate) struct ParquetFile {
    writer: ArrowWriter<File>,
    partial: PathBuf,
    path: PathBuf,
}

impl ParquetFile {
    /// Starts a file; an older one of that name stays until [`finish`](Self::finish).
    pub(crate) fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let io = |source| Error::Io {
            action: "create",
            path: partial.clone(),
            source,
        };
        let file = File::create(&partial).map_err(io)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(|source| {
            Error::Parquet {
                path: partial.clone(),
                source,
            }
        })?;
        Ok(Self {
            writer,
            partial,
            path: path.to_owned(),
        })
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let failed = |source| Error::Parquet {
            path: self.partial.clone(),
            source,
        };
        self.writer.write(rows).map_err(failed)
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> Result<()> {
        let Self {
            writer,
            partial,
            path,
        } = self;
        let file = writer.into_inner().map_err(|source| Error::Parquet {
            path: partial.clone(),
            source,
        })?;
        let failed = |action, source| Error::Io {
            action,
            path: path.clone(),
            source,
        };
        file.sync_all().map_err(|source| failed("write", source))?;
        std::fs::rename(&partial, &path).map_err(|source| failed("rename", source))
    }
}
