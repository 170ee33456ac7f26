//! The first row of each id of a data set.

use std::collections::HashSet;

use emrys_loader::{Batch, Epoch, Loader, LookupSpec};

use crate::Result;
use crate::loading::in_file_order;
use crate::tasks::item_ids;

/// Streams the rows of a data set whose id has not come before: with the id of items, the features
/// of each item once.
///
/// The rows come in the order of the files, whatever order the loader is set to, so the first row
/// of an id wins. Batches have as many rows as a batch brought new ids, never none.
///
/// # Memory
/// The ids that have come; 8 bytes each and the overhead of a hash set.
pub struct UniqueRows {
    epoch: Epoch,
    id_column: String,
    lookups: Vec<LookupSpec>,
    seen: HashSet<i64>,
}

impl UniqueRows {
    /// The first row of each value of `id_column`. Only `columns` are read besides it, and the
    /// batches have plans for `lookups`.
    ///
    /// # Errors
    /// A column is not in the data.
    pub fn new<'a>(
        loader: &Loader,
        id_column: &'a str,
        columns: impl IntoIterator<Item = &'a str>,
        lookups: Vec<LookupSpec>,
    ) -> Result<Self> {
        let mut names: Vec<&str> = columns.into_iter().collect();
        if !names.contains(&id_column) {
            names.push(id_column);
        }
        let epoch = in_file_order(loader, names, Vec::new())?.epoch(0)?;
        Ok(Self {
            epoch,
            id_column: id_column.to_owned(),
            lookups,
            seen: HashSet::new(),
        })
    }

    fn first_rows(&mut self, batch: &Batch) -> Result<Option<(Vec<i64>, Batch)>> {
        let ids = item_ids(batch, "unique_rows", &self.id_column)?;
        let is_new = |(_, id): &(u32, &i64)| self.seen.insert(**id);
        let (rows, ids): (Vec<u32>, Vec<i64>) = (0..).zip(&ids).filter(is_new).unzip();
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some((ids, batch.take(&rows).with_lookups(&self.lookups)?)))
    }
}

impl Iterator for UniqueRows {
    /// The ids, one a row of the batch.
    type Item = Result<(Vec<i64>, Batch)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rows = match self.epoch.next()? {
                Ok(batch) => self.first_rows(&batch),
                Err(error) => Err(error.into()),
            };
            if let Some(rows) = rows.transpose() {
                return Some(rows);
            }
        }
    }
}
