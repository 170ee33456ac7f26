//! Saved models: a folder that holds everything, loadable without the code that composed the
//! model.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::store::{ApplyError, ApplyResult, ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::embeddings::EmbeddingTables;
use crate::{Error, Model, ModelSpec, Result};

/// The newest version of the format that this program reads, and the one it writes.
const FORMAT: u64 = 1;

const DESCRIPTION: &str = "model.json";
const WEIGHTS: &str = "weights.safetensors";
const TABLES: &str = "embeddings.safetensors";

/// What stands in `model.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u64,
    model: ModelSpec,
    schema: Schema,
}

impl Model {
    /// Writes the model into a new folder.
    ///
    /// | file | content |
    /// |---|---|
    /// | `model.json` | the version of the format, the spec and the schema |
    /// | `weights.safetensors` | the network's parameters, by their paths |
    /// | `embeddings.safetensors` | the embedding tables, by their names |
    ///
    /// The folder appears under its name when it is whole: a save that was cut off leaves nothing
    /// that could be taken for a model.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]; the folder cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        if folder.symlink_metadata().is_ok() {
            return Err(Error::AlreadyExists {
                path: folder.to_owned(),
            });
        }
        let draft = draft_of(folder);
        let written = self.write(&draft).and_then(|()| {
            fs::rename(&draft, folder).map_err(io("rename", folder))?;
            sync_parent(folder)
        });
        written.map_err(|error| {
            // The error that counts is the one of writing.
            let _ = fs::remove_dir_all(&draft);
            at_target(error, &draft, folder)
        })
    }

    fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let path = folder.join(WEIGHTS);
        let mut store = SafetensorsStore::from_file(&path);
        self.network()
            .save_into(&mut store)
            .map_err(|error| Error::Weights {
                path,
                problem: error.to_string(),
            })?;
        self.tables().save_weights(&folder.join(TABLES))?;

        let path = folder.join(DESCRIPTION);
        let description = Description {
            format: FORMAT,
            model: self.spec().clone(),
            schema: self.schema().clone(),
        };
        let json =
            serde_json::to_vec_pretty(&description).map_err(|source| Error::Description {
                path: path.clone(),
                source,
            })?;
        let write = |json: &[u8]| {
            let mut file = File::create(&path)?;
            file.write_all(json)?;
            file.sync_all()
        };
        write(&json).map_err(io("write", &path))
    }

    /// Reads a model that [`save`](Model::save) wrote. It predicts the same bits.
    ///
    /// Block types that are not of this crate must have been registered with
    /// [`register_block`](crate::register_block).
    ///
    /// # Errors
    /// [`Error::NewerFormat`]; [`Error::Description`]; [`Error::Weights`] if the weights do not fit
    /// the description; the folder cannot be read.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Model> {
        let folder = folder.as_ref();
        let path = folder.join(DESCRIPTION);
        let json = fs::read(&path).map_err(io("read", &path))?;
        let description = read_description(&json, &path)?;

        // All numbers are about to be replaced, so the seed does not matter.
        let mut model = description
            .model
            .build_with(&description.schema, device, 0, |inputs| {
                EmbeddingTables::zeros(inputs.tables(), inputs.features())
            })?;
        model.load_weights(folder)?;
        Ok(model)
    }

    /// Replaces all numbers by those of a saved model of the same spec and schema.
    ///
    /// # Errors
    /// As [`load`](Model::load).
    pub fn load_weights(&mut self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let path = folder.join(WEIGHTS);
        // Opened first, so that a missing file is told as such.
        File::open(&path).map_err(io("read", &path))?;
        // What does not fit is told below, in our words.
        let mut store = SafetensorsStore::from_file(&path)
            .validate(false)
            .allow_partial(true);
        let mut network = self.network().clone();
        let loaded = network
            .load_from(&mut store)
            .map_err(|error| Error::Weights {
                path: path.clone(),
                problem: format!("{error}; the file is damaged, save the model again"),
            })?;
        if let Some(problem) = misfit(&loaded) {
            return Err(Error::Weights { path, problem });
        }
        self.update_network(|_| network);
        self.tables_mut().load_weights(&folder.join(TABLES))?;
        Ok(())
    }
}

/// What of the weights does not fit the network.
fn misfit(loaded: &ApplyResult) -> Option<String> {
    let problem = if let Some(error) = loaded.errors.first() {
        match error {
            ApplyError::ShapeMismatch {
                path,
                expected,
                found,
            } => {
                format!(
                    "`{path}` has shape {:?}, but the model needs {:?}",
                    found.as_slice(),
                    expected.as_slice()
                )
            }
            error => error.to_string(),
        }
    } else if let Some((missing, _)) = loaded.missing.first() {
        format!("`{missing}` is missing")
    } else if let Some(unused) = loaded.unused.first() {
        format!("`{unused}` is not a parameter of the model")
    } else {
        return None;
    };
    Some(format!(
        "{problem}; load the weights that were saved with this model"
    ))
}

/// An error of writing is told with the name that was asked for, not with that of the draft.
fn at_target(error: Error, draft: &Path, folder: &Path) -> Error {
    match error {
        Error::Io {
            action,
            path,
            source,
        } => {
            let path = match path.strip_prefix(draft) {
                Ok(rest) if rest.as_os_str().is_empty() => folder.to_owned(),
                Ok(rest) => folder.join(rest),
                Err(_) => path,
            };
            Error::Io {
                action,
                path,
                source,
            }
        }
        error => error,
    }
}

fn read_description(json: &[u8], path: &Path) -> Result<Description> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let unreadable = |source| Error::Description {
        path: path.to_owned(),
        source,
    };
    // A newer version may hold what this one cannot read, so the version comes first.
    let Version { format } = serde_json::from_slice(json).map_err(unreadable)?;
    if format > FORMAT {
        return Err(Error::NewerFormat {
            path: path.to_owned(),
            found: format,
            supported: FORMAT,
        });
    }
    serde_json::from_slice(json).map_err(unreadable)
}

/// A name beside `folder`, on the same file system, that no other process uses.
fn draft_of(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{}.draft", std::process::id()))
}

/// Makes a rename last through a loss of power.
fn sync_parent(folder: &Path) -> Result<()> {
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(io("write", parent))
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Error + 'a {
    move |source| Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
