//! The statistics of every category, and their files.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt8Type;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FOLD, MOST_FOLDS, OPERATOR};
use crate::functions::{ExactSum, SumPair};
use crate::lookup::{Records, Word, WordKind, key_name};
use crate::operator::{ArtifactReader, ArtifactWriter, GroupedRows, Order, State, any_float};
use crate::ops::keyed_statistics::{self, KeyedStatistics};
use crate::storage::Storage;
use crate::{Error, Result};

/// What [`TargetEncoding`](super::TargetEncoding) learns.
#[derive(Debug)]
pub struct Encodings {
    pub(super) targets: Vec<Target>,
    pub(super) groups: Vec<Arc<GroupTable>>,
}

/// A target over all rows.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// What stands for an unknown category: the mean of all rows, or a given one.
    #[serde(with = "any_float")]
    pub(super) mean: f64,
    pub(super) count: i64,
    #[serde(with = "any_float")]
    sum: f64,
    /// What the sum lacks as a double.
    #[serde(with = "any_float")]
    sum_low: f64,
}

impl Target {
    pub(super) fn new(sum: ExactSum, given: Option<f64>) -> Target {
        Target {
            mean: given.unwrap_or_else(|| sum.mean()),
            count: sum.count,
            sum: sum.sum.high,
            sum_low: sum.sum.low,
        }
    }

    pub(super) fn sum(&self) -> ExactSum {
        ExactSum {
            count: self.count,
            sum: SumPair {
                high: self.sum,
                low: self.sum_low,
            },
        }
    }
}

impl Encodings {
    pub(super) fn table(&self, members: &[String]) -> Result<&Arc<GroupTable>> {
        keyed_statistics::find(OPERATOR, &self.groups, members)
    }
}

/// Count and sum of the targets for each category of one column or group, in every fold.
pub(super) type GroupTable = KeyedStatistics<FoldSums>;

/// Makes the table from the rows of a group-by: keys, fold if there are several, sums.
pub(super) fn build(
    members: &[String],
    targets: usize,
    folds: u32,
    rows: GroupedRows,
    storage: &Storage,
) -> Result<GroupTable> {
    let records = FoldSums {
        members: members.len(),
        targets,
        folds: folds as usize,
    };
    let order = order(members.len(), folds);
    let complete = |_: &mut [u64]| Ok(());
    GroupTable::build(OPERATOR, members, rows, &order, records, storage, complete)
}

/// The order in which the rows of a group-by are wanted.
pub(super) fn order(members: usize, folds: u32) -> Vec<Order> {
    let fold = (folds > 1).then(|| FOLD.to_owned());
    (0..members)
        .map(key_name)
        .chain(fold)
        .map(Order::rising)
        .collect()
}

/// Records of counts and sums: three words for each target and fold.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoldSums {
    members: usize,
    targets: usize,
    folds: usize,
}

impl FoldSums {
    pub(super) fn folds(self) -> u32 {
        self.folds as u32
    }

    /// Count and sum of a target over the folds of a category but one.
    ///
    /// The folds are added rather than the one subtracted: a difference of sums could leave noise
    /// where no row is left.
    pub(super) fn total(self, record: &[u64], target: usize, but: Option<usize>) -> ExactSum {
        let folds = (0..self.folds).filter(|fold| Some(*fold) != but);
        let mut total = ExactSum::default();
        for fold in folds {
            total.merge(self.get(record, target, fold));
        }
        total
    }

    fn at(self, target: usize, fold: usize) -> usize {
        3 * (target * self.folds + fold)
    }

    fn get(self, record: &[u64], target: usize, fold: usize) -> ExactSum {
        let at = self.at(target, fold);
        ExactSum {
            count: record[at].cast_signed(),
            sum: SumPair {
                high: f64::from_bits(record[at + 1]),
                low: f64::from_bits(record[at + 2]),
            },
        }
    }

    fn add(self, record: &mut [u64], target: usize, fold: usize, more: ExactSum) {
        let mut sum = self.get(record, target, fold);
        sum.merge(more);
        let sum_pair = sum.sum.rounded();
        let at = self.at(target, fold);
        record[at] = sum.count.cast_unsigned();
        record[at + 1] = sum_pair.high.to_bits();
        record[at + 2] = sum_pair.low.to_bits();
    }

    fn each(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.targets).flat_map(move |target| (0..self.folds).map(move |fold| (target, fold)))
    }
}

impl Records for FoldSums {
    fn words(&self) -> Vec<Word> {
        let words = self.each().flat_map(|(target, fold)| {
            let name = |part: &str| format!("{}_{part}_{fold}", sums_name(target));
            [
                Word::new(name("count"), WordKind::Signed),
                Word::new(name("sum"), WordKind::Float),
                Word::new(name("low"), WordKind::Float),
            ]
        });
        words.collect()
    }

    fn empty(&self) -> Vec<u64> {
        // Zero counts, and zero sums, whose bits are zero too.
        vec![0; 3 * self.targets * self.folds]
    }

    fn reader(&self, batch: &RecordBatch) -> Result<Box<dyn Fn(usize, &mut [u64])>> {
        let records = *self;
        let width = self.members + usize::from(self.folds > 1);
        let wrong = || Error::Internal("a group-by gave other columns".to_owned());
        let folds = match self.folds {
            1 => None,
            _ => {
                let folds = batch.column(self.members);
                Some(
                    folds
                        .as_primitive_opt::<UInt8Type>()
                        .ok_or_else(wrong)?
                        .clone(),
                )
            }
        };
        let sums = batch.columns()[width..].iter().map(ExactSum::from_array);
        let sums = sums.collect::<Result<Vec<_>>>()?;
        Ok(Box::new(move |row, record| {
            let fold = folds
                .as_ref()
                .map_or(0, |folds| usize::from(folds.value(row)));
            for (target, sums) in sums.iter().enumerate() {
                records.add(record, target, fold, sums[row]);
            }
        }))
    }

    fn merge(&self, record: &mut [u64], other: &[u64]) {
        for (target, fold) in self.each() {
            self.add(record, target, fold, self.get(other, target, fold));
        }
    }
}

/// The name of a target's sums in queries and files.
pub(super) fn sums_name(target: usize) -> String {
    format!("moments_{target}")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The means of the targets, as saves had them before there were their sums.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    means: Vec<Mean>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Target>,
    groups: Vec<SavedGroup>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Mean(#[serde(with = "any_float")] f64);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedGroup {
    members: Vec<String>,
    folds: u32,
    file: String,
}

impl State for Encodings {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let mut groups = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            groups.push(SavedGroup {
                members: group.table.members().to_vec(),
                folds: group.records.folds as u32,
                file: group.save(OPERATOR, number, artifacts)?,
            });
        }
        serde_json::to_value(Saved {
            means: Vec::new(),
            targets: self.targets.clone(),
            groups,
        })
        .map_err(|e| Error::Internal(format!("state to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Encodings> {
        let saved: Saved =
            serde_json::from_value(saved).map_err(|e| artifacts.wrong(e.to_string()))?;
        let before = saved.means.into_iter().map(|mean| {
            // A count of zero says that the sum is not known.
            Target::new(ExactSum::default(), Some(mean.0))
        });
        let targets: Vec<Target> = before.chain(saved.targets).collect();
        let mut groups = Vec::new();
        for saved in saved.groups {
            if !(1..=MOST_FOLDS).contains(&saved.folds) {
                let SavedGroup { file, folds, .. } = saved;
                return Err(
                    artifacts.wrong(format!("artifact `{file}` has {folds} folds; fit again"))
                );
            }
            let records = FoldSums {
                members: saved.members.len(),
                targets: targets.len(),
                folds: saved.folds as usize,
            };
            let table =
                GroupTable::load(OPERATOR, &saved.members, &saved.file, records, artifacts)?;
            groups.push(Arc::new(table));
        }
        Ok(Encodings { targets, groups })
    }
}
