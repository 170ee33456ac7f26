//! Folders for what queries spill.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Result};

/// How the names of spill folders begin.
const PREFIX: &str = "emrys-spill-";

/// How often a folder that something is still written to is tried to be deleted, and the pause
/// between.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// A folder of its own within a folder for spill files, which goes away with its owner.
///
/// A process that is killed leaves it behind. So its owner holds a lock on it, which the system
/// takes back when the process ends however it ends, and whoever comes next deletes the folders
/// that nobody holds.
///
/// ```
/// use emrys_etl::session::SpillFolder;
///
/// let parent = tempfile::tempdir()?;
/// std::fs::create_dir(parent.path().join("emrys-spill-of-a-killed-process"))?;
/// let folder = SpillFolder::create(parent.path())?;
/// assert_eq!(std::fs::read_dir(parent.path())?.count(), 1);
/// drop(folder);
/// assert_eq!(std::fs::read_dir(parent.path())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SpillFolder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl SpillFolder {
    /// Makes the folder, and deletes those in `parent` that killed processes have left; a missing
    /// parent is created.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::DiskFull`] if `parent` cannot be written to.
    pub fn create(parent: impl AsRef<Path>) -> Result<SpillFolder> {
        let parent = parent.as_ref();
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        delete_abandoned(parent);
        loop {
            let path = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(parent)
                .map_err(Error::io("write to", parent))?
                .keep();
            let locked = File::open(&path).and_then(|lock| {
                match lock.lock() {
                    // Where nothing can be locked, nothing is taken for abandoned either.
                    Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
                    _ => {}
                }
                fs::metadata(&path)?;
                Ok(lock)
            });
            match locked {
                Ok(lock) => return Ok(SpillFolder { path, _lock: lock }),
                // Before it was locked, another process took it for abandoned.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let _ = fs::remove_dir_all(&path);
                    return Err(Error::io("lock", path)(error));
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        // Tasks of a query that was stopped may write for a moment longer.
        for _ in 0..TRIES {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => std::thread::sleep(PAUSE),
                _ => break,
            }
        }
    }
}

/// Deletes, as far as that is possible, the folders whose owners are gone.
fn delete_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
            // Of a link, not of what it points to.
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_ours {
            continue;
        }
        // The lock of a living owner cannot be taken; ours is held until the folder is gone.
        if let Ok(folder) = File::open(entry.path())
            && folder.try_lock().is_ok()
            && fs::remove_dir_all(entry.path()).is_ok()
        {
            tracing::info!(folder = %entry.path().display(), "deleted what a killed process spilled");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn folders_of_the_living_stay_and_those_of_the_dead_go() -> TestResult {
        let parent = tempfile::tempdir()?;
        let living = SpillFolder::create(parent.path())?;
        fs::write(living.path().join("spilled"), "rows")?;
        // What the process leaves that is killed: a folder with files, and no lock.
        let dead = parent.path().join("emrys-spill-dead");
        fs::create_dir_all(dead.join("datafusion-1"))?;
        fs::write(dead.join("datafusion-1/spilled"), "rows")?;
        // What others have there is none of our business.
        fs::create_dir(parent.path().join("datafusion-2"))?;
        fs::write(parent.path().join("emrys-spill-file"), "")?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(
            parent.path().join("datafusion-2"),
            parent.path().join("emrys-spill-link"),
        )?;

        let next = SpillFolder::create(parent.path())?;
        assert!(!dead.exists());
        assert!(living.path().join("spilled").exists() && next.path().exists());
        drop((living, next));
        let left = names(parent.path());
        assert!(left.iter().any(|name| name == "datafusion-2"), "{left:?}");
        assert!(left.iter().any(|name| name == "emrys-spill-file"));
        assert!(
            !left
                .iter()
                .any(|name| name.len() > "emrys-spill-file".len())
        );
        Ok(())
    }

    #[test]
    fn many_at_once_do_not_delete_each_other() -> TestResult {
        let parent = tempfile::tempdir()?;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let folder = SpillFolder::create(parent.path()).unwrap();
                        fs::write(folder.path().join("spilled"), "rows").unwrap();
                        assert!(folder.path().join("spilled").exists());
                    }
                });
            }
        });
        assert_eq!(names(parent.path()), Vec::<String>::new());
        Ok(())
    }
}
