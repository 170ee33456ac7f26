//! The files that one task writes to one folder.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::FileLayout;
use super::encoding::Encoding;
use super::parquet_file::ParquetFile;
use super::place::{Place, PlacedFile};
use crate::io::checksum::ChecksumWriter;
use crate::{Error, Result};

/// Rows that are handed to an encoder whose file may have to be closed meanwhile.
const STEP_ROWS: usize = 8_192;

/// A finished file.
pub(in crate::io) struct Part {
    /// The folder within the output, such as `day=1`; empty for the output itself.
    pub(super) folder: String,
    /// The name in that folder.
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) xxh64: String,
}

/// Writes batches to one file after another.
pub(super) struct Sink {
    place: Place,
    folder: String,
    /// Tells the sinks of one folder apart.
    number: usize,
    encoding: Arc<Encoding>,
    layout: FileLayout,
    open: Option<OpenPart>,
    parts: Vec<Part>,
}

struct OpenPart {
    name: String,
    path: PathBuf,
    writer: ParquetFile<ChecksumWriter<PlacedFile>>,
    rows: usize,
}

impl Sink {
    pub(super) fn new(
        place: Place,
        folder: String,
        number: usize,
        encoding: Arc<Encoding>,
        layout: FileLayout,
    ) -> Sink {
        Sink {
            place,
            folder,
            number,
            encoding,
            layout,
            open: None,
            parts: Vec::new(),
        }
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.encoding.accept(batch)?;
        let mut start = 0;
        while start < batch.num_rows() {
            if self.open.is_none() {
                self.open = Some(self.open_part().await?);
            }
            let Some(open) = &mut self.open else {
                return Err(Error::Internal("an opened file is not open".into()));
            };
            let room = match self.layout {
                FileLayout::RowsPerFile(rows) => rows - open.rows,
                FileLayout::BytesPerFile(_) => STEP_ROWS,
                FileLayout::PerPartition | FileLayout::Files(_) => usize::MAX,
            };
            let length = room.min(batch.num_rows() - start);
            open.writer
                .write(&batch.slice(start, length))
                .map_err(Error::parquet("write", open.path.as_path()))?;
            open.rows += length;
            start += length;
            let is_full = match self.layout {
                FileLayout::RowsPerFile(rows) => open.rows == rows,
                FileLayout::BytesPerFile(bytes) => open.size() >= bytes,
                FileLayout::PerPartition | FileLayout::Files(_) => false,
            };
            if is_full {
                self.close_part().await?;
            }
        }
        if let Some(open) = &mut self.open {
            let OpenPart { writer, path, .. } = open;
            writer.sink_mut().get_mut().settle(path).await?;
        }
        Ok(())
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The bytes that the encoder of the open file holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.open
            .as_ref()
            .map_or(0, |open| open.writer.memory_size())
    }

    /// Ends the row group, so that the encoder holds nothing.
    pub(super) fn end_row_group(&mut self) -> Result<()> {
        match &mut self.open {
            Some(open) => open
                .writer
                .end_row_group()
                .map_err(Error::parquet("write", open.path.as_path())),
            None => Ok(()),
        }
    }

    /// Closes the last file; no file if there were no rows.
    pub(super) async fn finish(mut self) -> Result<Vec<Part>> {
        self.close_part().await?;
        Ok(self.parts)
    }

    /// Writes a file that has columns and no rows.
    pub(super) async fn finish_without_rows(mut self) -> Result<Part> {
        self.open_part().await?.close(&self.folder).await
    }

    /// Gives up what is open.
    pub(super) async fn abort(self) {
        if let Some(mut open) = self.open
            && matches!(open.writer.sink_mut().get_mut(), PlacedFile::Remote(_))
            && let Ok(sink) = open.writer.finish()
        {
            sink.into_inner().abort().await;
        }
    }

    async fn open_part(&mut self) -> Result<OpenPart> {
        // Local files get their last name when all are known. In an object store nothing can be
        // renamed.
        let kind = match self.place {
            Place::Local(_) => "unnamed",
            Place::Remote(_) => "part",
        };
        let name = format!("{kind}_{:05}_{:05}.parquet", self.number, self.parts.len());
        let name_in_output = joined(&self.folder, &name);
        let path = self.place.path(&name_in_output);
        let file = self.place.create(&name_in_output).await?;
        let writer = ParquetFile::new(ChecksumWriter::new(file), Arc::clone(&self.encoding))
            .map_err(Error::parquet("write", path.as_path()))?;
        Ok(OpenPart {
            name,
            path,
            writer,
            rows: 0,
        })
    }

    pub(super) async fn close_part(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.parts.push(open.close(&self.folder).await?);
        }
        Ok(())
    }
}

impl OpenPart {
    /// About how large the file would be if it were closed now.
    fn size(&self) -> u64 {
        self.writer.size() as u64
    }

    async fn close(self, folder: &str) -> Result<Part> {
        let sink = self
            .writer
            .finish()
            .map_err(Error::parquet("write", self.path.as_path()))?;
        let (bytes, xxh64) = (sink.bytes(), sink.checksum());
        sink.into_inner().finish(&self.path).await?;
        Ok(Part {
            folder: folder.to_owned(),
            name: self.name,
            rows: self.rows as u64,
            bytes,
            xxh64,
        })
    }
}

/// The name of a file in a folder of the output, which may be the output itself.
pub(super) fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}
