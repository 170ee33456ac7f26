//! Files as memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::Buffer;

use crate::{Error, Result};

/// The first `bytes` bytes of a file that nobody changes any more, as a buffer whose pages are
/// read when they are touched.
pub(super) fn map(file: &File, bytes: usize) -> Result<Buffer> {
    if bytes == 0 {
        return Ok(Buffer::from_vec(Vec::<u64>::new()));
    }
    let mapping = Arc::new(Mapping::new(file, bytes).map_err(Error::io("map", "a spill file"))?);
    let address = mapping.address;
    #[expect(
        unsafe_code,
        reason = "the buffer owns the mapping, which is readable, of this length, and as long-lived as the buffer"
    )]
    let buffer = unsafe { Buffer::from_custom_allocation(address, bytes, mapping) };
    Ok(buffer)
}

struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn new(file: &File, bytes: usize) -> io::Result<Mapping> {
        #[expect(
            unsafe_code,
            reason = "a new mapping touches no memory there is; its file has no name, so that nobody else shortens it"
        )]
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast())
            .ok_or_else(|| io::Error::other("the system mapped the file at address zero"))?;
        Ok(Mapping { address, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[expect(
            unsafe_code,
            reason = "the mapping was made with this address and length, and nothing borrows from it any more"
        )]
        unsafe {
            libc::munmap(self.address.as_ptr().cast(), self.bytes);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the mapped memory is only read, from any thread"
)]
unsafe impl Send for Mapping {}
#[expect(
    unsafe_code,
    reason = "the mapped memory is only read, from any thread"
)]
unsafe impl Sync for Mapping {}

/// Reads a shared file from its start, whatever others read at the same time.
pub(crate) struct FileReader {
    file: Arc<File>,
    offset: u64,
}

impl FileReader {
    pub(crate) fn new(file: Arc<File>) -> FileReader {
        FileReader { file, offset: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(buffer, self.offset)?;
        self.offset += bytes as u64;
        Ok(bytes)
    }
}
