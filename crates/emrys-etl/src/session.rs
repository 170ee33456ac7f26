//! Threads, memory and the query engine.

mod limits;
mod spill_folder;

use std::future::Future;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};

use limits::Limits;
pub use spill_folder::SpillFolder;

use crate::compact::CompactSortInputs;
use crate::progress::Progress;
use crate::storage::{StateStorage, Storage};
use crate::{Error, Result};

/// The stack of every thread that plans or runs queries: plans of hundreds of operators nest
/// deeply.
const STACK_BYTES: usize = 16 << 20;

/// The rows of a batch, unless it is asked for.
const BATCH_ROWS: usize = 32_768;

/// How many consumers of memory an out-of-memory error lists.
const CONSUMERS_IN_ERRORS: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");

/// How many threads and how much memory a [`Session`] may use.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    threads: Option<usize>,
    memory_limit: Option<usize>,
    spill_dir: Option<PathBuf>,
    batch_size: Option<usize>,
    state_storage: StateStorage,
    progress: Option<Progress>,
}

impl SessionOptions {
    /// All cores, no limit of memory, spill files in the system's temporary folder.
    pub fn new() -> SessionOptions {
        SessionOptions::default()
    }

    /// The number of threads, and of partitions; by default the number of cores.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> SessionOptions {
        self.threads = Some(threads);
        self
    }

    /// How many bytes aggregations, sorts and joins may hold before they spill to disk; by
    /// default as many as they want.
    ///
    /// Fitting then runs its queries one after another, so that each has all of it, and keeps
    /// large results and fitted tables on disk (see [`with_state_storage`]). Batches on their way,
    /// and the encoders of output files, are not counted. At least 16 MiB are needed. With less
    /// than 64 MiB for each thread batches have fewer rows, and with less than 24 MiB not all
    /// threads work on a query. Keys of several texts, and rows of many kilobytes, need more.
    ///
    /// [`with_state_storage`]: SessionOptions::with_state_storage
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: usize) -> SessionOptions {
        self.memory_limit = Some(bytes);
        self
    }

    /// Where to spill; by default the system's temporary folder.
    #[must_use]
    pub fn with_spill_dir(mut self, folder: impl Into<PathBuf>) -> SessionOptions {
        self.spill_dir = Some(folder.into());
        self
    }

    /// Where vocabularies and statistics by key lie once they are fitted or loaded; by default in
    /// memory, or with a limit of memory, on disk as soon as they take more than a quarter of it.
    #[must_use]
    pub fn with_state_storage(mut self, storage: StateStorage) -> SessionOptions {
        self.state_storage = storage;
        self
    }

    /// The rows of a batch; by default 32768, or 8192 where memory is limited, and fewer where
    /// there is little of it.
    ///
    /// Large batches spend less time on each column of each batch; an operator's buffers grow with
    /// them.
    ///
    /// No partition of a data set is smaller than a batch.
    #[must_use]
    pub fn with_batch_size(mut self, rows: usize) -> SessionOptions {
        self.batch_size = Some(rows);
        self
    }

    /// Lets another thread see how far runs are, and stop them.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> SessionOptions {
        self.progress = Some(progress);
        self
    }

    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// The number of threads that a session of these options has.
    pub fn threads(&self) -> usize {
        self.threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }

    fn limits(&self) -> Option<Limits> {
        let bytes = self.memory_limit?;
        Some(Limits::new(bytes, self.threads()))
    }

    /// Where queries spill, if they may have to.
    fn spill_parent(&self) -> Option<PathBuf> {
        let default = || self.memory_limit.map(|_| std::env::temp_dir());
        self.spill_dir.clone().or_else(default)
    }

    /// Whether memory is limited, so that what may be large must be able to spill.
    pub(crate) fn has_memory_limit(&self) -> bool {
        self.memory_limit.is_some()
    }

    fn check(&self) -> Result<()> {
        for (option, value) in [
            ("threads", self.threads),
            ("memory_limit", self.memory_limit),
            ("batch_size", self.batch_size),
        ] {
            if value == Some(0) {
                return Err(Error::InvalidOption {
                    operator: "session".into(),
                    option: option.into(),
                    value: "0".into(),
                    expected: "at least 1 is needed; leave it out for the default".into(),
                });
            }
        }
        self.memory_limit.map_or(Ok(()), limits::check)
    }
}

/// The query engine and the threads it runs on.
///
/// One place decides about threads: the session has a pool of its own with
/// [`SessionOptions::threads`] workers, and as many partitions.
///
/// ```
/// use emrys_etl::{Session, SessionOptions};
///
/// let session = Session::new(SessionOptions::new().with_threads(2))?;
/// let rows = session.block_on(async {
///     session.context().sql("SELECT 1 + 1 AS two").await?.collect().await
/// })?;
/// assert_eq!(rows[0].num_rows(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    context: SessionContext,
    options: SessionOptions,
    storage: Storage,
    /// `None` only while dropping.
    runtime: Option<Runtime>,
}

impl Session {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], or [`Error::Io`] if the spill folder cannot be written to or the
    /// system refuses threads.
    pub fn new(options: SessionOptions) -> Result<Session> {
        options.check()?;
        let mut environment = RuntimeEnvBuilder::new();
        if let Some(bytes) = options.memory_limit {
            environment = environment.with_memory_pool(Arc::new(TrackConsumersPool::new(
                FairSpillPool::new(bytes),
                CONSUMERS_IN_ERRORS,
            )));
        }
        let limits = options.limits();
        let mut config = engine_config(&options, limits);
        if let Some(folder) = options.spill_parent() {
            let folder = SpillFolder::create(folder)?;
            let folders = DiskManagerMode::Directories(vec![folder.path().to_owned()]);
            let mut disk = DiskManagerBuilder::default().with_mode(folders);
            if let Some(limits) = limits {
                disk = disk.with_max_spill_merge_fan_in(limits.merge_files);
            }
            environment = environment.with_disk_manager_builder(disk);
            // Like this it lives as long as the last task of a query does.
            config = config.with_extension(Arc::new(folder));
        }
        let environment = environment
            .build_arc()
            .map_err(Error::query("starting a session"))?;
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(environment)
            .with_default_features();
        if options.has_memory_limit() {
            state = state.with_physical_optimizer_rule(Arc::new(CompactSortInputs));
        }
        let context = SessionContext::new_with_state(state.build());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads())
            .thread_name("emrys-etl")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(Error::io("start", "threads"))?;
        let storage = Storage::new(
            options.state_storage,
            options.memory_limit,
            options.spill_dir.clone(),
        );
        Ok(Session {
            context,
            options,
            storage,
            runtime: Some(runtime),
        })
    }

    /// The context that plans and runs queries; its futures are to be run by
    /// [`block_on`](Session::block_on).
    ///
    /// Names of columns keep their case in SQL texts. Rows are not moved between partitions
    /// unless an operator needs it, so that the order of a data set survives.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Where large results and fitted tables lie.
    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// What the session was made with.
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// Runs a future to its end on the session's threads.
    ///
    /// It may be called from within another asynchronous runtime, whose thread it blocks.
    ///
    /// # Panics
    /// If the future panics.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.join(future)
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs a query to its end on the session's threads; a panic becomes an error.
    ///
    /// # Errors
    /// The error of the query, or [`Error::Panicked`].
    pub fn run<T: Send>(
        &self,
        activity: &str,
        query: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.join(query)
            .unwrap_or_else(|panic| Err(Error::panicked(activity, &*panic)))
    }

    /// Starts a future on the session's threads and does not wait for it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime().spawn(future)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("only `drop` takes the runtime")
    }

    /// Runs a future on a thread of its own, whose panic comes back as an error.
    fn join<F>(&self, future: F) -> std::thread::Result<F::Output>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let runtime = self.runtime();
        // A thread of its own is a place where blocking is always allowed, and has the stack.
        let run = || {
            std::thread::scope(|scope| {
                std::thread::Builder::new()
                    .name("emrys-etl-main".into())
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, || runtime.block_on(future))
                    .expect("the system can start one more thread")
                    .join()
            })
        };
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            // The other tasks of a thread that waits here move to other threads.
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
            _ => run(),
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for the threads is not allowed within another asynchronous runtime.
            runtime.shutdown_background();
        }
    }
}

fn engine_config(options: &SessionOptions, limits: Option<Limits>) -> SessionConfig {
    let rows = limits.map_or(BATCH_ROWS, |limits| limits.batch_rows);
    let partitions = limits.map_or(options.threads(), |limits| limits.partitions);
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(options.batch_size.unwrap_or(rows))
        // Data sets partition themselves into ranges of rows in order; dealing batches or byte
        // ranges out to partitions anew would lose that order.
        .with_round_robin_repartition(false)
        .with_repartition_file_scans(false)
        .set_bool("datafusion.sql_parser.enable_ident_normalization", false);
    if let Some(limits) = limits {
        config = config
            .with_sort_spill_reservation_bytes(limits.merge_bytes)
            // Several tasks that spill into one queue wait for each other for ever if a file of it
            // is still open while there is another; so each batch gets a file of its own.
            .set_usize("datafusion.execution.max_spill_file_size_bytes", 1);
    }
    if let Some(progress) = &options.progress {
        config = config.with_extension(Arc::new(progress.clone()));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(session: &Session) -> i64 {
        session
            .block_on(async {
                let frame = session.context().sql("SELECT 1 + 1 AS \"Two\"").await?;
                frame.collect().await
            })
            .unwrap()[0]
            .column(0)
            .as_any()
            .downcast_ref::<arrow::array::Int64Array>()
            .unwrap()
            .value(0)
    }

    #[test]
    fn queries_run_outside_and_inside_of_a_runtime() -> Result<()> {
        let session = Session::new(SessionOptions::new().with_threads(1))?;
        assert_eq!(two(&session), 2);
        let outer = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        outer.block_on(async {
            assert_eq!(two(&session), 2);
            drop(session);
        });
        Ok(())
    }

    #[test]
    fn nested_calls_do_not_deadlock() -> Result<()> {
        let session = Arc::new(Session::new(SessionOptions::new().with_threads(1))?);
        assert_eq!(session.block_on(async { two(&session) }), 2);
        let inner = Arc::clone(&session);
        let spawned = session.block_on(async { tokio::spawn(async move { two(&inner) }).await });
        assert_eq!(spawned.unwrap(), 2);
        Ok(())
    }

    #[test]
    fn a_panicking_query_is_an_error() -> Result<()> {
        let session = Session::new(SessionOptions::new().with_threads(1))?;
        let error = session
            .run("counting", async { panic!("no more fingers") })
            .map(|(): ()| ());
        insta::assert_snapshot!(error.unwrap_err(), @"counting panicked: no more fingers; if all input files are sound, please report it");
        Ok(())
    }

    #[test]
    fn zero_threads_are_refused() {
        let error = Session::new(SessionOptions::new().with_threads(0)).unwrap_err();
        insta::assert_snapshot!(error, @"session: `threads` is 0, but at least 1 is needed; leave it out for the default");
    }

    #[test]
    fn a_spill_folder_that_is_a_file_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("file");
        std::fs::write(&file, "")?;
        let error = Session::new(SessionOptions::new().with_spill_dir(&file)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Io {
                    action: "create",
                    ..
                }
            ),
            "{error}"
        );
        Ok(())
    }
}
