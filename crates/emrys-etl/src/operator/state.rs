//! What operators learn, and how it is stored.

use std::any::Any;
use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Error, Result};

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
        let (path, relative) = self.file(name)?;
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        ArrowWriter::try_new(file, batch.schema(), Some(properties.build()))
            .and_then(|mut writer| {
                writer.write(batch)?;
                writer.close()
            })
            .map_err(Error::parquet("write", &path))?;
        Ok(relative)
    }
}

/// Finds the files of an operator while a workflow is loaded.
#[derive(Debug)]
pub struct ArtifactReader {
    root: PathBuf,
    workflow: PathBuf,
}

impl ArtifactReader {
    pub(crate) fn new(root: &Path, workflow: &Path) -> ArtifactReader {
        ArtifactReader {
            root: root.to_owned(),
            workflow: workflow.to_owned(),
        }
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
    /// If the file is missing or is no parquet file.
    pub fn read_batch(&self, relative: &str) -> Result<RecordBatch> {
        let path = self.path(relative)?;
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        read_table(file).map_err(Error::parquet("read", &path))
    }

    /// The error for a saved state that is not what it should be.
    pub fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::Saved {
            path: self.workflow.clone(),
            problem: problem.into(),
        }
    }
}

/// A whole parquet file as one batch.
pub(crate) fn read_table(file: File) -> ParquetResult<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = std::sync::Arc::clone(builder.schema());
    let batches: Result<Vec<_>, _> = builder.build()?.collect();
    Ok(concat_batches(&schema, &batches?)?)
}
