//! Codes of the values of one column.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{ArrowDictionaryKeyType, DataType, Int32Type, Int64Type};

use crate::functions::put_at_nulls;

use super::bytes::{BytesTable, with_bytes, with_contiguous_bytes};
use super::keys::{NAN_KEY, integer_key, integer_of_key, plain_type, strict_cast, with_keys};
use super::table::{DenseTable, NarrowTable, PackedTable};
use super::{ABSENT, Family, LookupError, align, canonical};

/// Codes (not zero) of the distinct values of a column.
#[derive(Debug, Clone)]
pub(super) struct ColumnIndex {
    family: Family,
    table: Table,
    null_code: u32,
}

#[derive(Debug, Clone)]
enum Table {
    Empty,
    Dense(DenseTable),
    Narrow(NarrowTable),
    Packed(PackedTable),
    Bytes(BytesTable),
}

/// How many rows ahead slots are fetched while values are put into an index.
const AHEAD: usize = 16;

impl ColumnIndex {
    /// An index of distinct rows: row `i` has code `first_code + i`, also where it is null.
    pub(super) fn distinct(
        values: &ArrayRef,
        first_code: u32,
        null_code: u32,
    ) -> Result<ColumnIndex, LookupError> {
        let (mut index, values) = ColumnIndex::with_room_for(values, null_code)?;
        let nulls = values.logical_nulls();
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        if let Some(row) = (0..values.len()).rev().find(|row| is_null(*row)) {
            // The caller has checked that there are codes for all rows.
            index.null_code = first_code + row as u32;
        }
        let filled = match &mut index.table {
            Table::Empty => Ok(()),
            Table::Bytes(table) => {
                with_contiguous_bytes!(&values, bytes => table.fill(bytes, nulls.as_ref(), first_code))
            }
            table => with_keys!(&values, keys => {
                let rows = keys.zip(first_code..).enumerate();
                let rows = rows.filter(|(row, _)| !is_null(*row)).map(|(_, entry)| entry);
                match table {
                    Table::Dense(table) => table.fill(rows),
                    Table::Narrow(table) => table.fill(rows),
                    Table::Packed(table) => table.fill(rows),
                    Table::Empty | Table::Bytes(_) => Ok(()),
                }
            }),
        };
        filled.map_err(|repeated| repeated.error(first_code))?;
        index.add_nan();
        Ok(index)
    }

    /// An index of values, and the code of each row: in order of first appearance from
    /// `first_code` on, nulls apart.
    pub(super) fn by_appearance(
        values: &ArrayRef,
        first_code: u32,
        null_code: u32,
    ) -> Result<(ColumnIndex, Vec<u32>), LookupError> {
        let (mut index, values) = ColumnIndex::with_room_for(values, null_code)?;
        let nulls = values.logical_nulls();
        let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let mut codes = vec![null_code; values.len()];
        let mut next = first_code;
        let mut number = |row: usize, insert: &mut dyn FnMut(u32) -> u32| {
            if !is_null(row) {
                codes[row] = insert(next);
                next += u32::from(codes[row] == next);
            }
        };
        match &mut index.table {
            Table::Empty => {}
            Table::Bytes(table) => {
                with_contiguous_bytes!(&values, bytes => for row in 0..bytes.len() {
                    if row + AHEAD < bytes.len() {
                        table.expect(bytes, row + AHEAD);
                    }
                    number(row, &mut |code| table.insert(bytes, row, code));
                });
            }
            table => with_keys!(&values, keys => {
                let ahead = keys.clone().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
                for ((row, key), ahead) in keys.enumerate().zip(ahead) {
                    ahead.into_iter().for_each(|key| table.expect(key));
                    number(row, &mut |code| table.insert(key, code));
                }
            }),
        }
        index.add_nan();
        Ok((index, codes))
    }

    /// An empty index, and the values in the form in which they are put into it.
    fn with_room_for(
        values: &ArrayRef,
        null_code: u32,
    ) -> Result<(ColumnIndex, ArrayRef), LookupError> {
        let family = Family::of(values.data_type())?;
        let values = canonical(&strict_cast(values, &plain_type(values.data_type()))?);
        let table = match family {
            Family::Null => Table::Empty,
            Family::Bytes => Table::Bytes(BytesTable::new(&values)?),
            _ => Table::of_numbers(family, &values)?,
        };
        let index = ColumnIndex {
            family,
            table,
            null_code,
        };
        Ok((index, values))
    }

    /// NaN is looked up as a value, with the code of nulls.
    fn add_nan(&mut self) {
        if let (Family::Float, Table::Packed(table)) = (self.family, &mut self.table)
            && self.null_code != ABSENT
        {
            table.insert(NAN_KEY, self.null_code);
        }
    }

    /// How many bytes the table takes.
    pub(super) fn num_bytes(&self) -> usize {
        match &self.table {
            Table::Empty => 0,
            Table::Dense(table) => table.num_bytes(),
            Table::Narrow(table) => table.num_bytes(),
            Table::Packed(table) => table.num_bytes(),
            Table::Bytes(table) => table.num_bytes(),
        }
    }

    /// Whether values of a type can be looked up.
    pub(super) fn check(&self, data_type: &DataType) -> Result<(), LookupError> {
        if self.family.accepts(Family::of(data_type)?) {
            return Ok(());
        }
        Err(LookupError::Mismatch {
            found: data_type.clone(),
            expected: self.family.name(),
        })
    }

    /// The code of each row; [`ABSENT`] where the value is not in the index.
    pub(super) fn lookup(&self, values: &ArrayRef) -> Result<Vec<u32>, LookupError> {
        if let DataType::Dictionary(key_type, _) = values.data_type() {
            return self.lookup_dictionary(values, key_type);
        }
        let values = self.align(values)?;
        let mut codes = vec![ABSENT; values.len()];
        match &self.table {
            _ if values.data_type() == &DataType::Null => codes.fill(self.null_code),
            // Only nulls are known, among them NaN.
            Table::Empty => return Ok(self.with_nulls(codes, &canonical(&values))),
            Table::Dense(table) => with_keys!(&values, keys => table.lookup(keys, &mut codes)),
            Table::Narrow(table) => lookup_narrow(table, &values, &mut codes)?,
            Table::Packed(table) => with_keys!(&values, keys => table.lookup(keys, &mut codes)),
            Table::Bytes(table) => {
                with_bytes!(&values, bytes => table.lookup(&bytes, &mut codes));
            }
        }
        Ok(self.with_nulls(codes, &values))
    }

    /// The values in a type of the family of the index.
    pub(super) fn align(&self, values: &ArrayRef) -> Result<ArrayRef, LookupError> {
        match values.data_type() {
            DataType::Dictionary(_, _) | DataType::FixedSizeBinary(_) => align(
                &strict_cast(values, &plain_type(values.data_type()))?,
                self.family,
            ),
            _ => align(values, self.family),
        }
    }

    fn with_nulls(&self, mut codes: Vec<u32>, values: &dyn Array) -> Vec<u32> {
        if let Some(nulls) = values.nulls().filter(|nulls| nulls.null_count() > 0) {
            put_at_nulls(&mut codes, nulls, self.null_code);
        }
        codes
    }

    /// Looks up the distinct values once.
    fn lookup_dictionary(
        &self,
        values: &ArrayRef,
        key_type: &DataType,
    ) -> Result<Vec<u32>, LookupError> {
        use arrow::datatypes::{
            Int8Type, Int16Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        };
        match key_type {
            DataType::Int8 => self.lookup_keyed::<Int8Type>(values),
            DataType::Int16 => self.lookup_keyed::<Int16Type>(values),
            DataType::Int32 => self.lookup_keyed::<Int32Type>(values),
            DataType::Int64 => self.lookup_keyed::<Int64Type>(values),
            DataType::UInt8 => self.lookup_keyed::<UInt8Type>(values),
            DataType::UInt16 => self.lookup_keyed::<UInt16Type>(values),
            DataType::UInt32 => self.lookup_keyed::<UInt32Type>(values),
            _ => self.lookup_keyed::<UInt64Type>(values),
        }
    }

    fn lookup_keyed<K>(&self, values: &ArrayRef) -> Result<Vec<u32>, LookupError>
    where
        K: ArrowDictionaryKeyType + ArrowPrimitiveType,
    {
        let dictionary = values.as_dictionary::<K>();
        if dictionary.values().len() > 2 * dictionary.len() {
            let plain = strict_cast(dictionary, dictionary.values().data_type())?;
            return self.lookup(&plain);
        }
        let distinct = self.lookup(dictionary.values())?;
        Ok(dictionary
            .keys_iter()
            .map(|key| key.map_or(self.null_code, |key| distinct[key]))
            .collect())
    }
}

/// The code of each value of an array of integers or booleans.
fn lookup_narrow(
    table: &NarrowTable,
    values: &ArrayRef,
    codes: &mut [u32],
) -> Result<(), LookupError> {
    match values.data_type() {
        DataType::Int32 => {
            table.lookup_integers(values.as_primitive::<Int32Type>().values(), codes);
        }
        DataType::Int64 => {
            table.lookup_integers(values.as_primitive::<Int64Type>().values(), codes);
        }
        _ => with_keys!(values, keys => table.lookup(keys, codes)),
    }
    Ok(())
}

impl Table {
    /// Stores the code of a number unless it is there; returns the code that it has now.
    fn insert(&mut self, key: u128, code: u32) -> u32 {
        match self {
            Table::Dense(table) => table.insert(key, code),
            Table::Narrow(table) => table.insert(key, code),
            Table::Packed(table) => table.insert(key, code),
            Table::Empty | Table::Bytes(_) => ABSENT,
        }
    }

    /// Asks for the slot of a number that is to be inserted soon.
    fn expect(&self, key: u128) {
        match self {
            Table::Narrow(table) => table.expect(key),
            Table::Packed(table) => table.expect(key),
            Table::Empty | Table::Dense(_) | Table::Bytes(_) => {}
        }
    }

    /// An empty table for numbers, booleans or times: the closer the values, the smaller.
    fn of_numbers(family: Family, values: &ArrayRef) -> Result<Table, LookupError> {
        let capacity = values.len() + 1;
        if family != Family::Integer && family != Family::Boolean {
            return Ok(Table::Packed(PackedTable::with_capacity(capacity)));
        }
        let (mut first, mut last) = (i128::MAX, i128::MIN);
        with_keys!(values, keys => for (row, key) in keys.enumerate() {
            if values.is_valid(row) {
                let value = integer_of_key(key);
                first = first.min(value);
                last = last.max(value);
            }
        });
        if let Some(range) = DenseTable::worthwhile(first, last, values.len()) {
            return Ok(Table::Dense(DenseTable::new(integer_key(first), range)));
        }
        Ok(match NarrowTable::holds(first, last) {
            true => Table::Narrow(NarrowTable::new(integer_key(first), capacity)),
            false => Table::Packed(PackedTable::with_capacity(capacity)),
        })
    }
}
