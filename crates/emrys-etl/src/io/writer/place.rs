//! Where the files of an output are made: in a local folder or in an object store.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use super::store::remote_error;
use crate::{Error, Result};

/// Bytes per request of an upload. Stores take at most 10000 requests per object.
const UPLOAD_BYTES: usize = 8 << 20;

/// Requests of one upload that may be on their way at a time.
const UPLOADS: usize = 4;

/// Where the files of an output are made.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A folder that exists.
    Local(PathBuf),
    Remote(RemotePlace),
}

/// A prefix in an object store.
#[derive(Debug, Clone)]
pub(super) struct RemotePlace {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: object_store::path::Path,
    /// What the user calls it.
    pub(super) url: PathBuf,
}

impl Place {
    /// What errors call a file of this name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self {
            Place::Local(folder) => folder.join(name),
            Place::Remote(remote) => remote.url.join(name),
        }
    }

    /// Begins a file; the folders in its name are made where there are folders.
    pub(super) async fn create(&self, name: &str) -> Result<PlacedFile> {
        let path = self.path(name);
        match self {
            Place::Local(_) => {
                if let (Some(parent), true) = (path.parent(), name.contains('/')) {
                    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
                }
                let file = File::create_new(&path).map_err(Error::io("write", &path))?;
                Ok(PlacedFile::Local(file))
            }
            Place::Remote(remote) => {
                let location = remote.location(name)?;
                let upload = remote.store.put_multipart(&location).await;
                let upload = upload.map_err(remote_error("write", &path))?;
                Ok(PlacedFile::Remote(WriteMultipart::new_with_chunk_size(
                    upload,
                    UPLOAD_BYTES,
                )))
            }
        }
    }
}

impl RemotePlace {
    /// The object of a name, which is taken as it is.
    pub(super) fn location(&self, name: &str) -> Result<object_store::path::Path> {
        let text = match self.prefix.as_ref() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        object_store::path::Path::parse(&text).map_err(|error| Error::File {
            action: "write",
            path: self.url.join(name),
            problem: format!("an object cannot have this name ({error}); choose another"),
        })
    }
}

/// A file that is being written.
pub(super) enum PlacedFile {
    Local(File),
    Remote(WriteMultipart),
}

impl PlacedFile {
    /// Waits until not too much is on its way.
    pub(super) async fn settle(&mut self, path: &Path) -> Result<()> {
        match self {
            PlacedFile::Local(_) => Ok(()),
            PlacedFile::Remote(upload) => upload
                .wait_for_capacity(UPLOADS)
                .await
                .map_err(remote_error("write", path)),
        }
    }

    /// Waits until all is written.
    pub(super) async fn finish(self, path: &Path) -> Result<()> {
        match self {
            PlacedFile::Local(_) => Ok(()),
            PlacedFile::Remote(upload) => upload
                .finish()
                .await
                .map(|_| ())
                .map_err(remote_error("write", path)),
        }
    }

    /// Gives up an upload, so that the store forgets what it has of it.
    pub(super) async fn abort(self) {
        if let PlacedFile::Remote(upload) = self {
            // The error that made the writer give up is the one to be told.
            let _ = upload.abort().await;
        }
    }
}

impl Write for PlacedFile {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            PlacedFile::Local(file) => file.write(buffer),
            PlacedFile::Remote(upload) => {
                upload.write(buffer);
                Ok(buffer.len())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            PlacedFile::Local(file) => file.flush(),
            PlacedFile::Remote(_) => Ok(()),
        }
    }
}
