//! Columns of numbers that are encoded here rather than by the parquet library.
//!
//! What is written is the same: a dictionary page, and data pages of numbers in runs and packed
//! bits; or data pages of the values themselves. What a column holds decides how its distinct values
//! are numbered: [`ids`] by a table of all ids, [`floats`] by a small hash table.

mod codec;
mod dictionary;
mod floats;
mod hybrid;
mod ids;
mod page;
mod pages;
mod value;
mod varint;

use arrow::array::{Array, PrimitiveArray};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, LevelHistogram};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnDescPtr;

use self::codec::Codec;
use self::dictionary::Dictionary;
pub(super) use self::floats::FloatColumn;
pub(super) use self::ids::IdColumn;
use self::page::{OpenPage, Values};
use self::pages::Pages;
use self::value::Value;

/// Whether pages can be compressed so here.
pub(super) fn compresses(compression: Compression) -> bool {
    Codec::new(compression).is_some()
}

/// Encodes one flat column of one row group.
pub(super) struct FlatColumn<D: Dictionary> {
    column: ColumnDescPtr,
    compression: Compression,
    page_rows: usize,
    dictionary: D,
    /// After how many values it is found out whether the dictionary saves space.
    trial: Option<usize>,
    /// How many values of the dictionary finished pages refer to: the first ones.
    referred: usize,
    page: OpenPage<D::Value>,
    pages: Pages,
    rows: usize,
    nulls: usize,
    /// The least and the greatest value of the pages that do not refer to the dictionary.
    range: Option<(D::Value, D::Value)>,
}

/// How large the first numbers and their dictionary may be, compared with the values themselves.
/// The dictionary takes much of that, and grows ever more slowly.
const MOST_AT_TRIAL: f64 = 1.1;

/// The same if values come in order: the dictionary grows as fast as ever.
const MOST_IN_ORDER: f64 = 0.5;

impl<D: Dictionary> FlatColumn<D> {
    /// Encodes values that the dictionary numbers for as long as it has room.
    fn new(
        column: ColumnDescPtr,
        properties: &WriterProperties,
        dictionary: D,
    ) -> Result<FlatColumn<D>> {
        let path = column.path();
        let compression = properties.compression(path);
        let codec = Codec::new(compression)
            .ok_or_else(|| ParquetError::General(format!("pages cannot be in {compression}")))?;
        // Numbers are smaller than plain values, and levels are next to nothing.
        let fitting = properties.column_data_page_size_limit(path) / size_of::<D::Value>();
        let page_rows = properties.data_page_row_count_limit().min(fitting).max(1);
        Ok(FlatColumn {
            compression,
            page_rows,
            dictionary,
            trial: D::TRIAL,
            referred: 0,
            page: OpenPage::new(page_rows),
            pages: Pages::new(codec),
            rows: 0,
            nulls: 0,
            range: None,
            column,
        })
    }

    /// Adds the values to the row group.
    pub(super) fn write(
        &mut self,
        values: &PrimitiveArray<<D::Value as Value>::Arrow>,
    ) -> Result<()> {
        let mut start = 0;
        while start < values.len() {
            let length = (self.page_rows - self.page.rows).min(values.len() - start);
            self.add(&values.slice(start, length))?;
            if self.page.rows == self.page_rows {
                self.end_page()?;
            }
            start += length;
        }
        Ok(())
    }

    /// Adds values to the page, which has room for them.
    fn add(&mut self, array: &PrimitiveArray<<D::Value as Value>::Arrow>) -> Result<()> {
        self.page.rows += array.len();
        let values = array.values();
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) if self.is_nullable() => {
                self.page.validity.append_buffer(nulls);
                let values: Vec<_> = nulls.valid_indices().map(|row| values[row]).collect();
                self.add_values(&values)
            }
            _ => {
                self.page.validity.append_n_non_nulls(array.len());
                self.add_values(values)
            }
        }
    }

    fn add_values(&mut self, values: &[D::Value]) -> Result<()> {
        let numbers = match &mut self.page.values {
            Values::Plain(before) => {
                before.extend_from_slice(values);
                return Ok(());
            }
            Values::Numbers(numbers) => numbers,
        };
        let before_trial = self
            .trial
            .map_or(values.len(), |trial| trial - numbers.len());
        let (values, later) = values.split_at(before_trial.min(values.len()));
        let numbered = self.dictionary.number(values, numbers);
        if numbered < values.len() {
            self.leave_dictionary();
            self.add_values(&values[numbered..])?;
        } else if self.trial == Some(numbers.len()) {
            self.try_dictionary(false)?;
        }
        match later {
            [] => Ok(()),
            later => self.add_values(later),
        }
    }

    /// Leaves the dictionary if the values so far, all of them in the open page, are larger with
    /// it than without. More values may come, which share it.
    fn try_dictionary(&mut self, are_all: bool) -> Result<()> {
        let Values::Numbers(numbers) = &self.page.values else {
            return Ok(());
        };
        self.trial = None;
        let known = self.dictionary.values();
        let most = match are_all {
            true => 1.0,
            false if page::is_in_order(numbers, known.len()) => MOST_IN_ORDER,
            false => MOST_AT_TRIAL,
        };
        let bytes = &mut self.page.bytes;
        bytes.clear();
        D::Value::write_plain(known, bytes);
        hybrid::encode(numbers, hybrid::width_of(known.len()), bytes);
        let numbered = self.pages.compressed_size(bytes)?;

        bytes.clear();
        D::Value::encode(&page::look_up(numbers, known), bytes);
        let plain = self.pages.compressed_size(bytes)?;
        if numbered as f64 > most * plain as f64 {
            self.leave_dictionary();
        }
        Ok(())
    }

    /// Whether the open page, and what it added to the dictionary, take no more space than its
    /// values would.
    fn saves_space(&self, numbers: usize) -> bool {
        let count = self.dictionary.values().len();
        let new = (count - self.referred) * size_of::<D::Value>();
        let packed = numbers * hybrid::width_of(count) / 8;
        new + packed <= numbers * size_of::<D::Value>()
    }

    /// Goes on without the dictionary. The open page as a whole does without it, so that it keeps
    /// its rows.
    fn leave_dictionary(&mut self) {
        self.page.values.make_plain(self.dictionary.values());
        self.trial = None;
        self.dictionary.forget_numbers();
    }

    /// Encodes the page and begins the next one.
    fn end_page(&mut self) -> Result<()> {
        if let Values::Numbers(numbers) = &self.page.values
            && D::TRIAL.is_some()
            && !numbers.is_empty()
        {
            if !self.saves_space(numbers.len()) {
                self.leave_dictionary();
            } else if self.trial.is_some() {
                self.try_dictionary(false)?;
            }
        }
        let is_nullable = self.is_nullable();
        self.rows += self.page.rows;
        self.nulls += self.page.encode_levels(is_nullable);
        let OpenPage {
            rows,
            values,
            bytes,
            ..
        } = &mut self.page;
        let encoding = match values {
            Values::Numbers(numbers) => {
                self.referred = self.dictionary.values().len();
                let width = hybrid::width_of(self.referred);
                bytes.push(width as u8);
                hybrid::encode(numbers, width, bytes);
                numbers.clear();
                Encoding::RLE_DICTIONARY
            }
            Values::Plain(values) => {
                D::Value::encode(values, bytes);
                self.range = D::Value::widen(self.range, values);
                values.clear();
                D::Value::ENCODING
            }
        };
        self.pages.push(bytes, *rows, encoding)?;
        *rows = 0;
        Ok(())
    }

    fn is_nullable(&self) -> bool {
        self.column.max_def_level() > 0
    }

    /// The bytes held.
    pub(super) fn memory_size(&self) -> usize {
        self.dictionary.memory_size() + self.page.memory_size() + self.pages.bytes()
    }

    /// About how large the chunk would be if it were closed now.
    pub(super) fn encoded_size(&self) -> usize {
        let (known, page) = match &self.page.values {
            Values::Numbers(numbers) => {
                let known = self.dictionary.values();
                (
                    known.len(),
                    hybrid::most_bytes(numbers.len(), hybrid::width_of(known.len())),
                )
            }
            Values::Plain(values) => (self.referred, size_of_val(values.as_slice())),
        };
        known * size_of::<D::Value>() + page + self.pages.bytes()
    }

    /// The bytes of the column chunk, and what is to be known about it.
    pub(super) fn close(mut self) -> Result<(Bytes, ColumnCloseResult)> {
        if self.trial.is_some() && self.page.values.len() > 0 {
            self.try_dictionary(true)?;
        }
        if self.page.rows > 0 {
            self.end_page()?;
        }
        let known = &self.dictionary.values()[..self.referred];
        if self.pages.need_dictionary() {
            let mut dictionary = Vec::new();
            D::Value::write_plain(known, &mut dictionary);
            self.pages.push_dictionary(&dictionary, known.len())?;
        }
        // Values are in the dictionary because they occurred.
        let range = D::Value::widen(self.range, known);
        let statistics = D::Value::statistics(range, self.nulls as u64);
        let levels = [self.nulls, self.rows - self.nulls].map(|rows| rows as i64);
        let levels = self
            .is_nullable()
            .then(|| LevelHistogram::from(levels.to_vec()));
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_statistics(statistics)
            .set_definition_level_histogram(levels);
        self.pages.close(metadata)
    }
}

#[cfg(test)]
pub(in crate::io::writer) mod tests;
