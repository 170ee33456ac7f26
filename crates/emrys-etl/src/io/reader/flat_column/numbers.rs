//! Numbers, treated as the bits they have.

use arrow::array::{ArrayDataBuilder, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::errors::Result;

use super::page::Values;
use super::rows::Rows;
use super::runs::{Next, Room};
use super::spread::SPARE;
use super::word::{Word, split_values};
use super::{Entries, check, ended, unknown};

pub(super) struct Numbers<W> {
    data_type: DataType,
    dictionary: Vec<W>,
    /// Values on their way to their rows.
    values: Vec<W>,
}

impl<W: Word> Numbers<W> {
    pub(super) fn new(data_type: DataType) -> Numbers<W> {
        Numbers {
            data_type,
            dictionary: Vec::new(),
            values: Vec::new(),
        }
    }

    fn array_of(&self, words: Vec<W>, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let data = ArrayDataBuilder::new(self.data_type.clone())
            .len(words.len())
            .add_buffer(Buffer::from_vec(words))
            .nulls(nulls.filter(|nulls| nulls.null_count() > 0))
            .build()?;
        Ok(make_array(data))
    }
}

impl<W: Word> Entries for Numbers<W> {
    const BYTES: usize = W::BYTES;

    fn fill(&mut self, mut bytes: Bytes, count: usize) -> Result<()> {
        let values = split_values(&mut bytes, count, W::BYTES).ok_or_else(ended)?;
        W::append(&values, &mut self.dictionary);
        Ok(())
    }

    fn len(&self) -> usize {
        self.dictionary.len()
    }

    fn array(&self, with_null: bool) -> Result<ArrayRef> {
        let mut words = self.dictionary.clone();
        if !with_null {
            return self.array_of(words, None);
        }
        words.push(W::default());
        let is_entry = (0..words.len()).map(|place| place + 1 < words.len());
        let nulls = is_entry.collect();
        self.array_of(words, Some(nulls))
    }

    fn read(&mut self, from: &mut Rows, rows: usize) -> Result<ArrayRef> {
        let mut words = Vec::with_capacity(rows + SPARE);
        from.begin_batch(rows);
        while words.len() < rows {
            from.begin_page(&mut 0, self)?;
            let (dictionary, values) = (&self.dictionary, &mut self.values);
            from.append(
                rows,
                W::default(),
                values,
                &mut words,
                |page, room, count, to| append_values(page, dictionary, room, count, to),
            )?;
        }
        self.array_of(words, from.take_nulls())
    }
}

/// Appends so many values of a page.
fn append_values<W: Word>(
    page: &mut Values,
    dictionary: &[W],
    room: &mut Room,
    count: usize,
    to: &mut Vec<W>,
) -> Result<()> {
    let runs = match page {
        Values::Places(runs) => runs,
        Values::Plain(bytes) => {
            let values = split_values(bytes, count, W::BYTES).ok_or_else(ended)?;
            W::append(&values, to);
            return Ok(());
        }
    };
    let end = to.len() + count;
    while to.len() < end {
        match runs.next(end - to.len(), room)? {
            Next::Equal(place, count) => {
                let value = dictionary.get(place as usize).ok_or_else(unknown)?;
                to.extend(std::iter::repeat_n(*value, count));
            }
            Next::Various(places) => {
                check(places, dictionary.len())?;
                to.extend(places.iter().map(|&place| dictionary[place as usize]));
            }
        }
    }
    Ok(())
}
