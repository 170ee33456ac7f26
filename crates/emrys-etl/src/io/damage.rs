//! Which file is to blame for a query that failed.
//!
//! The engine's errors about damaged pages do not name their file. So when a query has failed in
//! the parquet reader, the files are read once more, without the query, until one fails again.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::reader::ChunkReader;
use rayon::prelude::*;

use super::formats::Scan;
use super::reader::Chunks;
use super::remote;
use super::source::{Files, SourceFile};
use crate::{Error, Result};

/// How much of the end of a remote file is asked for first.
const FOOTER_BYTES: u64 = 64 << 10;

/// The error that names the file or object that could not be read, if `error` lost it on its way,
/// or the first damaged row group, if a damaged file may be why `error` arose and there is one;
/// else `error`.
pub(crate) fn blame(files: &Files, error: Error) -> Error {
    if let Some(store) = files.store()
        && let Some(failure) = store.failure_in(&chain(&error))
    {
        return failure;
    }
    match files.scan {
        Scan::Parquet if may_be_damage(&error) => blame_row_group(&files.files, error),
        _ => error,
    }
}

/// The texts of an error and its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += "\n";
        text += &cause.to_string();
        source = cause.source();
    }
    text
}

fn blame_row_group(files: &[SourceFile], error: Error) -> Error {
    let row_groups: Vec<(&SourceFile, usize)> = files
        .iter()
        .flat_map(|file| (0..file.row_groups.len()).map(move |group| (file, group)))
        .collect();
    let damaged = row_groups.par_iter().find_map_first(|(file, group)| {
        let cause = without_panic(|| decode(file, *group)).err()?;
        Some(Error::File {
            action: "read",
            path: file.object.path.clone(),
            problem: format!(
                "row group {group} is damaged ({cause}); write the file again or leave it out"
            ),
        })
    });
    damaged.unwrap_or(error)
}

fn may_be_damage(error: &Error) -> bool {
    match error {
        Error::At { source, .. } => may_be_damage(source),
        Error::Panicked { .. } => true,
        Error::Query { source, .. } => match source.find_root() {
            DataFusionError::ParquetError(_) => true,
            DataFusionError::ArrowError(cause, _) => matches!(**cause, ArrowError::ParquetError(_)),
            _ => false,
        },
        _ => false,
    }
}

/// Runs the parquet reader, which panics on some damaged files.
///
/// # Errors
/// What `read` gives, or that the reader panicked.
pub(super) fn without_panic<T, E: From<ParquetError>>(
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let gave_up = |_| Err(ParquetError::General("the parquet reader gave up".to_owned()).into());
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(gave_up)
}

/// Decodes all columns of a row group.
fn decode(file: &SourceFile, row_group: usize) -> Result<(), ArrowError> {
    match file.object.store {
        None => {
            let opened = File::open(&file.object.path)?;
            decode_all(ParquetRecordBatchReaderBuilder::try_new(opened), row_group)
        }
        Some(_) => {
            // A failed request is not damage, and has been told by the query.
            let fetched = remote::block_on("reading a file once more", fetch(file, row_group));
            match fetched {
                Ok(Some((part, metadata))) => decode_all(
                    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(
                        part, metadata,
                    )),
                    row_group,
                ),
                Ok(None) | Err(_) => Ok(()),
            }
        }
    }
}

fn decode_all<T: ChunkReader + 'static>(
    reader: parquet::errors::Result<ParquetRecordBatchReaderBuilder<T>>,
    row_group: usize,
) -> Result<(), ArrowError> {
    for batch in reader?.with_row_groups(vec![row_group]).build()? {
        batch?;
    }
    Ok(())
}

/// The bytes of a row group of a remote file, and the footer; `None` if that is damaged.
async fn fetch(
    file: &SourceFile,
    row_group: usize,
) -> Result<Option<(Chunks, ArrowReaderMetadata)>> {
    let bytes = file.object.bytes();
    let mut tail = FOOTER_BYTES;
    let metadata = loop {
        let footer = file.object.read(bytes.saturating_sub(tail)..bytes).await?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&footer, bytes) {
            Err(ParquetError::NeedMoreData(more)) if (more as u64) > tail => tail = more as u64,
            outcome => break outcome.and_then(|()| reader.finish()),
        }
    };
    let Ok(metadata) = metadata.and_then(|metadata| {
        ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::default())
    }) else {
        return Ok(None);
    };
    let ranges = metadata.metadata().row_group(row_group).columns();
    let ranges = ranges.iter().map(|column| column.byte_range());
    let (start, end) = ranges.fold((bytes, 0), |(start, end), (first, length)| {
        (start.min(first), end.max(first + length))
    });
    if start >= end || end > bytes {
        return Ok(None);
    }
    let part = (start, file.object.read(start..end).await?);
    Ok(Some((Chunks::new([part], bytes), metadata)))
}
