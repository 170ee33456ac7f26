//! From counted values, in any order, to a vocabulary.

use std::cmp::Ordering;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeBinaryArray, RecordBatch, UInt32Array,
    new_empty_array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::row::{RowConverter, Rows, SortField};
use rayon::slice::ParallelSliceMut;

use super::vocabulary::Counted;
#[cfg(test)]
use super::vocabulary::{Layout, Observed, Vocabulary};
use crate::lookup::{Family, LookupError, all_null, canonical, common_type, strict_cast};

/// Which of the counted values enter the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Those that occur at least so often.
    MinCount(u64),
    /// The most frequent, at most so many.
    MostFrequent(usize),
}

/// Fewer candidates than this are sorted on one thread.
const SORTED_ALONE: usize = 1 << 16;

/// What is to be selected among counted values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) limit: Limit,
    /// Whether a value may come several times, to have its counts added up.
    pub(super) merge: bool,
    /// Whether the values that are left out are wanted too.
    pub(super) rest: bool,
}

/// Counted values that entered the vocabulary, and others.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) known: Counted,
    pub(super) nulls: u64,
    pub(super) left_out: u64,
    /// The values that were left out, in no particular order.
    pub(super) rest: Option<Counted>,
}

/// Makes a vocabulary from counted values; see [`select`].
#[cfg(test)]
pub(super) fn from_counts(
    layout: Layout,
    counts: &[RecordBatch],
    limit: Limit,
    merge: bool,
) -> Result<Vocabulary, LookupError> {
    let rest = false;
    let selected = select(layout.columns.len(), counts, Wanted { limit, merge, rest })?;
    let observed = Observed {
        counts: selected.known.counts,
        nulls: selected.nulls,
        left_out: selected.left_out,
    };
    Vocabulary::new(layout, selected.known.values, Some(observed))
}

/// Selects the values of a vocabulary.
///
/// `counts` holds `width` value columns and then the count (`Int64`), in any order and in any
/// number of batches; a value that occurs several times is an error later on, unless it was to be
/// merged. The selected values are in order of falling count, and of rising value among equal
/// counts: strings by their bytes, tuples member by member with null before everything else. They
/// do not depend on the order of the input.
pub(super) fn select(
    width: usize,
    counts: &[RecordBatch],
    wanted: Wanted,
) -> Result<Selected, LookupError> {
    let columns = stacked_columns(counts, width)?;
    let counts = stacked_counts(counts, width)?;
    let rows = counts.len();
    if u32::try_from(rows).is_err() {
        return Err(LookupError::TooMany {
            found: rows,
            most: u32::MAX,
        });
    }

    let order = ValueOrder::new(&columns)?;
    let is_null = all_null(&columns);
    // Floats that differ in the data (the zeros) may be one value.
    let merge = wanted.merge
        || columns
            .iter()
            .any(|column| column.data_type().is_floating());
    let least = match wanted.limit {
        Limit::MinCount(least) => least,
        Limit::MostFrequent(_) => 0,
    };
    // Values below the threshold outnumber all others, so memory for them would be for nothing.
    let skipped = if merge || wanted.rest { 0 } else { least };
    let (mut nulls, mut total) = (0, 0);
    let mut candidates = Vec::with_capacity(if skipped > 1 { 0 } else { rows });
    for (row, count) in counts.iter().enumerate() {
        let count = count.unsigned_abs();
        if is_null(row) {
            nulls += count;
            continue;
        }
        total += count;
        if count >= skipped {
            candidates.push(Candidate {
                count,
                prefix: order.prefix(row),
                row: row as u32,
            });
        }
    }
    if merge {
        merge_equal_values(&mut candidates, &order);
    }
    let mut others = Vec::new();
    if wanted.rest {
        let below = |candidate: &&Candidate| candidate.count < least;
        others.extend(candidates.iter().filter(below).copied());
    }
    candidates.retain(|candidate| candidate.count >= least);
    sort(&mut candidates, |a, b| {
        let by_rank = a.rank().cmp(&b.rank());
        by_rank.then_with(|| order.compare_rests(a, b))
    });
    if let Limit::MostFrequent(most) = wanted.limit
        && candidates.len() > most
    {
        let beyond = candidates.split_off(most);
        if wanted.rest {
            others = beyond;
        }
    }
    let in_vocabulary: u64 = candidates.iter().map(|candidate| candidate.count).sum();
    Ok(Selected {
        known: counted(&columns, &candidates)?,
        nulls,
        left_out: total - in_vocabulary,
        rest: wanted
            .rest
            .then(|| counted(&columns, &others))
            .transpose()?,
    })
}

/// The values of candidates, and their counts.
fn counted(columns: &[ArrayRef], candidates: &[Candidate]) -> Result<Counted, LookupError> {
    let rows: UInt32Array = candidates.iter().map(|candidate| candidate.row).collect();
    let values = columns.iter().map(|column| take(column, &rows, None));
    let counts = candidates.iter().map(|candidate| candidate.count as i64);
    Ok(Counted {
        values: values.collect::<Result<_, _>>()?,
        counts: Int64Array::from_iter_values(counts),
    })
}

/// A counted value: how often it occurs, the head of its sort key, and its row.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    count: u64,
    prefix: u64,
    row: u32,
}

impl Candidate {
    /// Frequent values first, then those with smaller prefixes: one number, as a sort that guesses
    /// the outcomes of two comparisons is often wrong.
    fn rank(&self) -> u128 {
        u128::from(u64::MAX - self.count) << 64 | u128::from(self.prefix)
    }
}

fn sort(candidates: &mut [Candidate], compare: impl Fn(&Candidate, &Candidate) -> Ordering + Sync) {
    // Candidates differ in value, so that an unstable sort has one result.
    if candidates.len() < SORTED_ALONE {
        candidates.sort_unstable_by(compare);
    } else {
        candidates.par_sort_unstable_by(compare);
    }
}

/// Adds up the counts of candidates of equal value.
fn merge_equal_values(candidates: &mut Vec<Candidate>, order: &ValueOrder) {
    sort(candidates, |a, b| {
        order.compare(a, b).then(a.row.cmp(&b.row))
    });
    candidates.dedup_by(|next, kept| {
        let equal = order.compare(next, kept).is_eq();
        if equal {
            kept.count += next.count;
        }
        equal
    });
}

/// Each value column of all batches in one array, in a plain type with one form for each value.
fn stacked_columns(batches: &[RecordBatch], columns: usize) -> Result<Vec<ArrayRef>, LookupError> {
    (0..columns)
        .map(|at| stacked(batches.iter().map(|batch| batch.column(at)).collect()))
        .collect()
}

fn stacked(parts: Vec<&ArrayRef>) -> Result<ArrayRef, LookupError> {
    let shared = common_type(parts.iter().map(|part| part.data_type()))?;
    let cast_all = |parts: Vec<&ArrayRef>, to: &DataType| {
        parts
            .into_iter()
            .map(|part| strict_cast(part, to))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut parts = cast_all(parts, &shared)?;
    // The offsets of one array must reach the end of all values.
    if i32::try_from(parts.iter().map(byte_length).sum::<usize>()).is_err() {
        let large = match shared {
            DataType::Utf8 => &DataType::LargeUtf8,
            _ => &DataType::LargeBinary,
        };
        parts = cast_all(parts.iter().collect(), large)?;
    }
    let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
    match parts.as_slice() {
        [] => Ok(new_empty_array(&shared)),
        parts => Ok(canonical(&concat(parts)?)),
    }
}

/// How many bytes the values have in an array whose offsets have 32 bits; zero for other arrays.
fn byte_length(values: &ArrayRef) -> usize {
    let ends = |offsets: &[i32]| offsets[offsets.len() - 1].abs_diff(offsets[0]) as usize;
    match values.data_type() {
        DataType::Utf8 => ends(values.as_string::<i32>().value_offsets()),
        DataType::Binary => ends(values.as_binary::<i32>().value_offsets()),
        _ => 0,
    }
}

fn stacked_counts(batches: &[RecordBatch], at: usize) -> Result<Vec<i64>, LookupError> {
    let mut counts = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let part = strict_cast(batch.column(at), &DataType::Int64)?;
        counts.extend_from_slice(part.as_primitive::<Int64Type>().values());
    }
    Ok(counts)
}

/// The order of values, told in most cases by a prefix of eight bytes.
enum ValueOrder {
    /// The prefix is the whole value.
    Numbers(Vec<u64>),
    /// The prefix is the first eight bytes behind those that all values have in common.
    Bytes {
        keys: LargeBinaryArray,
        common: usize,
    },
    /// Tuples as bytes that sort like them, prefixed likewise.
    Tuples { keys: Rows, common: usize },
}

impl ValueOrder {
    fn new(columns: &[ArrayRef]) -> Result<ValueOrder, LookupError> {
        let [column] = columns else {
            // Rows have nulls first and floats in total order.
            let fields = columns
                .iter()
                .map(|column| SortField::new(column.data_type().clone()));
            let keys = RowConverter::new(fields.collect())?.convert_columns(columns)?;
            let common = common_prefix(keys.iter().map(|key| key.data()));
            return Ok(ValueOrder::Tuples { keys, common });
        };
        Ok(match Family::of(column.data_type())? {
            Family::Null => ValueOrder::Numbers(vec![0; column.len()]),
            Family::Bytes => {
                let keys = strict_cast(column, &DataType::LargeBinary)?
                    .as_binary()
                    .clone();
                let common = common_prefix(keys.iter().flatten());
                ValueOrder::Bytes { keys, common }
            }
            Family::Integer if column.data_type().is_unsigned_integer() => {
                let integers = strict_cast(column, &DataType::UInt64)?;
                ValueOrder::Numbers(integers.as_primitive::<UInt64Type>().values().to_vec())
            }
            Family::Float => {
                let floats = strict_cast(column, &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>().values();
                ValueOrder::Numbers(floats.iter().map(|float| rising(float.to_bits())).collect())
            }
            Family::Boolean | Family::Integer | Family::Time | Family::ZonedTime => {
                let integers = strict_cast(column, &DataType::Int64)?;
                let integers = integers.as_primitive::<Int64Type>().values();
                ValueOrder::Numbers(
                    integers
                        .iter()
                        .map(|integer| *integer as u64 ^ SIGN)
                        .collect(),
                )
            }
        })
    }

    fn prefix(&self, row: usize) -> u64 {
        match self {
            ValueOrder::Numbers(keys) => keys[row],
            ValueOrder::Bytes { keys, common } => prefix(keys.value(row), *common),
            ValueOrder::Tuples { keys, common } => prefix(keys.row(row).data(), *common),
        }
    }

    fn compare(&self, a: &Candidate, b: &Candidate) -> Ordering {
        let by_prefix = a.prefix.cmp(&b.prefix);
        by_prefix.then_with(|| self.compare_rests(a, b))
    }

    /// The order of values of the same prefix.
    fn compare_rests(&self, a: &Candidate, b: &Candidate) -> Ordering {
        let (a, b) = (a.row as usize, b.row as usize);
        match self {
            ValueOrder::Numbers(_) => Ordering::Equal,
            ValueOrder::Bytes { keys, .. } => keys.value(a).cmp(keys.value(b)),
            ValueOrder::Tuples { keys, .. } => keys.row(a).cmp(&keys.row(b)),
        }
    }
}

const SIGN: u64 = 1 << 63;

/// The bits of a float as an integer that rises with it.
fn rising(bits: u64) -> u64 {
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// Eight bytes from a position on, zeros behind the end, as a number of the same order.
fn prefix(key: &[u8], from: usize) -> u64 {
    let key = key.get(from..).unwrap_or_default();
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// How many bytes all keys begin with.
fn common_prefix<'a>(mut keys: impl Iterator<Item = &'a [u8]>) -> usize {
    let Some(first) = keys.next() else { return 0 };
    keys.try_fold(first.len(), |common, key| {
        let equal = first[..common]
            .iter()
            .zip(key)
            .take_while(|(a, b)| a == b)
            .count();
        // Nothing in common ends the search.
        if equal == 0 { Err(0) } else { Ok(equal) }
    })
    .unwrap_or_else(|none| none)
}
