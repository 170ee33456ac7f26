//! Object stores by the address of what lies in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path as Key;

use crate::io::open_options::RemoteOptions;
use crate::io::remote::{self, Location};
use crate::{Error, Result};

/// What a path means: `None` for one of the file system, which `file://` may come before.
fn location(path: &Path) -> Option<Location<'_>> {
    let location = path.to_str().and_then(Location::parse)?;
    (location.scheme != "file").then_some(location)
}

/// Whether a path is an address.
pub(in crate::io) fn is_remote(path: &Path) -> bool {
    location(path).is_some()
}

/// The path of a local output.
pub(in crate::io) fn local_path(path: &Path) -> &Path {
    let text = path.to_str().and_then(|text| text.strip_prefix("file://"));
    text.map_or(path, Path::new)
}

/// The store of an address, as it is read from, and the place in it; `None` for a path of the file
/// system.
pub(super) fn store_for(
    path: &Path,
    options: &RemoteOptions,
) -> Result<Option<(Arc<dyn ObjectStore>, Key)>> {
    let Some(location) = location(path) else {
        return Ok(None);
    };
    if location.is_web() {
        return Err(Error::File {
            action: "write",
            path: path.to_owned(),
            problem: "a web server is read only; give a bucket (s3, gs, az) or a local folder"
                .into(),
        });
    }
    let store = remote::connect(&location, options)?;
    // A folder may be written with or without a slash at its end.
    let key = Location {
        key: location.key.trim_end_matches('/'),
        ..location
    };
    Ok(Some((store, key.store_key()?)))
}

/// Wraps an error of an object store.
pub(super) fn remote_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(object_store::Error) -> Error {
    move |error| {
        let kind = match &error {
            object_store::Error::NotFound { .. } => std::io::ErrorKind::NotFound,
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => std::io::ErrorKind::PermissionDenied,
            _ => std::io::ErrorKind::Other,
        };
        Error::io(action, path)(std::io::Error::new(kind, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths_are_told_apart() {
        assert!(is_remote(Path::new("s3://bucket/a")));
        for path in ["/data/a", "a:b/c://d", "://d", "file:///data/a"] {
            assert!(!is_remote(Path::new(path)), "{path}");
        }
        assert_eq!(
            local_path(Path::new("file:///data/a")),
            Path::new("/data/a")
        );
        assert_eq!(local_path(Path::new("data/a")), Path::new("data/a"));
    }

    #[test]
    fn what_cannot_be_written_to_is_named() {
        let error = |path: &str| store_for(Path::new(path), &RemoteOptions::new()).unwrap_err();
        insta::assert_snapshot!(error("ftp://host/a"), @"read `ftp://host`: `ftp://` is not supported; use s3, gs, az, abfs, http or https, or a path of the file system");
        insta::assert_snapshot!(error("https://host/a"), @"write `https://host/a`: a web server is read only; give a bucket (s3, gs, az) or a local folder");
    }
}
