//! The threads on which data sets are opened and requests are sent.
//!
//! They are apart from those of sessions: connections outlive a session, and do not wait while
//! its threads compute.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::task::JoinHandle;

use crate::{Error, Result};

/// As many threads as open files at once are of use; most wait for disks and networks.
const THREADS: usize = 8;

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// The threads; started with the first use.
pub(crate) fn handle() -> Result<Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.handle().clone());
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let started = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, THREADS))
        .thread_name("emrys-io")
        .enable_all()
        .build()
        .map_err(Error::io("start", "threads"))?;
    let handle = started.handle().clone();
    *runtime = Some(started);
    Ok(handle)
}

/// Runs a future to its end; a panic becomes an error.
///
/// It may be called from within another asynchronous runtime, whose thread it blocks.
pub(crate) fn block_on<T: Send>(
    activity: &str,
    future: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let handle = handle()?;
    // A thread of its own is a place where blocking is always allowed.
    let run = || {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("emrys-open".into())
                .spawn_scoped(scope, || handle.block_on(future))
                .map_err(Error::io("start", "threads"))?
                .join()
                .unwrap_or_else(|panic| Err(Error::panicked(activity, &*panic)))
        })
    };
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
        _ => run(),
    }
}

/// Starts a future on the threads; a panic becomes an error.
pub(crate) async fn spawn<T: Send + 'static>(
    activity: &str,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task: JoinHandle<Result<T>> = handle()?.spawn(future);
    match AbortOnDrop(task).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Err(Error::panicked(activity, &*panic)),
            Err(error) => Err(Error::Internal(format!("{activity}: {error}"))),
        },
    }
}

/// Ends the task when whoever waits for it has given up.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = std::result::Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_inside_and_outside_of_a_runtime_and_tells_of_panics() -> Result<()> {
        assert_eq!(block_on("adding", async { Ok(1 + 1) })?, 2);
        let outer = Runtime::new().map_err(Error::io("start", "threads"))?;
        let nested = outer.block_on(async { block_on("adding", spawn("adding", async { Ok(3) })) });
        assert_eq!(nested?, 3);
        let panicked = block_on::<()>("adding", async { panic!("no more fingers") });
        let spawned = block_on::<()>("adding", spawn("adding", async { panic!("no toes") }));
        insta::assert_snapshot!(panicked.unwrap_err(), @"adding panicked: no more fingers; if all input files are sound, please report it");
        insta::assert_snapshot!(spawned.unwrap_err(), @"adding panicked: no toes; if all input files are sound, please report it");
        Ok(())
    }
}
