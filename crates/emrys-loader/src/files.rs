//! The parquet files of a data set: finding, opening, comparing.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use emrys_schema::{ColumnSchema, DType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use rayon::prelude::*;

use crate::folders::{self, FolderColumn, FolderValue};
use crate::{Error, Result};

/// Where the parquet files of a data set are: files, directories or globs, one or several.
///
/// A directory stands for all `*.parquet` files in it and below it; names that begin with `_` or `.`
/// are left out. Files of a directory or a glob are in the order of their paths. Directories below
/// it that are called `day=2024-05-01` give their files a column `day` of one value, where those of
/// all files do. A directory that was written by Emrys must be whole: its manifest is compared with
/// the files.
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
    /// The values in the names of its folders, until they have types.
    pub(crate) folder_values: Vec<FolderValue>,
    /// The columns whose values are in the names of its folders.
    pub(crate) folder_columns: Vec<FolderColumn>,
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
    /// The columns of the files and of their folders.
    arrow: SchemaRef,
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
        let mut files = files.into_iter().collect::<Result<Vec<_>>>()?;
        let schema = match schema {
            Some(schema) => Some(schema),
            None => find_schema(first, &files)?,
        };
        folders::set_types(&mut files, schema.as_ref())?;
        check_columns(&files)?;
        let arrow = files[0].arrow_schema();
        let inferred = inferred_schema(&arrow)?;
        let schema = match schema {
            Some(schema) => {
                // Footers know nothing of folders.
                let in_folders = files[0].folder_columns.iter();
                let names = in_folders.map(|column| column.field.name());
                let unknown = inferred.select(names)?.difference(&schema);
                schema.union(&unknown)
            }
            None => inferred,
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
            arrow,
        })
    }

    /// The columns of the files and of their folders.
    pub(crate) fn arrow_schema(&self) -> &SchemaRef {
        &self.arrow
    }
}

impl SourceFile {
    fn open((path, folder_values): (PathBuf, Vec<FolderValue>)) -> Result<SourceFile> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) => return Err(Error::Read { path, source }),
        };
        match without_panic(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())) {
            Ok(footer) => Ok(SourceFile {
                path,
                footer,
                folder_values,
                folder_columns: Vec::new(),
            }),
            Err(source) => Err(Error::NotParquet { path, source }),
        }
    }

    /// The columns of the file and of its folders.
    fn arrow_schema(&self) -> SchemaRef {
        if self.folder_columns.is_empty() {
            return Arc::clone(self.footer.schema());
        }
        let in_file = self.footer.schema().fields().iter();
        let in_folders = self.folder_columns.iter().map(|column| &column.field);
        Arc::new(ArrowSchema::new(
            in_file.chain(in_folders).cloned().collect::<Vec<_>>(),
        ))
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

/// A file, and the values in the names of its folders.
type Found = (PathBuf, Vec<FolderValue>);

/// Adds the parquet files that a path stands for.
fn find_files(path: &Path, found: &mut Vec<Found>) -> Result<()> {
    let below = |root: &Path, files: Vec<PathBuf>| {
        let with_values = files.into_iter().map(|file| {
            let values = folders::values_below(root, &file);
            (file, values)
        });
        with_values.collect::<Vec<_>>()
    };
    if path.is_dir() {
        found.extend(below(path, walk(path)?));
        return Ok(());
    }
    let pattern = path.to_string_lossy();
    if path.exists() || !pattern.contains(['*', '?', '[']) {
        found.push((path.to_owned(), Vec::new()));
        return Ok(());
    }
    let matches = glob::glob(&pattern).map_err(|source| Error::BadGlob {
        pattern: pattern.to_string(),
        source,
    })?;
    // Folders from the first wildcard on are below what the pattern names.
    let root: PathBuf = path
        .iter()
        .take_while(|part| !part.to_string_lossy().contains(['*', '?', '[']))
        .collect();
    for path in matches {
        let path = path.map_err(|error| Error::Read {
            path: error.path().to_owned(),
            source: error.into(),
        })?;
        let files = match path.is_dir() {
            true => walk(&path)?,
            false => vec![path],
        };
        found.extend(below(&root, files));
    }
    Ok(())
}

/// The parquet files of a directory and of those below it.
fn walk(directory: &Path) -> Result<Vec<PathBuf>> {
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
    let mut found = Vec::new();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(['_', '.']));
        if hidden {
            continue;
        }
        if path.is_dir() {
            found.extend(walk(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            found.push(path);
        }
    }
    folders::check_is_whole(directory, &found)?;
    Ok(found)
}

/// All files have the same columns as the first, in any order.
fn check_columns(files: &[SourceFile]) -> Result<()> {
    let Some((first, others)) = files.split_first() else {
        return Ok(());
    };
    let type_in = |schema: &ArrowSchema, name: &str| {
        let field = schema.field_with_name(name).ok();
        field.map(|field| field.data_type().clone())
    };
    let in_first = first.arrow_schema();
    for other in others {
        let in_other = other.arrow_schema();
        let names = in_first.fields().iter().chain(in_other.fields());
        for name in names.map(|field| field.name()) {
            let (first_type, second_type) = (type_in(&in_first, name), type_in(&in_other, name));
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
/// other where the first is not there. `None` if the columns' types are all that is known.
fn find_schema(path: &Path, files: &[SourceFile]) -> Result<Option<Schema>> {
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
    Ok(found)
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
