//! How far a run is, for progress bars; and how to stop it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionConfig;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::watch;

use crate::session::Session;
use crate::{Error, Result};

/// How far a run is; another thread looks at it or stops the run.
///
/// It costs the run nothing: the engine's own counters are read when somebody looks. Clones are
/// the same.
///
/// ```
/// use emrys_etl::{Dataset, Progress, SessionOptions, Stage, Workflow, cols, ops::Normalize};
/// # use arrow::array::{Float64Array, RecordBatch};
/// # use emrys_etl::io::{WriteOptions, write_batches};
/// # let folder = tempfile::tempdir()?;
/// # let prices = Float64Array::from(vec![1.0, 2.0, 3.0]);
/// # let batch = RecordBatch::try_from_iter([("price", std::sync::Arc::new(prices) as _)])?;
/// # let schema = emrys_schema::Schema::from_arrow(&batch.schema())?;
/// # let path = folder.path().join("data");
/// # write_batches([Ok(batch.clone())], &batch.schema(), &schema, &path, &WriteOptions::new())?;
/// let progress = Progress::new();
/// let options = SessionOptions::new().with_progress(progress.clone());
/// let workflow = Workflow::new(cols(["price"]) >> Normalize::default()).with_options(options);
/// let dataset = Dataset::open(&path)?;
///
/// let fitted = workflow.fit(&dataset)?;
/// let seen = progress.snapshot();
/// assert_eq!(seen.stage, Stage::Fit { round: 1, rounds: 1 });
/// assert_eq!((seen.rows_read, seen.rows_total), (3, Some(3)));
///
/// progress.cancel();
/// let stopped = fitted.transform(&dataset)?.write(folder.path().join("out"), &WriteOptions::new());
/// assert!(stopped.is_err() && !folder.path().join("out").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Progress {
    shared: Arc<Shared>,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Stage {
    /// Nothing yet.
    #[default]
    Waiting,
    /// Fitting, in one of several rounds.
    Fit {
        /// The round, from 1 on.
        round: usize,
        /// How many rounds there are.
        rounds: usize,
    },
    /// Transforming and writing.
    Transform,
    /// Reading the data once, as for statistics.
    Scan,
}

/// How far a run was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProgressSnapshot {
    /// What it was doing.
    pub stage: Stage,
    /// The rows read in this stage; a row that several queries read counts for each.
    pub rows_read: u64,
    /// How many there will be, as far as is known.
    pub rows_total: Option<u64>,
    /// The bytes of files read in this stage.
    pub bytes_read: u64,
    /// The rows handed to the writer.
    pub rows_written: u64,
}

#[derive(Debug, Default)]
struct Shared {
    current: Mutex<Current>,
    rows_written: AtomicU64,
    cancelled: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Current {
    stage: Stage,
    rows_expected: u64,
    scans: Vec<Scan>,
}

#[derive(Debug)]
struct Scan {
    rows: u64,
    metrics: ExecutionPlanMetricsSet,
}

impl Progress {
    /// Of a run that has not begun.
    pub fn new() -> Progress {
        Progress::default()
    }

    /// How far the run is.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let current = self.current();
        let (mut rows_read, mut bytes_read, mut announced) = (0, 0, 0);
        for scan in &current.scans {
            announced += scan.rows;
            let metrics = scan.metrics.clone_inner();
            let bytes = metrics.sum_by_name("bytes_scanned");
            rows_read += metrics.output_rows().unwrap_or(0) as u64;
            bytes_read += bytes.map_or(0, |bytes| bytes.as_usize() as u64);
        }
        ProgressSnapshot {
            stage: current.stage,
            rows_read,
            rows_total: (!current.scans.is_empty()).then(|| announced.max(current.rows_expected)),
            bytes_read,
            rows_written: self.shared.rows_written.load(Ordering::Relaxed),
        }
    }

    /// Stops the run: it fails with [`Error::Interrupted`] and leaves no output.
    pub fn cancel(&self) {
        self.shared.cancelled.send_replace(true);
    }

    /// Whether the run was stopped.
    pub fn is_cancelled(&self) -> bool {
        *self.shared.cancelled.borrow()
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        // Plain numbers are whole even after a panic.
        self.shared
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn cancelled(self) {
        let mut changes = self.shared.cancelled.subscribe();
        // The sender lives in `self`, so that waiting never fails.
        let _ = changes.wait_for(|cancelled| *cancelled).await;
    }

    /// Counts the rows of a stream, and ends it with an error when the run is stopped.
    fn watch(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = stream.schema();
        let shared = Arc::clone(&self.shared);
        let count = move |batch: &RecordBatch| {
            shared
                .rows_written
                .fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        };
        let progress = self.clone();
        let end =
            futures::stream::once(async move { progress.is_cancelled() }).filter_map(|cancelled| {
                let error = cancelled.then(|| Err(Error::Interrupted.into()));
                std::future::ready(error)
            });
        let watched = stream
            .inspect_ok(count)
            .take_until(self.clone().cancelled())
            .chain(end);
        Box::pin(RecordBatchStreamAdapter::new(schema, watched))
    }
}

/// Tells the progress of a session, if it has one, of a scan of so many rows.
pub(crate) fn watch_scan(config: &SessionConfig, rows: u64, metrics: &ExecutionPlanMetricsSet) {
    if let Some(progress) = config.get_extension::<Progress>() {
        progress.current().scans.push(Scan {
            rows,
            metrics: metrics.clone(),
        });
    }
}

impl Session {
    fn progress(&self) -> Option<&Progress> {
        self.options().progress()
    }

    /// Begins a stage of so many queries over so many rows each.
    pub(crate) fn begin(&self, stage: Stage, queries: usize, rows: u64) {
        if let Some(progress) = self.progress() {
            *progress.current() = Current {
                stage,
                rows_expected: rows.saturating_mul(queries as u64),
                scans: Vec::new(),
            };
        }
    }

    /// The same work, which ends with an error when the run is stopped.
    pub(crate) async fn until_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.progress().cloned() {
            None => work.await,
            Some(progress) => tokio::select! {
                done = work => done,
                () = progress.cancelled() => Err(Error::Interrupted),
            },
        }
    }

    /// The streams of a query with their rows counted; they end with an error when the run is
    /// stopped, so that a writer tidies up.
    pub(crate) fn watch(
        &self,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Vec<SendableRecordBatchStream> {
        match self.progress() {
            None => streams,
            Some(progress) => streams
                .into_iter()
                .map(|stream| progress.watch(stream))
                .collect(),
        }
    }
}
