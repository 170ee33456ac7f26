//! The threads of an epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select_biased, unbounded};

use crate::{Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A result that a thread of a [`Pool`] is working on.
#[derive(Debug)]
pub(crate) struct Pending<T>(Receiver<Result<T>>);

impl<T> Pending<T> {
    /// A result that is there already.
    pub(crate) fn ready(result: Result<T>) -> Pending<T> {
        let (sender, receiver) = bounded(1);
        // The receiver is right here, so there is somebody to send to.
        let _ = sender.send(result);
        Pending(receiver)
    }

    /// Waits for the result.
    pub(crate) fn wait(self) -> Result<T> {
        self.0.recv().unwrap_or(Err(Error::ThreadLost))
    }
}

/// Says to all threads of an epoch that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Threads that work on two queues: what the next batch waits for goes before what is prepared for
/// later.
///
/// The queues have no bound of their own; who submits keeps count of the results that are pending.
#[derive(Debug)]
pub(crate) struct Pool {
    /// `None` only while the pool is dropped.
    queues: Option<Queues>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queues {
    next: Sender<Job>,
    later: Sender<Job>,
}

impl Pool {
    pub(crate) fn new(threads: usize, stop: &Stop) -> Result<Pool> {
        let (next, next_jobs) = unbounded::<Job>();
        let (later, later_jobs) = unbounded::<Job>();
        let mut pool = Pool {
            queues: Some(Queues { next, later }),
            threads: Vec::new(),
        };
        for _ in 0..threads {
            let (next_jobs, later_jobs, stop) =
                (next_jobs.clone(), later_jobs.clone(), stop.clone());
            let thread = spawn("emrys-loader", move || {
                // A queue is closed when the pool is dropped. The next batches are all done then, because
                // a closed queue still gives what is in it; what was prepared for later has no use.
                while !stop.is_stopped() {
                    let job = select_biased! {
                        recv(next_jobs) -> job => job,
                        recv(later_jobs) -> job => job,
                    };
                    let Ok(job) = job else { return };
                    job();
                }
            })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Work that the next batch waits for.
    pub(crate) fn submit_next<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Pending<T> {
        let (job, pending) = job(work);
        if let Some(queues) = &self.queues {
            // A failed send drops the job, and with it the sender that `Pending` listens to.
            let _ = queues.next.send(job);
        }
        pending
    }

    /// Work that prepares later batches.
    pub(crate) fn submit_later<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Pending<T> {
        let (job, pending) = job(work);
        if let Some(queues) = &self.queues {
            let _ = queues.later.send(job);
        }
        pending
    }
}

impl Drop for Pool {
    /// Waits until the jobs are done; only the running ones, if the epoch was stopped.
    fn drop(&mut self) {
        self.queues = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has shown itself as `Error::ThreadLost` already.
            let _ = thread.join();
        }
    }
}

fn job<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> (Job, Pending<T>) {
    let (sender, receiver) = bounded(1);
    let job = Box::new(move || {
        // Nobody listens any more when the epoch has been dropped.
        let _ = sender.send(work());
    });
    (job, Pending(receiver))
}

/// Starts a named thread.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| Error::Threads { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_of_its_job_alone() {
        let pool = Pool::new(2, &Stop::default()).unwrap();
        let lost =
            pool.submit_next(|| -> Result<()> { std::panic::resume_unwind(Box::new("lost")) });
        assert!(matches!(lost.wait(), Err(Error::ThreadLost)));
        assert_eq!(pool.submit_next(|| Ok(7)).wait().unwrap(), 7);
    }

    #[test]
    fn a_stopped_pool_forgets_queued_jobs() {
        let stop = Stop::default();
        let pool = Pool::new(1, &stop).unwrap();
        // The first message says that the job runs, the second lets it end.
        let (meet, met) = bounded::<()>(0);
        let running = pool.submit_next(move || Ok(met.recv().and(met.recv()).is_ok()));
        meet.send(()).unwrap();
        let queued: Vec<_> = (0..3).map(|_| pool.submit_later(|| Ok(()))).collect();
        stop.stop();
        meet.send(()).unwrap();
        assert!(running.wait().unwrap());
        drop(pool);
        assert!(
            queued
                .into_iter()
                .all(|pending| matches!(pending.wait(), Err(Error::ThreadLost)))
        );
    }
}
