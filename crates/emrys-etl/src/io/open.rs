//! From what the user names to files with known columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path as Key;

use super::atomic::INCOMPLETE_MARKER;
use super::formats::{self, FILES_AT_ONCE};
use super::hive;
use super::manifest::{MANIFEST_FILE, Manifest};
use super::object::Object;
use super::open_options::OpenOptions;
use super::paths::{self, data_files, natural_order};
use super::remote::{self, Location, RemoteStore};
use super::source::{Files, SourceFile};
use crate::{Error, Result};

/// The files that a path, folder, glob or URL stands for.
pub(crate) async fn open(path: &Path, options: &OpenOptions) -> Result<Files> {
    let found = match path.to_str().and_then(Location::parse) {
        Some(location) if location.scheme == "file" => {
            let path = format!("/{}", location.key);
            find_local(Path::new(&path), options)?
        }
        Some(location) => find_remote(&location, options).await?,
        None => find_local(path, options)?,
    };
    let manifest = match &found.folder {
        Some(Folder::Local(folder)) => Manifest::read(folder)?,
        Some(Folder::Remote(store, key)) => remote_manifest(store, key).await?,
        None => None,
    };
    let mut files = open_files(found.objects, options).await?;
    if let (Some(manifest), Some(folder)) = (manifest, &found.folder) {
        compare(&manifest, &folder.shown(), &files.files)?;
    }
    if let Some(root) = &found.root {
        files.hive = hive::add_columns(&mut files.files, root, options.hive_types())?;
    }
    Ok(files)
}

/// The files of a list, in its order.
pub(crate) async fn open_list(paths: Vec<PathBuf>, options: &OpenOptions) -> Result<Files> {
    let mut store: Option<Arc<RemoteStore>> = None;
    let mut places = Vec::with_capacity(paths.len());
    for path in paths {
        let place = match path.to_str().and_then(Location::parse) {
            Some(location) if location.scheme != "file" => {
                let store = match &store {
                    Some(store) => Arc::clone(store),
                    None => remote::connect(&location, options.remote())?,
                };
                let key = location.store_key()?;
                store.holds(&location).then_some(Place::Remote(store, key))
            }
            Some(location) => Some(Place::Local(format!("/{}", location.key).into())),
            None => Some(Place::Local(path.clone())),
        };
        let is_local = matches!(place, Some(Place::Local(_)));
        match place {
            Some(place) if places.is_empty() || is_local == store.is_none() => {
                if let Place::Remote(found, _) = &place {
                    store = Some(Arc::clone(found));
                }
                places.push(place);
            }
            _ => {
                return Err(Error::File {
                    action: "read",
                    path,
                    problem:
                        "it is in another store than the files before, or has another signature; \
                              let all files of a list be in one bucket, or local"
                            .into(),
                });
            }
        }
    }
    let objects = stream::iter(places)
        .map(|place| async move {
            match place {
                Place::Local(path) => Object::local(&path),
                Place::Remote(store, key) => {
                    let meta = store.open(&key).await?;
                    Ok(Object::remote(&store, meta))
                }
            }
        })
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    open_files(objects, options).await
}

enum Place {
    Local(PathBuf),
    Remote(Arc<RemoteStore>, Key),
}

enum Folder {
    Local(PathBuf),
    Remote(Arc<RemoteStore>, Key),
}

impl Folder {
    fn shown(&self) -> PathBuf {
        match self {
            Folder::Local(path) => path.clone(),
            Folder::Remote(store, key) => store.url(key).into(),
        }
    }
}

struct FoundObjects {
    objects: Vec<Object>,
    /// The folder, if one was named.
    folder: Option<Folder>,
    /// Below which folder `key=value` names are columns.
    root: Option<PathBuf>,
}

fn find_local(path: &Path, options: &OpenOptions) -> Result<FoundObjects> {
    let found = paths::resolve(path, options)?;
    let objects = found.files.iter().map(|path| Object::local(path));
    Ok(FoundObjects {
        objects: objects.collect::<Result<_>>()?,
        folder: found.folder.map(Folder::Local),
        root: found.root,
    })
}

async fn find_remote(location: &Location<'_>, options: &OpenOptions) -> Result<FoundObjects> {
    let store = remote::connect(location, options.remote())?;
    let hive = options.hive() != Some(false);
    let (mut listed, is_folder) = remote::files(&store, location).await?;
    let folder = Path::new(location.key.trim_end_matches('/')).to_owned();
    if is_folder {
        let marker = match location.key.trim_end_matches('/') {
            "" => INCOMPLETE_MARKER.to_owned(),
            folder => format!("{folder}/{INCOMPLETE_MARKER}"),
        };
        if listed.iter().any(|meta| meta.location.as_ref() == marker) {
            let url = format!("{}/{}", location.base(), location.key);
            return Err(paths::unfinished(Path::new(&url)));
        }
        listed.retain(|meta| {
            let path = Path::new(meta.location.as_ref());
            let within = path.strip_prefix(&folder).unwrap_or(path);
            let mut names = within.iter().filter_map(|name| name.to_str()).rev();
            let hidden = names.next().is_none_or(|name| name.starts_with(['.', '_']));
            !hidden && names.all(|folder| hive && hive::pair(folder).is_some())
        });
        listed = data_files(listed, options, |meta| Path::new(meta.location.as_ref()));
        if listed.is_empty() {
            let url = format!("{}/{}", location.base(), location.key);
            return Err(paths::no_data_file(&format!("folder `{url}`")));
        }
    }
    listed.sort_by(|a, b| natural_order(a.location.as_ref(), b.location.as_ref()));
    let root = match is_folder {
        true => Some(location.key.trim_end_matches('/')),
        false => remote::is_pattern(location.key)
            .then(|| paths::fixed_folder(location.key))
            .filter(|_| !location.is_web()),
    };
    let root = root.filter(|_| hive).map(|root| match root {
        "" => location.base().into(),
        root => format!("{}/{root}", location.base()).into(),
    });
    let objects = listed.into_iter().map(|meta| Object::remote(&store, meta));
    let objects = objects.collect();
    let folder = match is_folder {
        true => Some(Folder::Remote(store, location.store_key()?)),
        false => None,
    };
    Ok(FoundObjects {
        objects,
        folder,
        root,
    })
}

async fn remote_manifest(store: &RemoteStore, folder: &Key) -> Result<Option<Manifest>> {
    let key = folder.clone().join(MANIFEST_FILE);
    match store.read_small(&key).await? {
        None => Ok(None),
        Some(text) => Manifest::from_text(Path::new(&store.url(&key)), &text).map(Some),
    }
}

fn compare(manifest: &Manifest, folder: &Path, files: &[SourceFile]) -> Result<()> {
    let named: Vec<(String, u64, u64)> = files
        .iter()
        .map(|file| {
            let path = &file.object.path;
            let name = path.strip_prefix(folder).unwrap_or(path);
            let name = name.to_string_lossy().into_owned();
            (name, file.rows(), file.object.bytes())
        })
        .collect();
    let found = named
        .iter()
        .map(|(name, rows, bytes)| (name.as_str(), *rows, *bytes));
    manifest.compare(folder, found)
}

async fn open_files(objects: Vec<Object>, options: &OpenOptions) -> Result<Files> {
    let opened = formats::open(objects, options).await?;
    Ok(Files {
        described: opened.files.iter().map(SourceFile::describe).collect(),
        files: opened.files,
        scan: opened.scan,
        reading: opened.reading,
        hive: Vec::new(),
    })
}
