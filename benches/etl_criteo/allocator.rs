//! How memory is handed out in the measured processes.

use std::process::Command;

/// Lets a process that is to be started keep memory that it frees for half a second, and take it in
/// small pages.
///
/// By default mimalloc gives pages back to the system soon after they are freed, and asks for huge
/// ones. A run that streams batches asks for the same sizes again at once, and gets pages that the
/// kernel must fill with zeros: a tenth of the processor time of a run; and huge pages that are
/// partly used made the peak a fifth higher. Memory that is never given back would save 3 % of the
/// time, and makes the peak a tenth higher. The same variables serve any program that uses
/// mimalloc.
pub(crate) fn keep_freed_memory(process: &mut Command) {
    process.env("MIMALLOC_PURGE_DELAY", "500");
    process.env("MIMALLOC_ALLOW_THP", "0");
}

/// Lets hash tables have huge pages, which they ask for themselves.
///
/// mimalloc, when it may not use huge pages, forbids them to the whole process.
pub(crate) fn allow_huge_pages() {
    // SAFETY: the call takes numbers only.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 0, 0, 0, 0);
    }
}
