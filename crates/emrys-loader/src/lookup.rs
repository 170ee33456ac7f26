//! Which rows of embedding tables a batch needs, found before the batch reaches the model.
//!
//! All tables of one width are stacked into one matrix, a *group*. For each batch and group a
//! [`LookupPlan`] holds the distinct rows that any of its features needs, and for each id the place
//! of its row among them. A model then gathers each row once, whatever the size of the tables.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::column::{Column, Layout, Values};
use crate::{Error, Result};

/// A column whose ids are rows of one table of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupFeature {
    /// The column of ids.
    pub column: String,
    /// Where the table begins in the stacked matrix of its group.
    pub row_offset: u64,
    /// How many rows the table has.
    pub rows: u64,
}

impl LookupFeature {
    /// A column whose ids, `0..rows`, are the rows from `row_offset` of its group's matrix.
    pub fn new(column: impl Into<String>, row_offset: u64, rows: u64) -> LookupFeature {
        LookupFeature { column: column.into(), row_offset, rows }
    }
}

/// The features whose tables are stacked into one matrix.
///
/// Features that share a table have the same row offset. A column can be in several groups, and
/// several times in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupSpec {
    /// The name of the group.
    pub group: String,
    /// Its features.
    pub features: Vec<LookupFeature>,
}

impl LookupSpec {
    /// A group of features.
    pub fn new(group: impl Into<String>, features: impl IntoIterator<Item = LookupFeature>) -> LookupSpec {
        LookupSpec { group: group.into(), features: features.into_iter().collect() }
    }

    /// The rows of the stacked matrix.
    pub fn rows(&self) -> u64 {
        let ends = self.features.iter().map(|feature| feature.row_offset.saturating_add(feature.rows));
        ends.max().unwrap_or(0)
    }

    /// Rows are numbered in 32 bits inside plans.
    pub(crate) fn check(&self) -> Result<()> {
        let rows = self.rows();
        if rows > 1 << 32 {
            return Err(Error::GroupTooLarge { group: self.group.clone(), rows });
        }
        Ok(())
    }
}

/// The rows of one group's stacked matrix that a batch needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupPlan {
    /// The name of the group.
    pub group: Arc<str>,
    /// The distinct rows, in rising order.
    pub unique: Vec<i64>,
    /// Where the rows of each feature's ids are in `unique`, in the order of the group's features.
    pub features: Vec<FeaturePositions>,
}

impl LookupPlan {
    /// The feature of that column; the first, if the column is there several times.
    ///
    /// # Errors
    /// [`Error::NotInPlan`], which names the nearest column.
    pub fn feature(&self, column: &str) -> Result<&FeaturePositions> {
        self.features.iter().find(|feature| &*feature.column == column).ok_or_else(|| Error::NotInPlan {
            column: column.to_owned(),
            group: self.group.to_string(),
            available: self.features.iter().map(|feature| feature.column.to_string()).collect(),
        })
    }
}

/// Where the rows of a feature's ids are among the unique rows of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturePositions {
    /// The column of ids.
    pub column: Arc<str>,
    /// For each id of the column, the index of its row in [`LookupPlan::unique`].
    pub positions: Vec<i32>,
    /// How the ids belong to rows of the batch: the layout of the column.
    pub layout: Layout,
}

/// Finds the rows of a group that a batch needs.
///
/// A [`Loader`](crate::Loader) with [lookups](crate::Loader::with_lookups) does this in its own
/// threads; this function is for batches from elsewhere.
///
/// ```
/// use emrys_loader::{Batch, Column, LookupFeature, LookupSpec, plan};
///
/// let batch = Batch::new([
///     ("user_id", Column::from(vec![2, 0, 2])),
///     ("genres", Column::lists([vec![1, 3], vec![], vec![1]])),
/// ])?;
/// let spec = LookupSpec::new(
///     "dim16",
///     [LookupFeature::new("user_id", 0, 3), LookupFeature::new("genres", 3, 4)],
/// );
/// let plan = plan(&batch, &spec)?;
/// assert_eq!(plan.unique, [0, 2, 4, 6]);
/// assert_eq!(plan.feature("user_id")?.positions, [1, 0, 1]);
/// assert_eq!(plan.feature("genres")?.positions, [2, 3, 2]);
/// # Ok::<(), emrys_loader::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotInBatch`], [`Error::IdsNotInteger`], [`Error::GroupTooLarge`],
/// [`Error::TooManyValues`], and [`Error::IdOutOfTable`] for an id that is not a row of its table.
pub fn plan(batch: &Batch, spec: &LookupSpec) -> Result<LookupPlan> {
    spec.check()?;
    Planner::new(spec.clone(), 0).plan(batch)
}

/// Makes the plans of all groups for many batches, from any thread.
#[derive(Debug)]
pub(crate) struct Planners {
    specs: Vec<LookupSpec>,
    direct_bytes: usize,
    /// Planners that no thread uses now; they keep their memory for the next batch.
    idle: Mutex<Vec<Vec<Planner>>>,
}

/// What the direct maps of all threads may take together.
const DIRECT_BYTES: usize = 256 << 20;

impl Planners {
    pub(crate) fn new(specs: Vec<LookupSpec>, threads: usize) -> Planners {
        Planners { specs, direct_bytes: DIRECT_BYTES / threads.max(1), idle: Mutex::default() }
    }

    pub(crate) fn specs(&self) -> &[LookupSpec] {
        &self.specs
    }

    pub(crate) fn plan(&self, batch: &Batch) -> Result<Vec<LookupPlan>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut planners = idle.unwrap_or_else(|| self.create());
        let plans = planners.iter_mut().map(|planner| planner.plan(batch)).collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(planners);
        plans
    }

    fn create(&self) -> Vec<Planner> {
        let mut budget = self.direct_bytes;
        let mut planners = Vec::new();
        for spec in &self.specs {
            let planner = Planner::new(spec.clone(), budget);
            budget -= planner.slots.direct_bytes();
            planners.push(planner);
        }
        planners
    }
}

/// Finds the slot of a row: a number that counts the distinct rows of a batch as they appear.
///
/// `Direct` has an entry for each row of the group. It is never cleared: an entry holds for this
/// batch only if it points at a row that points back, so what older batches left does no harm, and
/// the cost of a batch does not depend on the size of the tables. It costs 4 bytes per row and
/// thread (the system hands out only the pages that are touched) and one likely cache miss per id.
/// `Hash` costs up to twice as much per id, but its memory depends on the batch alone; it serves
/// groups whose direct map would not fit the budget, and plans that are made only once.
#[derive(Debug)]
enum Slots {
    Direct(Vec<u32>),
    Hash(HashMap<u32, u32>),
}

impl Slots {
    fn direct_bytes(&self) -> usize {
        match self {
            Slots::Direct(slots) => size_of_val(slots.as_slice()),
            Slots::Hash(_) => 0,
        }
    }
}

/// The distinct rows of a batch in order of appearance.
#[derive(Debug, Default)]
struct Appearances {
    /// The first `count` are of this batch. What is behind is of older ones, or nothing.
    rows: Vec<u32>,
    count: usize,
}

impl Appearances {
    /// Forgets the last batch, and makes room for one of `ids` ids.
    fn begin(&mut self, ids: usize) {
        self.count = 0;
        // One more, because a row is written before it is known to be new. Never shorter than
        // before, so that the slots of older batches can be read.
        if self.rows.len() <= ids {
            self.rows.resize(ids + 1, 0);
        }
    }

    fn rows(&self) -> &[u32] {
        &self.rows[..self.count]
    }

    /// The slot of a row, given the slot it would have if it had appeared.
    ///
    /// Without a branch, since whether a row is new cannot be predicted.
    #[expect(clippy::cast_possible_truncation, reason = "a batch has fewer than 2^31 ids")]
    fn slot(&mut self, row: u32, slot: u32) -> u32 {
        let appeared = ((slot as usize) < self.count) & (self.rows[slot as usize] == row);
        let slot = if appeared { slot } else { self.count as u32 };
        self.rows[self.count] = row;
        self.count += usize::from(!appeared);
        slot
    }
}

#[derive(Debug)]
struct Planner {
    spec: LookupSpec,
    slots: Slots,
    appearances: Appearances,
    sorter: Sorter,
}

impl Planner {
    fn new(spec: LookupSpec, direct_bytes: usize) -> Planner {
        let entries = usize::try_from(spec.rows()).ok();
        let slots = match entries.filter(|entries| entries.saturating_mul(size_of::<u32>()) <= direct_bytes) {
            Some(entries) => Slots::Direct(vec![0; entries]),
            None => Slots::Hash(HashMap::new()),
        };
        Planner { spec, slots, appearances: Appearances::default(), sorter: Sorter::default() }
    }

    fn plan(&mut self, batch: &Batch) -> Result<LookupPlan> {
        let columns: Vec<&Column> =
            self.spec.features.iter().map(|feature| batch.column(&feature.column)).collect::<Result<_>>()?;
        let values = columns.iter().map(|column| column.values().len()).sum();
        i32::try_from(values).map_err(|_| Error::TooManyValues { values })?;
        self.appearances.begin(values);
        if let Slots::Hash(slots) = &mut self.slots {
            slots.clear();
        }
        let mut features = Vec::with_capacity(columns.len());
        for (feature, column) in self.spec.features.iter().zip(columns) {
            let slots = match column.values() {
                Values::I32(ids) => find_slots(ids, feature, &mut self.slots, &mut self.appearances),
                Values::I64(ids) => find_slots(ids, feature, &mut self.slots, &mut self.appearances),
                floats => {
                    let column = feature.column.clone();
                    return Err(Error::IdsNotInteger { column, found: floats.dtype() });
                }
            };
            let positions = slots.map_err(|BadId { index, id }| Error::IdOutOfTable {
                column: feature.column.clone(),
                row: row_of_value(column.layout(), index),
                id,
                rows: feature.rows,
            })?;
            features.push(FeaturePositions {
                column: feature.column.as_str().into(),
                positions,
                layout: column.layout().clone(),
            });
        }
        let unique = self.sorter.sort(self.appearances.rows());
        for feature in &mut features {
            self.sorter.rank(&mut feature.positions);
        }
        Ok(LookupPlan { group: self.spec.group.as_str().into(), unique, features })
    }
}

struct BadId {
    index: usize,
    id: i64,
}

/// The slots of the ids' rows.
fn find_slots<T: Copy + Into<i64>>(
    ids: &[T],
    feature: &LookupFeature,
    slots: &mut Slots,
    appearances: &mut Appearances,
) -> Result<Vec<i32>, BadId> {
    match slots {
        Slots::Direct(slots) => map_rows(ids, feature, |row| {
            let entry = &mut slots[row as usize];
            *entry = appearances.slot(row, *entry);
            *entry
        }),
        Slots::Hash(slots) => {
            map_rows(ids, feature, |row| *slots.entry(row).or_insert_with(|| appearances.slot(row, 0)))
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "rows of a group fit 32 bits, slots 31; a negative id becomes a huge one and is refused"
)]
fn map_rows<T: Copy + Into<i64>>(
    ids: &[T],
    feature: &LookupFeature,
    mut slot_of: impl FnMut(u32) -> u32,
) -> Result<Vec<i32>, BadId> {
    let mut positions = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let id: i64 = (*id).into();
        if id as u64 >= feature.rows {
            return Err(BadId { index, id });
        }
        positions.push(slot_of((feature.row_offset + id as u64) as u32) as i32);
    }
    Ok(positions)
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

/// Sorts the distinct rows of a batch and renumbers their slots.
#[derive(Debug, Default)]
struct Sorter {
    /// Row and slot of each distinct row, the row in the upper half.
    keys: Vec<u64>,
    spare: Vec<u64>,
    /// The place in rising order of each slot.
    ranks: Vec<i32>,
}

impl Sorter {
    /// The rows in rising order.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "the halves of keys are taken apart; there are fewer than 2^31 slots"
    )]
    fn sort(&mut self, rows: &[u32]) -> Vec<i64> {
        self.keys.clear();
        self.keys.extend(rows.iter().zip(0_u64..).map(|(row, slot)| u64::from(*row) << 32 | slot));
        self.sort_keys(rows.iter().copied().max().unwrap_or(0));
        self.ranks.resize(rows.len(), 0);
        for (rank, key) in self.keys.iter().enumerate() {
            self.ranks[*key as u32 as usize] = rank as i32;
        }
        self.keys.iter().map(|key| i64::from((key >> 32) as u32)).collect()
    }

    /// Sorts by digits from the least; about half the time of `sort_unstable` for a usual batch.
    fn sort_keys(&mut self, greatest_row: u32) {
        const DIGIT_BITS: u32 = 11;
        if self.keys.len() < 1 << DIGIT_BITS {
            return self.keys.sort_unstable();
        }
        self.spare.resize(self.keys.len(), 0);
        let digits = (u32::BITS - greatest_row.leading_zeros()).div_ceil(DIGIT_BITS);
        for digit in 0..digits {
            let shift = u32::BITS + digit * DIGIT_BITS;
            let bucket = |key: u64| (key >> shift) as usize & ((1 << DIGIT_BITS) - 1);
            let mut places = [0_usize; 1 << DIGIT_BITS];
            self.keys.iter().for_each(|key| places[bucket(*key)] += 1);
            let mut start = 0;
            for place in &mut places {
                start += std::mem::replace(place, start);
            }
            for key in &self.keys {
                let place = &mut places[bucket(*key)];
                self.spare[*place] = *key;
                *place += 1;
            }
            std::mem::swap(&mut self.keys, &mut self.spare);
        }
    }

    /// Turns slots into places in rising order.
    fn rank(&self, slots: &mut [i32]) {
        for slot in slots {
            *slot = self.ranks[slot.unsigned_abs() as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_are_sorted_and_renumbered() {
        // Multiplying by an odd number gives distinct rows.
        let rows: Vec<u32> = (0..10_000_u32).map(|step| step.wrapping_mul(2_654_435_761)).collect();
        let mut sorter = Sorter::default();
        for rows in [&rows[..], &rows[..3], &[], &rows[5000..]] {
            let sorted = sorter.sort(rows);
            let mut expected: Vec<i64> = rows.iter().copied().map(i64::from).collect();
            expected.sort_unstable();
            assert_eq!(sorted, expected);
            let mut slots: Vec<i32> = (0..rows.len() as i32).collect();
            sorter.rank(&mut slots);
            assert!(slots.iter().zip(rows).all(|(place, row)| sorted[*place as usize] == i64::from(*row)));
        }
    }

    #[test]
    fn what_older_batches_left_does_no_harm() {
        let spec = LookupSpec::new("g", [LookupFeature::new("id", 0, 10)]);
        let mut planner = Planner::new(spec.clone(), 1000);
        assert!(matches!(planner.slots, Slots::Direct(_)));
        for ids in [vec![5, 6, 7, 5], vec![7, 5], vec![6], vec![9, 7, 6, 5, 4, 3]] {
            let batch = Batch::new([("id", Column::from(ids))]).unwrap();
            assert_eq!(planner.plan(&batch).unwrap(), plan(&batch, &spec).unwrap());
        }
    }

    #[test]
    fn maps_that_exceed_the_budget_are_hashed() {
        let spec = |rows| LookupSpec::new("g", [LookupFeature::new("id", 0, rows)]);
        let planners = Planners::new(vec![spec(1000), spec(1 << 31), spec(1000)], 2);
        let kinds = planners.create().iter().map(|planner| planner.slots.direct_bytes()).collect::<Vec<_>>();
        assert_eq!(kinds, [4000, 0, 4000]);
    }
}
