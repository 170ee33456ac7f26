//! What operators learn, and how it is stored.

use std::any::Any;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

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
        ArtifactWriter { root: root.to_owned(), folder: format!("artifacts/node_{node:03}") }
    }

    /// A place for a new file: where to write it now, and the relative path by which
    /// [`ArtifactReader::path`] finds it.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn file(&mut self, name: &str) -> Result<(PathBuf, String)> {
        let folder = self.root.join(&self.folder);
        std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
            action: "create",
            path: folder.clone(),
            source,
        })?;
        Ok((folder.join(name), format!("{}/{name}", self.folder)))
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
        ArtifactReader { root: root.to_owned(), workflow: workflow.to_owned() }
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

    /// The error for a saved state that is not what it should be.
    pub fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::Saved { path: self.workflow.clone(), problem: problem.into() }
    }
}
