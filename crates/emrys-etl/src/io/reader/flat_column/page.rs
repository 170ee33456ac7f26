//! Data pages: which rows have a value, and the values.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};

use super::runs::Runs;

/// What is left of a data page.
#[derive(Debug)]
pub(super) struct DataPage {
    pub(super) rows: usize,
    /// Which of the rows have a value; `None` in columns without nulls.
    pub(super) present: Option<Runs>,
    pub(super) values: Values,
}

#[derive(Debug)]
pub(super) enum Values {
    /// The values themselves, in as many bytes as each has.
    Plain(Bytes),
    /// Their places in the dictionary.
    Places(Runs),
}

impl DataPage {
    /// A page of a column of the top level.
    pub(super) fn open(page: Page, nullable: bool) -> Result<DataPage> {
        let (rows, present, values, encoding) = match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                ..
            } => {
                let (present, values) = match nullable {
                    true => split_levels(&buf, num_values, def_level_encoding)?,
                    false => (None, buf),
                };
                (num_values, present, values, encoding)
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let repetitions = rep_levels_byte_len as usize;
                let levels = repetitions.saturating_add(def_levels_byte_len as usize);
                if levels > buf.len() {
                    return Err(cut_off());
                }
                let present = match nullable {
                    true => Some(Runs::new(buf.slice(repetitions..levels), 1)?),
                    false => None,
                };
                (num_values, present, buf.slice(levels..), encoding)
            }
            Page::DictionaryPage { .. } => {
                return Err(ParquetError::General(
                    "a dictionary that is not the first page".to_owned(),
                ));
            }
        };
        Ok(DataPage {
            rows: rows as usize,
            present,
            values: Values::open(values, encoding)?,
        })
    }
}

impl Values {
    fn open(bytes: Bytes, encoding: Encoding) -> Result<Values> {
        match encoding {
            Encoding::PLAIN => Ok(Values::Plain(bytes)),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                // A page of nulls need not have any bytes.
                let width = bytes.first().map_or(0, |width| usize::from(*width));
                let numbers = bytes.slice(bytes.len().min(1)..);
                Ok(Values::Places(Runs::new(numbers, width)?))
            }
            _ => Err(ParquetError::General(format!(
                "a page in {encoding}, which the footer does not name"
            ))),
        }
    }
}

/// The levels of a page of version 1, which tell the nulls, and what follows them.
fn split_levels(bytes: &Bytes, rows: u32, encoding: Encoding) -> Result<(Option<Runs>, Bytes)> {
    #[expect(deprecated, reason = "old files have it")]
    let packed = Encoding::BIT_PACKED;
    if encoding == packed {
        let length = (rows as usize).div_ceil(8);
        let levels = bytes.get(..length).ok_or_else(cut_off)?;
        // The first in the highest bit, unlike everywhere else; so says the specification, but the
        // library reads them the other way round.
        let levels: Vec<u8> = levels.iter().map(|byte| byte.reverse_bits()).collect();
        return Ok((Some(Runs::of_bits(levels.into())), bytes.slice(length..)));
    }
    let length = bytes.first_chunk().ok_or_else(cut_off)?;
    let end = (u32::from_le_bytes(*length) as usize).saturating_add(size_of::<u32>());
    if end > bytes.len() {
        return Err(cut_off());
    }
    let levels = Runs::new(bytes.slice(size_of::<u32>()..end), 1)?;
    Ok((Some(levels), bytes.slice(end..)))
}

fn cut_off() -> ParquetError {
    ParquetError::EOF("a page ends within its levels".to_owned())
}
