//! The words of which records consist.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, UInt64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};

/// A word of a record: a name, and how its 64 bits are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) kind: WordKind,
}

/// How the bits of a word are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    Signed,
    Unsigned,
    Float,
}

impl Word {
    pub(crate) fn new(name: impl Into<String>, kind: WordKind) -> Word {
        Word {
            name: name.into(),
            kind,
        }
    }
}

impl WordKind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            WordKind::Signed => DataType::Int64,
            WordKind::Unsigned => DataType::UInt64,
            WordKind::Float => DataType::Float64,
        }
    }

    pub(super) fn array(self, words: impl Iterator<Item = u64>) -> ArrayRef {
        match self {
            WordKind::Signed => Arc::new(Int64Array::from_iter_values(words.map(u64::cast_signed))),
            WordKind::Unsigned => Arc::new(UInt64Array::from_iter_values(words)),
            WordKind::Float => Arc::new(Float64Array::from_iter_values(words.map(f64::from_bits))),
        }
    }

    /// The values of an array of the type as words.
    pub(crate) fn words(self, values: &ArrayRef) -> Option<Vec<u64>> {
        Some(match self {
            WordKind::Signed => {
                let values = values.as_primitive_opt::<Int64Type>()?;
                values
                    .values()
                    .iter()
                    .map(|word| word.cast_unsigned())
                    .collect()
            }
            WordKind::Unsigned => values.as_primitive_opt::<UInt64Type>()?.values().to_vec(),
            WordKind::Float => {
                let values = values.as_primitive_opt::<Float64Type>()?;
                values.values().iter().map(|word| word.to_bits()).collect()
            }
        })
    }

    /// Whether a word is less than another.
    pub(crate) fn less(self, a: u64, b: u64) -> bool {
        match self {
            WordKind::Signed => a.cast_signed() < b.cast_signed(),
            WordKind::Unsigned => a < b,
            WordKind::Float => f64::from_bits(a) < f64::from_bits(b),
        }
    }
}
