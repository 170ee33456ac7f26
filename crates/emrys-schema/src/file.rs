//! Schemas in files and directories.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result, Schema};

/// The name of the file with our own JSON.
pub const SCHEMA_JSON: &str = "schema.json";

/// The name of the file with Merlin's text format.
pub const SCHEMA_PBTXT: &str = "schema.pbtxt";

/// Where Merlin writes and first looks for its JSON.
const MERLIN_JSON: &str = ".merlin/schema.json";

impl Schema {
    /// Reads a schema file of any of the three formats, or the one of a directory.
    ///
    /// In a directory the first of `schema.json`, `.merlin/schema.json` and `schema.pbtxt` is
    /// read. The format is told from the text, so `schema.json` may also be Merlin's.
    ///
    /// # Errors
    /// [`Error::NoSchemaFile`] for a directory without a schema, [`Error::Io`], and
    /// [`Error::Parse`] or [`Error::NewerFormat`] with the name of the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Schema> {
        let path = path.as_ref();
        let file = if path.is_dir() {
            find(path)?
        } else {
            path.to_owned()
        };
        let bytes = fs::read(&file).map_err(|source| Error::Io {
            action: "read",
            path: file.clone(),
            source,
        })?;
        text(&bytes)
            .and_then(Schema::from_text)
            .map_err(|error| error.in_file(&file))
    }

    /// Writes `schema.json` (ours) and `schema.pbtxt` (Merlin's) into a directory, which is
    /// created if need be. Merlin's own `.merlin/schema.json` is renewed if there is one, since
    /// Merlin reads it first.
    ///
    /// Each file appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::PropertyTooDeep`].
    pub fn write_dir(&self, directory: impl AsRef<Path>) -> Result<()> {
        let directory = directory.as_ref();
        fs::create_dir_all(directory).map_err(|source| Error::Io {
            action: "create",
            path: directory.to_owned(),
            source,
        })?;
        let merlin_json = directory.join(MERLIN_JSON);
        if merlin_json.exists() {
            write(&merlin_json, &self.to_merlin_json()?)?;
        }
        write(&directory.join(SCHEMA_PBTXT), &self.to_pbtxt()?)?;
        write(&directory.join(SCHEMA_JSON), &self.to_json()?)
    }
}

fn find(directory: &Path) -> Result<PathBuf> {
    [SCHEMA_JSON, MERLIN_JSON, SCHEMA_PBTXT]
        .into_iter()
        .map(|name| directory.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Error::NoSchemaFile {
            directory: directory.to_owned(),
        })
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        Error::parse_at(
            "schema text",
            &valid,
            valid.len(),
            "the text is not UTF-8 from here on",
        )
    })
}

/// Writes beside the file and renames, so that readers never see half a schema.
fn write(path: &Path, text: &str) -> Result<()> {
    static FILES: AtomicU64 = AtomicU64::new(0);
    let unique = format!(
        "tmp-{}-{}",
        std::process::id(),
        FILES.fetch_add(1, Ordering::Relaxed)
    );
    let temporary = path.with_extension(unique);
    let written = write_whole(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The first error is the one to tell; what is left is only a file of ours.
        let _ = fs::remove_file(&temporary);
        Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        }
    })
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColumnSchema, DType};

    fn schema(dtype: DType) -> Schema {
        Schema::new([ColumnSchema::new("x", dtype)]).unwrap()
    }

    #[test]
    fn a_written_directory_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("new");
        schema(DType::UInt32).write_dir(&directory).unwrap();
        assert_eq!(Schema::read(&directory).unwrap(), schema(DType::UInt32));
        assert_eq!(
            Schema::read(directory.join(SCHEMA_PBTXT)).unwrap(),
            schema(DType::UInt32)
        );
        let mut names: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [SCHEMA_JSON, SCHEMA_PBTXT]);
    }

    #[test]
    fn files_of_a_directory_are_looked_up_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        fs::write(
            directory.join(SCHEMA_PBTXT),
            schema(DType::Int8).to_pbtxt().unwrap(),
        )
        .unwrap();
        assert_eq!(Schema::read(directory).unwrap(), schema(DType::Int8));
        fs::create_dir(directory.join(".merlin")).unwrap();
        fs::write(
            directory.join(MERLIN_JSON),
            schema(DType::Int16).to_merlin_json().unwrap(),
        )
        .unwrap();
        assert_eq!(Schema::read(directory).unwrap(), schema(DType::Int16));
        fs::write(
            directory.join(SCHEMA_JSON),
            schema(DType::Int32).to_json().unwrap(),
        )
        .unwrap();
        assert_eq!(Schema::read(directory).unwrap(), schema(DType::Int32));
    }

    #[test]
    fn the_file_that_merlin_reads_first_is_renewed() {
        let directory = tempfile::tempdir().unwrap();
        let merlin_json = directory.path().join(MERLIN_JSON);
        fs::create_dir(directory.path().join(".merlin")).unwrap();
        fs::write(&merlin_json, "{}").unwrap();
        schema(DType::Float32).write_dir(directory.path()).unwrap();
        assert_eq!(Schema::read(merlin_json).unwrap(), schema(DType::Float32));
    }

    #[test]
    fn errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let shown = |result: Result<Schema>| {
            let path = directory.path().display().to_string();
            result.unwrap_err().to_string().replace(&path, "DIR")
        };
        let empty = shown(Schema::read(directory.path()));
        let missing = shown(Schema::read(directory.path().join("x.json")));
        let file = directory.path().join(SCHEMA_JSON);
        fs::write(&file, b"\nfeature { name: \"\xff\" }").unwrap();
        let not_utf8 = shown(Schema::read(&file));
        fs::write(&file, "{\"emrys_schema\": 7}").unwrap();
        let newer = shown(Schema::read(&file));
        insta::assert_snapshot!([empty, missing, not_utf8, newer].join("\n"), @"
        no schema in `DIR`; expected `schema.json`, `.merlin/schema.json` or `schema.pbtxt` there
        cannot read `DIR/x.json`
        `DIR/schema.json`, line 2, column 18: the text is not UTF-8 from here on
        `DIR/schema.json` has format version 7, but this Emrys reads up to 1; update Emrys
        ");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = schema(DType::Int8).write_dir(file.join("sub")).unwrap_err();
        assert!(matches!(
            error,
            Error::Io {
                action: "create",
                ..
            }
        ));
    }
}
