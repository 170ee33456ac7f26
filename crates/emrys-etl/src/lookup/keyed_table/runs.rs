//! Where keys begin and end in ordered rows.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};

use crate::Result;
use crate::lookup::{LookupError, canonical, plain_type, strict_cast};
use crate::operator::GroupedRows;

/// Finds where keys begin in ordered rows that come batch by batch.
pub(crate) struct KeyRuns {
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl KeyRuns {
    pub(crate) fn new(types: &[DataType]) -> Result<KeyRuns, LookupError> {
        let fields = types.iter().cloned().map(SortField::new).collect();
        Ok(KeyRuns {
            converter: RowConverter::new(fields)?,
            last: None,
        })
    }

    /// The rows with another key than the row before them.
    pub(crate) fn starts(&mut self, keys: &[ArrayRef]) -> Result<Vec<usize>, LookupError> {
        let rows = self.converter.convert_columns(keys)?;
        let mut starts = Vec::new();
        for row in 0..rows.num_rows() {
            let same = match row.checked_sub(1) {
                Some(before) => rows.row(row) == rows.row(before),
                None => self
                    .last
                    .as_ref()
                    .is_some_and(|last| last.row() == rows.row(row)),
            };
            if !same {
                starts.push(row);
            }
        }
        if let Some(last) = rows.num_rows().checked_sub(1) {
            self.last = Some(rows.row(last).owned());
        }
        Ok(starts)
    }
}

/// The first columns of a batch in plain types, with one form for each value.
pub(crate) fn key_columns(
    batch: &RecordBatch,
    types: &[DataType],
) -> Result<Vec<ArrayRef>, LookupError> {
    let columns = batch.columns().iter().zip(types);
    columns
        .map(|(column, plain)| Ok(canonical(&strict_cast(column, plain)?)))
        .collect()
}

/// The number of keys in ordered rows, of which the first columns are the keys.
pub(super) fn count_keys(rows: &GroupedRows, width: usize) -> Result<usize, LookupError> {
    let types: Vec<DataType> = rows.schema().fields()[..width]
        .iter()
        .map(|field| plain_type(field.data_type()))
        .collect();
    let mut runs = KeyRuns::new(&types)?;
    let mut keys = 0;
    for batch in rows.batches()? {
        keys += runs.starts(&key_columns(&batch?, &types)?)?.len();
    }
    Ok(keys)
}
