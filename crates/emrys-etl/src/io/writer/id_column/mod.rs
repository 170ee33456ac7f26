//! Columns of ids, for which the schema tells the domain.
//!
//! The parquet library numbers the values of a column with a hash table. Ids are below a known
//! bound, so that a plain table does, which is smaller and misses the cache less. What is written
//! is the same: a dictionary page, and data pages of numbers in runs and packed bits. Ids outside
//! of the domain, which a schema may be wrong about, are written too, at the speed of a hash table.
//!
//! Ids of a large domain hardly repeat. They are written by their differences, packed into as many
//! bits as the domain needs.

mod codec;
mod delta;
mod dictionary;
mod hybrid;
mod integer;
mod pages;
mod varint;

use arrow::array::{Array, NullBufferBuilder, PrimitiveArray};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, LevelHistogram};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnDescPtr;

use self::codec::Codec;
use self::dictionary::Dictionary;
use self::integer::Integer;
use self::pages::Pages;

/// Whether pages can be compressed so here.
pub(super) fn compresses(compression: Compression) -> bool {
    Codec::new(compression).is_some()
}

/// Encodes one flat column of one row group.
pub(super) struct IdColumn<T> {
    column: ColumnDescPtr,
    compression: Compression,
    page_rows: usize,
    dictionary: Dictionary<T>,
    page: OpenPage<T>,
    pages: Pages,
    rows: usize,
    nulls: usize,
    /// The least and the greatest id of the pages that do not refer to the dictionary.
    range: Option<(T, T)>,
}

/// The page that rows are being added to.
struct OpenPage<T> {
    rows: usize,
    validity: NullBufferBuilder,
    values: Values<T>,
    /// Memory of pages before, for this one to be put together in.
    bytes: Vec<u8>,
}

/// The values of a page that are not null.
enum Values<T> {
    /// By their numbers in the dictionary.
    Numbers(Vec<u16>),
    /// Themselves, since there is no dictionary, or since it was found full.
    Ids(Vec<T>),
}

impl<T: Integer> IdColumn<T> {
    /// Encodes ids that are mostly in `0..cardinality`.
    pub(super) fn new(
        column: ColumnDescPtr,
        properties: &WriterProperties,
        cardinality: usize,
    ) -> Result<IdColumn<T>> {
        let path = column.path();
        let compression = properties.compression(path);
        let codec = Codec::new(compression)
            .ok_or_else(|| ParquetError::General(format!("ids cannot be in {compression}")))?;
        // Numbers are smaller than plain ids, and levels are next to nothing.
        let fitting = properties.column_data_page_size_limit(path) / size_of::<T>();
        let page_rows = properties.data_page_row_count_limit().min(fitting).max(1);
        let (dictionary, values) = if properties.dictionary_enabled(path) {
            let most = properties.column_dictionary_page_size_limit(path) / size_of::<T>();
            let dictionary = Dictionary::new(cardinality, most);
            (dictionary, Values::Numbers(Vec::new()))
        } else {
            (Dictionary::new(0, 0), Values::Ids(Vec::new()))
        };
        Ok(IdColumn {
            compression,
            page_rows,
            dictionary,
            page: OpenPage {
                rows: 0,
                validity: NullBufferBuilder::new(page_rows),
                values,
                bytes: Vec::new(),
            },
            pages: Pages::new(codec),
            rows: 0,
            nulls: 0,
            range: None,
            column,
        })
    }

    /// Adds the ids to the row group.
    pub(super) fn write(&mut self, ids: &PrimitiveArray<T::Arrow>) -> Result<()> {
        let mut start = 0;
        while start < ids.len() {
            let length = (self.page_rows - self.page.rows).min(ids.len() - start);
            self.add(&ids.slice(start, length));
            if self.page.rows == self.page_rows {
                self.end_page()?;
            }
            start += length;
        }
        Ok(())
    }

    /// Adds ids to the page, which has room for them.
    fn add(&mut self, ids: &PrimitiveArray<T::Arrow>) {
        self.page.rows += ids.len();
        match ids.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) if self.column.max_def_level() > 0 => {
                self.page.validity.append_buffer(nulls);
                let values = ids.values();
                let values: Vec<T> = nulls.valid_indices().map(|row| values[row]).collect();
                self.add_values(&values);
            }
            _ => {
                self.page.validity.append_n_non_nulls(ids.len());
                self.add_values(ids.values());
            }
        }
    }

    fn add_values(&mut self, ids: &[T]) {
        let all = match &mut self.page.values {
            Values::Ids(before) => {
                before.extend_from_slice(ids);
                return;
            }
            Values::Numbers(numbers) => {
                let numbered = self.dictionary.number(ids, numbers);
                if numbered == ids.len() {
                    return;
                }
                let known = self.dictionary.ids();
                let before = numbers.iter().map(|&number| known[usize::from(number)]);
                before.chain(ids[numbered..].iter().copied()).collect()
            }
        };
        // The page as a whole does without the dictionary, so that it keeps its rows.
        self.page.values = Values::Ids(all);
        self.dictionary.forget_numbers();
    }

    /// Encodes the page and begins the next one.
    fn end_page(&mut self) -> Result<()> {
        let OpenPage {
            rows,
            validity,
            values,
            bytes,
        } = &mut self.page;
        bytes.clear();
        let validity = validity.finish();
        self.rows += *rows;
        self.nulls += validity.as_ref().map_or(0, |nulls| nulls.null_count());
        if self.column.max_def_level() > 0 {
            bytes.extend_from_slice(&[0; size_of::<u32>()]);
            match &validity {
                Some(validity) => {
                    let levels: Vec<u16> = validity.iter().map(u16::from).collect();
                    hybrid::encode(&levels, 1, bytes);
                }
                None => hybrid::write_run(1, *rows, 1, bytes),
            }
            let length = (bytes.len() - size_of::<u32>()) as u32;
            bytes[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
        }
        let encoding = match values {
            Values::Numbers(numbers) => {
                let width = width_of(&self.dictionary);
                bytes.push(width as u8);
                hybrid::encode(numbers, width, bytes);
                numbers.clear();
                Encoding::RLE_DICTIONARY
            }
            Values::Ids(ids) => {
                delta::encode(ids, bytes);
                self.range = range(self.range, ids);
                ids.clear();
                Encoding::DELTA_BINARY_PACKED
            }
        };
        self.pages.push(bytes, *rows, encoding)?;
        *rows = 0;
        Ok(())
    }

    /// The bytes held.
    pub(super) fn memory_size(&self) -> usize {
        let OpenPage {
            validity,
            values,
            bytes,
            ..
        } = &self.page;
        let values = match values {
            Values::Numbers(numbers) => numbers.capacity() * size_of::<u16>(),
            Values::Ids(ids) => ids.capacity() * size_of::<T>(),
        };
        let page = validity.allocated_size() + values + bytes.capacity();
        self.dictionary.memory_size() + page + self.pages.bytes()
    }

    /// About how large the chunk would be if it were closed now.
    pub(super) fn encoded_size(&self) -> usize {
        let page = match &self.page.values {
            Values::Numbers(numbers) => {
                hybrid::most_bytes(numbers.len(), width_of(&self.dictionary))
            }
            Values::Ids(ids) => size_of_val(ids.as_slice()),
        };
        size_of_val(self.dictionary.ids()) + page + self.pages.bytes()
    }

    /// The bytes of the column chunk, and what is to be known about it.
    pub(super) fn close(mut self) -> Result<(Bytes, ColumnCloseResult)> {
        if self.page.rows > 0 {
            self.end_page()?;
        }
        let ids = self.dictionary.ids();
        if self.pages.need_dictionary() {
            let mut dictionary = Vec::new();
            T::write_plain(ids, &mut dictionary);
            self.pages.push_dictionary(&dictionary, ids.len())?;
        }
        // Ids are in the dictionary because they occurred.
        let statistics = T::statistics(range(self.range, ids), self.nulls as u64);
        let levels = [self.nulls, self.rows - self.nulls].map(|rows| rows as i64);
        let levels =
            (self.column.max_def_level() > 0).then(|| LevelHistogram::from(levels.to_vec()));
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_statistics(statistics)
            .set_definition_level_histogram(levels);
        self.pages.close(metadata)
    }
}

/// The bits of numbers of the dictionary.
fn width_of<T: Integer>(dictionary: &Dictionary<T>) -> usize {
    hybrid::width_of(dictionary.ids().len().saturating_sub(1))
}

/// The range widened by the ids.
fn range<T: Integer>(range: Option<(T, T)>, ids: &[T]) -> Option<(T, T)> {
    let Some(&first) = ids.first() else {
        return range;
    };
    let (mut min, mut max) = range.unwrap_or((first, first));
    for &id in ids {
        min = min.min(id);
        max = max.max(id);
    }
    Some((min, max))
}

#[cfg(test)]
pub(in crate::io::writer) mod tests;
