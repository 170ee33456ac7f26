//! Statistics by the keys of a column or a group: what `TargetEncoding` and `JoinGroupby` learn.

use std::sync::Arc;

use crate::lookup::{KeyedTable, LookupError, Records};
use crate::operator::{ArtifactReader, ArtifactWriter, GroupedRows, Order};
use crate::storage::Storage;
use crate::{Error, Result};

/// A record of statistics for each key, and the layout of the records.
#[derive(Debug)]
pub(super) struct KeyedStatistics<R> {
    pub(super) table: KeyedTable,
    pub(super) records: R,
}

impl<R: Records + Clone> KeyedStatistics<R> {
    /// Makes them from the rows of a group-by; see [`KeyedTable::build`].
    pub(super) fn build(
        operator: &str,
        members: &[String],
        rows: GroupedRows,
        order: &[Order],
        records: R,
        storage: &Storage,
        complete: impl FnMut(&mut [u64]) -> Result<()>,
    ) -> Result<KeyedStatistics<R>> {
        let table = KeyedTable::build(members, rows, order, &records, storage, complete)
            .map_err(|error| failed(operator, members, error))?;
        Ok(KeyedStatistics { table, records })
    }

    /// The statistics of the old and the new data.
    pub(super) fn merge(
        &self,
        operator: &str,
        new: &KeyedStatistics<R>,
        storage: &Storage,
    ) -> Result<KeyedStatistics<R>> {
        let table = self
            .table
            .merge(&new.table, &self.records, storage)
            .map_err(|error| failed(operator, self.table.members(), error))?;
        Ok(KeyedStatistics {
            table,
            records: self.records.clone(),
        })
    }

    /// Writes the table; what is returned is the file for [`load`](Self::load).
    pub(super) fn save(
        &self,
        operator: &str,
        number: usize,
        artifacts: &mut ArtifactWriter,
    ) -> Result<String> {
        let name = format!("{operator}_{number:03}.parquet");
        let words = self.records.words();
        let (schema, batches) = (self.table.schema(&words), self.table.batches(&words));
        artifacts.write_batches(&name, schema, batches)
    }

    pub(super) fn load(
        operator: &str,
        members: &[String],
        file: &str,
        records: R,
        artifacts: &ArtifactReader,
    ) -> Result<KeyedStatistics<R>> {
        if members.is_empty() {
            return Err(artifacts.wrong(format!("artifact `{file}` is of no column; fit again")));
        }
        let batches = artifacts.read_batches(file)?;
        let schema = Arc::clone(&batches.schema);
        let (rows, bytes) = (batches.num_rows, batches.num_bytes);
        let storage = artifacts.storage();
        let table =
            KeyedTable::from_batches(members, &schema, rows, bytes, batches, &records, storage)
                .map_err(|error| failed(operator, members, error))?
                .ok_or_else(|| {
                    artifacts.wrong(format!("artifact `{file}` has other columns than expected"))
                })?;
        Ok(KeyedStatistics { table, records })
    }
}

/// The statistics by the keys of some columns.
pub(super) fn find<'a, R>(
    operator: &str,
    groups: &'a [Arc<KeyedStatistics<R>>],
    members: &[String],
) -> Result<&'a Arc<KeyedStatistics<R>>> {
    groups
        .iter()
        .find(|group| group.table.members() == members)
        .ok_or_else(|| not_fitted(operator, members))
}

/// The error for statistics that are not those of some columns.
pub(super) fn not_fitted(operator: &str, members: &[String]) -> Error {
    Error::Data {
        operator: operator.to_owned(),
        problem: format!(
            "it was not fitted on `{}`; fit the workflow again",
            members.join(", ")
        ),
    }
}

/// The error for keys that cannot be looked up.
pub(super) fn failed(operator: &str, members: &[String], error: LookupError) -> Error {
    match error {
        LookupError::Storage(error) => *error,
        error => Error::Data {
            operator: operator.to_owned(),
            problem: format!("column `{}`: {error}", members.join(", ")),
        },
    }
}
