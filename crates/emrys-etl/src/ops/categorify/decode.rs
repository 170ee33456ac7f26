//! From ids back to values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray, UInt32Array, new_null_array};
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::vocabulary::{FIRST_UNSEEN_ID, NULL_ID, Vocabulary};
use crate::lookup::strict_cast;
use crate::operator::{Decode, Markers};
use crate::{Error, Result};

/// The values of a vocabulary by their ids.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) vocabulary: Arc<Vocabulary>,
    /// The column of a vocabulary that several share, else those of the vocabulary.
    pub(super) columns: Vec<String>,
    /// By how much the ids of known values are raised.
    pub(super) shift: u32,
}

/// What an id stands for: the row of a value, or of one of the [`Specials`].
enum Meaning {
    Value(usize),
    Special(usize),
}

const PADDING: usize = 0;
const NULL: usize = 1;
const UNSEEN: usize = 2;

impl Decoder {
    fn meaning(&self, id: i64) -> Result<Meaning> {
        let first_value = i64::from(self.vocabulary.first_id());
        let value = id - first_value - i64::from(self.shift);
        let special = match id {
            0 => Some(PADDING),
            id if id == i64::from(NULL_ID) => Some(NULL),
            id if (i64::from(FIRST_UNSEEN_ID)..first_value).contains(&id) => Some(UNSEEN),
            _ => None,
        };
        if let Some(special) = special {
            return Ok(Meaning::Special(special));
        }
        match usize::try_from(value) {
            Ok(row) if row < self.vocabulary.len() => Ok(Meaning::Value(row)),
            _ => Err(Error::Data {
                operator: "categorify".to_owned(),
                problem: format!(
                    "{id} is no id of `{}`, whose values have the ids {} to {}",
                    self.vocabulary.name(),
                    first_value + i64::from(self.shift),
                    first_value + i64::from(self.shift) + self.vocabulary.len() as i64 - 1
                ),
            }),
        }
    }
}

impl Decode for Decoder {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn decode(&self, ids: &Int64Array, markers: &Markers) -> Result<Vec<ArrayRef>> {
        let meanings = (0..ids.len())
            .map(|row| match ids.is_null(row) {
                true => Ok(Meaning::Special(NULL)),
                false => self.meaning(ids.value(row)),
            })
            .collect::<Result<Vec<_>>>()?;
        let failed = |error: ArrowError| Error::Internal(format!("taking values: {error}"));
        let members = self.vocabulary.values().iter().map(|values| {
            if markers == &Markers::default() {
                let rows: UInt32Array = meanings
                    .iter()
                    .map(|meaning| match meaning {
                        // A vocabulary has at most 2^32 values.
                        Meaning::Value(row) => Some(*row as u32),
                        Meaning::Special(_) => None,
                    })
                    .collect();
                return take(values, &rows, None).map_err(failed);
            }
            let specials = specials(markers, values.data_type())?;
            let rows: Vec<(usize, usize)> = meanings
                .iter()
                .map(|meaning| match meaning {
                    Meaning::Value(row) => (0, *row),
                    Meaning::Special(row) => (1, *row),
                })
                .collect();
            interleave(&[&**values, &*specials], &rows).map_err(failed)
        });
        members.collect()
    }
}

/// The markers of padding, nulls and unseen values in the type of the values.
fn specials(markers: &Markers, data_type: &DataType) -> Result<ArrayRef> {
    let texts = [markers.padding(), markers.null(), markers.unseen()];
    if data_type == &DataType::Null {
        return Ok(new_null_array(data_type, texts.len()));
    }
    strict_cast(&StringArray::from_iter(texts), data_type).map_err(|error| Error::InvalidOption {
        operator: "inverse_transform".to_owned(),
        option: "marker".to_owned(),
        value: texts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        expected: format!("the values are {data_type}: {error}"),
    })
}
