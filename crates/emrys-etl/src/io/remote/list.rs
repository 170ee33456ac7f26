//! Which objects a URL of an object store stands for.

use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore};

use super::{Location, RemoteStore, problem};
use crate::{Error, Result};

/// Whether a key is a pattern of names.
pub(crate) fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?', '['])
}

/// The objects under a folder, or those that a pattern matches, in no particular order.
///
/// An object of just this name is the only one.
pub(crate) async fn files(
    store: &RemoteStore,
    location: &Location<'_>,
) -> Result<(Vec<ObjectMeta>, bool)> {
    if location.is_web() {
        return Ok((vec![store.open(&location.store_key()?).await?], false));
    }
    if is_pattern(location.key) {
        return Ok((matching(store, location).await?, false));
    }
    let key = location.store_key()?;
    let is_folder = location.key.is_empty() || location.key.ends_with('/');
    let listed = match list(store, &key).await {
        // One may be allowed to read what one is not allowed to list.
        Err(object_store::Error::PermissionDenied { .. }) if !is_folder => {
            return Ok((vec![store.open(&key).await?], false));
        }
        listed => listed.map_err(|error| store.error(&key, &error))?,
    };
    // A folder has no object of its name, except that some programs leave an empty one.
    let inside: Vec<ObjectMeta> = listed
        .into_iter()
        .filter(|meta| meta.location != key)
        .collect();
    if !inside.is_empty() {
        return Ok((inside, true));
    }
    if is_folder {
        return Ok((Vec::new(), true));
    }
    Ok((vec![store.open(&key).await?], false))
}

async fn list(store: &RemoteStore, prefix: &Key) -> object_store::Result<Vec<ObjectMeta>> {
    let prefix = (!prefix.as_ref().is_empty()).then_some(prefix);
    store.list(prefix).try_collect().await
}

async fn matching(store: &RemoteStore, location: &Location<'_>) -> Result<Vec<ObjectMeta>> {
    let url = format!("{}/{}", location.base(), location.key);
    let pattern = glob::Pattern::new(location.key).map_err(|error| {
        problem(
            &url,
            format!(
                "not a valid pattern at character {}: {}",
                error.pos, error.msg
            ),
        )
    })?;
    // What comes before the first folder with a wildcard narrows the list.
    let fixed = location.key.split(['*', '?', '[']).next().unwrap_or("");
    let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
    let prefix = Key::parse(folder)
        .map_err(|error| problem(&url, format!("the name cannot be used ({error})")))?;
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::default()
    };
    let listed = list(store, &prefix).await;
    let mut found = listed.map_err(|error| store.error(&prefix, &error))?;
    found.retain(|meta| {
        let hidden = meta
            .location
            .filename()
            .is_none_or(|name| name.starts_with(['.', '_']));
        !hidden && pattern.matches_with(meta.location.as_ref(), options)
    });
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::EmptyDataset {
            source_name: format!("pattern `{url}`"),
            problem: "no object matches it".into(),
        }),
    }
}
