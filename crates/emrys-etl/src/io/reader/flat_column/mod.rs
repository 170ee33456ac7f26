//! Columns of numbers that are decoded here rather than by the parquet library.
//!
//! The counterpart of the writer's columns of the same name: one value of a fixed size or a null in
//! every row, in pages of places in a dictionary, or of the values themselves. Values are treated as
//! the bits they have.

mod page;
mod rows;
mod runs;
mod spread;
mod unpack;
mod word;

use arrow::array::{ArrayDataBuilder, ArrayRef, UInt32Array, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use parquet::basic::{Encoding, Type};
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use self::page::Values;
use self::rows::Rows;
use self::runs::{Numbers, Room};
use self::word::{Word, split_values};

/// Whether a column chunk, which is to be read as `data_type`, can be decoded here.
pub(super) fn decodes(data_type: &DataType, chunk: &ColumnChunkMetaData) -> bool {
    let column = chunk.column_descr();
    let flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
    #[expect(deprecated, reason = "old files have them")]
    let known = |encoding| {
        matches!(
            encoding,
            Encoding::PLAIN
                | Encoding::PLAIN_DICTIONARY
                | Encoding::RLE_DICTIONARY
                // Of the levels.
                | Encoding::RLE
                | Encoding::BIT_PACKED
        )
    };
    flat && stored_type(data_type) == Some(column.physical_type()) && chunk.encodings().all(known)
}

/// Whether columns of a type are decoded here, for some of the ways in which they are stored.
pub(in crate::io) fn is_decoded(data_type: &DataType) -> bool {
    stored_type(data_type).is_some()
}

/// The type of parquet whose values have the same bits.
fn stored_type(data_type: &DataType) -> Option<Type> {
    match data_type {
        DataType::Int32 | DataType::UInt32 | DataType::Date32 => Some(Type::INT32),
        DataType::Int64 | DataType::UInt64 => Some(Type::INT64),
        DataType::Float32 => Some(Type::FLOAT),
        DataType::Float64 => Some(Type::DOUBLE),
        _ => None,
    }
}

/// Whether all pages of a column chunk, which is decoded here, refer to the dictionary.
pub(super) fn has_places_only(chunk: &ColumnChunkMetaData) -> bool {
    let known = chunk.page_encoding_stats_mask();
    known.is_some_and(|known| {
        known.is_only(Encoding::RLE_DICTIONARY) || known.is_only(Encoding::PLAIN_DICTIONARY)
    })
}

/// A column chunk on its way into arrays.
pub(super) trait FlatColumn: Send {
    /// Passes over rows.
    fn skip(&mut self, rows: usize) -> Result<()>;

    /// The values of the next rows.
    fn read(&mut self, rows: usize) -> Result<ArrayRef>;

    /// How many entries the dictionary has.
    fn entries(&mut self) -> Result<usize>;

    /// The entries of the dictionary and, if the column may have nulls, a null behind them.
    fn dictionary(&mut self) -> Result<ArrayRef>;

    /// For each of the next rows where its value is in the [`dictionary`](Self::dictionary), if the
    /// chunk [has nothing else](has_places_only).
    fn read_places(&mut self, rows: usize) -> Result<UInt32Array>;
}

/// The rows of a chunk that is [decoded here](decodes).
pub(super) fn open(
    data_type: &DataType,
    chunk: &ColumnChunkMetaData,
    pages: Box<dyn PageReader>,
) -> Box<dyn FlatColumn> {
    let nullable = chunk.column_descr().max_def_level() > 0;
    let data_type = data_type.clone();
    match data_type.primitive_width() {
        Some(4) => Box::new(Column::<u32>::new(data_type, nullable, pages)),
        _ => Box::new(Column::<u64>::new(data_type, nullable, pages)),
    }
}

struct Column<W> {
    data_type: DataType,
    dictionary: Vec<W>,
    rows: Rows,
    /// Values on their way to their rows.
    values: Vec<W>,
    places: Vec<u32>,
}

impl<W: Word> Column<W> {
    fn new(data_type: DataType, nullable: bool, pages: Box<dyn PageReader>) -> Column<W> {
        Column {
            data_type,
            dictionary: Vec::new(),
            rows: Rows::new(nullable, pages),
            values: Vec::new(),
            places: Vec::new(),
        }
    }

    fn array(&self, words: Vec<W>, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let data = ArrayDataBuilder::new(self.data_type.clone())
            .len(words.len())
            .add_buffer(Buffer::from_vec(words))
            .nulls(nulls.filter(|nulls| nulls.null_count() > 0))
            .build()?;
        Ok(make_array(data))
    }

    /// Goes on to the next page that has rows; passes over whole pages of those to be skipped.
    fn begin_page(&mut self, skip: &mut usize) -> Result<()> {
        let dictionary = &mut self.dictionary;
        self.rows.begin_page(skip, |mut bytes, entries| {
            let values = split_values::<W>(&mut bytes, entries).ok_or_else(ended)?;
            W::append(&values, dictionary);
            Ok(())
        })
    }
}

impl<W: Word> FlatColumn for Column<W> {
    fn skip(&mut self, mut rows: usize) -> Result<()> {
        while rows > 0 {
            self.begin_page(&mut rows)?;
            if rows > 0 {
                self.rows.skip::<W>(&mut rows)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, rows: usize) -> Result<ArrayRef> {
        let mut words = Vec::with_capacity(rows);
        self.rows.begin_batch(rows);
        while words.len() < rows {
            self.begin_page(&mut 0)?;
            let dictionary = &self.dictionary;
            self.rows.append(
                rows,
                W::default(),
                &mut self.values,
                &mut words,
                |values, room, count, to| append_values(values, dictionary, room, count, to),
            )?;
        }
        let nulls = self.rows.take_nulls();
        self.array(words, nulls)
    }

    fn entries(&mut self) -> Result<usize> {
        // The dictionary comes before the first page.
        self.begin_page(&mut 0)?;
        Ok(self.dictionary.len())
    }

    fn dictionary(&mut self) -> Result<ArrayRef> {
        let entries = self.entries()?;
        let mut words = self.dictionary.clone();
        if !self.rows.nullable {
            return self.array(words, None);
        }
        words.push(W::default());
        let is_entry = (0..=entries).map(|place| place < entries);
        self.array(words, Some(is_entry.collect()))
    }

    fn read_places(&mut self, rows: usize) -> Result<UInt32Array> {
        let mut places = Vec::with_capacity(rows);
        self.rows.begin_batch(rows);
        while places.len() < rows {
            self.begin_page(&mut 0)?;
            let entries = self.dictionary.len();
            let null = u32::try_from(entries).map_err(|_| unknown())?;
            self.rows.append(
                rows,
                null,
                &mut self.places,
                &mut places,
                |values, room, count, to| append_places(values, entries, room, count, to),
            )?;
        }
        Ok(UInt32Array::new(places.into(), None))
    }
}

/// Appends so many values of a page.
fn append_values<W: Word>(
    values: &mut Values,
    dictionary: &[W],
    room: &mut Room,
    count: usize,
    to: &mut Vec<W>,
) -> Result<()> {
    let runs = match values {
        Values::Numbers(runs) => runs,
        Values::Plain(bytes) => {
            let values = split_values::<W>(bytes, count).ok_or_else(ended)?;
            W::append(&values, to);
            return Ok(());
        }
    };
    let end = to.len() + count;
    while to.len() < end {
        match runs.next(end - to.len(), room)? {
            Numbers::Equal(place, count) => {
                let value = dictionary.get(place as usize).ok_or_else(unknown)?;
                to.extend(std::iter::repeat_n(*value, count));
            }
            Numbers::Various(places) => {
                check(places, dictionary.len())?;
                to.extend(places.iter().map(|&place| dictionary[place as usize]));
            }
        }
    }
    Ok(())
}

/// Appends the places of so many values of a page in a dictionary of so many entries.
fn append_places(
    values: &mut Values,
    entries: usize,
    room: &mut Room,
    count: usize,
    to: &mut Vec<u32>,
) -> Result<()> {
    let Values::Numbers(runs) = values else {
        return Err(ParquetError::General(
            "a page of values where the footer tells places in a dictionary".to_owned(),
        ));
    };
    let end = to.len() + count;
    while to.len() < end {
        match runs.next(end - to.len(), room)? {
            Numbers::Equal(place, count) => {
                check(&[place], entries)?;
                to.extend(std::iter::repeat_n(place, count));
            }
            Numbers::Various(places) => {
                check(places, entries)?;
                to.extend_from_slice(places);
            }
        }
    }
    Ok(())
}

fn check(places: &[u32], entries: usize) -> Result<()> {
    let greatest = places.iter().fold(0, |most, place| most.max(*place));
    match (greatest as usize) < entries {
        true => Ok(()),
        false => Err(unknown()),
    }
}

fn ended() -> ParquetError {
    ParquetError::EOF("a column chunk ends before its rows do".to_owned())
}

fn unknown() -> ParquetError {
    ParquetError::General("a place that is beyond the dictionary".to_owned())
}

#[cfg(test)]
mod tests;
