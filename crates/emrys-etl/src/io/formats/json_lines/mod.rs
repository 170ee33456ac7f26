//! Text with one JSON object per line.

mod files;
mod keys;
mod read;
mod types;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::io::open_options::ColumnType;

pub(crate) use files::open;

/// How text with one JSON object per line is to be read.
///
/// The columns are the keys of the first 1000 objects of each file, in the order in which they
/// come, and their types are guessed: lists are lists, objects are structs, numbers are `int64`
/// or `float64`, everything else that is mixed is a string. An object without a key, or with
/// `null`, has a null there. A key that no object of the samples has is an error that names it,
/// unless its type is given.
///
/// The files are read once when they are opened, to learn where their rows are, and once for
/// every pass over the data. A compressed file can only be read from its beginning: it makes one
/// partition, so give several of them.
///
/// Values of top-level columns are read as those of [`CsvFormat`](super::CsvFormat): a string
/// `"12"` is the number 12 where a number is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JsonLinesFormat {
    types: BTreeMap<String, ColumnType>,
    sample_rows: usize,
}

impl Default for JsonLinesFormat {
    fn default() -> JsonLinesFormat {
        JsonLinesFormat {
            types: BTreeMap::new(),
            sample_rows: 1000,
        }
    }
}

impl JsonLinesFormat {
    /// Columns and types as the first objects have them.
    pub fn new() -> JsonLinesFormat {
        JsonLinesFormat::default()
    }

    /// The type of a column, which is else guessed; the column may be missing in the first
    /// objects, or in all.
    #[must_use]
    pub fn with_type(
        mut self,
        column: impl Into<String>,
        column_type: impl Into<ColumnType>,
    ) -> JsonLinesFormat {
        self.types.insert(column.into(), column_type.into());
        self
    }

    /// How many objects of each file columns and types are guessed from, 1000 by default.
    #[must_use]
    pub fn with_sample_rows(mut self, rows: usize) -> JsonLinesFormat {
        self.sample_rows = rows;
        self
    }
}

#[cfg(test)]
mod tests;
