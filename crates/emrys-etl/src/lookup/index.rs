//! Codes of values and of tuples of values.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::column::ColumnIndex;
use super::disk::{DiskIndex, DiskIndexBuilder};
use super::table::PackedTable;
use super::{ABSENT, LookupError};
use crate::storage::Storage;

/// The code of a null member of a tuple; values of the member come after it.
const NULL_MEMBER: u32 = 1;

/// Codes of distinct values, or of distinct tuples of values with nulls among their members.
///
/// Equal numbers are equal whatever the width of their types; NaN is null, and -0.0 is 0.0.
#[derive(Debug, Clone)]
pub(crate) struct ValueIndex {
    tables: Tables,
}

#[derive(Debug, Clone)]
enum Tables {
    Memory(MemoryIndex),
    Disk(DiskIndex),
}

/// How many rows at a time are put into an index on disk.
const ROWS_AT_ONCE: usize = 1 << 16;

impl ValueIndex {
    /// Numbers the rows of some columns: row `i` gets code `first_code + i`. A null (for tuples:
    /// nothing but nulls) has code `null_code`, unless it is one of the rows.
    ///
    /// # Errors
    /// [`LookupError::Repeated`] if two rows are the same; [`LookupError::TooMany`] rows for 32
    /// bits; [`LookupError::Unsupported`] types, such as lists.
    pub(crate) fn build(
        columns: &[ArrayRef],
        first_code: u32,
        null_code: u32,
    ) -> Result<ValueIndex, LookupError> {
        let tables = Tables::Memory(MemoryIndex::build(columns, first_code, null_code)?);
        Ok(ValueIndex { tables })
    }

    /// The same on disk: equal codes for equal rows. The columns are of plain types, with one form
    /// for each value.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`LookupError::Storage`].
    pub(crate) fn build_on_disk(
        columns: &[ArrayRef],
        first_code: u32,
        null_code: u32,
        storage: &Storage,
    ) -> Result<ValueIndex, LookupError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let types: Vec<&DataType> = columns.iter().map(|column| column.data_type()).collect();
        let mut builder = DiskIndexBuilder::new(&types, rows, first_code, null_code, storage)?;
        for start in (0..rows).step_by(ROWS_AT_ONCE) {
            let length = ROWS_AT_ONCE.min(rows - start);
            let part: Vec<ArrayRef> = columns
                .iter()
                .map(|column| column.slice(start, length))
                .collect();
            builder.push(&part)?;
        }
        Ok(ValueIndex::from_disk(builder.finish()?))
    }

    /// An index that was written row by row.
    pub(crate) fn from_disk(index: DiskIndex) -> ValueIndex {
        let tables = Tables::Disk(index);
        ValueIndex { tables }
    }

    /// Whether columns of these types can be looked up; the position of the first that cannot is
    /// part of the error.
    pub(crate) fn check(&self, types: &[&DataType]) -> Result<(), (usize, LookupError)> {
        match &self.tables {
            Tables::Memory(index) => index.check(types),
            Tables::Disk(index) => index.check(types),
        }
    }

    /// Values as [`lookup`](Self::lookup) sees them: of the family that was indexed, so that equal
    /// values have equal hashes.
    pub(crate) fn align(
        &self,
        position: usize,
        values: &ArrayRef,
    ) -> Result<ArrayRef, LookupError> {
        match &self.tables {
            Tables::Memory(index) => index.columns[position].align(values),
            Tables::Disk(index) => index.align(position, values),
        }
    }

    /// The code of each row; [`ABSENT`] where the value or tuple is not in the index.
    ///
    /// # Errors
    /// [`LookupError::Mismatch`] as [`check`](Self::check) finds it before;
    /// [`LookupError::Inexact`] for a fraction among integers.
    pub(crate) fn lookup(&self, columns: &[ArrayRef]) -> Result<Vec<u32>, LookupError> {
        match &self.tables {
            Tables::Memory(index) => index.lookup(columns),
            Tables::Disk(index) => index.lookup(columns),
        }
    }

    /// How much memory the tables take, without the values; nothing on disk.
    pub(crate) fn num_bytes(&self) -> usize {
        match &self.tables {
            Tables::Memory(index) => index.num_bytes(),
            Tables::Disk(_) => 0,
        }
    }

    /// About how much memory the tables of so many rows take at most; integers need less.
    pub(crate) fn expected_bytes(rows: usize, columns: usize) -> usize {
        // Tables are half full of slots of 16 bytes; tuples have one for each pair besides.
        rows.saturating_mul(32) * (2 * columns - 1)
    }
}

#[derive(Debug, Clone)]
struct MemoryIndex {
    columns: Vec<ColumnIndex>,
    /// For tuples: table `i` numbers the pairs of (number of the first `i + 1` members, number of
    /// the next member); the last one holds the codes.
    pairs: Vec<PackedTable>,
}

impl MemoryIndex {
    fn build(
        columns: &[ArrayRef],
        first_code: u32,
        null_code: u32,
    ) -> Result<MemoryIndex, LookupError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let most = u32::MAX - first_code;
        if rows > most as usize {
            return Err(LookupError::TooMany { found: rows, most });
        }
        if let [column] = columns {
            return Ok(MemoryIndex {
                columns: vec![ColumnIndex::distinct(column, first_code, null_code)?],
                pairs: Vec::new(),
            });
        }

        let mut members = Vec::with_capacity(columns.len());
        let mut numbers = Vec::with_capacity(columns.len());
        for column in columns {
            let (member, number) =
                ColumnIndex::by_appearance(column, NULL_MEMBER + 1, NULL_MEMBER)?;
            members.push(member);
            numbers.push(number);
        }
        let mut pairs = Vec::with_capacity(columns.len() - 1);
        let mut prefix = numbers[0].clone();
        // The number of the tuple of nulls grows with the prefix.
        let mut null_prefix = NULL_MEMBER;
        for (at, member) in numbers.iter().enumerate().skip(1) {
            let is_last = at + 1 == numbers.len();
            let mut table = PackedTable::with_capacity(rows + 1);
            let mut next = 1;
            for (row, (prefix, member)) in prefix.iter_mut().zip(member).enumerate() {
                let key = pair_key(*prefix, *member);
                if is_last {
                    // `rows` is known to fit.
                    *prefix = table.insert(key, first_code + row as u32);
                } else {
                    *prefix = table.insert(key, next);
                    next += u32::from(*prefix == next);
                }
            }
            let null_key = pair_key(null_prefix, NULL_MEMBER);
            if !is_last {
                null_prefix = table.insert(null_key, next);
            } else if null_code != ABSENT {
                table.insert(null_key, null_code);
            }
            pairs.push(table);
        }
        check_distinct(&prefix, first_code)?;
        Ok(MemoryIndex {
            columns: members,
            pairs,
        })
    }

    fn check(&self, types: &[&DataType]) -> Result<(), (usize, LookupError)> {
        for (position, (column, data_type)) in self.columns.iter().zip(types).enumerate() {
            column.check(data_type).map_err(|error| (position, error))?;
        }
        Ok(())
    }

    fn num_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(ColumnIndex::num_bytes).sum();
        let pairs: usize = self.pairs.iter().map(PackedTable::num_bytes).sum();
        columns + pairs
    }

    fn lookup(&self, columns: &[ArrayRef]) -> Result<Vec<u32>, LookupError> {
        let mut codes = self.columns[0].lookup(&columns[0])?;
        for ((member, values), pairs) in
            self.columns[1..].iter().zip(&columns[1..]).zip(&self.pairs)
        {
            let numbers = member.lookup(values)?;
            let prefix = codes.clone();
            let keys = prefix
                .iter()
                .zip(&numbers)
                .map(|(prefix, number)| pair_key(*prefix, *number));
            pairs.lookup(keys, &mut codes);
        }
        Ok(codes)
    }
}

/// The key of a pair. Members that are absent have number zero, which is in no stored key.
fn pair_key(prefix: u32, member: u32) -> u128 {
    u128::from(prefix) << 32 | u128::from(member)
}

fn check_distinct(codes: &[u32], first_code: u32) -> Result<(), LookupError> {
    match codes
        .iter()
        .enumerate()
        .find(|(row, code)| **code as usize != first_code as usize + row)
    {
        Some((row, code)) => Err(LookupError::Repeated {
            first: (code - first_code) as usize,
            second: row,
        }),
        None => Ok(()),
    }
}
