//! Codes of values in a table on disk.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use arrow::array::{Array, ArrayRef};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, ToByteSlice};
use siphasher::sip128::SipHasher13;

use super::bytes::{ByteValues, LONG, with_bytes};
use super::fill::place;
use super::keys::{all_null, plain_type, strict_cast, with_keys};
use super::slots::{KEY_MASK, Slot};
use super::table::PackedTable;
use super::{ABSENT, Family, LookupError, align, canonical};
use crate::storage::Storage;
use crate::{Error, Result};

/// How many bytes of slots are filled in memory at a time, while the table is written.
const PART_BYTES: usize = 8 << 20;

/// The most parts that are open at once.
const MOST_PARTS: usize = 256;

/// The key of a null member of a tuple, which is no value's.
const NULL_MEMBER: u128 = u128::MAX;

/// Codes (not zero) of distinct values or tuples of values; the table is a file that is mapped into
/// memory, of which a look-up touches one page.
///
/// Numbers and short texts are their own keys. Longer texts and tuples are known by 88 and 96 bits
/// of a hash: among twenty million of them the chance that a value that is not in the table is
/// taken for one that is, is below one in 10^19. Two known ones of the same hash are found when the
/// table is made.
#[derive(Debug, Clone)]
pub(crate) struct DiskIndex {
    families: Vec<Family>,
    table: PackedTable<u128, ScalarBuffer<u128>>,
    null_code: u32,
}

impl DiskIndex {
    pub(super) fn check(&self, types: &[&DataType]) -> Result<(), (usize, LookupError)> {
        for (position, (family, data_type)) in self.families.iter().zip(types).enumerate() {
            let found = Family::of(data_type).map_err(|error| (position, error))?;
            if !family.accepts(found) {
                let error = LookupError::Mismatch {
                    found: (*data_type).clone(),
                    expected: family.name(),
                };
                return Err((position, error));
            }
        }
        Ok(())
    }

    pub(super) fn align(
        &self,
        position: usize,
        values: &ArrayRef,
    ) -> Result<ArrayRef, LookupError> {
        let values = match values.data_type() {
            DataType::Dictionary(_, _) | DataType::FixedSizeBinary(_) => {
                &strict_cast(values, &plain_type(values.data_type()))?
            }
            _ => values,
        };
        align(values, self.families[position])
    }

    pub(super) fn lookup(&self, columns: &[ArrayRef]) -> Result<Vec<u32>, LookupError> {
        let columns = columns
            .iter()
            .enumerate()
            .map(|(position, values)| Ok(canonical(&self.align(position, values)?)))
            .collect::<Result<Vec<_>, LookupError>>()?;
        let (keys, nulls) = row_keys(&columns)?;
        let mut codes = vec![ABSENT; keys.len()];
        self.table.lookup(keys.into_iter(), &mut codes);
        if let Some(nulls) = nulls {
            for (code, is_valid) in codes.iter_mut().zip(&nulls) {
                *code = if is_valid { *code } else { self.null_code };
            }
        }
        Ok(codes)
    }
}

/// Writes a [`DiskIndex`].
///
/// Slots are first dealt out to files by their place in the table, then the table is filled part by
/// part: at no time is more than a part of it in memory, and nothing is written in random order.
pub(crate) struct DiskIndexBuilder {
    families: Vec<Family>,
    storage: Storage,
    first_code: u32,
    null_code: u32,
    rows: usize,
    seen_null: bool,
    shape: PackedTable<u128, ScalarBuffer<u128>>,
    parts: Vec<BufWriter<File>>,
}

impl DiskIndexBuilder {
    /// An index of at most `capacity` rows of the given types, which get codes as in
    /// [`ValueIndex::build`](super::ValueIndex::build).
    pub(crate) fn new(
        types: &[&DataType],
        capacity: usize,
        first_code: u32,
        null_code: u32,
        storage: &Storage,
    ) -> Result<DiskIndexBuilder, LookupError> {
        let most = u32::MAX - first_code;
        if capacity > most as usize {
            return Err(LookupError::TooMany {
                found: capacity,
                most,
            });
        }
        let families = types.iter().map(|data_type| Family::of(data_type));
        let homes = (2 * (capacity + 1)).max(1);
        let parts = (homes * size_of::<u128>()).div_ceil(PART_BYTES);
        let part = |_| -> Result<BufWriter<File>> {
            Ok(BufWriter::with_capacity(
                64 << 10,
                storage.temporary_file()?,
            ))
        };
        let parts = (0..parts.clamp(1, MOST_PARTS)).map(part);
        Ok(DiskIndexBuilder {
            families: families.collect::<Result<_, _>>()?,
            storage: storage.clone(),
            first_code,
            null_code,
            rows: 0,
            seen_null: false,
            shape: PackedTable::over(ScalarBuffer::from(Vec::new()), homes),
            parts: parts.collect::<Result<_>>().map_err(storing)?,
        })
    }

    /// Numbers the next rows: values of a plain type, each in one form.
    pub(crate) fn push(&mut self, columns: &[ArrayRef]) -> Result<(), LookupError> {
        let (keys, nulls) = row_keys(columns)?;
        let all_null = all_null(columns);
        for (row, key) in keys.into_iter().enumerate() {
            // The number of rows was compared with the codes there are.
            let code = self.first_code + (self.rows + row) as u32;
            self.seen_null |= all_null(row);
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                self.null_code = code;
            } else {
                self.put(key, code)?;
            }
        }
        self.rows += columns.first().map_or(0, |column| column.len());
        Ok(())
    }

    fn put(&mut self, key: u128, code: u32) -> Result<(), LookupError> {
        let slot = key | u128::from(code) << 96;
        let part = part_of(self.shape.home(key), self.shape.homes(), self.parts.len());
        self.parts[part]
            .write_all(&slot.to_ne_bytes())
            .map_err(|error| storing(Error::io("write", "a spill file")(error)))
    }

    /// The index.
    pub(crate) fn finish(mut self) -> Result<DiskIndex, LookupError> {
        if self.families.len() > 1 && self.null_code != ABSENT && !self.seen_null {
            let nothing = vec![NULL_MEMBER; self.families.len()];
            self.put(tuple_key(&nothing), self.null_code)?;
        }
        let homes = self.shape.homes();
        let count = self.parts.len();
        let mut sink = self.storage.sink(true, 0).map_err(storing)?;
        // What does not fit into a part goes on at the start of the next one.
        let mut carried: Vec<u128> = Vec::new();
        for (part, file) in self.parts.into_iter().enumerate() {
            let start = start_of(part, homes, count);
            let mut slots = vec![0; start_of(part + 1, homes, count) - start];
            let mut beyond = Vec::new();
            let carried_slots = carried.drain(..).map(|slot| (0, slot));
            let read = read_slots(file).map_err(storing)?;
            let read = read
                .into_iter()
                .map(|slot| (self.shape.home(slot.key()) - start, slot));
            for (at, slot) in carried_slots.chain(read) {
                let placed = place(&mut slots, at, slot, |one, other| one.key() == other.key());
                if !placed.map_err(|repeated| repeated.error(self.first_code))? {
                    beyond.push(slot);
                }
            }
            sink.write_all(&slots).map_err(storing)?;
            carried = beyond;
        }
        // Probes stop at an empty slot, so there is always one at the end.
        carried.push(0);
        sink.write_all(&carried).map_err(storing)?;
        let slots = sink.finish_numbers().map_err(storing)?;
        Ok(DiskIndex {
            families: self.families,
            table: PackedTable::over(slots, homes),
            null_code: self.null_code,
        })
    }
}

fn part_of(home: usize, homes: usize, parts: usize) -> usize {
    (home as u128 * parts as u128 / homes as u128) as usize
}

/// The first home of a part.
fn start_of(part: usize, homes: usize, parts: usize) -> usize {
    (part as u128 * homes as u128).div_ceil(parts as u128) as usize
}

fn read_slots(file: BufWriter<File>) -> Result<Vec<u128>> {
    let failed = || Error::io("read", "a spill file");
    let mut file = file
        .into_inner()
        .map_err(|error| Error::io("write", "a spill file")(error.into_error()))?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(failed())?;
    file.seek(SeekFrom::Start(0)).map_err(failed())?;
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    file.read_to_end(&mut content).map_err(failed())?;
    let slots = content.chunks_exact(size_of::<u128>());
    Ok(slots
        .map(|slot| {
            let mut bytes = [0; size_of::<u128>()];
            bytes.copy_from_slice(slot);
            u128::from_ne_bytes(bytes)
        })
        .collect())
}

fn storing(error: Error) -> LookupError {
    LookupError::Storage(Box::new(error))
}

/// The key of each row, and for single values which rows are null.
fn row_keys(columns: &[ArrayRef]) -> Result<(Vec<u128>, Option<NullBuffer>), LookupError> {
    if let [column] = columns {
        return Ok((value_keys(column)?, column.logical_nulls()));
    }
    let mut members = Vec::with_capacity(columns.len());
    for column in columns {
        let mut keys = value_keys(column)?;
        if let Some(nulls) = column.logical_nulls() {
            for (key, is_valid) in keys.iter_mut().zip(&nulls) {
                *key = if is_valid { *key } else { NULL_MEMBER };
            }
        }
        members.push(keys);
    }
    let rows = columns.first().map_or(0, |column| column.len());
    let mut tuple = vec![0; columns.len()];
    let keys = (0..rows).map(|row| {
        for (place, keys) in tuple.iter_mut().zip(&members) {
            *place = keys[row];
        }
        tuple_key(&tuple)
    });
    Ok((keys.collect(), None))
}

fn tuple_key(members: &[u128]) -> u128 {
    hash(members.to_byte_slice()) & KEY_MASK
}

/// 128 bits that depend on the bytes alone.
fn hash(bytes: &[u8]) -> u128 {
    SipHasher13::new().hash(bytes).as_u128()
}

fn value_keys(values: &ArrayRef) -> Result<Vec<u128>, LookupError> {
    Ok(match Family::of(values.data_type())? {
        Family::Null => vec![0; values.len()],
        Family::Bytes => with_bytes!(values, bytes => {
            let keys = (0..bytes.len()).map(|row| match bytes.packed(row) {
                LONG => LONG | hash(bytes.bytes(row)) & (LONG_BITS),
                key => key,
            });
            keys.collect()
        }),
        _ => with_keys!(values, keys => keys.collect()),
    })
}

/// The bits below [`LONG`].
const LONG_BITS: u128 = (1 << 88) - 1;
