//! Object stores by the address of what lies in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use crate::{Error, Result};

/// The address that a path is, such as `s3://bucket/clicks`; `None` for a path of the file system.
pub(super) fn url_of(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(text)
}

/// Whether a path is an address.
pub(in crate::io) fn is_remote(path: &Path) -> bool {
    url_of(path).is_some()
}

/// The store of an address (`s3://`, `gs://`, `az://`, `https://`, `file://`), and the place in
/// it. Credentials and endpoints are taken from the environment (`AWS_ACCESS_KEY_ID` and so on).
pub(super) fn store_for(url: &str) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
    let invalid = |problem: String| Error::File {
        action: "open",
        path: PathBuf::from(url),
        problem: format!("it is no address of an object store ({problem})"),
    };
    let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
    let (store, path) = object_store::parse_url_opts(&parsed, std::env::vars())
        .map_err(|error| invalid(error.to_string()))?;
    Ok((Arc::from(store), path))
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
        assert_eq!(url_of(Path::new("s3://bucket/a")), Some("s3://bucket/a"));
        assert_eq!(url_of(Path::new("/data/a")), None);
        assert_eq!(url_of(Path::new("a:b/c://d")), None);
        assert_eq!(url_of(Path::new("://d")), None);
    }

    #[test]
    fn an_unknown_scheme_is_named() {
        let error = store_for("ftp://host/a").unwrap_err().to_string();
        assert!(
            error.starts_with("open `ftp://host/a`: it is no address of an object store ("),
            "{error}"
        );
    }
}
