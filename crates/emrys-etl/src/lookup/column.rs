//! Codes of the values of one column.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{ArrowDictionaryKeyType, DataType, Int32Type, Int64Type};

use crate::functions::put_at_nulls;

use super::bytes::{BytesTable, with_bytes};
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

/// How rows of values that are put into an index are numbered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbering {
    /// By row, from the given code on; a null row has the code of its row.
    ByRow(u32),
    /// In order of first appearance, from the given code on, nulls apart.
    ByAppearance(u32),
}

impl ColumnIndex {
    /// An index of the rows of a column, and the code of each row. Rows with a value that was
    /// there before get the code that it has.
    pub(super) fn build(
        values: &ArrayRef,
        numbering: Numbering,
        null_code: u32,
    ) -> Result<(ColumnIndex, Vec<u32>), LookupError> {
        let family = Family::of(values.data_type())?;
        let values = canonical(&strict_cast(values, &plain_type(values.data_type()))?);
        let nulls = values.logical_nulls();
        let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let mut null_code = null_code;
        let mut next = match numbering {
            Numbering::ByRow(first) | Numbering::ByAppearance(first) => first,
        };
        let mut codes = vec![ABSENT; values.len()];
        let mut number = |row: usize, insert: &mut dyn FnMut(u32) -> u32| {
            let code = match numbering {
                Numbering::ByRow(first) => {
                    // The caller has checked that there are codes for all rows.
                    let code = first + row as u32;
                    if is_null(row) {
                        null_code = code;
                        code
                    } else {
                        insert(code)
                    }
                }
                Numbering::ByAppearance(_) if is_null(row) => null_code,
                Numbering::ByAppearance(_) => {
                    let code = insert(next);
                    next += u32::from(code == next);
                    code
                }
            };
            codes[row] = code;
        };
        let table = match family {
            Family::Null => {
                (0..values.len()).for_each(|row| number(row, &mut |code| code));
                Table::Empty
            }
            Family::Bytes => {
                let mut table = BytesTable::new(&values)?;
                macro_rules! insert_all {
                    ($typed:expr) => {{
                        let typed = $typed;
                        for row in 0..typed.len() {
                            if row + AHEAD < typed.len() {
                                table.expect(typed, row + AHEAD);
                            }
                            number(row, &mut |code| table.insert(typed, row, code));
                        }
                    }};
                }
                match values.data_type() {
                    DataType::Utf8 => insert_all!(values.as_string::<i32>()),
                    DataType::LargeUtf8 => insert_all!(values.as_string::<i64>()),
                    DataType::Binary => insert_all!(values.as_binary::<i32>()),
                    _ => insert_all!(values.as_binary::<i64>()),
                }
                Table::Bytes(table)
            }
            _ => with_keys!(&values, keys => {
                let mut table = Table::of_numbers(family, &values)?;
                let ahead = keys.clone().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
                match &mut table {
                    Table::Dense(table) => for (row, key) in keys.enumerate() {
                        number(row, &mut |code| table.insert(key, code));
                    },
                    Table::Narrow(table) => for ((row, key), ahead) in keys.enumerate().zip(ahead) {
                        ahead.into_iter().for_each(|key| table.expect(key));
                        number(row, &mut |code| table.insert(key, code));
                    },
                    Table::Packed(table) => {
                        for ((row, key), ahead) in keys.enumerate().zip(ahead) {
                            ahead.into_iter().for_each(|key| table.expect(key));
                            number(row, &mut |code| table.insert(key, code));
                        }
                        if family == Family::Float && null_code != ABSENT {
                            table.insert(NAN_KEY, null_code);
                        }
                    }
                    Table::Empty | Table::Bytes(_) => {}
                }
                table
            }),
        };
        Ok((
            ColumnIndex {
                family,
                table,
                null_code,
            },
            codes,
        ))
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
