//! Rows of large tables, fetched before they are needed.

/// How many rows ahead of the one at work are fetched: enough to cover the latency of memory, few
/// enough to stay in the nearest cache until they are used.
pub(super) const AHEAD: usize = 8;

/// How many `f32` a cache line holds.
const LINE: usize = 16;

/// Asks for a row; it is on its way from memory when this returns.
#[inline]
pub(super) fn prefetch(row: &[f32]) {
    for line in row.chunks(LINE) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            #[expect(
                unsafe_code,
                reason = "prefetching has no safe form; it reads nothing, and the address is of a live element"
            )]
            // SAFETY: a hint that does not access memory; the address is that of a live slice.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}
