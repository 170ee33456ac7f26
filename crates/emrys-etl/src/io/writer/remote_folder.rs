//! A folder in an object store that is written from nothing to whole.
//!
//! Objects cannot be renamed, so the folder shows what it is by what stands in it: the object
//! `_incomplete` from before the first file until after the last, and the manifest, which is
//! written after all files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use emrys_schema::{SCHEMA_JSON, SCHEMA_PBTXT};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::WriteOptions;
use super::place::RemotePlace;
use super::store::remote_error;
use crate::io::atomic::INCOMPLETE_MARKER;
use crate::io::manifest::MANIFEST_FILE;
use crate::io::open_options::RemoteOptions;
use crate::{Error, Result};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A remote folder in the making.
pub(super) struct RemoteFolder {
    pub(super) place: RemotePlace,
    retry: RemoteOptions,
}

impl RemoteFolder {
    /// Marks the folder as incomplete, and empties it if it may be overwritten.
    pub(super) async fn create(
        store: Arc<dyn ObjectStore>,
        prefix: object_store::path::Path,
        url: &Path,
        options: &WriteOptions,
    ) -> Result<RemoteFolder> {
        let place = RemotePlace {
            store,
            prefix,
            url: url.to_owned(),
        };
        let (marker, manifest) = (
            place.location(INCOMPLETE_MARKER)?,
            place.location(MANIFEST_FILE)?,
        );
        let mut former = Vec::new();
        let mut is_ours = false;
        let mut is_unfinished = false;
        let mut found = place.store.list(Some(&place.prefix));
        while let Some(object) = found.try_next().await.map_err(remote_error("read", url))? {
            is_ours |= object.location == manifest;
            is_unfinished |= object.location == marker;
            former.push(object.location);
        }
        // What an interrupted writer has left is of no use to anybody.
        if !former.is_empty() && !is_unfinished {
            if !options.overwrite() {
                return Err(Error::OutputExists {
                    path: url.to_owned(),
                });
            }
            if !is_ours {
                return Err(Error::File {
                    action: "overwrite",
                    path: url.to_owned(),
                    problem: format!(
                        "there are objects but no `{MANIFEST_FILE}`, so it was not written by \
                         emrys; choose another place or delete them yourself"
                    ),
                });
            }
        }
        let folder = RemoteFolder {
            place,
            retry: options.remote().clone(),
        };
        folder.put(INCOMPLETE_MARKER, Vec::new()).await?;
        former.retain(|object| *object != marker);
        folder.delete(former).await?;
        Ok(folder)
    }

    /// Uploads what describes the files from a local folder, the manifest last, and takes the
    /// marker away.
    pub(super) async fn commit(&self, staging: &Path) -> Result<()> {
        for name in [SCHEMA_JSON, SCHEMA_PBTXT, MANIFEST_FILE] {
            let path = staging.join(name);
            let bytes = fs::read(&path).map_err(Error::io("read", path))?;
            self.put(name, bytes).await?;
        }
        self.delete(vec![self.place.location(INCOMPLETE_MARKER)?])
            .await
    }

    /// Deletes what has been written, as far as that is possible; the marker last.
    pub(super) async fn discard(self) {
        // It may be gone, if only the answer to its deletion is missing.
        if self.put(INCOMPLETE_MARKER, Vec::new()).await.is_err() {
            return;
        }
        let found: Vec<_> = self
            .place
            .store
            .list(Some(&self.place.prefix))
            .filter_map(|object| async { object.ok().map(|object| object.location) })
            .collect()
            .await;
        let Ok(marker) = self.place.location(INCOMPLETE_MARKER) else {
            return;
        };
        let files = found
            .into_iter()
            .filter(|object| *object != marker)
            .collect();
        if self.delete(files).await.is_ok() {
            let _ = self.delete(vec![marker]).await;
        }
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let location = self.place.location(name)?;
        let put = self.place.store.put(&location, PutPayload::from(bytes));
        put.await
            .map(|_| ())
            .map_err(remote_error("write", self.place.url.join(name)))
    }

    /// Deletes objects, of which some may be gone already. Stores do not send such requests again by
    /// themselves after a time-out or a broken connection.
    async fn delete(&self, objects: Vec<object_store::path::Path>) -> Result<()> {
        let mut tries = 0;
        let mut pause = self.retry.pause();
        loop {
            match self.try_delete(&objects).await {
                Err(_) if tries < self.retry.retries() => {
                    tokio::time::sleep(pause).await;
                    tries += 1;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
                outcome => return outcome.map_err(remote_error("delete in", &self.place.url)),
            }
        }
    }

    async fn try_delete(&self, objects: &[object_store::path::Path]) -> object_store::Result<()> {
        let objects: Vec<_> = objects.iter().cloned().map(Ok).collect();
        let objects = futures::stream::iter(objects).boxed();
        let mut deleted = self.place.store.delete_stream(objects);
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
