//! What a file tells of the layout of a vocabulary.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

use super::{column_of, integers};
use crate::Result;
use crate::io::TableFile;
use crate::lookup::strict_cast;
use crate::ops::categorify::files::wrong;

/// What the description of a layout says.
pub(super) struct Meta {
    pub(super) first_id: i64,
    values: i64,
    /// Counted nulls and counted values that were left out.
    pub(super) observed: Option<(u64, u64)>,
}

impl Meta {
    pub(super) fn read(path: &Path) -> Result<Meta> {
        let table = TableFile::open(path)?.read()?;
        let kinds = strict_cast(column_of(path, &table, "kind")?, &DataType::Utf8)
            .map_err(|e| wrong(path, format!("column `kind`: {e}")))?;
        let kinds = kinds.as_string::<i32>();
        let cell = |column: &str, kind: &str| -> Result<i64> {
            let row = (0..kinds.len()).find(|row| kinds.value(*row) == kind);
            let row =
                row.ok_or_else(|| wrong(path, format!("the row of kind `{kind}` is missing")))?;
            Ok(integers(path, column, column_of(path, &table, column)?)?.value(row))
        };
        let observed = |kind| cell("num_observed", kind).map(i64::unsigned_abs);
        Ok(Meta {
            first_id: cell("offset", "unique")?,
            values: cell("num_indices", "unique")?,
            observed: match table.column_by_name("num_observed") {
                Some(_) => Some((observed("null")?, observed("oov")?)),
                None => None,
            },
        })
    }

    /// Compares with the file of the values.
    pub(super) fn check(
        &self,
        path: &Path,
        unique: &Path,
        first_id: Option<i64>,
        rows: usize,
    ) -> Result<()> {
        let differs = |what: &str, here: i64, there: i64| {
            wrong(
                path,
                format!("{what} {here} here, but {there} in `{}`", unique.display()),
            )
        };
        if self.values != rows as i64 {
            return Err(differs("the number of values is", self.values, rows as i64));
        }
        match first_id {
            Some(first_id) if first_id != self.first_id && rows > 0 => {
                Err(differs("the first id is", self.first_id, first_id))
            }
            _ => Ok(()),
        }
    }
}
