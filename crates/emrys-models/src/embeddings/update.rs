//! The backward pass of the lookup, fused with the optimizer: gradients are summed per distinct
//! row, and each touched row is updated in place.

use std::ops::Range;

use burn::tensor::Gradients;
use emrys_loader::LookupPlan;
use rayon::prelude::*;

use super::error::EmbeddingError;
use super::gather::{EmbeddingBatch, GroupLookup, Lookup};
use super::matrix::RowMatrix;
use super::prefetch::{AHEAD, prefetch};
use super::tables::{EmbeddingTables, Group, memory_error};
use crate::optimizers::{RowUpdate, RowUpdateVisitor, SparseOptimizer};

/// Distinct rows per task.
const ROWS_PER_TASK: usize = 256;

/// What an optimizer keeps beside the weights of a group.
#[derive(Debug)]
pub(super) struct State {
    /// As it was at the last step.
    pub(super) optimizer: SparseOptimizer,
    /// Steps taken.
    pub(super) step: u64,
    /// In the order of `SparseOptimizer::slots`; those that the optimizer lacks have no width.
    pub(super) slots: [RowMatrix; 2],
}

impl EmbeddingTables {
    /// Updates the rows that were looked up.
    ///
    /// Takes the gradients of the batch's tensors out of `gradients`, sums them for each distinct
    /// row (over features, lists and repeats, in that order) and updates each touched row once
    /// with the table's own optimizer, or else with `optimizer`. Rows that were not looked up, or
    /// whose features got no gradient, keep weights and state; tables that are not trainable keep
    /// theirs always.
    ///
    /// All cores work on it; the bits do not depend on how many there are.
    ///
    /// # Errors
    /// [`EmbeddingError::Plan`] and [`EmbeddingError::Gradient`] if `plans`, `batch` and
    /// `gradients` do not belong together; [`EmbeddingError::OtherOptimizer`] if the tables hold
    /// another optimizer's state; too little memory for the state.
    pub fn apply(
        &mut self,
        plans: &[LookupPlan],
        batch: &EmbeddingBatch,
        gradients: &mut Gradients,
        optimizer: &SparseOptimizer,
    ) -> Result<(), EmbeddingError> {
        let used = |group: &&mut Group| group.trainable && !group.features.is_empty();
        for group in self.groups.iter_mut().filter(used) {
            let Some(lookup) = GroupLookup::new(group, &self.features, plans)? else {
                let mut keys = group
                    .features
                    .iter()
                    .map(|member| &self.features[member.index].key);
                if keys.any(|key| batch.get(key).is_some()) {
                    return Err(GroupLookup::missing(group));
                }
                continue;
            };
            let GroupLookup { rows, features } = lookup;
            let mut parts = Vec::with_capacity(features.len());
            for lookup in &features {
                if let Some(gradient) = take_gradient(batch, &lookup.feature.key, gradients) {
                    let expected = lookup.num_bags * group.dim;
                    if gradient.len() != expected {
                        return Err(EmbeddingError::Gradient {
                            key: lookup.feature.key.clone(),
                            expected,
                            found: gradient.len(),
                        });
                    }
                    parts.push((lookup, gradient));
                }
            }
            let sums = RowGradients {
                dim: group.dim,
                rows,
                uses: &Uses::new(rows.len(), &parts),
                gradients: parts
                    .iter()
                    .map(|(_, gradient)| gradient.as_slice())
                    .collect(),
            };
            group.update(&sums, group.optimizer.unwrap_or(*optimizer))?;
        }
        Ok(())
    }

    /// Forgets all optimizer state, so that another optimizer can begin.
    pub fn reset_state(&mut self) {
        for group in &mut self.groups {
            group.state = None;
        }
    }
}

impl Group {
    /// Takes a step: updates the rows that have a gradient.
    fn update(
        &mut self,
        sums: &RowGradients<'_>,
        optimizer: SparseOptimizer,
    ) -> Result<(), EmbeddingError> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.new_state(optimizer)?,
        };
        if state.optimizer.name() != optimizer.name() {
            let found = state.optimizer.name();
            self.state = Some(state);
            return Err(EmbeddingError::OtherOptimizer {
                table: self.tables[0].clone(),
                found,
                asked: optimizer.name(),
            });
        }
        state.step += 1;
        state.optimizer = optimizer;
        let rows = UpdateRows {
            weights: self.weights.as_mut_slice(),
            widths: [state.slots[0].width(), state.slots[1].width()],
            slots: state.slots.each_mut().map(RowMatrix::as_mut_slice),
            sums,
        };
        optimizer.with_row_update(state.step, rows);
        self.state = Some(state);
        Ok(())
    }

    /// A state of zeros; its pages take memory only where rows are touched.
    pub(super) fn new_state(&self, optimizer: SparseOptimizer) -> Result<State, EmbeddingError> {
        let widths = optimizer.slots(self.dim);
        let slot = |index: usize| {
            let width = widths.get(index).map_or(0, |slot| slot.width);
            let rows = self.weights.rows();
            RowMatrix::zeros(rows, width)
                .map_err(|source| memory_error(&self.tables[0], rows.saturating_mul(width), source))
        };
        Ok(State {
            optimizer,
            step: 0,
            slots: [slot(0)?, slot(1)?],
        })
    }
}

/// The gradient of a feature's tensor in host memory, if backward reached it.
fn take_gradient(batch: &EmbeddingBatch, key: &str, gradients: &mut Gradients) -> Option<Vec<f32>> {
    let gradient = batch.get(key)?.grad_remove(gradients)?;
    gradient.into_data().try_into_vec_as::<f32>().ok()
}

/// One use of a distinct row: a row of a feature's gradient, and the factor it comes with.
#[derive(Clone, Copy, Default)]
struct Use {
    feature: u32,
    row: u32,
    scale: f32,
}

/// The uses of each distinct row, in the order of features and of rows within them.
struct Uses {
    /// The uses of row `u` are those from `starts[u]` to `starts[u + 1]`.
    starts: Vec<usize>,
    uses: Vec<Use>,
}

impl Uses {
    fn new(distinct: usize, parts: &[(&Lookup<'_>, Vec<f32>)]) -> Self {
        let mut starts = vec![0; distinct + 1];
        for (lookup, _) in parts {
            for bag in 0..lookup.num_bags {
                lookup
                    .bag(bag)
                    .for_each(|position| starts[position + 1] += 1);
            }
        }
        for row in 0..distinct {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut uses = vec![Use::default(); starts[distinct]];
        for (feature, (lookup, _)) in (0u32..).zip(parts) {
            for (row, bag) in (0u32..).zip(0..lookup.num_bags) {
                let positions = lookup.bag(bag);
                let scale = lookup.scale(positions.clone().count());
                for position in positions {
                    uses[next[position]] = Use {
                        feature,
                        row,
                        scale,
                    };
                    next[position] += 1;
                }
            }
        }
        Self { starts, uses }
    }

    fn of(&self, position: usize) -> &[Use] {
        &self.uses[self.starts[position]..self.starts[position + 1]]
    }
}

/// The gradient of each distinct row, summed when it is asked for.
struct RowGradients<'a> {
    dim: usize,
    /// The distinct rows, rising.
    rows: &'a [i64],
    uses: &'a Uses,
    /// Per feature.
    gradients: Vec<&'a [f32]>,
}

impl RowGradients<'_> {
    /// The row of the stacked matrix at a position of the plan.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rows were checked to be in range"
    )]
    fn row(&self, position: usize) -> usize {
        self.rows[position] as usize
    }

    /// Writes the summed gradient; whether there is any.
    fn sum_into(&self, position: usize, sum: &mut [f32]) -> bool {
        let uses = self.uses.of(position);
        sum.fill(0.0);
        for Use {
            feature,
            row,
            scale,
        } in uses
        {
            let start = *row as usize * self.dim;
            let gradient = &self.gradients[*feature as usize][start..start + self.dim];
            sum.iter_mut()
                .zip(gradient)
                .for_each(|(sum, value)| *sum += scale * value);
        }
        !uses.is_empty()
    }
}

/// Updates the rows of a group with whichever row update the optimizer has.
struct UpdateRows<'a> {
    weights: &'a mut [f32],
    slots: [&'a mut [f32]; 2],
    widths: [usize; 2],
    sums: &'a RowGradients<'a>,
}

/// The rows of one task: a run of rising rows, and the parts of the matrices from the first of
/// them to the last. No two tasks share a row, so they need no locks.
struct Task<'a> {
    /// The positions of the rows in the plan.
    positions: Range<usize>,
    first_row: usize,
    weights: &'a mut [f32],
    slots: [&'a mut [f32]; 2],
}

impl<'a> UpdateRows<'a> {
    fn tasks(self) -> Vec<Task<'a>> {
        let Self {
            mut weights,
            slots: [mut slot0, mut slot1],
            widths,
            sums,
        } = self;
        let mut reached = 0;
        let distinct = sums.rows.len();
        let mut tasks = Vec::with_capacity(distinct.div_ceil(ROWS_PER_TASK));
        for start in (0..distinct).step_by(ROWS_PER_TASK) {
            let positions = start..distinct.min(start + ROWS_PER_TASK);
            let first_row = sums.row(positions.start);
            let end = sums.row(positions.end - 1) + 1;
            let (skip, take) = (first_row - reached, end - first_row);
            tasks.push(Task {
                positions,
                first_row,
                weights: cut(&mut weights, skip * sums.dim, take * sums.dim),
                slots: [
                    cut(&mut slot0, skip * widths[0], take * widths[0]),
                    cut(&mut slot1, skip * widths[1], take * widths[1]),
                ],
            });
            reached = end;
        }
        tasks
    }
}

#[allow(
    clippy::mut_mut,
    reason = "what is left is changed, and lives longer than the change"
)]
/// Cuts `take` numbers off the front of what is left, after `skip` that nobody needs.
fn cut<'a>(left: &mut &'a mut [f32], skip: usize, take: usize) -> &'a mut [f32] {
    let (_, from) = std::mem::take(left).split_at_mut(skip);
    let (taken, rest) = from.split_at_mut(take);
    *left = rest;
    taken
}

impl RowUpdateVisitor for UpdateRows<'_> {
    fn visit<R: RowUpdate>(self, rule: &R) {
        let (sums, widths, dim) = (self.sums, self.widths, self.sums.dim);
        self.tasks().into_par_iter().for_each_init(
            || vec![0.0; dim],
            |sum, task| {
                let Task {
                    positions,
                    first_row,
                    weights,
                    slots: [slot0, slot1],
                } = task;
                let end = positions.end;
                for position in positions {
                    if position + AHEAD < end {
                        let later = sums.row(position + AHEAD) - first_row;
                        prefetch(&weights[later * dim..][..dim]);
                        prefetch(&slot0[later * widths[0]..][..widths[0]]);
                        prefetch(&slot1[later * widths[1]..][..widths[1]]);
                    }
                    if !sums.sum_into(position, sum) {
                        continue;
                    }
                    let row = sums.row(position) - first_row;
                    rule.update(
                        sum,
                        &mut weights[row * dim..][..dim],
                        [
                            &mut slot0[row * widths[0]..][..widths[0]],
                            &mut slot1[row * widths[1]..][..widths[1]],
                        ],
                    );
                }
            },
        );
    }
}
