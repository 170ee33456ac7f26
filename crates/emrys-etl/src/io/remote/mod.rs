//! Files in object stores and on web servers.
//!
//! Everything about the network is here: which store a URL stands for, with which credentials,
//! retries and time-outs ([`connect`]), the threads that requests run on ([`runtime`]), and the
//! checks that an answer is whole and of the object that was opened ([`RemoteStore`]).

mod list;
mod runtime;
mod store;

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use super::open_options::RemoteOptions;
use crate::{Error, Result};

pub(crate) use list::{files, is_pattern};
pub(crate) use runtime::{block_on, handle, spawn};
pub(crate) use store::RemoteStore;

/// The schemes of web servers.
const WEB: [&str; 2] = ["http", "https"];

/// A URL, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    /// As in `s3`.
    pub(crate) scheme: &'a str,
    /// The bucket, container or server.
    pub(crate) authority: &'a str,
    /// What follows the slash, as it was written.
    pub(crate) key: &'a str,
    /// What follows the question mark in an address of the web, such as a signature.
    pub(crate) query: Option<&'a str>,
}

impl<'a> Location<'a> {
    /// Takes `scheme://authority/key` apart; `None` for a path of the file system.
    pub(crate) fn parse(text: &'a str) -> Option<Location<'a>> {
        let (scheme, rest) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) if WEB.contains(&scheme) => (rest, Some(query)),
            _ => (rest, None),
        };
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        is_scheme.then_some(Location {
            scheme,
            authority,
            key,
            query,
        })
    }

    /// Scheme and authority.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The key as stores know it.
    pub(crate) fn store_key(&self) -> Result<Key> {
        let parsed = match self.is_web() {
            true => Key::from_url_path(self.key),
            false => Key::parse(self.key),
        };
        parsed.map_err(|error| {
            problem(
                &format!("{}/{}", self.base(), self.key),
                format!("the name cannot be used ({error}); rename the object"),
            )
        })
    }

    /// Whether it is on a plain web server, which cannot be asked which files there are.
    pub(crate) fn is_web(&self) -> bool {
        WEB.contains(&self.scheme)
    }
}

/// The error for a URL.
pub(crate) fn problem(url: &str, problem: impl Into<String>) -> Error {
    Error::File {
        action: "read",
        path: url.into(),
        problem: problem.into(),
    }
}

/// The store of a URL: `s3://` and `s3a://`, `gs://`, `az://`, `abfs://` and `abfss://`,
/// `http://` and `https://`.
///
/// Credentials, regions and endpoints come from the environment.
pub(crate) fn connect(
    location: &Location<'_>,
    options: &RemoteOptions,
) -> Result<Arc<RemoteStore>> {
    options.check()?;
    let url = location.base();
    if location.authority.is_empty() {
        return Err(problem(&url, "the URL names no bucket or server; give one"));
    }
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: options.pause(),
            ..BackoffConfig::default()
        },
        max_retries: options.retries(),
        retry_timeout: options.retry_for(),
    };
    let client = [
        (
            ClientConfigKey::Timeout,
            format!("{}ms", options.timeout().as_millis()),
        ),
        (
            ClientConfigKey::ConnectTimeout,
            format!("{}ms", options.connect_timeout().as_millis()),
        ),
    ];
    let connector = SpawnedReqwestConnector::new(runtime::handle()?);
    let built: object_store::Result<Arc<dyn ObjectStore>> = match location.scheme {
        "s3" | "s3a" => {
            let builder = client.into_iter().fold(
                AmazonS3Builder::from_env().with_url(&url),
                |builder, (key, value)| builder.with_config(AmazonS3ConfigKey::Client(key), value),
            );
            let built = builder
                .with_retry(retry)
                .with_http_connector(connector)
                .build();
            built.map(|store| Arc::new(store) as _)
        }
        "gs" => {
            let builder = client.into_iter().fold(
                GoogleCloudStorageBuilder::from_env().with_url(&url),
                |builder, (key, value)| builder.with_config(GoogleConfigKey::Client(key), value),
            );
            let built = builder
                .with_retry(retry)
                .with_http_connector(connector)
                .build();
            built.map(|store| Arc::new(store) as _)
        }
        "az" | "azure" | "adl" | "abfs" | "abfss" => {
            let builder = client.into_iter().fold(
                MicrosoftAzureBuilder::from_env().with_url(&url),
                |builder, (key, value)| builder.with_config(AzureConfigKey::Client(key), value),
            );
            let built = builder
                .with_retry(retry)
                .with_http_connector(connector)
                .build();
            built.map(|store| Arc::new(store) as _)
        }
        "http" | "https" => {
            // The query goes with every request for what is below the root.
            let root = match location.query {
                Some(query) => format!("{url}?{query}"),
                None => url.clone(),
            };
            let builder = client
                .into_iter()
                .fold(
                    HttpBuilder::new().with_url(root),
                    |builder, (key, value)| builder.with_config(key, value),
                )
                // Whoever writes `http://` means it.
                .with_config(ClientConfigKey::AllowHttp, "true");
            let built = builder
                .with_retry(retry)
                .with_http_connector(connector)
                .build();
            built.map(|store| Arc::new(store) as _)
        }
        scheme => {
            return Err(problem(
                &url,
                format!(
                    "`{scheme}://` is not supported; use s3, gs, az, abfs, http or https, or a \
                     path of the file system"
                ),
            ));
        }
    };
    let store = built.map_err(|error| {
        problem(
            &url,
            format!("the store cannot be used ({error}); check its settings in the environment"),
        )
    })?;
    let query = location.query.map(str::to_owned);
    Ok(Arc::new(RemoteStore::new(store, url, query, options)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        let parse =
            |text| Location::parse(text).map(|place| (place.scheme, place.authority, place.key));
        assert_eq!(parse("s3://b/k/x y.csv"), Some(("s3", "b", "k/x y.csv")));
        assert_eq!(parse("s3://b"), Some(("s3", "b", "")));
        assert_eq!(
            parse("abfss://c@a.dfs.core.windows.net/k"),
            Some(("abfss", "c@a.dfs.core.windows.net", "k"))
        );
        let signed = Location::parse("https://h/a.csv?X=1/2?3").unwrap();
        assert_eq!((signed.key, signed.query), ("a.csv", Some("X=1/2?3")));
        let pattern = Location::parse("s3://b/a?.csv").unwrap();
        assert_eq!((pattern.key, pattern.query), ("a?.csv", None));
        for path in ["/a/b", "a.csv", "C:/x", "a b://c", "://x"] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_store_is_refused() {
        let error = |text: &str| {
            let location = Location::parse(text).unwrap();
            connect(&location, &RemoteOptions::new())
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(error("ftp://x/y"), @"read `ftp://x`: `ftp://` is not supported; use s3, gs, az, abfs, http or https, or a path of the file system");
        insta::assert_snapshot!(error("s3:///y"), @"read `s3://`: the URL names no bucket or server; give one");
    }
}
