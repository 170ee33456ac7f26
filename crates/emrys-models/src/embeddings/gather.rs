//! Lookup: from the rows of the tables to a small tensor per feature.

use burn::tensor::{Device, Tensor, TensorData};
use emrys_loader::{FeaturePositions, Layout, LookupPlan};
use rayon::prelude::*;

use super::error::EmbeddingError;
use super::prefetch::{AHEAD, prefetch};
use super::spec::{Combiner, EmbeddingFeature};
use super::tables::{EmbeddingTables, Group, Member};

/// Rows of output per task: small enough to share out one feature of one batch, large enough that
/// the sharing costs nothing.
const ROWS_PER_TASK: usize = 256;

/// The vectors that were looked up for a batch, one tensor per feature.
///
/// On a device with autodiff, the tensors of trainable tables are leaves that keep their gradient.
#[derive(Debug, Clone)]
pub struct EmbeddingBatch {
    tensors: Vec<(String, Tensor<2>)>,
}

impl EmbeddingBatch {
    /// The vectors of the feature with that key; the shapes are those of [`EmbeddingFeature`].
    pub fn get(&self, key: &str) -> Option<&Tensor<2>> {
        self.iter()
            .find_map(|(name, tensor)| (name == key).then_some(tensor))
    }

    /// All features, in the order they were declared.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<2>)> {
        self.tensors
            .iter()
            .map(|(key, tensor)| (key.as_str(), tensor))
    }
}

/// Where the values of each row of a column begin and end.
#[derive(Clone, Copy)]
pub(super) enum Bags<'a> {
    /// All rows have that many.
    Fixed(usize),
    /// Row `i` has the values from `offsets[i]` to `offsets[i + 1]`.
    Ragged(&'a [i32]),
}

impl<'a> Bags<'a> {
    /// One bag per row of the column; one per id where nothing is combined.
    pub(super) fn new(layout: &'a Layout, combiner: Option<Combiner>) -> Self {
        match (combiner, layout) {
            (None, _) | (_, Layout::Scalar) => Self::Fixed(1),
            (Some(_), Layout::Fixed(width)) => Self::Fixed(*width),
            (Some(_), Layout::Ragged(offsets)) => Self::Ragged(offsets),
        }
    }

    /// The number of bags that `ids` ids make, or nothing if they do not fill bags.
    fn count(self, ids: usize) -> Option<usize> {
        match self {
            Self::Fixed(0) => None,
            Self::Fixed(width) => ids.is_multiple_of(width).then_some(ids / width),
            Self::Ragged(offsets) => {
                let rising = offsets.is_sorted() && offsets.first() == Some(&0);
                let all = offsets
                    .last()
                    .is_some_and(|end| usize::try_from(*end) == Ok(ids));
                (rising && all).then(|| offsets.len() - 1)
            }
        }
    }

    /// The values of a bag. Offsets were checked to rise from 0, so they are not negative.
    #[expect(clippy::cast_sign_loss, reason = "offsets were checked to rise from 0")]
    pub(super) fn range(self, bag: usize) -> std::ops::Range<usize> {
        match self {
            Self::Fixed(width) => bag * width..(bag + 1) * width,
            Self::Ragged(offsets) => offsets[bag] as usize..offsets[bag + 1] as usize,
        }
    }
}

/// A feature's part of a lookup plan, checked against the tables.
pub(super) struct Lookup<'a> {
    pub(super) feature: &'a EmbeddingFeature,
    /// The feature's place in the declarations.
    index: usize,
    /// For each value, where its row is in the plan's distinct rows.
    pub(super) positions: &'a [i32],
    pub(super) bags: Bags<'a>,
    pub(super) num_bags: usize,
    /// The position of the padding id's row, if the batch has one that is to be left out.
    pub(super) padding: Option<i32>,
}

impl<'a> Lookup<'a> {
    /// Nothing if the positions do not fit the layout or the distinct rows.
    fn new(
        feature: &'a EmbeddingFeature,
        member: Member,
        found: &'a FeaturePositions,
        rows: &[i64],
    ) -> Option<Self> {
        let in_range = |position: &i32| usize::try_from(*position).is_ok_and(|p| p < rows.len());
        let bags = Bags::new(&found.layout, feature.combiner);
        let num_bags = bags.count(found.positions.len())?;
        if !found.positions.iter().all(in_range) {
            return None;
        }
        let padding_id = feature.padding_id.filter(|_| feature.combiner.is_some());
        let padding = padding_id.and_then(|id| {
            let row = i64::try_from(member.first_row).ok()?.checked_add(id)?;
            i32::try_from(rows.binary_search(&row).ok()?).ok()
        });
        let index = member.index;
        Some(Self {
            feature,
            index,
            positions: &found.positions,
            bags,
            num_bags,
            padding,
        })
    }

    /// The positions of a bag's values, without padding.
    pub(super) fn bag(&self, bag: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        let padding = self.padding;
        let positions = &self.positions[self.bags.range(bag)];
        #[expect(
            clippy::cast_sign_loss,
            reason = "positions were checked to be in range"
        )]
        positions
            .iter()
            .filter(move |position| Some(**position) != padding)
            .map(|position| *position as usize)
    }

    /// What the sum of `count` vectors is multiplied with.
    pub(super) fn scale(&self, count: usize) -> f32 {
        self.feature
            .combiner
            .map_or(1.0, |combiner| combiner.scale(count))
    }
}

impl EmbeddingTables {
    /// Copies the rows that a batch needs into one tensor per feature on `device`.
    ///
    /// `plans` are the batch's, made from [`lookup_specs`](Self::lookup_specs), or from those of
    /// them whose columns the batch has: features without a plan are not looked up.
    ///
    /// # Training and evaluation
    /// On a device with autodiff, vectors of trainable tables are leaves: after backward, give
    /// them to [`apply`](Self::apply).
    ///
    /// # Errors
    /// [`EmbeddingError::Plan`] if there are no plans, or one was made for other tables.
    pub fn gather(
        &self,
        plans: &[LookupPlan],
        device: &Device,
    ) -> Result<EmbeddingBatch, EmbeddingError> {
        let mut work = Vec::with_capacity(self.features.len());
        for group in self
            .groups
            .iter()
            .filter(|group| !group.features.is_empty())
        {
            match GroupLookup::new(group, &self.features, plans)? {
                Some(GroupLookup { rows, features }) => {
                    work.extend(features.into_iter().map(|lookup| (group, rows, lookup)));
                }
                None if plans.is_empty() => return Err(GroupLookup::missing(group)),
                None => {}
            }
        }
        work.sort_unstable_by_key(|(.., lookup)| lookup.index);

        let vectors: Vec<Vec<f32>> = work
            .par_iter()
            .map(|(group, rows, lookup)| gather_feature(group, rows, lookup))
            .collect();
        let tensors = work
            .iter()
            .zip(vectors)
            .map(|((group, _, lookup), vectors)| {
                let data = TensorData::new(vectors, [lookup.num_bags, group.dim]);
                let tensor = Tensor::<2>::from_data(data, device);
                let is_leaf = group.trainable && device.is_autodiff();
                let tensor = if is_leaf {
                    tensor.require_grad()
                } else {
                    tensor
                };
                (lookup.feature.key.clone(), tensor)
            });
        Ok(EmbeddingBatch {
            tensors: tensors.collect(),
        })
    }
}

/// The features' parts of the plan of a group, all checked.
pub(super) struct GroupLookup<'a> {
    /// The distinct rows, rising.
    pub(super) rows: &'a [i64],
    /// In the order of the group's features.
    pub(super) features: Vec<Lookup<'a>>,
}

impl<'a> GroupLookup<'a> {
    /// Finds the plan of `group`, if there is one, and checks that it was made for these tables.
    pub(super) fn new(
        group: &Group,
        features: &'a [EmbeddingFeature],
        plans: &'a [LookupPlan],
    ) -> Result<Option<Self>, EmbeddingError> {
        let Some(plan) = plans.iter().find(|plan| *plan.group == *group.name) else {
            return Ok(None);
        };
        let wrong = |problem: String| EmbeddingError::Plan {
            group: group.name.clone(),
            problem,
        };
        if !plan.unique.is_sorted_by(|row, next| row < next) {
            return Err(wrong("its rows do not rise".to_owned()));
        }
        let rows = group.weights.rows();
        let outside = |row: &&i64| !usize::try_from(**row).is_ok_and(|row| row < rows);
        let ends = [plan.unique.first(), plan.unique.last()];
        if let Some(row) = ends.into_iter().flatten().find(outside) {
            return Err(wrong(format!("it asks for row {row} of {rows}")));
        }
        // A plan may leave columns out, but it keeps the order.
        let mut members = group.features.iter();
        let lookups = plan.features.iter().map(|found| {
            let member = members
                .find(|member| *features[member.index].column == *found.column)
                .ok_or_else(|| wrong(format!("`{}` is not looked up there", found.column)))?;
            Lookup::new(&features[member.index], *member, found, &plan.unique)
                .ok_or_else(|| wrong(format!("positions of `{}` are damaged", found.column)))
        });
        Ok(Some(Self {
            rows: &plan.unique,
            features: lookups.collect::<Result<_, _>>()?,
        }))
    }

    /// The error that there is no plan of `group`.
    pub(super) fn missing(group: &Group) -> EmbeddingError {
        let problem = "there is none of that name".to_owned();
        EmbeddingError::Plan {
            group: group.name.clone(),
            problem,
        }
    }
}

/// The vectors of one feature, row after row. `rows` are the plan's distinct rows.
fn gather_feature(group: &Group, rows: &[i64], lookup: &Lookup<'_>) -> Vec<f32> {
    let dim = group.dim;
    let weights = group.weights.as_slice();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rows were checked to be in range"
    )]
    let row_at = |position: usize| {
        let start = rows[position] as usize * dim;
        &weights[start..start + dim]
    };
    let mut vectors = vec![0.0; lookup.num_bags * dim];
    let tasks = vectors.par_chunks_mut(ROWS_PER_TASK * dim).enumerate();
    tasks.for_each(|(task, chunk)| {
        for (index, vector) in chunk.chunks_exact_mut(dim).enumerate() {
            let index = task * ROWS_PER_TASK + index;
            if index + AHEAD < lookup.num_bags {
                let later = lookup.bag(index + AHEAD);
                later.for_each(|position| prefetch(row_at(position)));
            }
            let bag = lookup.bag(index);
            let mut count = 0;
            for row in bag.map(row_at) {
                count += 1;
                if count == 1 {
                    vector.copy_from_slice(row);
                } else {
                    vector
                        .iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                }
            }
            let scale = lookup.scale(count);
            if count > 1 && scale != 1.0 {
                vector.iter_mut().for_each(|value| *value *= scale);
            }
        }
    });
    vectors
}
