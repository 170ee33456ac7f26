//! The statistics of every key, and their files.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use emrys_schema::DType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::OPERATOR;
use crate::functions::{ExactSquares, ExactSum, SumPair};
use crate::lookup::{Records, Word, WordKind};
use crate::operator::{ArtifactReader, ArtifactWriter, State};
use crate::ops::keyed_statistics::{self, KeyedStatistics};
use crate::{Error, Result};

/// What [`JoinGroupby`](super::JoinGroupby) learns.
#[derive(Debug)]
pub struct GroupStatistics {
    pub(super) groups: Vec<Arc<Group>>,
}

impl GroupStatistics {
    pub(super) fn group(&self, members: &[String]) -> Result<&Arc<Group>> {
        keyed_statistics::find(OPERATOR, &self.groups, members)
    }
}

/// The statistics by the keys of one column or group.
pub(super) type Group = KeyedStatistics<Statistics>;

/// A column that is summed up for each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Continuous {
    pub(super) name: String,
    pub(super) dtype: DType,
    /// Whether the sum of squares is known, for variances.
    pub(super) squares: bool,
    /// Whether the least and the greatest value are known.
    pub(super) extremes: bool,
    /// Whether the number of distinct values is known.
    pub(super) distinct: bool,
}

impl Continuous {
    pub(super) fn kind(&self) -> WordKind {
        kind_of(self.dtype)
    }
}

/// In which type the values of a column are summed and compared.
pub(super) fn kind_of(dtype: DType) -> WordKind {
    match dtype {
        DType::UInt64 => WordKind::Unsigned,
        dtype if dtype.is_integer() => WordKind::Signed,
        _ => WordKind::Float,
    }
}

/// The layout of records: the number of rows, then for each column count, sum, and what else is
/// known.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    pub(super) columns: Vec<Continuous>,
    /// Where the words of each column begin.
    starts: Vec<usize>,
    width: usize,
}

/// Words of a column before those that only some have: count, sum, and what the sum lacks.
const SUM_WORDS: usize = 3;

impl Statistics {
    pub(super) fn new(columns: Vec<Continuous>) -> Statistics {
        let mut width = 1;
        let starts = columns.iter().map(|column| {
            let start = width;
            width += SUM_WORDS
                + 2 * usize::from(column.squares)
                + 2 * usize::from(column.extremes)
                + usize::from(column.distinct);
            start
        });
        Statistics {
            starts: starts.collect(),
            columns,
            width,
        }
    }

    /// The number of rows with the key.
    pub(super) fn rows(record: &[u64]) -> i64 {
        record[0].cast_signed()
    }

    pub(super) fn sum(&self, record: &[u64], column: usize) -> ExactSum {
        let at = self.starts[column];
        ExactSum {
            count: record[at].cast_signed(),
            sum: pair(record, at + 1),
        }
    }

    /// With the squares, which are zero where they are not known.
    pub(super) fn squares(&self, record: &[u64], column: usize) -> ExactSquares {
        let total = self.sum(record, column);
        let squares = match self.columns[column].squares {
            true => pair(record, self.starts[column] + SUM_WORDS),
            false => SumPair::default(),
        };
        ExactSquares { total, squares }
    }

    /// The least and the greatest value, where they are known and there is a value.
    pub(super) fn extremes(&self, record: &[u64], column: usize) -> Option<(u64, u64)> {
        let at = self.extremes_at(column)?;
        let some = self.sum(record, column).count > 0;
        some.then(|| (record[at], record[at + 1]))
    }

    fn extremes_at(&self, column: usize) -> Option<usize> {
        let known = &self.columns[column];
        let at = self.starts[column] + SUM_WORDS + 2 * usize::from(known.squares);
        known.extremes.then_some(at)
    }

    /// Where the number of distinct values is, if it is known.
    pub(super) fn distinct_at(&self, column: usize) -> Option<usize> {
        let known = &self.columns[column];
        let at = self.starts[column]
            + SUM_WORDS
            + 2 * (usize::from(known.squares) + usize::from(known.extremes));
        known.distinct.then_some(at)
    }

    fn add(&self, record: &mut [u64], column: usize, more: ExactSquares, extremes: (u64, u64)) {
        let known = &self.columns[column];
        if let Some(at) = self.extremes_at(column)
            && more.total.count > 0
        {
            let is_first = self.sum(record, column).count == 0;
            if is_first || known.kind().less(extremes.0, record[at]) {
                record[at] = extremes.0;
            }
            if is_first || known.kind().less(record[at + 1], extremes.1) {
                record[at + 1] = extremes.1;
            }
        }
        let mut sums = self.squares(record, column);
        sums.merge(more);
        let at = self.starts[column];
        record[at] = sums.total.count.cast_unsigned();
        if known.squares {
            // Variances are small differences of large sums, which need every bit.
            put(record, at + 1, sums.total.sum);
            put(record, at + SUM_WORDS, sums.squares);
        } else {
            put(record, at + 1, sums.total.sum.rounded());
        }
    }
}

fn pair(record: &[u64], at: usize) -> SumPair {
    SumPair {
        high: f64::from_bits(record[at]),
        low: f64::from_bits(record[at + 1]),
    }
}

fn put(record: &mut [u64], at: usize, sum: SumPair) {
    record[at] = sum.high.to_bits();
    record[at + 1] = sum.low.to_bits();
}

/// The names of aggregates in queries.
pub(super) const ROWS: &str = "rows";

pub(super) fn sums_name(column: usize) -> String {
    format!("sums_{column}")
}

pub(super) fn min_name(column: usize) -> String {
    format!("min_{column}")
}

pub(super) fn max_name(column: usize) -> String {
    format!("max_{column}")
}

/// What is read of a batch for one column.
struct ColumnRows {
    sums: Vec<ExactSquares>,
    extremes: Option<(Vec<u64>, Vec<u64>)>,
}

impl Records for Statistics {
    fn words(&self) -> Vec<Word> {
        let mut words = vec![Word::new(ROWS, WordKind::Signed)];
        for column in &self.columns {
            let mut add = |part: &str, kind| {
                words.push(Word::new(format!("{part}({})", column.name), kind));
            };
            add("count", WordKind::Signed);
            add("sum", WordKind::Float);
            add("sum_low", WordKind::Float);
            if column.squares {
                add("squares", WordKind::Float);
                add("squares_low", WordKind::Float);
            }
            if column.extremes {
                add("min", column.kind());
                add("max", column.kind());
            }
            if column.distinct {
                add("nunique", WordKind::Signed);
            }
        }
        words
    }

    fn empty(&self) -> Vec<u64> {
        // Zeros of every kind have zero bits; extremes are not read where the count is zero.
        vec![0; self.width]
    }

    fn reader(&self, batch: &RecordBatch) -> Result<Box<dyn Fn(usize, &mut [u64])>> {
        let wrong = || Error::Internal("a group-by gave other columns".to_owned());
        let named = |name: &str| batch.column_by_name(name).ok_or_else(wrong);
        let rows = named(ROWS)?
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(wrong)?
            .clone();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            let sums = named(&sums_name(at))?;
            let sums = match column.squares {
                true => ExactSquares::from_array(sums)?,
                false => ExactSum::from_array(sums)?
                    .into_iter()
                    .map(|total| ExactSquares {
                        total,
                        squares: SumPair::default(),
                    })
                    .collect(),
            };
            let words = |name: String| column.kind().words(named(&name)?).ok_or_else(wrong);
            let extremes = match column.extremes {
                true => Some((words(min_name(at))?, words(max_name(at))?)),
                false => None,
            };
            columns.push(ColumnRows { sums, extremes });
        }
        let layout = self.clone();
        Ok(Box::new(move |row, record| {
            record[0] = (record[0].cast_signed() + rows.value(row)).cast_unsigned();
            for (at, column) in columns.iter().enumerate() {
                let extremes = column.extremes.as_ref();
                let extremes = extremes.map_or((0, 0), |(min, max)| (min[row], max[row]));
                layout.add(record, at, column.sums[row], extremes);
            }
        }))
    }

    fn merge(&self, record: &mut [u64], other: &[u64]) {
        record[0] = (Self::rows(record) + Self::rows(other)).cast_unsigned();
        for column in 0..self.columns.len() {
            let extremes = self.extremes(other, column).unwrap_or((0, 0));
            self.add(record, column, self.squares(other, column), extremes);
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedGroup {
    members: Vec<String>,
    columns: Vec<Continuous>,
    file: String,
}

impl State for GroupStatistics {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let mut saved = Vec::with_capacity(self.groups.len());
        for (number, group) in self.groups.iter().enumerate() {
            saved.push(SavedGroup {
                members: group.table.members().to_vec(),
                columns: group.records.columns.clone(),
                file: group.save(OPERATOR, number, artifacts)?,
            });
        }
        serde_json::to_value(saved).map_err(|e| Error::Internal(format!("state to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<GroupStatistics> {
        let saved: Vec<SavedGroup> =
            serde_json::from_value(saved).map_err(|e| artifacts.wrong(e.to_string()))?;
        let groups = saved.into_iter().map(|saved| {
            let records = Statistics::new(saved.columns);
            Group::load(OPERATOR, &saved.members, &saved.file, records, artifacts).map(Arc::new)
        });
        Ok(GroupStatistics {
            groups: groups.collect::<Result<_>>()?,
        })
    }
}
