//! Folders that are either whole or not there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Stands in a folder from its creation until it is whole.
pub(crate) const INCOMPLETE_MARKER: &str = "_incomplete";

/// What to do if the target of an [`AtomicDir`] exists.
///
/// An empty folder counts as not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse with [`Error::OutputExists`].
    Refuse,
    /// Replace the folder if it holds a file of this name, which shows that Emrys wrote it;
    /// refuse any other folder, so that a wrong path never deletes foreign files.
    ReplaceIfHolds(&'static str),
}

/// A folder that appears under its name only when it is complete.
///
/// It grows under a temporary name beside its target, `.<name>.tmp-<random>`, and
/// [`commit`](AtomicDir::commit) renames it. Dropped without a commit, it is deleted. What a
/// killed process has left is deleted by the next one that writes to the same target, and is
/// never read as a data set.
///
/// ```
/// use emrys_etl::io::{AtomicDir, Existing};
///
/// let parent = tempfile::tempdir()?;
/// let target = parent.path().join("result");
/// let folder = AtomicDir::create(&target, Existing::Refuse)?;
/// std::fs::write(folder.path().join("answer.txt"), "42")?;
/// assert!(!target.exists());
/// folder.commit()?;
/// assert_eq!(std::fs::read_to_string(target.join("answer.txt"))?, "42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicDir {
    target: PathBuf,
    temporary: PathBuf,
    existing: Existing,
    /// Holds the lock on the temporary folder itself, by which others know that it has an owner
    /// until it is in its place; `None` from then on.
    lock: Option<File>,
}

impl AtomicDir {
    /// Starts a folder beside `target`; missing parents are created.
    ///
    /// # Errors
    /// [`Error::OutputExists`] and [`Error::File`] if the target is in the way,
    /// [`Error::Io`] or [`Error::DiskFull`] if the parent cannot be written to.
    pub fn create(target: impl AsRef<Path>, existing: Existing) -> Result<AtomicDir> {
        let target =
            std::path::absolute(target.as_ref()).map_err(Error::io("write", target.as_ref()))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Error::File {
                action: "write",
                path: target,
                problem: "the path has no last part that could name a folder".into(),
            });
        };
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        tidy(&target, parent, name)?;
        check_target(&target, existing)?;

        let (temporary, lock) = create_locked(parent, name)?;
        Ok(AtomicDir {
            target,
            temporary,
            existing,
            lock: Some(lock),
        })
    }

    /// Where the files are to be written.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the folder its name.
    ///
    /// A folder that is replaced is first renamed aside and then deleted: a crash in between
    /// leaves both, and the next writer puts the old one back.
    ///
    /// # Errors
    /// [`Error::OutputExists`] if something has come to stand in the place meanwhile,
    /// [`Error::Io`] if the rename fails; the temporary folder is then deleted.
    pub fn commit(mut self) -> Result<()> {
        check_target(&self.target, self.existing)?;
        let marker = self.temporary.join(INCOMPLETE_MARKER);
        fs::remove_file(&marker).map_err(Error::io("write", &marker))?;

        let aside = match is_empty_or_missing(&self.target)? {
            true => None,
            false => {
                let (parent, name) = parent_and_name(&self.target);
                let aside = create_beside(parent, name, "old")?;
                fs::rename(&self.target, &aside).map_err(Error::io("replace", &self.target))?;
                Some(aside)
            }
        };
        if let Err(error) = fs::rename(&self.temporary, &self.target) {
            if let Some(aside) = aside {
                fs::rename(aside, &self.target).map_err(Error::io("restore", &self.target))?;
            }
            return Err(Error::io("write", &self.target)(error));
        }
        self.lock = None;
        if let Some(aside) = aside {
            // The new folder is in its place: what stays of the old one is only rubbish.
            let _ = delete(&aside);
        }
        Ok(())
    }
}

impl Drop for AtomicDir {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // A task that was stopped may add a file while its folder goes.
            let _ = (0..3).try_for_each(|_| match delete(&self.temporary) {
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
                outcome => Err(outcome),
            });
        }
    }
}

/// A folder beside `path` that an interrupted replacement has left, if there is one.
pub(crate) fn set_aside(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let (parent, name) = (path.parent()?, path.file_name()?);
    let mut asides = siblings(parent, name, "old").ok()?.into_iter();
    asides.find(|aside| !aside.join(INCOMPLETE_MARKER).exists())
}

fn check_target(target: &Path, existing: Existing) -> Result<()> {
    let kind = match fs::symlink_metadata(target).and_then(|_| fs::metadata(target)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("write", target)(error)),
        Ok(metadata) => metadata.file_type(),
    };
    if !kind.is_dir() {
        return Err(Error::File {
            action: "write",
            path: target.to_owned(),
            problem: "a file of this name exists, a folder is to be written; choose another name"
                .into(),
        });
    }
    if is_empty_or_missing(target)? {
        return Ok(());
    }
    match existing {
        Existing::Refuse => Err(Error::OutputExists {
            path: target.to_owned(),
        }),
        Existing::ReplaceIfHolds(file) if target.join(file).is_file() => Ok(()),
        Existing::ReplaceIfHolds(file) => Err(Error::File {
            action: "overwrite",
            path: target.to_owned(),
            problem: format!(
                "the folder holds files but no `{file}`, so it was not written by emrys; \
                 choose another folder or delete it yourself"
            ),
        }),
    }
}

fn is_empty_or_missing(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Removes what killed processes have left for this target, and puts back a folder that was set
/// aside by a replacement that never came to its end.
fn tidy(target: &Path, parent: &Path, name: &OsStr) -> Result<()> {
    let mut somebody_writes = false;
    for left in siblings(parent, name, "tmp")? {
        // A folder that is gone by now has been renamed by its writer.
        let Ok(folder) = File::open(&left) else {
            continue;
        };
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => somebody_writes = true,
            Err(TryLockError::Error(_)) => {}
            Ok(()) => {
                let _ = delete(&left);
            }
        }
    }
    if somebody_writes {
        return Ok(());
    }
    for aside in siblings(parent, name, "old")? {
        // One with a marker is what is left of a deletion.
        let is_whole = !is_empty_or_missing(&aside)? && !aside.join(INCOMPLETE_MARKER).exists();
        if is_whole && is_empty_or_missing(target)? {
            fs::rename(&aside, target).map_err(Error::io("restore", target))?;
        } else {
            let _ = delete(&aside);
        }
    }
    Ok(())
}

/// Deletes a folder; what is left of it if the process is killed meanwhile has the marker, so that
/// nobody takes it for whole.
fn delete(folder: &Path) -> std::io::Result<()> {
    let marker = folder.join(INCOMPLETE_MARKER);
    // On a full disk there may be no room for it, but there is after the deletion.
    let _ = File::create(&marker);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path() == marker {
            continue;
        }
        match entry.file_type()?.is_dir() {
            // A folder within may be one that can be read by itself.
            true => delete(&entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(folder)
}

/// The folders `.<name>.<what>-*` in `parent`.
fn siblings(parent: &Path, name: &OsStr, what: &str) -> Result<Vec<PathBuf>> {
    let prefix = prefix(name, what);
    let entries = fs::read_dir(parent).map_err(Error::io("read", parent))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(prefix.as_encoded_bytes())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

/// A temporary folder with its marker, and the lock on it.
fn create_locked(parent: &Path, name: &OsStr) -> Result<(PathBuf, File)> {
    loop {
        let temporary = create_beside(parent, name, "tmp")?;
        let marker = temporary.join(INCOMPLETE_MARKER);
        let locked = File::open(&temporary).and_then(|folder| {
            folder.lock()?;
            File::create(&marker)?;
            Ok(folder)
        });
        match locked {
            Ok(lock) => return Ok((temporary, lock)),
            // Before it was locked, another process took it for one that had lost its owner.
            Err(error) if error.kind() == ErrorKind::NotFound && !temporary.exists() => {}
            Err(error) => {
                let _ = delete(&temporary);
                return Err(Error::io("write", &marker)(error));
            }
        }
    }
}

fn create_beside(parent: &Path, name: &OsStr, what: &str) -> Result<PathBuf> {
    loop {
        let mut candidate = prefix(name, what);
        // The keys of a `RandomState` are random per process and differ at every call.
        candidate.push(format!(
            "{:016x}",
            RandomState::new().build_hasher().finish()
        ));
        let path = parent.join(candidate);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
}

fn prefix(name: &OsStr, what: &str) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(format!(".{what}-"));
    prefix
}

fn parent_and_name(target: &Path) -> (&Path, &OsStr) {
    (
        target
            .parent()
            .expect("`create` has checked that there is a parent"),
        target
            .file_name()
            .expect("`create` has checked that there is a name"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn entries(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_folder_leaves_nothing() -> TestResult {
        let parent = tempfile::tempdir()?;
        let folder = AtomicDir::create(parent.path().join("out"), Existing::Refuse)?;
        fs::write(folder.path().join("part"), "half")?;
        assert_eq!(entries(parent.path()).len(), 1);
        drop(folder);
        assert_eq!(entries(parent.path()), Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn what_a_killed_process_left_is_removed_by_the_next_writer() -> TestResult {
        let parent = tempfile::tempdir()?;
        let target = parent.path().join("out");
        let left = parent.path().join(".out.tmp-0123");
        fs::create_dir(&left)?;
        fs::write(left.join(INCOMPLETE_MARKER), "")?;
        // Killed after the marker was taken away, before the folder got its name.
        let complete = parent.path().join(".out.tmp-4567");
        fs::create_dir(&complete)?;
        fs::write(complete.join("m.json"), "{}")?;
        AtomicDir::create(&target, Existing::Refuse)?.commit()?;
        assert_eq!(entries(parent.path()), ["out"]);
        Ok(())
    }

    #[test]
    fn the_folder_of_a_living_writer_is_left_alone() -> TestResult {
        let parent = tempfile::tempdir()?;
        let target = parent.path().join("out");
        let first = AtomicDir::create(&target, Existing::Refuse)?;
        fs::write(first.path().join("a"), "first")?;
        let second = AtomicDir::create(&target, Existing::Refuse)?;
        fs::write(second.path().join("a"), "second")?;
        first.commit()?;
        let error = second.commit().unwrap_err();
        assert!(matches!(error, Error::OutputExists { .. }), "{error}");
        assert_eq!(fs::read_to_string(target.join("a"))?, "first");
        assert_eq!(entries(parent.path()), ["out"]);
        Ok(())
    }

    #[test]
    fn an_existing_folder_is_replaced_only_if_it_is_ours() -> TestResult {
        let parent = tempfile::tempdir()?;
        let target = parent.path().join("out");
        fs::create_dir(&target)?;
        fs::write(target.join("diary.txt"), "dear")?;
        let refused = AtomicDir::create(&target, Existing::Refuse).unwrap_err();
        assert!(matches!(refused, Error::OutputExists { .. }));
        let refused = AtomicDir::create(&target, Existing::ReplaceIfHolds("m.json")).unwrap_err();
        assert!(
            refused.to_string().contains("was not written by emrys"),
            "{refused}"
        );

        fs::write(target.join("m.json"), "{}")?;
        let folder = AtomicDir::create(&target, Existing::ReplaceIfHolds("m.json"))?;
        fs::write(folder.path().join("m.json"), "new")?;
        assert_eq!(fs::read_to_string(target.join("m.json"))?, "{}");
        folder.commit()?;
        assert_eq!(entries(&target), ["m.json"]);
        assert_eq!(entries(parent.path()), ["out"]);
        Ok(())
    }

    #[test]
    fn an_interrupted_replacement_is_undone() -> TestResult {
        let parent = tempfile::tempdir()?;
        let target = parent.path().join("out");
        let aside = parent.path().join(".out.old-0123");
        fs::create_dir(&aside)?;
        fs::write(aside.join("m.json"), "old")?;
        assert_eq!(set_aside(&target), Some(aside));
        let refused = AtomicDir::create(&target, Existing::Refuse).unwrap_err();
        assert!(matches!(refused, Error::OutputExists { .. }));
        assert_eq!(fs::read_to_string(target.join("m.json"))?, "old");
        assert_eq!(entries(parent.path()), ["out"]);
        Ok(())
    }

    #[test]
    fn what_is_left_of_a_deletion_is_never_put_back() -> TestResult {
        let parent = tempfile::tempdir()?;
        let target = parent.path().join("out");
        let aside = parent.path().join(".out.old-0123");
        fs::create_dir(&aside)?;
        fs::write(aside.join("part"), "half of what was there")?;
        fs::write(aside.join(INCOMPLETE_MARKER), "")?;
        assert_eq!(set_aside(&target), None);
        AtomicDir::create(&target, Existing::Refuse)?.commit()?;
        assert_eq!(entries(parent.path()), ["out"]);
        assert_eq!(entries(&target), Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn a_file_in_the_way_and_a_path_without_a_name_are_refused() -> TestResult {
        let parent = tempfile::tempdir()?;
        let target = parent.path().join("out");
        fs::write(&target, "")?;
        let error = AtomicDir::create(&target, Existing::Refuse).unwrap_err();
        assert!(
            error.to_string().contains("a file of this name exists"),
            "{error}"
        );
        let error = AtomicDir::create(target.join("below"), Existing::Refuse).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let error = AtomicDir::create("/", Existing::Refuse).unwrap_err();
        assert!(error.to_string().contains("no last part"), "{error}");
        Ok(())
    }
}
