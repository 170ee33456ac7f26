//! From ids back to values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray, UInt32Array, new_null_array};
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::encode::IdRule;
use super::vocabulary::Vocabulary;
use crate::lookup::strict_cast;
use crate::operator::{Decode, Markers};
use crate::{Error, Result};

/// The values of a vocabulary by their ids.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) vocabulary: Arc<Vocabulary>,
    /// The column of a vocabulary that several share, else those of the vocabulary.
    pub(super) columns: Vec<String>,
    pub(super) rule: IdRule,
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No value has it.
    Padding,
    Null,
    /// Any of the values that are not in the vocabulary.
    Unseen,
    /// The value at a position of the vocabulary.
    Value(usize),
}

impl Meaning {
    /// The row of a special meaning among the [`specials`].
    fn special(self) -> usize {
        match self {
            Meaning::Padding => 0,
            Meaning::Null | Meaning::Value(_) => 1,
            Meaning::Unseen => 2,
        }
    }
}

impl Decoder {
    fn meaning(&self, id: i64) -> Result<Meaning> {
        let number = u64::try_from(id).ok();
        let meaning = number.and_then(|number| self.rule.meaning(&self.vocabulary, number));
        meaning.ok_or_else(|| {
            let known = match self.rule.first_value(&self.vocabulary) {
                Some(first) if !self.vocabulary.is_empty() => format!(
                    "whose values have the ids {first} to {}",
                    first + self.vocabulary.len() as u64 - 1
                ),
                _ => "none of whose ids stands for one value".to_owned(),
            };
            Error::Data {
                operator: "categorify".to_owned(),
                problem: format!("{id} is no id of `{}`, {known}", self.vocabulary.name()),
            }
        })
    }
}

impl Decode for Decoder {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn decode(&self, ids: &Int64Array, markers: &Markers) -> Result<Vec<ArrayRef>> {
        let meanings = (0..ids.len())
            .map(|row| match ids.is_null(row) {
                true => Ok(Meaning::Null),
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
                        _ => None,
                    })
                    .collect();
                return take(values, &rows, None).map_err(failed);
            }
            let specials = specials(markers, values.data_type())?;
            let rows: Vec<(usize, usize)> = meanings
                .iter()
                .map(|meaning| match meaning {
                    Meaning::Value(row) => (0, *row),
                    special => (1, special.special()),
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
