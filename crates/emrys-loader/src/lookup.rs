//! Which rows of embedding tables a batch needs, found before the batch reaches the model.
//!
//! All tables of one width are stacked into one matrix, a *group*. For each batch and group a
//! [`LookupPlan`] holds the distinct rows that any of its features needs, and for each id the place
//! of its row among them. A model then gathers each row once, whatever the size of the tables.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::column::Layout;
use crate::planner;
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
        LookupFeature {
            column: column.into(),
            row_offset,
            rows,
        }
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
    pub fn new(
        group: impl Into<String>,
        features: impl IntoIterator<Item = LookupFeature>,
    ) -> LookupSpec {
        LookupSpec {
            group: group.into(),
            features: features.into_iter().collect(),
        }
    }

    /// The rows of the stacked matrix.
    pub fn rows(&self) -> u64 {
        let ends = self
            .features
            .iter()
            .map(|feature| feature.row_offset.saturating_add(feature.rows));
        ends.max().unwrap_or(0)
    }

    /// Rows are numbered in 32 bits inside plans.
    pub(crate) fn check(&self) -> Result<()> {
        let rows = self.rows();
        if rows > 1 << 32 {
            return Err(Error::GroupTooLarge {
                group: self.group.clone(),
                rows,
            });
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
        self.features
            .iter()
            .find(|feature| &*feature.column == column)
            .ok_or_else(|| Error::NotInPlan {
                column: column.to_owned(),
                group: self.group.to_string(),
                available: self
                    .features
                    .iter()
                    .map(|feature| feature.column.to_string())
                    .collect(),
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
    planner::plan_once(batch, spec)
}
