//! Parquet files, or batches in memory, as one table.

use std::collections::HashMap;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::prelude::{DataFrame, SessionContext};
use emrys_schema::{ColumnSchema, Schema};
use rayon::prelude::*;
use twox_hash::XxHash64;

use super::checksum::ChecksumWriter;
use super::footer::{Footer, plain_schema, same_type};
use super::manifest::Manifest;
use super::table::{DatasetTable, ReadOptions, read_schema};
use super::{damage, paths, schema_files};
use crate::{Error, Result};

/// Parquet files, or batches in memory, as one table of known columns and order of rows.
///
/// The rows stand in the order of the files, and within them as they are stored.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Int64Array, RecordBatch};
/// use emrys_etl::Dataset;
///
/// let batch = RecordBatch::try_from_iter([("item", Arc::new(Int64Array::from(vec![7, 8, 7])) as _)])?;
/// let dataset = Dataset::from_batches(batch.schema(), vec![batch])?;
/// assert_eq!(dataset.num_rows(), 3);
/// assert_eq!(dataset.schema().names(), ["item"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dataset {
    source: Arc<Source>,
    /// The columns with their plain types.
    plain: SchemaRef,
    /// What the scan yields without options.
    arrow: SchemaRef,
    schema: Schema,
}

/// Where the rows are.
#[derive(Debug)]
pub(crate) enum Source {
    Files {
        footers: Vec<Footer>,
        /// The same files, as they are shown to users.
        described: Vec<DataFile>,
    },
    Memory(Vec<RecordBatch>),
}

/// A parquet file of a [`Dataset`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How many rows it has.
    pub rows: u64,
    /// How many rows each of its row groups has.
    pub row_groups: Vec<u64>,
}

impl Dataset {
    /// The parquet file, the parquet files of a folder, or the files that a glob such as
    /// `data/day_*.parquet` matches.
    ///
    /// Files of folders and globs are read in natural order (`part_2` before `part_10`); names
    /// that begin with `.` or `_` are left out, and so are subfolders. The manifest of a folder
    /// that Emrys wrote is compared with the files. Only footers are read.
    ///
    /// The [`schema`](Dataset::schema) is the one of the folder (`schema.json`,
    /// `.merlin/schema.json`, `schema.pbtxt`), else the one in the first file's footer; what
    /// neither says is inferred from the files.
    ///
    /// # Errors
    /// [`Error::EmptyDataset`] if there is no file, [`Error::FilesDiffer`] if the files have
    /// different columns or types (another order, nullability or encoding in memory is no
    /// difference), [`Error::File`], [`Error::Parquet`] or [`Error::Io`] naming a file that
    /// cannot be read, [`Error::Saved`] if a manifest and its files do not agree.
    pub fn open(path: impl AsRef<Path>) -> Result<Dataset> {
        let found = paths::resolve(path.as_ref())?;
        let footers = read_footers(&found.files)?;
        if let Some(folder) = found.folder
            && let Some(manifest) = Manifest::read(&folder)?
        {
            let files = footers.iter().map(|file| {
                let name = file
                    .path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                (name, file.rows(), file.bytes)
            });
            manifest.compare(&folder, files)?;
        }
        Dataset::from_footers(footers)
    }

    /// The parquet files of a list, in its order.
    ///
    /// # Errors
    /// As [`open`](Dataset::open).
    pub fn from_paths(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Dataset> {
        let paths: Vec<PathBuf> = paths
            .into_iter()
            .map(|path| path.as_ref().to_owned())
            .collect();
        if paths.is_empty() {
            return Err(Error::EmptyDataset {
                source_name: "data set".into(),
                problem: "the list of files is empty; name at least one".into(),
            });
        }
        Dataset::from_footers(read_footers(&paths)?)
    }

    /// Batches in memory, in their order.
    ///
    /// # Errors
    /// [`Error::Data`] if a batch has other columns or types than `schema`.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Dataset> {
        for (number, batch) in batches.iter().enumerate() {
            let found = batch.schema();
            let same = found.fields().len() == schema.fields().len()
                && found
                    .fields()
                    .iter()
                    .zip(schema.fields())
                    .all(|(found, wanted)| {
                        found.name() == wanted.name() && found.data_type() == wanted.data_type()
                    });
            if !same {
                return Err(Error::Data {
                    operator: "data set".into(),
                    problem: format!(
                        "batch {number} has the columns {}, but the declared ones are {}; \
                         let all batches have the declared ones",
                        describe(&found),
                        describe(&schema)
                    ),
                });
            }
        }
        let plain = plain_schema(&schema);
        let schema = schema_files::complete(&plain, None)?;
        Ok(Dataset::new(Source::Memory(batches), plain, schema))
    }

    fn from_footers(footers: Vec<Footer>) -> Result<Dataset> {
        let plain = common_schema(&footers)?;
        let stored = schema_files::stored(&footers)?;
        let schema = schema_files::complete(&plain, stored.as_ref())?;
        let described = footers
            .iter()
            .map(|file| DataFile {
                path: file.path.clone(),
                bytes: file.bytes,
                rows: file.rows(),
                row_groups: file.row_groups.clone(),
            })
            .collect();
        Ok(Dataset::new(
            Source::Files { footers, described },
            plain,
            schema,
        ))
    }

    fn new(source: Source, plain: SchemaRef, schema: Schema) -> Dataset {
        let arrow = read_schema(&plain, ReadOptions::default());
        Dataset {
            source: Arc::new(source),
            plain,
            arrow,
            schema,
        }
    }

    /// The same data under a schema with other tags, domains and properties.
    ///
    /// Columns that `schema` does not name are inferred.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] if a column of `schema` is not in the data,
    /// [`Error::UnsupportedType`] if it has another type there.
    pub fn with_schema(mut self, schema: &Schema) -> Result<Dataset> {
        self.schema = schema_files::complete_given(&self.plain, schema)?;
        Ok(self)
    }

    /// What the columns mean; one entry per column of the data, in their order.
    ///
    /// Columns of types that no operator knows, such as decimals, have the unknown dtype.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The columns as a scan without options yields them: texts as `Utf8View`, and whatever
    /// dictionaries the files or batches have, decoded.
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.arrow
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> u64 {
        match &*self.source {
            Source::Files { described, .. } => described.iter().map(|file| file.rows).sum(),
            Source::Memory(batches) => batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        }
    }

    /// The files in reading order; none for batches in memory.
    pub fn files(&self) -> &[DataFile] {
        match &*self.source {
            Source::Files { described, .. } => described,
            Source::Memory(_) => &[],
        }
    }

    /// How many compressed bytes the files have for some columns; `None` for batches in memory.
    pub fn compressed_bytes(&self, columns: &[&str]) -> Option<u64> {
        match &*self.source {
            Source::Files { footers, .. } => {
                let all = footers.iter().flat_map(|file| &file.column_bytes);
                let asked = all.filter(|(name, _)| columns.contains(&name.as_str()));
                Some(asked.map(|(_, bytes)| bytes).sum())
            }
            Source::Memory(_) => None,
        }
    }

    /// A number that is the same for the same data, wherever their files are.
    ///
    /// Of files it sees the sizes and the footers, which hold the extremes and compressed sizes
    /// of all column chunks; of batches in memory every value, and where one batch ends.
    ///
    /// # Errors
    /// [`Error::Data`] if batches in memory hold a type without a serialised form.
    pub fn fingerprint(&self) -> Result<u64> {
        match &*self.source {
            Source::Files { footers, .. } => {
                let mut hasher = XxHash64::with_seed(0);
                for file in footers {
                    hasher.write(&file.bytes.to_le_bytes());
                    hasher.write(&file.rows().to_le_bytes());
                    hasher.write(&file.hash.to_le_bytes());
                }
                Ok(hasher.finish())
            }
            Source::Memory(batches) => {
                hash_batches(&self.plain, batches).map_err(|error| Error::Data {
                    operator: "data set".into(),
                    problem: format!("the batches cannot be hashed ({error})"),
                })
            }
        }
    }

    /// The error of a failed query over the data; if a damaged file may be the reason, the files
    /// are read once more to find and name it.
    pub(crate) fn blame(&self, error: Error) -> Error {
        match &*self.source {
            Source::Files { footers, .. } => damage::blame(footers, error),
            Source::Memory(_) => error,
        }
    }

    /// The data as a table of the query engine.
    ///
    /// A scan reads only the columns and row groups it needs, in as many partitions as the
    /// session has (fewer for few rows). Each partition is a contiguous range of rows, and they
    /// follow each other: the rows of partition 0, then those of partition 1 and so on, are all
    /// rows in order.
    ///
    /// # Errors
    /// [`Error::DuplicateColumn`] if a row id is asked for and a column has its name.
    pub fn table(&self, options: ReadOptions) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(DatasetTable::new(
            Arc::clone(&self.source),
            &self.plain,
            options,
        )?))
    }

    /// The data as a frame of the query engine, with the given columns or all.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`].
    pub fn to_dataframe(
        &self,
        context: &SessionContext,
        columns: Option<&[&str]>,
    ) -> Result<DataFrame> {
        let table = self.table(ReadOptions::default())?;
        let frame = context
            .read_table(table)
            .map_err(Error::query("reading a data set"))?;
        let Some(columns) = columns else {
            return Ok(frame);
        };
        for column in columns {
            if self.plain.index_of(column).is_err() {
                return Err(Error::UnknownColumn {
                    operator: "data set".into(),
                    column: (*column).to_owned(),
                    available: self
                        .plain
                        .fields()
                        .iter()
                        .map(|field| field.name().clone())
                        .collect(),
                });
            }
        }
        frame
            .select_columns(columns)
            .map_err(Error::query("selecting columns"))
    }
}

/// The footers of all files; if several cannot be read, the error of the first of them.
fn read_footers(paths: &[PathBuf]) -> Result<Vec<Footer>> {
    let footers: Vec<Result<Footer>> = paths.par_iter().map(|path| Footer::read(path)).collect();
    footers.into_iter().collect()
}

/// The columns of the first file, nullable where they are in any; all files must have the same.
fn common_schema(files: &[Footer]) -> Result<SchemaRef> {
    let Some((first, others)) = files.split_first() else {
        return Err(Error::Internal(
            "a data set without files passed the checks".into(),
        ));
    };
    let mut fields = Vec::with_capacity(first.arrow.fields().len());
    for field in first.arrow.fields() {
        let mut nullable = field.is_nullable();
        for other in others {
            let found = other.arrow.field_with_name(field.name()).ok();
            if !found.is_some_and(|found| same_type(found.data_type(), field.data_type())) {
                return Err(Error::FilesDiffer {
                    column: field.name().clone(),
                    left: first.path.clone(),
                    left_type: describe_type(field),
                    right: other.path.clone(),
                    right_type: found.map_or("missing".into(), describe_type),
                });
            }
            nullable |= found.is_some_and(|found| found.is_nullable());
        }
        fields.push(
            field
                .as_ref()
                .clone()
                .with_nullable(nullable)
                .with_metadata(HashMap::new()),
        );
    }
    for other in others {
        let more = other
            .arrow
            .fields()
            .iter()
            .find(|field| first.arrow.index_of(field.name()).is_err());
        if let Some(field) = more {
            return Err(Error::FilesDiffer {
                column: field.name().clone(),
                left: first.path.clone(),
                left_type: "missing".into(),
                right: other.path.clone(),
                right_type: describe_type(field),
            });
        }
    }
    Ok(Arc::new(arrow::datatypes::Schema::new(fields)))
}

fn hash_batches(
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<u64, arrow::error::ArrowError> {
    let mut sink = ChecksumWriter::new(std::io::sink());
    for batch in batches {
        // Casting to plain types makes the number independent of the encoding in memory.
        let plain = super::table::cast_batch(batch, schema)?;
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut sink, schema)?;
        writer.write(&plain)?;
        writer.finish()?;
    }
    Ok(sink.hash())
}

fn describe(schema: &arrow::datatypes::Schema) -> String {
    let columns = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), describe_type(field)));
    columns.collect::<Vec<_>>().join(", ")
}

/// The type as schemas show it, or as Arrow does if schemas have no such type.
fn describe_type(field: &Field) -> String {
    match ColumnSchema::from_arrow(field) {
        Ok(column) => format!("{}{}", column.dtype(), column.shape()),
        Err(_) => field.data_type().to_string(),
    }
}

#[cfg(test)]
mod tests;
