//! Tasks that write side by side, and waiting for them.

use std::future::Future;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use futures::StreamExt;
use tokio::task::JoinSet;

use crate::{Error, Progress, Result};

/// Whether a run was stopped, for work that waits for nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Option<Progress>);

impl Stop {
    /// By this progress, if there is one.
    pub(crate) fn when_cancelled(progress: Option<&Progress>) -> Stop {
        Stop(progress.cloned())
    }

    /// To be called between steps: fails if the run was stopped, and does not come back if the
    /// task was.
    pub(super) async fn pause(&self) -> Result<()> {
        if self.0.as_ref().is_some_and(Progress::is_cancelled) {
            return Err(Error::Interrupted);
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Runs futures as tasks and returns their results in order; at the first error the others are
/// stopped. Panics become errors.
pub(in crate::io) async fn run_tasks<T: Send + 'static>(
    futures: Vec<impl Future<Output = Result<T>> + Send + 'static>,
    activity: &str,
) -> Result<Vec<T>> {
    let mut tasks = JoinSet::new();
    for (number, future) in futures.into_iter().enumerate() {
        tasks.spawn(async move { Ok((number, future.await?)) });
    }
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(outcome) = tasks.join_next().await {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => Err(match error.try_into_panic() {
                Ok(panic) => Error::panicked(activity, &*panic),
                Err(error) => Error::Internal(format!("a writing task was lost: {error}")),
            }),
        };
        match outcome {
            Ok(result) => results.push(result),
            Err(error) => {
                // The folder is deleted only when no task writes to it any more.
                tasks.shutdown().await;
                return Err(error);
            }
        }
    }
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The batches of a stream that a task of its own computes, the next one while the last one is
/// looked at. When the result is dropped, the task stops at its next pause.
pub(super) fn computed_ahead(mut stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStream::builder(stream.schema(), 1);
    let batches = builder.tx();
    builder.spawn(async move {
        // Room comes first, so that there are two batches and not three.
        while let Ok(room) = batches.reserve().await {
            match stream.next().await {
                Some(batch) => room.send(batch),
                None => break,
            }
        }
        Ok(())
    });
    builder.build()
}

/// Runs a future to its end on the calling thread, which may itself be one of a runtime; its tasks
/// and requests run on another.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("emrys-write")
        .enable_all()
        .build()
        .map_err(Error::io("start", "threads"))?;
    let output = {
        let _inside = runtime.enter();
        futures::executor::block_on(future)
    };
    // Waiting for threads is not allowed within another runtime.
    runtime.shutdown_background();
    Ok(output)
}
