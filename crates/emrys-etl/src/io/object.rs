//! One file, local or remote, and its bytes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::ObjectMeta;

use super::paths;
use super::remote::{RemoteStore, spawn};
use crate::{Error, Result};

/// How much of a local file is read at once.
const BLOCK_BYTES: u64 = 1 << 20;

/// How much of a remote file is asked for at once, and how many such blocks are on their way
/// before they are needed.
const REMOTE_BLOCK_BYTES: u64 = 4 << 20;
const REMOTE_BLOCKS_AHEAD: usize = 2;

/// A file as it was when the data set was opened.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// The path or URL, as it is shown to users.
    pub(crate) path: PathBuf,
    /// Its name for the engine, size, and time or tag of its last change.
    pub(crate) meta: ObjectMeta,
    /// The store; none for local files.
    pub(crate) store: Option<Arc<RemoteStore>>,
}

impl Object {
    /// A local file.
    pub(crate) fn local(path: &Path) -> Result<Object> {
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => paths::missing(path),
            _ => Error::io("read", path)(error),
        };
        let metadata = fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            return Err(problem(
                path,
                "it is a folder; a list of files is expected here",
            ));
        }
        Ok(Object {
            path: path.to_owned(),
            meta: ObjectMeta {
                location: location(path)?,
                last_modified: metadata.modified().map_err(io)?.into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            },
            store: None,
        })
    }

    /// A file of a store, which the store has been told of.
    pub(crate) fn remote(store: &Arc<RemoteStore>, meta: ObjectMeta) -> Object {
        store.remember(meta.clone());
        Object {
            path: store.url(&meta.location).into(),
            meta,
            store: Some(Arc::clone(store)),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.meta.size
    }

    /// The error for this file.
    pub(crate) fn problem(&self, text: impl Into<String>) -> Error {
        problem(&self.path, text)
    }

    /// Fails if a local file is no longer the one that was opened. Of remote files every answer
    /// is checked.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        if self.store.is_some() {
            return Ok(());
        }
        let metadata = fs::metadata(&self.path).map_err(Error::io("read", &self.path))?;
        let modified = metadata.modified().map_err(Error::io("read", &self.path))?;
        let known = SystemTime::from(self.meta.last_modified);
        let same = (metadata.len(), modified) == (self.meta.size, known);
        match same {
            true => Ok(()),
            false => {
                Err(self
                    .problem("the file has changed since the data set was opened; open it again"))
            }
        }
    }

    /// The bytes of a range, all of them.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match &self.store {
            Some(store) => store.read(&self.meta.location, range).await,
            None => {
                let path = self.path.clone();
                spawn("reading a file", async move {
                    tokio::task::block_in_place(|| read_local(&path, range))
                })
                .await
            }
        }
    }

    /// The bytes of a range in order, in blocks.
    pub(crate) fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let (block, ahead) = match self.store {
            Some(_) => (REMOTE_BLOCK_BYTES, REMOTE_BLOCKS_AHEAD),
            None => (BLOCK_BYTES, 1),
        };
        let object = self.clone();
        let blocks = (range.start..range.end)
            .step_by(block as usize)
            .map(move |start| start..(start + block).min(range.end));
        stream::iter(blocks)
            .map(move |block| {
                let object = object.clone();
                async move { object.read(block).await }
            })
            .buffered(ahead)
            .boxed()
    }
}

fn problem(path: &Path, text: impl Into<String>) -> Error {
    Error::File {
        action: "read",
        path: path.to_owned(),
        problem: text.into(),
    }
}

fn read_local(path: &Path, range: Range<u64>) -> Result<Bytes> {
    let length = usize::try_from(range.end - range.start)
        .map_err(|_| Error::Internal("a range exceeds the address space".into()))?;
    let mut bytes = vec![0; length];
    let mut read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)
    };
    read().map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => problem(
            path,
            "the file has become shorter while it was read; open it again",
        ),
        _ => Error::io("read", path)(error),
    })?;
    Ok(bytes.into())
}

/// The name of a local file for the engine.
fn location(path: &Path) -> Result<object_store::path::Path> {
    let absolute = fs::canonicalize(path).map_err(Error::io("read", path))?;
    object_store::path::Path::from_absolute_path(&absolute).map_err(|error| {
        problem(
            path,
            format!("the name cannot be used ({error}); rename the file"),
        )
    })
}
