//! The parquet files of a data set: finding, opening, comparing.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use emrys_schema::{ColumnSchema, DType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use rayon::prelude::*;

use crate::{Error, Result};

/// Where the parquet files of a data set are: files, directories or globs, one or several.
///
/// A directory stands for all `*.parquet` files in it and below it; names that begin with `_` or `.`
/// are left out. Files of a directory or a glob are in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths(Vec<PathBuf>);

macro_rules! paths_from_one {
    ($($path:ty),+) => {
        $(impl From<$path> for Paths {
            fn from(path: $path) -> Paths {
                Paths(vec![path.into()])
            }
        })+
    };
}

paths_from_one!(&str, String, &String, &Path, PathBuf, &PathBuf);

impl<P: Into<PathBuf>> From<Vec<P>> for Paths {
    fn from(paths: Vec<P>) -> Paths {
        Paths(paths.into_iter().map(Into::into).collect())
    }
}

impl<P: Into<PathBuf>, const N: usize> From<[P; N]> for Paths {
    fn from(paths: [P; N]) -> Paths {
        Paths(paths.into_iter().map(Into::into).collect())
    }
}

impl<P: AsRef<Path>> From<&[P]> for Paths {
    fn from(paths: &[P]) -> Paths {
        Paths(paths.iter().map(|path| path.as_ref().to_owned()).collect())
    }
}

/// An opened file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) footer: ArrowReaderMetadata,
}

/// A row group of one of the files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) file: usize,
    pub(crate) row_group: usize,
    pub(crate) rows: usize,
}

/// The opened files of a data set, whose columns agree.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) files: Vec<SourceFile>,
    /// The row groups that have rows, in the order of the files.
    pub(crate) parts: Vec<Part>,
    pub(crate) rows: usize,
    /// The given schema, or the one that was found with the files.
    pub(crate) schema: Schema,
}

impl Files {
    pub(crate) fn open(paths: &Paths, schema: Option<Schema>) -> Result<Files> {
        let mut found = Vec::new();
        for path in &paths.0 {
            let before = found.len();
            find_files(path, &mut found)?;
            if found.len() == before {
                return Err(Error::NoFiles { path: path.clone() });
            }
        }
        let Some(first) = paths.0.first() else {
            return Err(Error::NoFiles {
                path: PathBuf::new(),
            });
        };
        // Reading a footer is a wait for the disk; the first error is that of the first file.
        let files: Vec<Result<SourceFile>> = found.into_par_iter().map(SourceFile::open).collect();
        let files = files.into_iter().collect::<Result<Vec<_>>>()?;
        check_columns(&files)?;
        let schema = match schema {
            Some(schema) => schema,
            None => find_schema(first, &files)?,
        };
        let parts = parts(&files)?;
        let rows = parts.iter().map(|part| part.rows).sum();
        if rows == 0 {
            return Err(Error::NoRows { files: files.len() });
        }
        Ok(Files {
            files,
            parts,
            rows,
            schema,
        })
    }

    /// The columns of the files.
    pub(crate) fn arrow_schema(&self) -> &SchemaRef {
        self.files[0].footer.schema()
    }
}

impl SourceFile {
    fn open(path: PathBuf) -> Result<SourceFile> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) => return Err(Error::Read { path, source }),
        };
        match without_panic(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())) {
            Ok(footer) => Ok(SourceFile { path, footer }),
            Err(source) => Err(Error::NotParquet { path, source }),
        }
    }

    fn schema(&self) -> Result<Option<Schema>> {
        Schema::embedded_in(self.footer.schema()).map_err(|source| Error::BadSchema {
            path: self.path.clone(),
            source: source.into(),
        })
    }
}

/// Some damaged files make the parquet reader panic; they are to be named like the others.
pub(crate) fn without_panic<T>(
    read: impl FnOnce() -> parquet::errors::Result<T>,
) -> parquet::errors::Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or_default();
        Err(ParquetError::General(format!(
            "the parquet reader panicked: {message}"
        )))
    })
}

/// Adds the parquet files that a path stands for.
fn find_files(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        return walk(path, found);
    }
    let pattern = path.to_string_lossy();
    if path.exists() || !pattern.contains(['*', '?', '[']) {
        found.push(path.to_owned());
        return Ok(());
    }
    let matches = glob::glob(&pattern).map_err(|source| Error::BadGlob {
        pattern: pattern.to_string(),
        source,
    })?;
    for path in matches {
        let path = path.map_err(|error| Error::Read {
            path: error.path().to_owned(),
            source: error.into(),
        })?;
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Adds the parquet files of a directory and of those below it.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |source| Error::Read {
        path: directory.to_owned(),
        source,
    };
    let mut paths = fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(['_', '.']));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            found.push(path);
        }
    }
    Ok(())
}

/// All files have the same columns as the first, in any order.
fn check_columns(files: &[SourceFile]) -> Result<()> {
    let Some((first, others)) = files.split_first() else {
        return Ok(());
    };
    let type_in = |file: &SourceFile, name: &str| {
        file.footer
            .schema()
            .field_with_name(name)
            .ok()
            .map(|field| field.data_type().clone())
    };
    for other in others {
        let names = [first, other]
            .into_iter()
            .flat_map(|file| file.footer.schema().fields());
        for name in names.map(|field| field.name()) {
            let (first_type, second_type) = (type_in(first, name), type_in(other, name));
            if first_type != second_type {
                return Err(Error::FilesDiffer {
                    column: name.clone(),
                    first: first.path.clone(),
                    first_type,
                    second: other.path.clone(),
                    second_type,
                });
            }
        }
    }
    Ok(())
}

fn parts(files: &[SourceFile]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (file, source) in files.iter().enumerate() {
        for (row_group, metadata) in source.footer.metadata().row_groups().iter().enumerate() {
            let rows =
                usize::try_from(metadata.num_rows()).map_err(|_| Error::CorruptRowGroup {
                    path: source.path.clone(),
                    row_group,
                    source: ParquetError::General(format!("{} rows", metadata.num_rows())),
                })?;
            if rows > 0 {
                parts.push(Part {
                    file,
                    row_group,
                    rows,
                });
            }
        }
    }
    Ok(parts)
}

/// A directory is described by the schema file in it, a lone file by its footer, and each by the
/// other where the first is not there; else the columns' types are all that is known.
fn find_schema(path: &Path, files: &[SourceFile]) -> Result<Schema> {
    let is_directory = path.is_dir();
    let directory = if is_directory {
        Some(path)
    } else {
        files[0].path.parent()
    };
    let mut found = None;
    if is_directory {
        found = schema_beside(directory)?;
    }
    if found.is_none() {
        found = schema_in_footers(files)?;
    }
    if found.is_none() && !is_directory {
        found = schema_beside(directory)?;
    }
    match found {
        Some(schema) => Ok(schema),
        None => inferred_schema(files[0].footer.schema()),
    }
}

fn schema_beside(directory: Option<&Path>) -> Result<Option<Schema>> {
    let Some(directory) = directory else {
        return Ok(None);
    };
    match Schema::read(directory) {
        Ok(schema) => Ok(Some(schema)),
        Err(emrys_schema::Error::NoSchemaFile { .. }) => Ok(None),
        Err(source) => Err(Error::BadSchema {
            path: directory.to_owned(),
            source: source.into(),
        }),
    }
}

fn schema_in_footers(files: &[SourceFile]) -> Result<Option<Schema>> {
    let Some((first, others)) = files.split_first() else {
        return Ok(None);
    };
    let schema = first.schema()?;
    for other in others {
        let theirs = other.schema()?;
        if theirs != schema {
            let (ours, theirs) = (schema.unwrap_or_default(), theirs.unwrap_or_default());
            let column = ours
                .iter()
                .chain(&theirs)
                .find(|column| ours.get(column.name()) != theirs.get(column.name()))
                .map_or_else(String::new, |column| column.name().to_owned());
            return Err(Error::FooterSchemasDiffer {
                column,
                first: first.path.clone(),
                second: other.path.clone(),
            });
        }
    }
    Ok(schema)
}

/// Columns of types that a schema cannot express are kept by name, so that an error can name them.
fn inferred_schema(arrow: &ArrowSchema) -> Result<Schema> {
    let columns = arrow.fields().iter().map(|field| {
        ColumnSchema::from_arrow(field)
            .unwrap_or_else(|_| ColumnSchema::new(field.name(), DType::Unknown))
    });
    Ok(Schema::new(columns)?)
}
