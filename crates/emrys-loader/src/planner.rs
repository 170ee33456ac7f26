//! Makes lookup plans: the distinct rows of a batch in rising order, and each id's place among them.

use std::sync::{Mutex, PoisonError};

use crate::batch::Batch;
use crate::column::{Column, Layout, Values};
use crate::lookup::{FeaturePositions, LookupFeature, LookupPlan, LookupSpec};
use crate::{Error, Result};

/// Makes the plans of all groups for many batches, from any thread.
#[derive(Debug)]
pub(crate) struct Planners {
    specs: Vec<LookupSpec>,
    bytes_per_thread: usize,
    /// The rows of each group; those that no thread uses now keep their memory for the next batch.
    idle: Mutex<Vec<Vec<Rows>>>,
}

/// What the marked rows of all threads may take together.
const MARKS_BYTES: usize = 256 << 20;

impl Planners {
    pub(crate) fn new(specs: Vec<LookupSpec>, threads: usize) -> Planners {
        Planners {
            specs,
            bytes_per_thread: MARKS_BYTES / threads.max(1),
            idle: Mutex::default(),
        }
    }

    pub(crate) fn specs(&self) -> &[LookupSpec] {
        &self.specs
    }

    pub(crate) fn plan(&self, batch: &Batch) -> Result<Vec<LookupPlan>> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut rows = idle.unwrap_or_else(|| self.rows());
        let plans = self
            .specs
            .iter()
            .zip(&mut rows)
            .map(|(spec, rows)| match rows {
                Rows::Marked(marks) => plan(batch, spec, marks),
                Rows::Sorted(sorted) => plan(batch, spec, sorted),
            });
        let plans = plans.collect();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(rows);
        plans
    }

    fn rows(&self) -> Vec<Rows> {
        let mut budget = self.bytes_per_thread;
        let rows = self
            .specs
            .iter()
            .map(|spec| match Marks::within(budget, spec.rows()) {
                Some(marks) => {
                    budget -= marks.bytes();
                    Rows::Marked(marks)
                }
                None => Rows::Sorted(Sorted::default()),
            });
        rows.collect()
    }
}

/// The plan of a single batch, in time and memory that depend on the batch alone.
pub(crate) fn plan_once(batch: &Batch, spec: &LookupSpec) -> Result<LookupPlan> {
    plan(batch, spec, &mut Sorted::default())
}

#[derive(Debug)]
enum Rows {
    Marked(Marks),
    Sorted(Sorted),
}

/// The distinct rows of one batch.
trait RowSet {
    fn insert(&mut self, row: u32);
    /// The rows in rising order, when all are inserted.
    fn finish(&mut self) -> Vec<i64>;
    /// The place of an inserted row in rising order, after `finish`.
    fn place(&self, row: u32) -> i32;
    /// Forgets all rows.
    fn clear(&mut self);
}

/// One bit per row of the group.
///
/// Ids are marked and found again by a few operations on memory that mostly fits the cache, without
/// hashing, sorting or branches that cannot be predicted. The work depends on the batch and not on
/// the tables, but for one word read per 262144 rows. The memory is 3 bytes per 16 rows and thread.
#[derive(Debug)]
struct Marks {
    /// Which rows are in the batch, 64 to a word.
    bits: Vec<u64>,
    /// How many rows of the batch are before each word that is not zero.
    before: Vec<u32>,
    /// Which words of `bits` are not zero.
    touched: Vec<u64>,
    /// The same words, as a list.
    touched_words: Vec<usize>,
}

impl Marks {
    /// Marks for that many rows, if they take at most `bytes`.
    fn within(bytes: usize, rows: u64) -> Option<Marks> {
        let words = usize::try_from(rows.div_ceil(64)).ok()?;
        let needed = words.checked_mul(size_of::<u64>() + size_of::<u32>())?;
        (needed <= bytes).then(|| Marks {
            bits: vec![0; words],
            before: vec![0; words],
            touched: vec![0; words.div_ceil(64)],
            touched_words: Vec::new(),
        })
    }

    fn bytes(&self) -> usize {
        size_of_val(self.bits.as_slice()) + size_of_val(self.before.as_slice())
    }
}

/// The word of a row and its bit there.
fn split(index: usize) -> (usize, u64) {
    (index / 64, 1 << (index % 64))
}

/// The places of the bits that are set, in rising order.
fn set_bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros();
        // Clears the lowest bit that is set.
        word &= word.checked_sub(1)?;
        Some(place as usize)
    })
}

impl RowSet for Marks {
    fn insert(&mut self, row: u32) {
        let (word, bit) = split(row as usize);
        self.bits[word] |= bit;
        let (word, bit) = split(word);
        self.touched[word] |= bit;
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "there are fewer than 2^31 distinct rows, and their numbers fit 32 bits"
    )]
    fn finish(&mut self) -> Vec<i64> {
        let mut rows = Vec::new();
        for (index, touched) in self
            .touched
            .iter_mut()
            .enumerate()
            .filter(|(_, touched)| **touched != 0)
        {
            for word in set_bits(std::mem::take(touched)).map(|bit| index * 64 + bit) {
                self.touched_words.push(word);
                self.before[word] = rows.len() as u32;
                rows.extend(set_bits(self.bits[word]).map(|bit| (word * 64 + bit) as i64));
            }
        }
        rows
    }

    #[expect(
        clippy::cast_possible_wrap,
        reason = "there are fewer than 2^31 distinct rows"
    )]
    fn place(&self, row: u32) -> i32 {
        let (word, bit) = split(row as usize);
        (self.before[word] + (self.bits[word] & (bit - 1)).count_ones()) as i32
    }

    fn clear(&mut self) {
        for word in self.touched_words.drain(..) {
            self.bits[word] = 0;
        }
    }
}

/// The rows themselves; for groups too large to be marked, and for plans that are made only once.
#[derive(Debug, Default)]
struct Sorted(Vec<u32>);

impl RowSet for Sorted {
    fn insert(&mut self, row: u32) {
        self.0.push(row);
    }

    fn finish(&mut self) -> Vec<i64> {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.iter().copied().map(i64::from).collect()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "there are fewer than 2^31 distinct rows"
    )]
    fn place(&self, row: u32) -> i32 {
        self.0.partition_point(|other| *other < row) as i32
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

fn plan(batch: &Batch, spec: &LookupSpec, rows: &mut impl RowSet) -> Result<LookupPlan> {
    let columns = spec
        .features
        .iter()
        .map(|feature| batch.column(&feature.column));
    let columns: Vec<&Column> = columns.collect::<Result<_>>()?;
    let values = columns.iter().map(|column| column.values().len()).sum();
    i32::try_from(values).map_err(|_| Error::TooManyValues { values })?;
    let features = || spec.features.iter().zip(&columns);
    let inserted = features().try_for_each(|(feature, column)| match column.values() {
        Values::I32(ids) => insert(ids, feature, column.layout(), rows),
        Values::I64(ids) => insert(ids, feature, column.layout(), rows),
        floats => Err(Error::IdsNotInteger {
            column: feature.column.clone(),
            found: floats.dtype(),
        }),
    });
    let unique = rows.finish();
    // Nothing is looked for if an id was refused, but the rows are to be cleared all the same.
    let found = features()
        .take_while(|_| inserted.is_ok())
        .map(|(feature, column)| FeaturePositions {
            column: feature.column.as_str().into(),
            positions: match column.values() {
                Values::I32(ids) => places(ids, feature, rows),
                Values::I64(ids) => places(ids, feature, rows),
                Values::F32(_) | Values::F64(_) => Vec::new(),
            },
            layout: column.layout().clone(),
        });
    let features = found.collect();
    rows.clear();
    inserted.map(|()| LookupPlan {
        group: spec.group.as_str().into(),
        unique,
        features,
    })
}

/// Inserts the rows of the ids.
fn insert<T: Copy + Into<i64>>(
    ids: &[T],
    feature: &LookupFeature,
    layout: &Layout,
    rows: &mut impl RowSet,
) -> Result<()> {
    for (index, id) in ids.iter().enumerate() {
        let id = (*id).into();
        if u64::try_from(id).is_ok_and(|id| id < feature.rows) {
            rows.insert(row_of(id, feature));
        } else {
            let row = row_of_value(layout, index);
            return Err(Error::IdOutOfTable {
                column: feature.column.clone(),
                row,
                id,
                rows: feature.rows,
            });
        }
    }
    Ok(())
}

/// The places of the ids' rows.
fn places<T: Copy + Into<i64>>(ids: &[T], feature: &LookupFeature, rows: &impl RowSet) -> Vec<i32> {
    ids.iter()
        .map(|id| rows.place(row_of((*id).into(), feature)))
        .collect()
}

/// The row of an id that is in its table.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the id is not negative, and the rows of a group are numbered in 32 bits"
)]
fn row_of(id: i64, feature: &LookupFeature) -> u32 {
    (feature.row_offset + id as u64) as u32
}

/// The row of the batch that holds a value.
fn row_of_value(layout: &Layout, index: usize) -> usize {
    match layout {
        Layout::Scalar => index,
        Layout::Fixed(width) => index / width,
        Layout::Ragged(offsets) => {
            offsets.partition_point(|offset| offset.unsigned_abs() as usize <= index) - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_rows_are_found_in_rising_order() {
        let mut marks = Marks::within(1 << 20, 1_000_000).unwrap();
        for rows in [
            vec![999_999, 0, 63, 64, 63, 4096, 262_144],
            vec![5],
            vec![],
            vec![64, 0, 127],
        ] {
            rows.iter().for_each(|row| marks.insert(*row));
            let unique = marks.finish();
            let mut expected: Vec<i64> = rows.iter().copied().map(i64::from).collect();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(unique, expected);
            assert!(
                rows.iter()
                    .all(|row| unique[marks.place(*row) as usize] == i64::from(*row))
            );
            marks.clear();
        }
    }

    #[test]
    fn groups_that_exceed_the_budget_are_sorted_and_give_the_same_plans() {
        let spec = |rows| LookupSpec::new("g", [LookupFeature::new("id", 0, rows)]);
        let planners = Planners::new(vec![spec(1000), spec(1 << 32), spec(1000)], 2);
        let rows = planners.rows();
        assert!(matches!(
            rows[..],
            [Rows::Marked(_), Rows::Sorted(_), Rows::Marked(_)]
        ));
        let batch = Batch::new([("id", Column::from(vec![7, 999, 7, 0]))]).unwrap();
        let plans = planners.plan(&batch).unwrap();
        assert!(plans[0] == plans[1] && plans[1] == plans[2]);
        assert_eq!(
            (&plans[0].unique[..], &plans[0].features[0].positions[..]),
            (&[0, 7, 999][..], &[1, 2, 1, 0][..])
        );
    }

    #[test]
    fn a_refused_batch_leaves_nothing_behind() {
        let planners = Planners::new(
            vec![LookupSpec::new("g", [LookupFeature::new("id", 0, 100)])],
            1,
        );
        let plan = |ids: Vec<i32>| planners.plan(&Batch::new([("id", Column::from(ids))]).unwrap());
        assert!(matches!(
            plan(vec![3, 100]),
            Err(Error::IdOutOfTable {
                id: 100,
                row: 1,
                ..
            })
        ));
        assert_eq!(plan(vec![5]).unwrap()[0].unique, [5]);
    }
}
