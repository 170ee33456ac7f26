//! Texts, as views into the page of their dictionary.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};

use super::rows::Rows;
use super::{Entries, ended, read_places, unknown};

#[derive(Default)]
pub(super) struct Texts {
    /// The page of the dictionary, and the entries in it.
    bytes: Bytes,
    views: Vec<u128>,
    /// The entries and, if rows may have nulls, a null, once rows were read.
    dictionary: Option<ArrayRef>,
}

impl Entries for Texts {
    /// They never do.
    const BYTES: usize = 0;

    /// Of each entry there is the length, then its bytes.
    fn fill(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        // Then the lengths are, too, and all texts are valid.
        let is_ascii = bytes.is_ascii();
        let mut at = 0_usize;
        self.views
            .reserve_exact(count.min(bytes.len() / size_of::<u32>()) + 1);
        for _ in 0..count {
            let start = at.saturating_add(size_of::<u32>());
            let length = bytes.get(at..start).and_then(<[u8]>::first_chunk);
            let length = u32::from_le_bytes(*length.ok_or_else(ended)?);
            at = start.saturating_add(length as usize);
            let text = bytes.get(start..at).ok_or_else(ended)?;
            if !is_ascii && std::str::from_utf8(text).is_err() {
                return Err(ParquetError::General(
                    "a text is not valid UTF-8".to_owned(),
                ));
            }
            let start = u32::try_from(start).map_err(|_| unknown())?;
            self.views.push(make_view(text, 0, start));
        }
        self.bytes = bytes;
        Ok(())
    }

    fn len(&self) -> usize {
        self.views.len()
    }

    fn array(&self, with_null: bool) -> Result<ArrayRef> {
        let mut views = self.views.clone();
        let mut nulls = None;
        if with_null {
            views.push(0);
            let is_entry = (0..views.len()).map(|place| place + 1 < views.len());
            nulls = Some(is_entry.collect::<NullBuffer>());
        }
        let buffers = vec![Buffer::from(self.bytes.clone())];
        #[expect(unsafe_code, reason = "each view is of valid text in the buffer")]
        // SAFETY: see the reason.
        let array =
            unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(views), buffers, nulls) };
        Ok(Arc::new(array))
    }

    fn read(&mut self, from: &mut Rows, rows: usize) -> Result<ArrayRef> {
        let places = read_places(self, from, &mut Vec::new(), rows)?;
        let dictionary = match self.dictionary.take() {
            Some(dictionary) => dictionary,
            None => self.array(from.nullable)?,
        };
        let texts = take(&dictionary, &places, None);
        self.dictionary = Some(dictionary);
        Ok(texts?)
    }
}
