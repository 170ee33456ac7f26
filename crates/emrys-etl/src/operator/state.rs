//! What operators learn, and how it is stored.

use std::any::Any;
use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::io::{TableBatches, TableFile};
use crate::storage::Storage;
use crate::{Error, Result};

/// How many rows of a table are read at a time.
const ROWS_AT_ONCE: usize = 1 << 14;

/// What fitting learns.
///
/// Every `Serialize + DeserializeOwned` type is a state that is stored as JSON inside the saved
/// workflow. Large states implement the trait by hand and store files.
pub trait State: Debug + Any + Send + Sync {
    /// Stores the state: what is returned goes into the workflow's file.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value>;

    /// Loads what [`save`](State::save) stored.
    ///
    /// # Errors
    /// If something is missing or is not what it should be.
    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Self>
    where
        Self: Sized;
}

impl<T> State for T
where
    T: Debug + Any + Send + Sync + Serialize + DeserializeOwned,
{
    fn save(&self, _artifacts: &mut ArtifactWriter) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| Error::Internal(format!("state to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<T> {
        serde_json::from_value(saved).map_err(|e| artifacts.wrong(e.to_string()))
    }
}

/// Gives an operator places for its files while a workflow is saved.
#[derive(Debug)]
pub struct ArtifactWriter {
    root: PathBuf,
    folder: String,
}

impl ArtifactWriter {
    pub(crate) fn new(root: &Path, node: usize) -> ArtifactWriter {
        ArtifactWriter {
            root: root.to_owned(),
            folder: format!("artifacts/node_{node:03}"),
        }
    }

    /// A place for a new file: where to write it now, and the relative path by which
    /// [`ArtifactReader::path`] finds it.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn file(&mut self, name: &str) -> Result<(PathBuf, String)> {
        let folder = self.root.join(&self.folder);
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        Ok((folder.join(name), format!("{}/{name}", self.folder)))
    }

    /// Writes a table as a parquet file; what is returned is the path for
    /// [`ArtifactReader::read_batch`].
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_batch(&mut self, name: &str, batch: &RecordBatch) -> Result<String> {
        self.write_batches(name, batch.schema(), [Ok(batch.clone())])
    }

    /// Writes the rows of batches of one schema as a parquet file; what is returned is the path for
    /// [`ArtifactReader::read_batches`].
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_batches(
        &mut self,
        name: &str,
        schema: SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch>>,
    ) -> Result<String> {
        let (path, relative) = self.file(name)?;
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build()))
            .map_err(Error::parquet("write", &path))?;
        for batch in batches {
            writer
                .write(&batch?)
                .map_err(Error::parquet("write", &path))?;
        }
        writer.close().map_err(Error::parquet("write", &path))?;
        Ok(relative)
    }
}

/// Finds the files of an operator while a workflow is loaded.
#[derive(Debug)]
pub struct ArtifactReader {
    root: PathBuf,
    workflow: PathBuf,
    storage: Storage,
}

impl ArtifactReader {
    pub(crate) fn new(root: &Path, workflow: &Path) -> ArtifactReader {
        ArtifactReader {
            root: root.to_owned(),
            workflow: workflow.to_owned(),
            storage: Storage::default(),
        }
    }

    /// Lets large states lie where the session wants them.
    pub(crate) fn with_storage(mut self, storage: &Storage) -> ArtifactReader {
        self.storage = storage.clone();
        self
    }

    /// Where large states lie.
    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Where the file of that relative path lies.
    ///
    /// # Errors
    /// [`Error::Saved`] if it leaves the workflow's folder or does not exist.
    pub fn path(&self, relative: &str) -> Result<PathBuf> {
        let inside = Path::new(relative)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside {
            return Err(self.wrong(format!("artifact path `{relative}` leaves the folder")));
        }
        let path = self.root.join(relative);
        if !path.is_file() {
            return Err(self.wrong(format!("artifact `{relative}` is missing; save it again")));
        }
        Ok(path)
    }

    /// Reads a table that [`ArtifactWriter::write_batch`] wrote.
    ///
    /// # Errors
    /// If the file is missing, damaged, or no parquet file.
    pub fn read_batch(&self, relative: &str) -> Result<RecordBatch> {
        TableFile::open(&self.path(relative)?)?.read()
    }

    /// Opens a table that [`ArtifactWriter::write_batches`] wrote, to be read as a stream.
    ///
    /// # Errors
    /// If the file is missing or is no parquet file; later, if it is damaged.
    pub fn read_batches(&self, relative: &str) -> Result<ArtifactBatches> {
        let file = TableFile::open(&self.path(relative)?)?;
        Ok(ArtifactBatches {
            schema: Arc::clone(file.schema()),
            num_rows: file.rows(),
            num_bytes: file.bytes(),
            batches: file.all_batches(ROWS_AT_ONCE)?,
        })
    }

    /// The error for a saved state that is not what it should be.
    pub fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::Saved {
            path: self.workflow.clone(),
            problem: problem.into(),
        }
    }
}

/// A stored table, batch by batch.
pub struct ArtifactBatches {
    /// The columns.
    pub schema: SchemaRef,
    /// How many rows there are.
    pub num_rows: usize,
    /// About how many bytes they take in memory.
    pub num_bytes: usize,
    batches: TableBatches,
}

impl Iterator for ArtifactBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.batches.next()
    }
}
