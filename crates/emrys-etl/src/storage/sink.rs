//! Bytes that are written one after another and then read in any order.

use std::fs::File;
use std::io::{BufWriter, Write};

use arrow::buffer::{Buffer, MutableBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, ToByteSlice};

use super::mapping::map;
use crate::{Error, Result};

/// Takes bytes and gives a buffer of them.
pub(crate) enum Sink {
    Memory(MutableBuffer),
    Disk {
        writer: BufWriter<File>,
        bytes: usize,
    },
}

impl Sink {
    /// A sink in memory; it grows beyond the capacity if it must.
    pub(crate) fn memory(capacity: usize) -> Sink {
        Sink::Memory(MutableBuffer::with_capacity(capacity))
    }

    /// A sink in a new file.
    pub(super) fn disk(file: File) -> Sink {
        Sink::Disk {
            writer: BufWriter::with_capacity(256 << 10, file),
            bytes: 0,
        }
    }

    /// Makes room for more bytes in memory.
    pub(super) fn reserve(&mut self, more: usize) {
        if let Sink::Memory(buffer) = self {
            buffer.reserve(more);
        }
    }

    /// Adds bytes at the end.
    pub(crate) fn write(&mut self, new: &[u8]) -> Result<()> {
        match self {
            Sink::Memory(buffer) => buffer.extend_from_slice(new),
            Sink::Disk { writer, bytes } => {
                writer
                    .write_all(new)
                    .map_err(Error::io("write", "a spill file"))?;
                *bytes += new.len();
            }
        }
        Ok(())
    }

    /// Adds numbers at the end.
    pub(crate) fn write_all<T: ArrowNativeType>(&mut self, values: &[T]) -> Result<()> {
        self.write(values.to_byte_slice())
    }

    /// What was written.
    pub(crate) fn finish(self) -> Result<Buffer> {
        match self {
            Sink::Memory(buffer) => Ok(buffer.into()),
            Sink::Disk { writer, bytes } => {
                let file = writer
                    .into_inner()
                    .map_err(|error| Error::io("write", "a spill file")(error.into_error()))?;
                map(&file, bytes)
            }
        }
    }

    /// What was written, as numbers.
    pub(crate) fn finish_numbers<T: ArrowNativeType>(self) -> Result<ScalarBuffer<T>> {
        Ok(ScalarBuffer::from(self.finish()?))
    }
}
