//! The statistics of every category, and their files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{Field, Float64Type, Int64Type, Schema, UInt8Type};
use arrow::row::{RowConverter, SortField};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{key_names, moments_name};
use crate::functions::Moments;
use crate::lookup::ValueIndex;
use crate::operator::{ArtifactReader, ArtifactWriter, State, exact};
use crate::selector::Selected;
use crate::{Error, Result};

/// What [`TargetEncoding`](super::TargetEncoding) learns.
#[derive(Debug)]
pub struct Encodings {
    /// The mean of each target.
    pub(super) means: Vec<f64>,
    pub(super) groups: Vec<Arc<GroupTable>>,
}

impl Encodings {
    pub(super) fn table(&self, members: &[String]) -> Result<&Arc<GroupTable>> {
        self.groups
            .iter()
            .find(|table| table.members == members)
            .ok_or_else(|| Error::Data {
                operator: "target_encoding".to_owned(),
                problem: format!(
                    "it was not fitted on `{}`; fit the workflow again",
                    members.join(", ")
                ),
            })
    }
}

/// Count and sum of the targets for each category of one column or group, in every fold.
#[derive(Debug)]
pub(super) struct GroupTable {
    members: Vec<String>,
    /// The categories, in rising order, one array per member.
    keys: Vec<ArrayRef>,
    index: Arc<ValueIndex>,
    pub(super) folds: u32,
    /// For each target; for each category, for each fold.
    pub(super) targets: Vec<Sums>,
}

/// Counts and sums: entry `category * folds + fold`.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) counts: Vec<i64>,
    pub(super) sums: Vec<f64>,
}

impl GroupTable {
    /// Makes the table from the batches of a group-by: keys, fold if there are several, moments.
    pub(super) fn build(
        members: &[String],
        targets: usize,
        folds: u32,
        batches: &[RecordBatch],
    ) -> Result<GroupTable> {
        let first = batches.first();
        let schema = first
            .ok_or_else(|| Error::Internal("a group-by gave nothing".to_owned()))?
            .schema();
        let all = concat_batches(&schema, batches).map_err(arrow_error)?;
        // Group-bys give rows in any order; categories are numbered in theirs.
        let width = members.len() + usize::from(folds > 1);
        let columns: Vec<SortColumn> = (0..width)
            .map(|i| SortColumn {
                values: Arc::clone(all.column(i)),
                options: None,
            })
            .collect();
        let order = lexsort_to_indices(&columns, None).map_err(arrow_error)?;
        let sorted: Result<Vec<ArrayRef>> = all
            .columns()
            .iter()
            .map(|column| take(column, &order, None).map_err(arrow_error))
            .collect();
        let sorted = sorted?;

        let keys = &sorted[..members.len()];
        let starts = starts_of_runs(keys)?;
        let categories = starts.len();
        let first_rows = UInt32Array::from(starts.clone());
        let distinct: Result<Vec<ArrayRef>> = keys
            .iter()
            .map(|key| take(key, &first_rows, None).map_err(arrow_error))
            .collect();
        let size = categories * folds as usize;
        let mut tables = vec![
            Sums {
                counts: vec![0; size],
                sums: vec![0.0; size]
            };
            targets
        ];
        let fold_column = (folds > 1).then(|| sorted[members.len()].as_primitive::<UInt8Type>());
        let moments: Result<Vec<Vec<Moments>>> =
            sorted[width..].iter().map(Moments::from_array).collect();
        let moments = moments?;
        let mut category = 0;
        for row in 0..all.num_rows() {
            while starts
                .get(category + 1)
                .is_some_and(|start| row >= *start as usize)
            {
                category += 1;
            }
            let fold = fold_column.map_or(0, |folds| usize::from(folds.value(row)));
            let entry = category * folds as usize + fold;
            for (table, moments) in tables.iter_mut().zip(&moments) {
                table.counts[entry] = moments[row].count;
                table.sums[entry] = moments[row].sum;
            }
        }
        GroupTable::new(members.to_vec(), distinct?, folds, tables)
    }

    fn new(
        members: Vec<String>,
        keys: Vec<ArrayRef>,
        folds: u32,
        targets: Vec<Sums>,
    ) -> Result<GroupTable> {
        // Code 0 is an unseen category, the first category has code 1.
        let index = ValueIndex::build(&keys, 1, 0).map_err(|error| Error::Data {
            operator: "target_encoding".to_owned(),
            problem: format!("column `{}`: {error}", members.join(", ")),
        })?;
        Ok(GroupTable {
            members,
            keys,
            index: Arc::new(index),
            folds,
            targets,
        })
    }

    pub(super) fn index(&self) -> &Arc<ValueIndex> {
        &self.index
    }

    /// Keys, then for each target and fold a count and a sum.
    fn to_batch(&self) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut add = |name: String, column: ArrayRef| {
            fields.push(Field::new(name, column.data_type().clone(), true));
            columns.push(column);
        };
        let names = key_names(&Selected::Group(self.members.clone()));
        for (name, key) in names.into_iter().zip(&self.keys) {
            add(name, Arc::clone(key));
        }
        let folds = self.folds as usize;
        for (target, sums) in self.targets.iter().enumerate() {
            for fold in 0..folds {
                let counts: Int64Array = sums
                    .counts
                    .iter()
                    .skip(fold)
                    .step_by(folds)
                    .copied()
                    .collect();
                let values: Float64Array = sums
                    .sums
                    .iter()
                    .skip(fold)
                    .step_by(folds)
                    .copied()
                    .collect();
                add(
                    format!("{}_count_{fold}", moments_name(target)),
                    Arc::new(counts),
                );
                add(
                    format!("{}_sum_{fold}", moments_name(target)),
                    Arc::new(values),
                );
            }
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(arrow_error)
    }

    fn from_batch(
        members: Vec<String>,
        folds: u32,
        targets: usize,
        batch: &RecordBatch,
    ) -> Result<Option<GroupTable>> {
        let width = folds as usize;
        if batch.num_columns() != members.len() + 2 * targets * width {
            return Ok(None);
        }
        let keys = batch.columns()[..members.len()].to_vec();
        let size = batch.num_rows() * width;
        let mut tables = vec![
            Sums {
                counts: vec![0; size],
                sums: vec![0.0; size]
            };
            targets
        ];
        let mut columns = batch.columns()[members.len()..].chunks(2);
        for table in &mut tables {
            for (fold, pair) in columns.by_ref().take(width).enumerate() {
                let (Some(counts), Some(sums)) = (
                    pair[0].as_primitive_opt::<Int64Type>(),
                    pair[1].as_primitive_opt::<Float64Type>(),
                ) else {
                    return Ok(None);
                };
                for row in 0..batch.num_rows() {
                    table.counts[row * width + fold] = counts.value(row);
                    table.sums[row * width + fold] = sums.value(row);
                }
            }
        }
        GroupTable::new(members, keys, folds, tables).map(Some)
    }
}

/// The rows at which another key begins, in sorted rows.
fn starts_of_runs(keys: &[ArrayRef]) -> Result<Vec<u32>> {
    let fields = keys
        .iter()
        .map(|key| SortField::new(key.data_type().clone()))
        .collect();
    let converter = RowConverter::new(fields).map_err(arrow_error)?;
    let rows = converter.convert_columns(keys).map_err(arrow_error)?;
    let mut starts = Vec::new();
    for row in 0..rows.num_rows() {
        if row == 0 || rows.row(row) != rows.row(row - 1) {
            starts.push(u32::try_from(row).map_err(|_| Error::Data {
                operator: "target_encoding".to_owned(),
                problem: "more than four billion categories; hash the column first".to_owned(),
            })?);
        }
    }
    Ok(starts)
}

fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::query("building a target encoding")(error.into())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    means: Vec<Mean>,
    groups: Vec<SavedGroup>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Mean(#[serde(with = "exact")] f64);

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
        for (i, table) in self.groups.iter().enumerate() {
            let name = format!("target_encoding_{i:03}.parquet");
            let file = artifacts.write_batch(&name, &table.to_batch()?)?;
            groups.push(SavedGroup {
                members: table.members.clone(),
                folds: table.folds,
                file,
            });
        }
        serde_json::to_value(Saved {
            means: self.means.iter().copied().map(Mean).collect(),
            groups,
        })
        .map_err(|e| Error::Internal(format!("state to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Encodings> {
        let saved: Saved =
            serde_json::from_value(saved).map_err(|e| artifacts.wrong(e.to_string()))?;
        let mut groups = Vec::new();
        for group in saved.groups {
            let batch = artifacts.read_batch(&group.file)?;
            let table =
                GroupTable::from_batch(group.members, group.folds, saved.means.len(), &batch)?;
            groups.push(Arc::new(table.ok_or_else(|| {
                artifacts.wrong(format!(
                    "artifact `{}` has other columns than expected",
                    group.file
                ))
            })?));
        }
        Ok(Encodings {
            means: saved.means.into_iter().map(|mean| mean.0).collect(),
            groups,
        })
    }
}
