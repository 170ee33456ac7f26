//! The list of what a whole output folder holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checksum;
use crate::{Error, Result};

/// The name of the manifest in an output folder. It is written last.
pub const MANIFEST_FILE: &str = "_emrys.json";

/// The newest format of manifests that this version reads, and the one it writes.
const VERSION: u64 = 1;

/// What a whole output folder holds: its data files with sizes and checksums.
///
/// It stands in the folder as `_emrys.json`. [`Dataset::open`](super::Dataset::open) compares it
/// with the files, by their sizes and numbers of rows; [`verify`](Manifest::verify) reads every
/// byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub version: u64,
    /// The program that wrote the folder.
    pub created_by: String,
    /// How many rows all files have.
    pub rows: u64,
    /// The data files, in reading order.
    pub files: Vec<ManifestFile>,
    /// The XXH64 checksum of `schema.json`, in hexadecimal digits.
    pub schema_xxh64: String,
    /// The columns whose values are in the names of folders, outermost first, and not in the
    /// files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_on: Vec<String>,
}

/// One data file of a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The name within the folder, with `/` where the file is in a folder below it.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The XXH64 checksum of its bytes, in hexadecimal digits.
    pub xxh64: String,
}

impl Manifest {
    pub(crate) fn new(files: Vec<ManifestFile>, schema_json: &str) -> Manifest {
        Manifest {
            version: VERSION,
            created_by: concat!("emrys-etl ", env!("CARGO_PKG_VERSION")).into(),
            rows: files.iter().map(|file| file.rows).sum(),
            files,
            schema_xxh64: checksum::of_bytes(schema_json.as_bytes()),
            partition_on: Vec::new(),
        }
    }

    pub(crate) fn with_partition_on(mut self, columns: &[String]) -> Manifest {
        self.partition_on = columns.to_vec();
        self
    }

    /// The size of all data files in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Reads the manifest of a folder; `None` if the folder has none.
    ///
    /// # Errors
    /// [`Error::Saved`] if it is no manifest, [`Error::NewerFormat`] if this version cannot read
    /// it, [`Error::Io`].
    pub fn read(folder: impl AsRef<Path>) -> Result<Option<Manifest>> {
        let path = folder.as_ref().join(MANIFEST_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Manifest::from_text(&path, text.as_bytes()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    /// The manifest of a text, which was read from `path`.
    pub(crate) fn from_text(path: &Path, text: &[u8]) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let not_a_manifest = |error: serde_json::Error| Error::Saved {
            path: path.to_owned(),
            problem: format!("it is not a manifest ({error}); write the data again"),
        };
        let Version { version } = serde_json::from_slice(text).map_err(not_a_manifest)?;
        if version > VERSION {
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        serde_json::from_slice(text).map_err(not_a_manifest)
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(MANIFEST_FILE);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Internal(format!("a manifest does not serialise: {error}")))?;
        text.push('\n');
        fs::write(&path, text).map_err(Error::io("write", path))
    }

    /// Compares the manifest with files of the given names, numbers of rows and sizes.
    pub(crate) fn compare<'a>(
        &self,
        folder: &Path,
        found: impl IntoIterator<Item = (&'a str, u64, u64)>,
    ) -> Result<()> {
        let saved = |problem: String| Error::Saved {
            path: folder.to_owned(),
            problem,
        };
        let mut missing: BTreeSet<&str> =
            self.files.iter().map(|file| file.name.as_str()).collect();
        for (name, rows, bytes) in found {
            let Some(file) = self.files.iter().find(|file| file.name == name) else {
                return Err(saved(format!(
                    "`{name}` is not in the manifest `{MANIFEST_FILE}`; move it elsewhere, or delete \
                     the manifest to read all files"
                )));
            };
            missing.remove(name);
            if (file.rows, file.bytes) != (rows, bytes) {
                return Err(saved(format!(
                    "`{name}` has {rows} rows and {bytes} bytes, but the manifest `{MANIFEST_FILE}` says \
                     {} rows and {} bytes; write the data again",
                    file.rows, file.bytes
                )));
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(name) => Err(saved(format!(
                "`{name}` is missing, which the manifest `{MANIFEST_FILE}` lists; write the data again"
            ))),
        }
    }

    /// Reads every byte of the files and compares their checksums.
    ///
    /// # Errors
    /// [`Error::Saved`] naming the first file that is not what was written, [`Error::Io`].
    pub fn verify(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        for file in &self.files {
            let path = folder.join(&file.name);
            let found = checksum::of_file(&path)?;
            if found != file.xxh64 {
                return Err(Error::Saved {
                    path,
                    problem: format!(
                        "its checksum is {found}, but {} was written; the file has been changed or damaged",
                        file.xxh64
                    ),
                });
            }
        }
        Ok(())
    }
}
