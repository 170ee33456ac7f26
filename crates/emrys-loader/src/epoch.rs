//! One pass over the data.
//!
//! A coordinator thread walks through the chunks of the epoch's [`Order`]. The threads of a
//! [`Pool`] decode row groups ahead of it, and do what the current chunk needs first: gathering, one
//! job per column, and planning lookups, one job per batch. A column's job cuts the whole chunk at
//! once, because a column of a chunk fits the cache while a chunk does not.
//!
//! ```text
//! row groups ──decode (ahead)──▶ chunk ──gather (per column)──▶ batches ──plan (per batch)──▶ next()
//!                                  ▲                               │
//!                                  └── rows that fill no batch ◀───┘
//! ```
//!
//! Results are awaited in the order in which they were asked for, so threads never change what comes
//! out; the number of results asked for in advance bounds the memory.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::batch::Batch;
use crate::column::Column;
use crate::decode::Selection;
use crate::files::{Files, Part};
use crate::order::Order;
use crate::planner::Planners;
use crate::pool::{Pending, Pool, Stop, spawn};
use crate::{Error, LoaderConfig, LoaderState, Result};

/// The batches of one pass over the data; made by [`Loader::epoch`](crate::Loader::epoch).
///
/// Threads prepare batches ahead of [`next`](Iterator::next). Dropping the epoch stops them and
/// waits for them. After an error there are no more batches.
#[derive(Debug)]
pub struct Epoch {
    state: LoaderState,
    /// How many batches are still to come.
    remaining: usize,
    /// `None` once nothing more is wanted.
    batches: Option<Receiver<Pending<Batch>>>,
    coordinator: Option<JoinHandle<()>>,
    stop: Stop,
}

impl Epoch {
    pub(crate) fn start(plan: EpochPlan, state: LoaderState, remaining: usize) -> Result<Epoch> {
        let stop = Stop::default();
        let mut epoch = Epoch {
            state,
            remaining,
            batches: None,
            coordinator: None,
            stop: stop.clone(),
        };
        if remaining > 0 {
            let (sender, receiver) = bounded(plan.config.batches_ahead());
            let pool = Pool::new(plan.config.threads(), &stop)?;
            epoch.batches = Some(receiver);
            epoch.coordinator = Some(spawn("emrys-loader-epoch", move || {
                let result = Coordinator {
                    plan,
                    pool,
                    out: sender.clone(),
                }
                .run();
                if let Err(error) = result {
                    // If the epoch was dropped, nobody wants to know.
                    let _ = sender.send(Pending::ready(Err(error)));
                }
            })?);
        }
        Ok(epoch)
    }

    /// Where the epoch stands after the batches that it has given so far.
    ///
    /// [`Loader::epoch_from`](crate::Loader::epoch_from) goes on from there.
    pub fn state(&self) -> LoaderState {
        self.state.clone()
    }

    /// Stops the threads and waits for them.
    fn finish(&mut self) {
        self.stop.stop();
        self.batches = None;
        if let Some(coordinator) = self.coordinator.take() {
            // If it panicked, the batches ended early, and `next` has said so.
            let _ = coordinator.join();
        }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let batches = self.batches.as_ref()?;
        let batch = batches.recv().map_or(Err(Error::ThreadLost), Pending::wait);
        match &batch {
            Ok(_) => {
                self.state.count_batch();
                self.remaining -= 1;
            }
            Err(_) => self.remaining = 0,
        }
        if self.remaining == 0 {
            self.finish();
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error may end the epoch early, with one item.
        (self.remaining.min(1), Some(self.remaining))
    }
}

impl FusedIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Everything that the threads of an epoch need.
#[derive(Debug, Clone)]
pub(crate) struct EpochPlan {
    pub(crate) files: Arc<Files>,
    pub(crate) selection: Arc<Selection>,
    pub(crate) planners: Arc<Planners>,
    pub(crate) config: LoaderConfig,
    pub(crate) order: Order,
    /// The rows to be given, as places in the order: from the first that is not done to the last
    /// that is not dropped.
    pub(crate) rows: Range<usize>,
}

/// A chunk of the epoch's order.
struct Chunk {
    /// Its place in the order.
    index: usize,
    parts: Vec<Part>,
    /// Its rows, as places in the epoch's order.
    rows: Range<usize>,
}

struct Coordinator {
    plan: EpochPlan,
    pool: Pool,
    out: Sender<Pending<Batch>>,
}

impl Coordinator {
    /// Sends all batches; ends early if nobody takes them.
    fn run(&self) -> Result<()> {
        let batch_size = self.plan.config.batch_size();
        let chunks = self.chunks();
        let mut upcoming = chunks.iter().flat_map(|chunk| &chunk.parts).copied();
        let mut decoding = VecDeque::new();
        // Columns of the rows that did not fill a batch yet.
        let mut carried = Vec::new();
        for chunk in &chunks {
            self.decode_ahead(&mut upcoming, &mut decoding);
            let order = self.order_of(chunk)?;
            let mut columns: Vec<Vec<Column>> = self
                .plan
                .selection
                .names
                .iter()
                .map(|_| Vec::new())
                .collect();
            for _ in &chunk.parts {
                let decoded: Pending<Vec<Column>> = decoding
                    .pop_front()
                    .expect("the row groups of the chunk are being decoded");
                columns
                    .iter_mut()
                    .zip(decoded.wait()?)
                    .for_each(|(parts, part)| parts.push(part));
                self.decode_ahead(&mut upcoming, &mut decoding);
            }
            let carried_rows = carried.first().map_or(0, Column::num_rows);
            let cuts = cuts(carried_rows, order.len(), batch_size);
            let last_is_whole = (carried_rows + order.len()).is_multiple_of(batch_size);
            let mut batches = self.gather(columns, &order, &cuts, carried)?;
            carried = if last_is_whole {
                Vec::new()
            } else {
                batches.pop().unwrap_or_default()
            };
            for columns in batches {
                if !self.send(columns) {
                    return Ok(());
                }
            }
        }
        if !carried.is_empty() {
            self.send(carried);
        }
        Ok(())
    }

    /// The chunks that have rows which are not done.
    fn chunks(&self) -> Vec<Chunk> {
        let plan = &self.plan;
        let mut end = 0;
        let chunks = plan
            .order
            .chunks(plan.files.parts.len())
            .into_iter()
            .enumerate()
            .map(|(index, parts)| {
                let parts: Vec<Part> = parts
                    .into_iter()
                    .map(|part| plan.files.parts[part])
                    .collect();
                let start = end;
                end += parts.iter().map(|part| part.rows).sum::<usize>();
                Chunk {
                    index,
                    parts,
                    rows: start..end,
                }
            });
        chunks
            .filter(|chunk| chunk.rows.end > plan.rows.start && chunk.rows.start < plan.rows.end)
            .collect()
    }

    fn decode_ahead(
        &self,
        upcoming: &mut impl Iterator<Item = Part>,
        decoding: &mut VecDeque<Pending<Vec<Column>>>,
    ) {
        while decoding.len() < self.plan.config.parts_ahead() {
            let Some(part) = upcoming.next() else { return };
            let (files, selection) = (
                Arc::clone(&self.plan.files),
                Arc::clone(&self.plan.selection),
            );
            decoding.push_back(
                self.pool
                    .submit_later(move || selection.decode(&files, part)),
            );
        }
    }

    /// The rows of the chunk that are to be given, in their order.
    fn order_of(&self, chunk: &Chunk) -> Result<Arc<Vec<u32>>> {
        let rows = u32::try_from(chunk.rows.len()).map_err(|_| Error::ChunkTooLarge {
            parts_per_chunk: self.plan.config.parts_per_chunk(),
            rows: chunk.rows.len(),
        })?;
        let mut order = self.plan.order.rows(chunk.index, rows);
        order.truncate(self.plan.rows.end.saturating_sub(chunk.rows.start));
        order.drain(..self.plan.rows.start.saturating_sub(chunk.rows.start));
        Ok(Arc::new(order))
    }

    /// The columns of each batch; the first batch begins with the carried rows.
    fn gather(
        &self,
        columns: Vec<Vec<Column>>,
        order: &Arc<Vec<u32>>,
        cuts: &Arc<[Range<usize>]>,
        carried: Vec<Column>,
    ) -> Result<Vec<Vec<Column>>> {
        let mut carried = carried.into_iter();
        let jobs: Vec<Pending<Vec<Column>>> = columns
            .into_iter()
            .map(|parts| {
                let (order, cuts, carried) = (Arc::clone(order), Arc::clone(cuts), carried.next());
                self.pool
                    .submit_next(move || gather_column(parts, &order, &cuts, carried))
            })
            .collect();
        let mut batches: Vec<Vec<Column>> = cuts
            .iter()
            .map(|_| Vec::with_capacity(jobs.len()))
            .collect();
        for job in jobs {
            batches
                .iter_mut()
                .zip(job.wait()?)
                .for_each(|(batch, column)| batch.push(column));
        }
        Ok(batches)
    }

    /// Puts a batch on its way; false if nobody takes it.
    fn send(&self, columns: Vec<Column>) -> bool {
        let mut batch = Batch::from_parts(Arc::clone(&self.plan.selection.names), columns);
        let batch = if self.plan.planners.specs().is_empty() {
            Pending::ready(Ok(batch))
        } else {
            let planners = Arc::clone(&self.plan.planners);
            self.pool.submit_next(move || {
                batch.set_plans(planners.plan(&batch)?);
                Ok(batch)
            })
        };
        self.out.send(batch).is_ok()
    }
}

/// Which rows of a chunk go to which batch, when `carried` rows are in the first already.
fn cuts(carried: usize, rows: usize, batch_size: usize) -> Arc<[Range<usize>]> {
    let mut start = 0;
    let mut end = batch_size - carried;
    let mut cuts = Vec::new();
    while start < rows {
        cuts.push(start..end.min(rows));
        start = end;
        end += batch_size;
    }
    cuts.into()
}

/// One column of each batch, from the column's parts in the row groups of a chunk.
fn gather_column(
    parts: Vec<Column>,
    order: &[u32],
    cuts: &[Range<usize>],
    mut carried: Option<Column>,
) -> Result<Vec<Column>> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return Ok(Vec::new());
    };
    let chunk = first.followed_by(parts.collect())?;
    cuts.iter()
        .map(|cut| {
            let taken = chunk.take(&order[cut.clone()]);
            match carried.take() {
                None => Ok(taken),
                Some(carried) => carried.followed_by(vec![taken]),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_fill_the_carried_batch_first() {
        assert_eq!(*cuts(2, 8, 3), [0..1, 1..4, 4..7, 7..8]);
        assert_eq!(*cuts(0, 6, 3), [0..3, 3..6]);
        assert_eq!(*cuts(1, 1, 3), [0..1]);
        assert!(cuts(1, 0, 3).is_empty());
    }
}
