//! Where the tables of fitted operators lie: in memory, or in temporary files that are mapped into
//! memory.
//!
//! A [`Sink`] takes bytes one after another and gives an Arrow buffer of either kind, so that what
//! reads a table does not know where it lies. Temporary files have no name: they are gone when the
//! last buffer is, even if the process is killed.

mod columns;
mod mapping;
mod sink;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use columns::ColumnSink;
pub(crate) use mapping::FileReader;
pub(crate) use sink::Sink;

use crate::{Error, Result};

/// Where vocabularies and tables of statistics by key lie once a workflow is fitted or loaded.
///
/// Ids and statistics are the same to the last bit either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateStorage {
    /// In memory without a limit of memory; with one, all tables together take at most a quarter
    /// of it, and the others lie on disk.
    #[default]
    Auto,
    /// In memory, beside what the limit of memory counts.
    Memory,
    /// On disk, in temporary files in the spill folder. A look-up reads one page of the file, which
    /// the system keeps in memory as long as there is room.
    Disk,
}

/// The share of the limit of memory that states may take.
const STATES: usize = 4;

/// Decides where tables lie, and makes temporary files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Storage {
    kind: StateStorage,
    memory_limit: Option<usize>,
    folder: Option<PathBuf>,
    /// How many bytes of states were put into memory.
    held: Arc<AtomicUsize>,
}

impl Storage {
    pub(crate) fn new(
        kind: StateStorage,
        memory_limit: Option<usize>,
        folder: Option<PathBuf>,
    ) -> Storage {
        Storage {
            kind,
            memory_limit,
            folder,
            held: Arc::default(),
        }
    }

    /// Whether a table of so many bytes lies on disk; if not, its bytes are counted.
    pub(crate) fn is_on_disk(&self, bytes: usize) -> bool {
        let room = match (self.kind, self.memory_limit) {
            (StateStorage::Disk, _) => return true,
            (StateStorage::Memory, _) | (StateStorage::Auto, None) => return false,
            (StateStorage::Auto, Some(limit)) => limit / STATES,
        };
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = held.saturating_add(bytes) <= room;
        if !fits {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        !fits
    }

    /// How many bytes of states were put into memory.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether any table may lie on disk.
    pub(crate) fn may_use_disk(&self) -> bool {
        match self.kind {
            StateStorage::Disk => true,
            StateStorage::Memory => false,
            StateStorage::Auto => self.is_limited(),
        }
    }

    /// How many bytes of intermediate results may stay in memory; `None` for any number.
    pub(crate) fn room_for_results(&self) -> Option<usize> {
        self.memory_limit.map(|limit| limit / 16)
    }

    /// Whether memory is limited.
    pub(crate) fn is_limited(&self) -> bool {
        self.memory_limit.is_some()
    }

    /// A file without a name in the spill folder.
    pub(crate) fn temporary_file(&self) -> Result<File> {
        match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder).map_err(Error::io("write to", folder)),
            None => tempfile::tempfile().map_err(Error::io("write to", std::env::temp_dir())),
        }
    }

    /// A place for `capacity` bytes or so.
    pub(crate) fn sink(&self, on_disk: bool, capacity: usize) -> Result<Sink> {
        Ok(match on_disk {
            true => Sink::disk(self.temporary_file()?),
            false => Sink::memory(capacity),
        })
    }
}
