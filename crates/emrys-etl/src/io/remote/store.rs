//! An object store whose answers are whole, and of the objects that were opened.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::default_cache::DefaultCache;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult,
};

use super::Location;
use crate::io::open_options::RemoteOptions;
use crate::{Error, Result};

/// No request asks for more: a larger one would take longer than a time-out should be, and a
/// retry would repeat more.
pub(crate) const PART_BYTES: u64 = 8 << 20;

/// How many parts of one range are asked for at once.
const PARTS_AT_ONCE: usize = 4;

/// How many failures are kept; the queries of a workflow that run at once are fewer.
const FAILURES: usize = 64;

/// How much memory the footers of parquet files may take.
const METADATA_BYTES: usize = 64 << 20;

/// An object store that notices bodies that are cut off and objects that have changed.
///
/// The store within sends a request again after a server's error, a lost connection or a time-out
/// before the body. What it lets through is a body that ends early; here such a part is asked for
/// again, and is an error after the last try, never a shorter answer.
pub(crate) struct RemoteStore {
    inner: Arc<dyn ObjectStore>,
    base: String,
    /// What goes with every request; often a secret.
    query: Option<String>,
    retries: usize,
    pause: Duration,
    /// The objects that were opened, as they were then.
    opened: Mutex<HashMap<Key, ObjectMeta>>,
    /// The last failures, for errors that have lost theirs on their way through the engine.
    failures: Mutex<VecDeque<(String, String)>>,
    /// The footers of the parquet files of this store alone: the session's cache knows no stores.
    metadata: Arc<FileMetadataCache>,
}

impl RemoteStore {
    pub(crate) fn new(
        inner: Arc<dyn ObjectStore>,
        base: String,
        query: Option<String>,
        options: &RemoteOptions,
    ) -> RemoteStore {
        RemoteStore {
            inner,
            base,
            query,
            retries: options.retries(),
            pause: options.pause(),
            opened: Mutex::default(),
            failures: Mutex::default(),
            metadata: Arc::new(DefaultCache::<Key, CachedFileMetadataEntry>::new(
                METADATA_BYTES,
            )),
        }
    }

    /// Whether the location is in this store, and may be read with the same query.
    pub(crate) fn holds(&self, location: &Location<'_>) -> bool {
        self.base == location.base() && self.query.as_deref() == location.query
    }

    /// The URL under which sessions know the store.
    pub(crate) fn engine_url(&self) -> String {
        match &self.query {
            None => self.base.clone(),
            // Stores of other queries are others.
            Some(query) => {
                let hash = crate::hash::hash_bytes(query.as_bytes());
                self.base.replacen("://", &format!("+{hash:016x}://"), 1)
            }
        }
    }

    pub(crate) fn url(&self, key: &Key) -> String {
        format!("{}/{key}", self.base)
    }

    pub(crate) fn metadata_cache(&self) -> Arc<FileMetadataCache> {
        Arc::clone(&self.metadata)
    }

    /// What the store says about an object, which must stay so from now on.
    pub(crate) async fn open(&self, key: &Key) -> Result<ObjectMeta> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let mut found = self.inner.get_opts(key, options).await;
        if found.is_err() && self.query.is_some() {
            // A signature may be for reading alone; the answer to a range tells the size, too.
            let options = GetOptions {
                range: Some(GetRange::Bounded(0..1)),
                ..GetOptions::default()
            };
            found = self.inner.get_opts(key, options).await;
        }
        let meta = found.map_err(|error| self.error(key, &error))?.meta;
        self.remember(meta.clone());
        Ok(meta)
    }

    /// Takes an object of a list as opened.
    pub(crate) fn remember(&self, meta: ObjectMeta) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(meta.location.clone(), meta);
    }

    /// A whole small object; `None` if there is none.
    pub(crate) async fn read_small(&self, key: &Key) -> Result<Option<Bytes>> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let size = match self.inner.get_opts(key, options).await {
            Ok(found) => found.meta.size,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            // Without the right to list, a missing object may not be seen as missing; and web servers
            // have answers of their own.
            Err(object_store::Error::PermissionDenied { .. }) => return Ok(None),
            Err(_) if self.base.starts_with("http") => return Ok(None),
            Err(error) => return Err(self.error(key, &error)),
        };
        match size {
            0 => Ok(Some(Bytes::new())),
            size => self.read(key, 0..size).await.map(Some),
        }
    }

    /// The bytes of a range, all of them.
    pub(crate) async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        if range.end - range.start <= PART_BYTES {
            return self.read_part(key, range).await;
        }
        let parts = (range.start..range.end)
            .step_by(PART_BYTES as usize)
            .map(|start| start..(start + PART_BYTES).min(range.end));
        let mut parts = stream::iter(parts)
            .map(|part| self.read_part(key, part))
            .buffered(PARTS_AT_ONCE);
        let length = usize::try_from(range.end - range.start)
            .map_err(|_| Error::Internal("a range exceeds the address space".into()))?;
        let mut whole = BytesMut::with_capacity(length);
        while let Some(part) = parts.try_next().await? {
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    }

    async fn read_part(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let mut tries = 0;
        let mut pause = self.pause;
        loop {
            let problem = match self.try_part(key, range.clone()).await? {
                Ok(bytes) => return Ok(bytes),
                Err(problem) => problem,
            };
            if tries == self.retries {
                return Err(self.failed(
                    key,
                    format!(
                        "its bytes {} to {} did not arrive whole in {} tries ({problem}); try again, \
                         or raise the retries",
                        range.start,
                        range.end,
                        tries + 1
                    ),
                ));
            }
            tracing::warn!(url = self.url(key), problem, "reading again");
            tokio::time::sleep(pause).await;
            tries += 1;
            pause = pause.saturating_mul(2).min(Duration::from_secs(15));
        }
    }

    /// One try; within, the problem that another try may not have.
    async fn try_part(
        &self,
        key: &Key,
        range: Range<u64>,
    ) -> Result<std::result::Result<Bytes, String>> {
        let length = range.end - range.start;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let answer = match self.inner.get_opts(key, options).await {
            Ok(answer) => answer,
            Err(error) => {
                if is_out_of_range(&error) {
                    // The object may have become shorter.
                    self.check_size(key).await?;
                }
                return Err(self.error(key, &error));
            }
        };
        self.check_unchanged(key, &answer.meta)?;
        match answer.bytes().await {
            Ok(bytes) if bytes.len() as u64 == length => Ok(Ok(bytes)),
            Ok(bytes) => Ok(Err(format!("{} of {length} bytes came", bytes.len()))),
            Err(error) => Ok(Err(describe(&error))),
        }
    }

    async fn check_size(&self, key: &Key) -> Result<()> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.inner.get_opts(key, options).await {
            Ok(found) => self.check_unchanged(key, &found.meta),
            Err(error) => Err(self.error(key, &error)),
        }
    }

    fn check_unchanged(&self, key: &Key, found: &ObjectMeta) -> Result<()> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = opened.get_mut(key) else {
            return Ok(());
        };
        let same = |known: &Option<String>, found: &Option<String>| {
            known.is_none() || found.is_none() || known == found
        };
        if known.size == found.size
            && same(&known.e_tag, &found.e_tag)
            && same(&known.version, &found.version)
        {
            // Lists may leave out the tag.
            if known.e_tag.is_none() {
                known.e_tag.clone_from(&found.e_tag);
            }
            return Ok(());
        }
        drop(opened);
        Err(self.failed(
            key,
            "the object has changed since the data set was opened; open it again".into(),
        ))
    }

    /// The error for a request that failed for good.
    pub(crate) fn error(&self, key: &Key, error: &object_store::Error) -> Error {
        use object_store::Error as E;
        let describe = |error| {
            let text = describe(error);
            match &self.query {
                Some(query) => text.replace(query.as_str(), "..."),
                None => text,
            }
        };
        let problem = match error {
            E::NotFound { .. } => "there is no such object".to_owned(),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => format!(
                "access was denied ({}); check the credentials in the environment",
                describe(error)
            ),
            error => format!("the request failed ({})", describe(error)),
        };
        self.failed(key, problem)
    }

    fn failed(&self, key: &Key, problem: String) -> Error {
        let url = self.url(key);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == FAILURES {
            failures.pop_front();
        }
        failures.push_back((url.clone(), problem.clone()));
        super::problem(&url, problem)
    }

    /// The failure of which `text` tells, if there was one.
    pub(crate) fn failure_in(&self, text: &str) -> Option<Error> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (url, problem) = failures
            .iter()
            .find(|(_, problem)| text.contains(problem.as_str()))?;
        Some(super::problem(url, problem.as_str()))
    }
}

/// Whether a range was refused because the object does not have it.
fn is_out_of_range(error: &object_store::Error) -> bool {
    let text = describe(error);
    text.contains("416") || text.contains("range starting at")
}

/// The error in one line, without what it says twice.
fn describe(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += ": ";
            text += &cause_text;
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As the error of a store, in which the engine passes it on.
fn store_error(error: Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "remote",
        source: Box::new(error),
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[async_trait::async_trait]
impl ObjectStore for RemoteStore {
    async fn get_opts(
        &self,
        location: &Key,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let Some(GetRange::Bounded(range)) = options.range.clone() else {
            return self.inner.get_opts(location, options).await;
        };
        let bytes = self
            .read(location, range.clone())
            .await
            .map_err(store_error)?;
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = opened.get(location).cloned().ok_or_else(|| {
            store_error(Error::Internal(format!(
                "`{location}` is read before it was opened"
            )))
        })?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(
        &self,
        location: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Key,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Key>>,
    ) -> BoxStream<'static, object_store::Result<Key>> {
        self.inner.delete_stream(locations)
    }

    async fn copy_opts(
        &self,
        from: &Key,
        to: &Key,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
