//! Which file is to blame for a query that failed.
//!
//! The engine's errors about damaged pages do not name their file. So when a query has failed in
//! the parquet reader, the files are read once more, without the query, until one fails again.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;

use super::formats::Scan;
use super::source::{Files, SourceFile};
use crate::{Error, Result};

/// The error that names the file or object that could not be read, if `error` lost it on its way,
/// or the first damaged row group, if a damaged file may be why `error` arose and there is one;
/// else `error`.
pub(crate) fn blame(files: &Files, error: Error) -> Error {
    if let Some(store) = files.store() {
        // Reading everything once more is for local files alone.
        return store.failure_in(&chain(&error)).unwrap_or(error);
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
        // The parquet reader panics on some damaged pages.
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(file, *group)));
        let cause = match outcome {
            Ok(Ok(())) => return None,
            Ok(Err(cause)) => cause,
            Err(_) => "the parquet reader gave up".into(),
        };
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

/// Decodes all columns of a row group.
fn decode(file: &SourceFile, row_group: usize) -> Result<(), String> {
    let opened = File::open(&file.object.path).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
        .and_then(|reader| reader.with_row_groups(vec![row_group]).build())
        .map_err(|error| error.to_string())?;
    for batch in reader {
        batch.map_err(|error| error.to_string())?;
    }
    Ok(())
}
