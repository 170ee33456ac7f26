//! How this program's memory is handed out.

use std::ffi::{c_int, c_long};

/// The number of the option in all versions 2 and 3 of mimalloc; milliseconds, or -1 for never.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// Keeps memory that was freed for the next batch, and takes it in small pages.
///
/// By default mimalloc gives pages back to the system soon after they are freed, and asks for huge
/// ones. A run that streams batches asks for the same sizes again at once, and gets pages that the
/// kernel must fill with zeros: a tenth of the processor time of a run; and huge pages that are
/// partly used made the peak a fifth higher. The environment variables `MIMALLOC_PURGE_DELAY=-1`
/// and `MIMALLOC_ALLOW_THP=0` do the same for any program.
pub(crate) fn keep_freed_memory() {
    // SAFETY: the function is part of the allocator that this program is linked with, and takes
    // any option at any time.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
    // SAFETY: it takes numbers only. Programs that this one starts would inherit it, which is why
    // only processes that start none call it.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}
