//! The memory of tables and of their optimizer state.

use std::io;

use memmap2::MmapMut;

/// A matrix of `f32` in host memory, all zeros at first.
///
/// Its pages come straight from the operating system: a page that was never written to takes no
/// memory, so neither a new state of a large table nor its untouched parts cost anything. Huge
/// pages are asked for where the system has them: a random row of a table of gigabytes then costs
/// one miss of the cache, not a second one of the page tables, and the first steps do not pay for
/// a page fault per row.
#[derive(Debug)]
pub(super) struct RowMatrix {
    pages: MmapMut,
    rows: usize,
    width: usize,
}

impl RowMatrix {
    /// A matrix of zeros.
    pub(super) fn zeros(rows: usize, width: usize) -> io::Result<Self> {
        let bytes = rows
            .checked_mul(width)
            .and_then(|cells| cells.checked_mul(size_of::<f32>()))
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let pages = MmapMut::map_anon(bytes)?;
        // Only advice: systems without huge pages refuse it, and work as well.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        Ok(Self { pages, rows, width })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// All rows, one after the other.
    pub(super) fn as_slice(&self) -> &[f32] {
        bytemuck::cast_slice(&self.pages)
    }

    /// All rows, one after the other.
    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.pages)
    }

    /// `count` rows from `first` on.
    pub(super) fn row_range(&self, first: usize, count: usize) -> &[f32] {
        &self.as_slice()[first * self.width..(first + count) * self.width]
    }

    /// `count` rows from `first` on.
    pub(super) fn row_range_mut(&mut self, first: usize, count: usize) -> &mut [f32] {
        let width = self.width;
        &mut self.as_mut_slice()[first * width..(first + count) * width]
    }
}
