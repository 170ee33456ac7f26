//! Files, or batches in memory, as one table.

use std::collections::HashMap;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::prelude::{DataFrame, SessionContext};
use emrys_schema::{ColumnSchema, Schema};
use futures::TryStreamExt;
use twox_hash::XxHash64;

use super::checksum::ChecksumWriter;
use super::generated::RowGenerator;
use super::object::Object;
use super::open_options::OpenOptions;
use super::plain::{plain_schema, same_type};
use super::source::{DataFile, Files, Source, SourceFile};
use super::table::{DatasetTable, ReadOptions, read_schema};
use super::{damage, open, remote, schema_files};
use crate::{Error, Result};

/// Files, or batches in memory, as one table of known columns and order of rows.
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

impl Dataset {
    /// A file, the files of a folder, the files that a glob such as `data/day_*.parquet` matches,
    /// or any of these in an object store.
    ///
    /// **Formats.** Parquet, CSV and TSV ([`CsvFormat`](super::CsvFormat)), JSON lines
    /// ([`JsonLinesFormat`](super::JsonLinesFormat)) and Arrow files and streams are told by the
    /// extension of the names; [`open_with`](Dataset::open_with) says more. Of parquet only
    /// footers are read, and headers of Arrow files. Text is read once, to learn where its rows
    /// are and what they look like.
    ///
    /// **Files.** Those of folders and globs are read in natural order (`part_2` before
    /// `part_10`); names that begin with `.` or `_` are left out. The manifest of a folder that
    /// Emrys wrote is compared with the files. Subfolders are read if their names are
    /// `key=value`, as Hive writes them: then each key is a column after those of the files, and
    /// files that a filter over such columns excludes are not read.
    ///
    /// **Remote files.** `s3://bucket/key`, `gs://`, `az://container/key` and `abfs[s]://`,
    /// `http://` and `https://` (single files, with signatures in their addresses, too). Credentials and endpoints come from the
    /// environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    /// `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, `AWS_SKIP_SIGNATURE` and so on,
    /// `GOOGLE_SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME`
    /// and `AZURE_STORAGE_ACCOUNT_KEY` or one of Azure's other ways. Only the bytes of needed
    /// columns are fetched; requests are sent again as
    /// [`RemoteOptions`](super::RemoteOptions) says.
    ///
    /// **Schema.** The [`schema`](Dataset::schema) is the one of the folder (`schema.json`,
    /// `.merlin/schema.json`, `schema.pbtxt`), else the one in the first file; what neither says
    /// is inferred from the files.
    ///
    /// # Errors
    /// [`Error::EmptyDataset`] if there is no file, [`Error::FilesDiffer`] if the files have
    /// different columns or types (another order, nullability or encoding in memory is no
    /// difference), [`Error::File`], [`Error::Parquet`] or [`Error::Io`] naming a file that
    /// cannot be read, [`Error::Saved`] if a manifest and its files do not agree.
    pub fn open(path: impl AsRef<Path>) -> Result<Dataset> {
        Dataset::open_with(path, &OpenOptions::default())
    }

    /// Like [`open`](Dataset::open), with what the names of the files do not say.
    ///
    /// # Errors
    /// As [`open`](Dataset::open), and [`Error::InvalidOption`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Dataset> {
        let path = path.as_ref();
        remote::block_on("opening a data set", async {
            Dataset::from_files(open::open(path, options).await?).await
        })
    }

    /// The files of a list, in its order.
    ///
    /// # Errors
    /// As [`open`](Dataset::open).
    pub fn from_paths(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Dataset> {
        Dataset::from_paths_with(paths, &OpenOptions::default())
    }

    /// Like [`from_paths`](Dataset::from_paths), with what the names of the files do not say.
    ///
    /// # Errors
    /// As [`open_with`](Dataset::open_with).
    pub fn from_paths_with(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        options: &OpenOptions,
    ) -> Result<Dataset> {
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
        remote::block_on("opening a data set", async {
            Dataset::from_files(open::open_list(paths, options).await?).await
        })
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

    /// Rows that are made while they are read.
    ///
    /// # Errors
    /// [`Error::Schema`] if columns share a name.
    pub fn generated(generator: impl RowGenerator) -> Result<Dataset> {
        let plain = plain_schema(&generator.schema());
        let schema = schema_files::complete(&plain, None)?;
        let source = Source::Generated(Arc::new(generator));
        Ok(Dataset::new(source, plain, schema))
    }

    async fn from_files(files: Files) -> Result<Dataset> {
        let mut fields = common_fields(&files.files)?;
        fields.extend(files.hive.iter().map(Arc::clone));
        let plain = Arc::new(arrow::datatypes::Schema::new(fields));
        let stored = schema_files::stored(&files).await?;
        let schema = schema_files::complete(&plain, stored.as_ref())?;
        Ok(Dataset::new(Source::Files(files), plain, schema))
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
            Source::Files(files) => files.described.iter().map(|file| file.rows).sum(),
            Source::Memory(batches) => batches.iter().map(|batch| batch.num_rows() as u64).sum(),
            Source::Generated(generator) => generator.num_rows(),
        }
    }

    /// The files in reading order; none for batches in memory.
    pub fn files(&self) -> &[DataFile] {
        match &*self.source {
            Source::Files(files) => &files.described,
            Source::Memory(_) | Source::Generated(_) => &[],
        }
    }

    /// How many compressed bytes parquet files have for some columns; `None` for other formats
    /// and batches in memory.
    pub fn compressed_bytes(&self, columns: &[&str]) -> Option<u64> {
        match &*self.source {
            Source::Files(files) => files
                .files
                .iter()
                .map(|file| file.compressed_bytes(columns))
                .sum(),
            Source::Memory(_) | Source::Generated(_) => None,
        }
    }

    /// A number that is the same for the same data, wherever their files are.
    ///
    /// Of parquet files it sees the sizes and the footers, which hold the extremes and compressed
    /// sizes of all column chunks; of other files, and of batches in memory, every value. Arrow
    /// files are read for it.
    ///
    /// # Errors
    /// [`Error::Data`] if batches in memory hold a type without a serialised form, or the errors
    /// of reading.
    pub fn fingerprint(&self) -> Result<u64> {
        match &*self.source {
            Source::Files(files) => remote::block_on("reading a data set", hash_files(files)),
            Source::Memory(batches) => {
                hash_batches(&self.plain, batches).map_err(|error| Error::Data {
                    operator: "data set".into(),
                    problem: format!("the batches cannot be hashed ({error})"),
                })
            }
            Source::Generated(generator) => Ok(generator.fingerprint()),
        }
    }

    /// The error of a failed query over the data, naming the file that is the reason where there is
    /// one: errors of the query engine do not. If a damaged file may be, local files are read once
    /// more to find it.
    ///
    /// Workflows do this themselves; it is for queries of one's own over
    /// [`table`](Dataset::table) or [`to_dataframe`](Dataset::to_dataframe).
    pub fn blame(&self, error: Error) -> Error {
        match &*self.source {
            Source::Files(files) => damage::blame(files, error),
            Source::Memory(_) | Source::Generated(_) => error,
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

/// The columns of the first file, nullable where they are in any; all files must have the same.
fn common_fields(files: &[SourceFile]) -> Result<Vec<FieldRef>> {
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
                    left: first.object.path.clone(),
                    left_type: describe_type(field),
                    right: other.object.path.clone(),
                    right_type: found.map_or("missing".into(), describe_type),
                });
            }
            nullable |= found.is_some_and(|found| found.is_nullable());
        }
        fields.push(Arc::new(
            field
                .as_ref()
                .clone()
                .with_nullable(nullable)
                .with_metadata(HashMap::new()),
        ));
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
                left: first.object.path.clone(),
                left_type: "missing".into(),
                right: other.object.path.clone(),
                right_type: describe_type(field),
            });
        }
    }
    Ok(fields)
}

async fn hash_files(files: &Files) -> Result<u64> {
    let mut hasher = XxHash64::with_seed(0);
    hasher.write(files.reading.as_bytes());
    for file in &files.files {
        hasher.write(&file.object.bytes().to_le_bytes());
        hasher.write(&file.rows().to_le_bytes());
        let hash = match file.hash {
            Some(hash) => hash,
            None => hash_content(&file.object).await?,
        };
        hasher.write(&hash.to_le_bytes());
        for (field, value) in files.hive.iter().zip(&file.hive) {
            hasher.write(format!("{}={value:?};", field.name()).as_bytes());
        }
    }
    Ok(hasher.finish())
}

async fn hash_content(object: &Object) -> Result<u64> {
    let mut hasher = XxHash64::with_seed(0);
    let mut blocks = object.stream(0..object.bytes());
    while let Some(block) = blocks.try_next().await? {
        hasher.write(&block);
    }
    Ok(hasher.finish())
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
