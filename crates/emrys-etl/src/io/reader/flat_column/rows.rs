//! The rows of a column chunk, page by page: which of them are null, and where the values go.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;
use arrow::util::bit_chunk_iterator::{BitChunks, UnalignedBitChunk};
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};

use super::page::{DataPage, Values};
use super::runs::{Bits, Room};
use super::spread::spread;
use super::word::{Word, split_values};
use super::{Entries, ended};

/// The pages of a column chunk.
pub(super) struct Rows {
    pub(super) nullable: bool,
    pages: Box<dyn PageReader>,
    page: Option<DataPage>,
    /// Whether a page was read: only the first may be the dictionary.
    has_begun: bool,
    room: Box<Room>,
    /// Which rows of the batch have a value.
    present: BooleanBufferBuilder,
}

impl Rows {
    pub(super) fn new(nullable: bool, pages: Box<dyn PageReader>) -> Rows {
        Rows {
            nullable,
            pages,
            page: None,
            has_begun: false,
            room: Box::default(),
            present: BooleanBufferBuilder::new(0),
        }
    }

    /// Goes on to the next page that has rows, if the last one has come to its end; passes over
    /// whole pages of the rows that are to be skipped. The dictionary comes before the first.
    pub(super) fn begin_page(
        &mut self,
        skip: &mut usize,
        entries: &mut impl Entries,
    ) -> Result<()> {
        while self.page.as_ref().is_none_or(|page| page.rows == 0) {
            if *skip > 0 && self.skip_page(skip)? {
                if *skip == 0 {
                    return Ok(());
                }
                continue;
            }
            match self.pages.get_next_page()?.ok_or_else(ended)? {
                Page::DictionaryPage {
                    buf,
                    num_values,
                    encoding,
                    ..
                } if !self.has_begun => {
                    check_plain(encoding)?;
                    entries.fill(buf, num_values as usize)?;
                }
                page => self.page = Some(DataPage::open(page, self.nullable)?),
            }
            self.has_begun = true;
        }
        Ok(())
    }

    /// Passes over the next page, if it has rows and all of them are to be skipped.
    fn skip_page(&mut self, skip: &mut usize) -> Result<bool> {
        let next = self.pages.peek_next_page()?.ok_or_else(ended)?;
        let rows = next.num_rows.or(next.num_levels).unwrap_or_default();
        let is_skipped = !next.is_dict && (1..=*skip).contains(&rows);
        if is_skipped {
            self.pages.skip_next_page()?;
            *skip -= rows;
        }
        Ok(is_skipped)
    }

    /// Passes over rows of the open page, as many as are left of it; values in it have so many bytes
    /// each.
    pub(super) fn skip(&mut self, rows: &mut usize, bytes_of_value: usize) -> Result<()> {
        let page = self.page.as_mut().ok_or_else(ended)?;
        let skipped = page.rows.min(*rows);
        page.rows -= skipped;
        *rows -= skipped;
        let values = match &mut page.present {
            None => skipped,
            Some(present) => {
                let (mut left, mut values) = (skipped, 0);
                while left > 0 {
                    let (some, all) = match present.next_bits(left)? {
                        Bits::Equal(present, rows) => (rows * usize::from(present), rows),
                        Bits::Various(bits, first, rows) => {
                            (UnalignedBitChunk::new(bits, first, rows).count_ones(), rows)
                        }
                    };
                    values += some;
                    left -= all;
                }
                values
            }
        };
        match &mut page.values {
            Values::Plain(bytes) => {
                split_values(bytes, values, bytes_of_value).ok_or_else(ended)?;
            }
            Values::Places(runs) => runs.skip(values)?,
        }
        Ok(())
    }

    /// Before so many rows are appended.
    pub(super) fn begin_batch(&mut self, rows: usize) {
        let room = if self.nullable { rows } else { 0 };
        self.present = BooleanBufferBuilder::new(room);
    }

    /// Appends rows of the open page until there are so many; null stands for rows without a value.
    /// `append_values` appends some of the page's values, for which there is room in `values`.
    pub(super) fn append<V: Word>(
        &mut self,
        rows: usize,
        null: V,
        values: &mut Vec<V>,
        words: &mut Vec<V>,
        append_values: impl Fn(&mut Values, &mut Room, usize, &mut Vec<V>) -> Result<()>,
    ) -> Result<()> {
        let page = self.page.as_mut().ok_or_else(ended)?;
        let (rows, room) = (page.rows.min(rows - words.len()), &mut *self.room);
        page.rows -= rows;
        let Some(present) = &mut page.present else {
            return append_values(&mut page.values, room, rows, words);
        };
        let first = self.present.len();
        let mut left = rows;
        while left > 0 {
            left -= match present.next_bits(left)? {
                Bits::Equal(is_present, rows) => {
                    self.present.append_n(rows, is_present);
                    rows
                }
                Bits::Various(bits, first, rows) => {
                    self.present.append_packed_range(first..first + rows, bits);
                    rows
                }
            };
        }
        let bits = self.present.as_slice();
        let count = UnalignedBitChunk::new(bits, first, rows).count_ones();
        if count == rows {
            return append_values(&mut page.values, room, rows, words);
        }
        values.clear();
        append_values(&mut page.values, room, count, values)?;
        spread(values, null, BitChunks::new(bits, first, rows), words);
        Ok(())
    }

    /// The nulls among the rows that were appended.
    pub(super) fn take_nulls(&mut self) -> Option<NullBuffer> {
        self.nullable
            .then(|| NullBuffer::new(self.present.finish()))
    }
}

/// The entries of a dictionary are the values themselves, whatever they are called.
fn check_plain(encoding: Encoding) -> Result<()> {
    match encoding {
        Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => Ok(()),
        _ => Err(ParquetError::General(format!("a dictionary in {encoding}"))),
    }
}
