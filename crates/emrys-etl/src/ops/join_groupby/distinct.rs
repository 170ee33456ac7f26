//! Numbers of distinct values by key, from rows ordered by key and value.

use std::collections::VecDeque;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;

use crate::lookup::{KeyRuns, LookupError, key_columns, plain_type};
use crate::operator::GroupedRows;
use crate::{Error, Result};

/// Counts the values of one key after another; nulls do not count.
pub(super) struct DistinctCounts<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send + 'a>,
    types: Vec<DataType>,
    runs: KeyRuns,
    /// Keys whose rows were all read.
    done: VecDeque<i64>,
    /// The key whose rows are being read.
    open: Option<i64>,
}

impl<'a> DistinctCounts<'a> {
    /// Of rows of `members` key columns and then the value, each combination once.
    pub(super) fn new(rows: &'a GroupedRows, members: usize) -> Result<Self, LookupError> {
        let types: Vec<DataType> = rows.schema().fields()[..members]
            .iter()
            .map(|field| plain_type(field.data_type()))
            .collect();
        Ok(DistinctCounts {
            batches: rows.batches()?,
            runs: KeyRuns::new(&types)?,
            types,
            done: VecDeque::new(),
            open: None,
        })
    }

    /// The number of values of the next key.
    pub(super) fn next_count(&mut self) -> Result<i64> {
        while self.done.is_empty() {
            match self.batches.next() {
                Some(batch) => self.read(&batch?).map_err(|error| match error {
                    LookupError::Storage(error) => *error,
                    error => Error::Internal(format!("counting distinct values: {error}")),
                })?,
                None => {
                    let last = self.open.take();
                    return last.ok_or_else(|| {
                        Error::Internal("distinct values of fewer keys than there are".to_owned())
                    });
                }
            }
        }
        Ok(self.done.pop_front().unwrap_or_default())
    }

    fn read(&mut self, batch: &RecordBatch) -> Result<(), LookupError> {
        let keys = key_columns(batch, &self.types)?;
        let mut starts = self.runs.starts(&keys)?.into_iter().peekable();
        let values = batch.column(self.types.len());
        let nulls = values.logical_nulls();
        for row in 0..batch.num_rows() {
            if starts.next_if_eq(&row).is_some() {
                self.done.extend(self.open.replace(0));
            }
            let is_valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            if let Some(count) = &mut self.open
                && is_valid
            {
                *count += 1;
            }
        }
        Ok(())
    }
}
