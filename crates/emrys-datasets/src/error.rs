//! What can go wrong with a data set.

use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;

/// The result of reading or making a data set.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a data set.
///
/// Lines and rows are counted from 1, as editors and query tools show them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the data set is not in its folder.
    #[error("`{}` has no {expected}; give the folder of the unpacked data set", .folder.display())]
    MissingFile {
        /// The folder that was given.
        folder: PathBuf,
        /// The file, or the alternatives.
        expected: &'static str,
    },
    /// A file has no rows.
    #[error("`{}` has no rows; the file may have been cut off when it was fetched", .path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A line has too few or too many fields.
    #[error(
        "`{}`, line {line}: found {found} fields, expected {}: {}",
        .path.display(), .layout.len(), .layout.join("::")
    )]
    FieldCount {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// How many fields the line has.
        found: usize,
        /// The names of the fields it should have.
        layout: &'static [&'static str],
    },
    /// A field of a line cannot be read.
    #[error("`{}`, line {line}: {field} is `{value}`, expected {expected}", .path.display())]
    BadField {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The name of the field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// Two lines describe the same user or film.
    #[error(
        "`{}`, line {line}: {field} {id} occurs already in line {first_line}; \
         remove one of the two, or a join would double its ratings",
        .path.display()
    )]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// The second line.
        line: u64,
        /// The first line.
        first_line: u64,
        /// The name of the field.
        field: &'static str,
        /// The id.
        id: i64,
    },
    /// A parquet file lacks a column.
    #[error("`{}` has no column `{column}` (columns: {})", .path.display(), .available.join(", "))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The columns that there are.
        available: Vec<String>,
    },
    /// A column of a parquet file has another type.
    #[error("`{}`: column `{column}` is {found}, expected {expected}", .path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The type it has.
        found: DataType,
        /// The types that can be read.
        expected: &'static str,
    },
    /// A value of a parquet file is null or out of range.
    #[error("`{}`, row {row}: `{column}` is {value}, expected {expected}", .path.display())]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// An option cannot be used.
    #[error("{option} is {value}, expected {expected}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The output is there already.
    #[error("`{}` exists already; remove it, choose another folder or allow overwriting", .path.display())]
    OutputExists {
        /// The file or folder.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A parquet file cannot be read or written.
    #[error("cannot read or write parquet in `{}`", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: ParquetError,
    },
    /// A batch of a parquet file cannot be decoded or converted.
    #[error("cannot process the rows of `{}`", .path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: ArrowError,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Error {
        let path = path.to_owned();
        move |source| Error::Parquet { path, source }
    }

    pub(crate) fn arrow(path: &Path) -> impl FnOnce(ArrowError) -> Error {
        let path = path.to_owned();
        move |source| Error::Arrow { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors that the readers' own tests do not provoke.
    #[test]
    fn messages_name_the_file_and_what_to_do() {
        let path = PathBuf::from("clicks/train");
        let error = Error::OutputExists { path: path.clone() };
        insta::assert_snapshot!(
            error,
            @"`clicks/train` exists already; remove it, choose another folder or allow overwriting"
        );
        let error = Error::Io {
            action: "create",
            path: path.clone(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        insta::assert_snapshot!(error, @"cannot create `clicks/train`");
        let error = Error::EmptyFile { path };
        insta::assert_snapshot!(
            error,
            @"`clicks/train` has no rows; the file may have been cut off when it was fetched"
        );
    }
}
