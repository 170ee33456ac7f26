//! Ctrl-C: the first one stops the run and lets it tidy up, the second ends the process.

use std::sync::OnceLock;

use emrys_etl::Progress;

use crate::console;

/// What the first Ctrl-C stops; nothing for commands that hold nothing.
static RUN: OnceLock<Progress> = OnceLock::new();

/// The exit code of a process that a signal has stopped, as shells give it.
const INTERRUPTED: i32 = 130;

/// Lets Ctrl-C stop a run instead of the process.
pub(crate) fn stops(progress: &Progress) {
    let _ = RUN.set(progress.clone());
}

/// Waits for Ctrl-C and requests to terminate on a thread of its own.
///
/// It must be called before other threads start: they inherit that they are not disturbed.
#[cfg(unix)]
pub(crate) fn listen() {
    let Some(signals) = blocked_signals() else {
        return;
    };
    let listener = std::thread::Builder::new().name("emrys-signals".into());
    let spawned = listener.spawn(move || {
        let mut told = false;
        while wait(&signals) {
            match RUN.get() {
                Some(progress) if !told => {
                    progress.cancel();
                    console::tell("interrupted: stopping; once more to stop at once");
                    told = true;
                }
                _ => std::process::exit(INTERRUPTED),
            }
        }
    });
    // Without the thread, signals would have no effect at all.
    if let Err(error) = spawned {
        console::tell(&format!("error: start a thread: {error}"));
        std::process::exit(1);
    }
}

#[cfg(not(unix))]
pub(crate) fn listen() {
    // The process ends at once; what it leaves has a temporary name, and the next run deletes it.
    let _ = (&RUN, INTERRUPTED, console::tell);
}

#[cfg(unix)]
fn blocked_signals() -> Option<libc::sigset_t> {
    let mut signals = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set before the others read it, and all pointers are
    // to live values of this frame.
    unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        let mut signals = signals.assume_init();
        libc::sigaddset(&raw mut signals, libc::SIGINT);
        libc::sigaddset(&raw mut signals, libc::SIGTERM);
        let failed =
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
        (failed == 0).then_some(signals)
    }
}

/// Waits for one of the signals.
#[cfg(unix)]
fn wait(signals: &libc::sigset_t) -> bool {
    let mut signal = 0;
    // SAFETY: both pointers are to live values, and the signals are blocked in every thread.
    unsafe { libc::sigwait(signals, &raw mut signal) == 0 }
}
