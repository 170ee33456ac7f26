//! Columns that are decoded here rather than by the parquet library.
//!
//! The counterpart of the writer's columns of the same name: one value or null in every row.
//! [Numbers](numbers) are in pages of places in a dictionary, or of the values themselves;
//! [texts](texts) are decoded here if all their pages are of places.

mod numbers;
mod page;
mod rows;
mod runs;
mod spread;
mod texts;
mod unpack;
mod word;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use self::numbers::Numbers;
use self::page::Values;
use self::rows::Rows;
use self::runs::{Next, Room};
use self::spread::SPARE;
use self::texts::Texts;

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
    flat && stored_type(data_type) == Some(column.physical_type())
        && match data_type {
            DataType::Utf8View => has_places_only(chunk),
            _ => chunk.encodings().all(known),
        }
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
        DataType::Utf8View => Some(Type::BYTE_ARRAY),
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
        None => Box::new(Column::new(Texts::default(), nullable, pages)),
        Some(4) => Box::new(Column::new(Numbers::<u32>::new(data_type), nullable, pages)),
        Some(_) => Box::new(Column::new(Numbers::<u64>::new(data_type), nullable, pages)),
    }
}

/// The entries of a dictionary, and values that refer to them.
trait Entries: Send {
    /// The bytes of a value that stands in a page itself.
    const BYTES: usize;

    /// Takes the page of the dictionary.
    fn fill(&mut self, bytes: Bytes, count: usize) -> Result<()>;

    fn len(&self) -> usize;

    /// All entries, and a null if it is asked for.
    fn array(&self, with_null: bool) -> Result<ArrayRef>;

    /// The values of the next rows.
    fn read(&mut self, from: &mut Rows, rows: usize) -> Result<ArrayRef>;
}

struct Column<E> {
    entries: E,
    rows: Rows,
    /// Places on their way to their rows.
    places: Vec<u32>,
}

impl<E: Entries> Column<E> {
    fn new(entries: E, nullable: bool, pages: Box<dyn PageReader>) -> Column<E> {
        Column {
            entries,
            rows: Rows::new(nullable, pages),
            places: Vec::new(),
        }
    }
}

impl<E: Entries> FlatColumn for Column<E> {
    fn skip(&mut self, mut rows: usize) -> Result<()> {
        while rows > 0 {
            self.rows.begin_page(&mut rows, &mut self.entries)?;
            if rows > 0 {
                self.rows.skip(&mut rows, E::BYTES)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, rows: usize) -> Result<ArrayRef> {
        self.entries.read(&mut self.rows, rows)
    }

    fn entries(&mut self) -> Result<usize> {
        // The dictionary comes before the first page.
        self.rows.begin_page(&mut 0, &mut self.entries)?;
        Ok(self.entries.len())
    }

    fn dictionary(&mut self) -> Result<ArrayRef> {
        self.rows.begin_page(&mut 0, &mut self.entries)?;
        self.entries.array(self.rows.nullable)
    }

    fn read_places(&mut self, rows: usize) -> Result<UInt32Array> {
        read_places(&mut self.entries, &mut self.rows, &mut self.places, rows)
    }
}

/// Where the next rows are among the entries; nulls are behind the last.
fn read_places(
    entries: &mut impl Entries,
    from: &mut Rows,
    values: &mut Vec<u32>,
    rows: usize,
) -> Result<UInt32Array> {
    let mut places = Vec::with_capacity(rows + SPARE);
    from.begin_batch(rows);
    while places.len() < rows {
        from.begin_page(&mut 0, entries)?;
        let count = entries.len();
        let null = u32::try_from(count).map_err(|_| unknown())?;
        from.append(rows, null, values, &mut places, |values, room, some, to| {
            append_places(values, count, room, some, to)
        })?;
    }
    Ok(UInt32Array::new(places.into(), None))
}

/// Appends the places of so many values of a page in a dictionary of so many entries.
fn append_places(
    values: &mut Values,
    entries: usize,
    room: &mut Room,
    count: usize,
    to: &mut Vec<u32>,
) -> Result<()> {
    let Values::Places(runs) = values else {
        return Err(ParquetError::General(
            "a page of values where the footer tells places in a dictionary".to_owned(),
        ));
    };
    let end = to.len() + count;
    while to.len() < end {
        match runs.next(end - to.len(), room)? {
            Next::Equal(place, count) => {
                check(&[place], entries)?;
                to.extend(std::iter::repeat_n(place, count));
            }
            Next::Various(places) => {
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
