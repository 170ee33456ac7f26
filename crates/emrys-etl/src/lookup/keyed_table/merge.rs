//! One table of two, which are read side by side.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};

use super::builder::Builder;
use super::{KeyedTable, ROWS_AT_ONCE, Records};
use crate::lookup::{LookupError, common_type, strict_cast};
use crate::storage::Storage;

impl KeyedTable {
    /// The table of the old and the new data.
    pub(crate) fn merge(
        &self,
        new: &KeyedTable,
        records: &dyn Records,
        storage: &Storage,
    ) -> Result<KeyedTable, LookupError> {
        let types = self
            .keys
            .iter()
            .zip(&new.keys)
            .map(|(a, b)| common_type([a.data_type(), b.data_type()]))
            .collect::<Result<Vec<_>, _>>()?;
        let keys = self.len() + new.len();
        let bytes: usize = self
            .keys
            .iter()
            .chain(&new.keys)
            .map(|keys| keys.get_array_memory_size())
            .sum();
        let mut builder = Builder::new(&types, keys, bytes, records, storage)?;
        let mut sides = [Cursor::new(self, &types)?, Cursor::new(new, &types)?];
        // Which keys come next: side, and row within what the side has loaded.
        let mut pending: Vec<(usize, usize)> = Vec::new();
        loop {
            let order = match (sides[0].current(), sides[1].current()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.cmp(&b),
            };
            let mut record = sides[usize::from(order.is_gt())].record().to_vec();
            if order.is_eq() {
                records.merge(&mut record, sides[1].record());
            }
            builder.add_record(&record)?;
            let side = usize::from(order.is_gt());
            pending.push((side, sides[side].at));
            if order.is_le() {
                sides[0].at += 1;
            }
            if order.is_ge() {
                sides[1].at += 1;
            }
            let finished = sides.iter().any(Cursor::needs_more);
            if finished {
                builder.add_keys(interleaved(&sides, &pending, types.len())?)?;
                pending.clear();
                for side in &mut sides {
                    side.load_more(&types)?;
                }
            }
        }
        builder.finish(self.members.clone())
    }
}

/// A position in a table that is read key by key.
struct Cursor<'a> {
    table: &'a KeyedTable,
    /// The first key that is loaded.
    start: usize,
    keys: Vec<ArrayRef>,
    rows: Rows,
    /// The current key among those that are loaded.
    at: usize,
    converter: RowConverter,
}

impl<'a> Cursor<'a> {
    fn new(table: &'a KeyedTable, types: &[DataType]) -> Result<Cursor<'a>, LookupError> {
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields)?;
        let mut cursor = Cursor {
            table,
            start: 0,
            keys: Vec::new(),
            rows: converter.empty_rows(0, 0),
            at: 0,
            converter,
        };
        cursor.load(0, types)?;
        Ok(cursor)
    }

    fn load(&mut self, start: usize, types: &[DataType]) -> Result<(), LookupError> {
        let length = ROWS_AT_ONCE.min(self.table.len() - start);
        let keys = self.table.keys.iter().zip(types);
        self.keys = keys
            .map(|(keys, data_type)| strict_cast(&keys.slice(start, length), data_type))
            .collect::<Result<_, _>>()?;
        self.rows = self.converter.convert_columns(&self.keys)?;
        self.start = start;
        self.at = 0;
        Ok(())
    }

    fn current(&self) -> Option<arrow::row::Row<'_>> {
        (self.at < self.rows.num_rows()).then(|| self.rows.row(self.at))
    }

    fn record(&self) -> &[u64] {
        self.table.record_of(self.start + self.at)
    }

    /// Whether all loaded keys were used.
    fn needs_more(&self) -> bool {
        self.at == self.rows.num_rows() && self.at > 0
    }

    fn load_more(&mut self, types: &[DataType]) -> Result<(), LookupError> {
        if self.needs_more() {
            self.load(self.start + self.at, types)?;
        }
        Ok(())
    }
}

/// The pending keys in one array per member.
fn interleaved(
    sides: &[Cursor<'_>; 2],
    pending: &[(usize, usize)],
    width: usize,
) -> Result<Vec<ArrayRef>, LookupError> {
    (0..width)
        .map(|at| {
            let arrays: [&dyn Array; 2] = [&*sides[0].keys[at], &*sides[1].keys[at]];
            Ok(interleave(&arrays, pending)?)
        })
        .collect()
}
