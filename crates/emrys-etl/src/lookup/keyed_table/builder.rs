//! Making a table, key by key.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::{KeyedTable, Records};
use crate::Result;
use crate::lookup::{DiskIndexBuilder, LookupError, ValueIndex};
use crate::storage::{ColumnSink, Sink, Storage};

/// A table on its way into memory or onto disk.
pub(super) struct Builder {
    keys: Vec<ColumnSink>,
    words: Sink,
    width: usize,
    index: Option<DiskIndexBuilder>,
    /// Whether the record of a key is being filled.
    pub(super) is_open: bool,
}

impl Builder {
    pub(super) fn new(
        types: &[DataType],
        keys: usize,
        bytes: usize,
        records: &dyn Records,
        storage: &Storage,
    ) -> Result<Builder, LookupError> {
        let width = records.empty().len();
        let expected = bytes + 8 * keys * width + ValueIndex::expected_bytes(keys, types.len());
        let on_disk = keys > 0 && storage.is_on_disk(expected);
        let sink = |data_type: &DataType| ColumnSink::new(data_type, storage, on_disk, keys, bytes);
        let index = match on_disk {
            true => {
                let types: Vec<&DataType> = types.iter().collect();
                Some(DiskIndexBuilder::new(&types, keys, 1, 0, storage)?)
            }
            false => None,
        };
        Ok(Builder {
            keys: types.iter().map(sink).collect::<Result<_>>()?,
            words: storage.sink(on_disk, 8 * keys * width)?,
            width,
            index,
            is_open: false,
        })
    }

    pub(super) fn add_keys(&mut self, columns: Vec<ArrayRef>) -> Result<(), LookupError> {
        for (sink, column) in self.keys.iter_mut().zip(&columns) {
            sink.append(column)?;
        }
        match &mut self.index {
            Some(index) => index.push(&columns),
            None => Ok(()),
        }
    }

    pub(super) fn add_record(&mut self, record: &[u64]) -> Result<()> {
        self.words.write_all(record)
    }

    pub(super) fn finish(self, members: Vec<String>) -> Result<KeyedTable, LookupError> {
        let keys = self.keys.into_iter().map(ColumnSink::finish);
        let keys = keys.collect::<Result<Vec<_>>>()?;
        // Code 0 is an unknown key, the first key has code 1.
        let index = match self.index {
            Some(index) => ValueIndex::from_disk(index.finish()?),
            None => ValueIndex::build(&keys, 1, 0)?,
        };
        Ok(KeyedTable {
            members,
            keys,
            index: Arc::new(index),
            width: self.width,
            words: self.words.finish_numbers()?,
        })
    }
}
