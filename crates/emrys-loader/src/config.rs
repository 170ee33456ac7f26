//! How a loader cuts its data into batches.

use std::num::NonZero;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What becomes of nulls and NaNs in float columns.
///
/// Nulls in integer columns are always an error: an id must mean something.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They are an error that names the column.
    #[default]
    Refuse,
    /// They are replaced by this value.
    Fill(f64),
    /// NaNs are kept, and nulls become NaN.
    KeepNan,
}

/// How a [`Loader`](crate::Loader) cuts its data into batches.
///
/// ```
/// use emrys_loader::LoaderConfig;
///
/// let config = LoaderConfig::new(4096).with_shuffle(true).with_seed(42).with_drop_last(true);
/// assert_eq!(config.batch_size(), 4096);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    batch_size: usize,
    #[serde(default)]
    shuffle: bool,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    drop_last: bool,
    #[serde(default = "default_parts_per_chunk")]
    parts_per_chunk: usize,
    #[serde(default)]
    columns: Option<Vec<String>>,
    #[serde(default)]
    missing: Missing,
    #[serde(default)]
    threads: Option<usize>,
    #[serde(default)]
    parts_ahead: Option<usize>,
    #[serde(default)]
    batches_ahead: Option<usize>,
}

fn default_parts_per_chunk() -> usize {
    4
}

impl LoaderConfig {
    /// Batches of that many rows, in the order of the files.
    pub fn new(batch_size: usize) -> LoaderConfig {
        LoaderConfig {
            batch_size,
            shuffle: false,
            seed: 0,
            drop_last: false,
            parts_per_chunk: default_parts_per_chunk(),
            columns: None,
            missing: Missing::default(),
            threads: None,
            parts_ahead: None,
            batches_ahead: None,
        }
    }

    /// Whether rows come in a new random order each epoch; off at first.
    #[must_use]
    pub fn with_shuffle(mut self, shuffle: bool) -> LoaderConfig {
        self.shuffle = shuffle;
        self
    }

    /// What the random order depends on, together with the epoch; 0 at first.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> LoaderConfig {
        self.seed = seed;
        self
    }

    /// Whether the rows that do not fill the last batch are left out; off at first.
    ///
    /// When shuffled, other rows are left out in each epoch.
    #[must_use]
    pub fn with_drop_last(mut self, drop_last: bool) -> LoaderConfig {
        self.drop_last = drop_last;
        self
    }

    /// How many row groups are shuffled together; 4 at first.
    ///
    /// Row groups of all files are drawn in random order, so more of them together mix the rows
    /// better and need more memory. With as many as there are, the shuffle is uniform.
    #[must_use]
    pub fn with_parts_per_chunk(mut self, parts_per_chunk: usize) -> LoaderConfig {
        self.parts_per_chunk = parts_per_chunk;
        self
    }

    /// The columns to load; at first all that a model can use (see [`Loader::open`](crate::Loader::open)).
    #[must_use]
    pub fn with_columns(
        mut self,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> LoaderConfig {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// What becomes of nulls and NaNs in float columns; refused at first.
    #[must_use]
    pub fn with_missing(mut self, missing: Missing) -> LoaderConfig {
        self.missing = missing;
        self
    }

    /// How many threads decode, gather and plan; one per core at first.
    ///
    /// The batches are the same whatever the number.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> LoaderConfig {
        self.threads = Some(threads);
        self
    }

    /// How many row groups may be decoded ahead of the chunk that is being cut; at first one per
    /// thread, and at least a chunk.
    ///
    /// Memory holds about `parts_per_chunk + parts_ahead` decoded row groups.
    #[must_use]
    pub fn with_parts_ahead(mut self, parts_ahead: usize) -> LoaderConfig {
        self.parts_ahead = Some(parts_ahead);
        self
    }

    /// How many batches may wait with their lookups planned; at first two per thread.
    #[must_use]
    pub fn with_batches_ahead(mut self, batches_ahead: usize) -> LoaderConfig {
        self.batches_ahead = Some(batches_ahead);
        self
    }

    /// The rows of a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Whether rows come in a random order.
    pub fn shuffle(&self) -> bool {
        self.shuffle
    }

    /// What the random order depends on.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether an incomplete last batch is left out.
    pub fn drop_last(&self) -> bool {
        self.drop_last
    }

    /// How many row groups are shuffled together.
    pub fn parts_per_chunk(&self) -> usize {
        self.parts_per_chunk
    }

    /// The columns that were named, if any were.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// What becomes of nulls and NaNs in float columns.
    pub fn missing(&self) -> Missing {
        self.missing
    }

    /// How many threads decode, gather and plan.
    pub fn threads(&self) -> usize {
        self.threads
            .unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get))
    }

    /// How many row groups may be decoded ahead.
    pub fn parts_ahead(&self) -> usize {
        self.parts_ahead
            .unwrap_or_else(|| self.threads().max(self.parts_per_chunk))
    }

    /// How many batches may wait.
    pub fn batches_ahead(&self) -> usize {
        self.batches_ahead.unwrap_or_else(|| 2 * self.threads())
    }

    pub(crate) fn check(&self) -> Result<()> {
        let settings = [
            ("batch_size", self.batch_size),
            ("parts_per_chunk", self.parts_per_chunk),
            ("threads", self.threads()),
            ("parts_ahead", self.parts_ahead()),
            ("batches_ahead", self.batches_ahead()),
        ];
        match settings.into_iter().find(|(_, value)| *value == 0) {
            Some((setting, _)) => Err(Error::ZeroSetting { setting }),
            None => Ok(()),
        }
    }
}
