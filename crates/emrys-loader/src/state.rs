//! Where an epoch stands, to be saved and resumed.

use serde::{Deserialize, Serialize};

use crate::{Error, LoaderConfig, Result};

/// Where an epoch stands: how many of its batches have been given.
///
/// It also remembers what the order of rows depends on, so that a run cannot be resumed with other
/// data or settings unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderState {
    epoch: u64,
    batches_done: usize,
    num_rows: usize,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
    parts_per_chunk: usize,
}

impl LoaderState {
    pub(crate) fn new(epoch: u64, num_rows: usize, config: &LoaderConfig) -> LoaderState {
        LoaderState {
            epoch,
            batches_done: 0,
            num_rows,
            batch_size: config.batch_size(),
            shuffle: config.shuffle(),
            seed: config.seed(),
            parts_per_chunk: config.parts_per_chunk(),
        }
    }

    /// The epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many batches of the epoch have been given.
    pub fn batches_done(&self) -> usize {
        self.batches_done
    }

    pub(crate) fn count_batch(&mut self) {
        self.batches_done += 1;
    }

    /// Whether the state belongs to the same order of rows as `current`.
    pub(crate) fn check(&self, current: &LoaderState) -> Result<()> {
        let settings = |state: &LoaderState| {
            [
                ("num_rows", state.num_rows as u64),
                ("batch_size", state.batch_size as u64),
                ("shuffle", u64::from(state.shuffle)),
                ("seed", state.seed),
                ("parts_per_chunk", state.parts_per_chunk as u64),
            ]
        };
        for ((setting, saved), (_, current)) in settings(self).into_iter().zip(settings(current)) {
            if saved != current {
                return Err(Error::StateMismatch {
                    setting,
                    saved,
                    current,
                });
            }
        }
        Ok(())
    }
}
