//! The pages of a column chunk, and the chunk that they make.

use bytes::Bytes;
use parquet::basic::{Encoding, EncodingMask, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaDataBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::codec::Codec;

/// More than the header of a page takes.
const HEADER_BYTES: usize = 64;

/// The finished pages of a column chunk.
pub(super) struct Pages {
    codec: Codec,
    dictionary: Option<CompressedPage>,
    data: Vec<CompressedPage>,
    bytes: usize,
}

impl Pages {
    pub(super) fn new(codec: Codec) -> Pages {
        Pages {
            codec,
            dictionary: None,
            data: Vec::new(),
            bytes: 0,
        }
    }

    /// The bytes of the pages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes a page would take.
    pub(super) fn compressed_size(&mut self, page: &[u8]) -> Result<usize> {
        Ok(self.codec.compress(page)?.len())
    }

    /// Compresses a data page: levels and values of so many rows.
    pub(super) fn push(&mut self, page: &[u8], rows: usize, encoding: Encoding) -> Result<()> {
        let buf = self.codec.compress(page)?;
        self.bytes += buf.len() + HEADER_BYTES;
        let data = Page::DataPage {
            buf,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.data.push(CompressedPage::new(data, page.len()));
        Ok(())
    }

    /// Whether there are pages that refer to a dictionary.
    pub(super) fn need_dictionary(&self) -> bool {
        let mut encodings = self.data.iter().map(CompressedPage::encoding);
        encodings.any(|encoding| encoding == Encoding::RLE_DICTIONARY)
    }

    /// Compresses a dictionary of so many values, which comes before all data.
    pub(super) fn push_dictionary(&mut self, page: &[u8], values: usize) -> Result<()> {
        let buf = self.codec.compress(page)?;
        self.bytes += buf.len() + HEADER_BYTES;
        let dictionary = Page::DictionaryPage {
            buf,
            num_values: values as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        self.dictionary = Some(CompressedPage::new(dictionary, page.len()));
        Ok(())
    }

    /// The chunk that the pages make.
    pub(super) fn close(
        self,
        metadata: ColumnChunkMetaDataBuilder,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut written = TrackedWrite::new(Vec::with_capacity(self.bytes));
        let mut writer = SerializedPageWriter::new(&mut written);
        let mut uncompressed = 0;
        let mut encodings = EncodingMask::new_from_encodings([Encoding::RLE].iter());
        let mut counts: Vec<PageEncodingStats> = Vec::new();
        let mut offsets = OffsetIndexBuilder::new();
        let mut data_offset = None;
        let mut rows = 0;
        let has_dictionary = self.dictionary.is_some();
        for page in self.dictionary.into_iter().chain(self.data) {
            let (page_type, encoding) = (page.page_type(), page.encoding());
            encodings.insert(encoding);
            match counts.last_mut() {
                Some(count) if (count.page_type, count.encoding) == (page_type, encoding) => {
                    count.count += 1;
                }
                _ => counts.push(PageEncodingStats {
                    page_type,
                    encoding,
                    count: 1,
                }),
            }
            let place = writer.write_page(page)?;
            uncompressed += place.uncompressed_size;
            if page_type == PageType::DATA_PAGE {
                data_offset.get_or_insert(place.offset);
                rows += u64::from(place.num_values);
                offsets.append_row_count(i64::from(place.num_values));
                offsets.append_offset_and_size(place.offset as i64, place.compressed_size as i32);
            }
        }
        let bytes = Bytes::from(written.into_inner()?);
        let metadata = metadata
            .set_encodings_mask(encodings)
            .set_page_encoding_stats(counts)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_num_values(rows as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_data_page_offset(data_offset.unwrap_or(0) as i64)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(offsets.build()),
        };
        Ok((bytes, close))
    }
}
