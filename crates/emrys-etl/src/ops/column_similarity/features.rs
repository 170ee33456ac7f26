//! A sparse matrix of features.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use serde_json::{Value, json};

use crate::io::TableFile;
use crate::operator::{ArtifactReader, ArtifactWriter};
use crate::{Error, Result};

/// The rows of a sparse matrix, in which the entries are sorted by column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Features {
    /// How many rows there are.
    height: u64,
    /// The rows that have entries, in rising order.
    rows: Vec<u64>,
    /// The entries of `rows[i]` are those from `starts[i]` to `starts[i + 1]`.
    starts: Vec<usize>,
    columns: Vec<u64>,
    values: Vec<f64>,
}

/// The table of a file.
pub(super) fn read(path: &Path) -> Result<RecordBatch> {
    TableFile::open(path)?.read()
}

fn wrong(problem: String) -> Error {
    Error::Data {
        operator: "column_similarity".to_owned(),
        problem: format!("table of features: {problem}"),
    }
}

fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| {
        wrong(format!(
            "there is no column `{name}`; it needs row, col and data"
        ))
    })?;
    let found = cast(column, data_type)
        .map_err(|_| wrong(format!("`{name}` is {}, not a number", column.data_type())))?;
    if found.null_count() > 0 {
        let problem = if column.null_count() > 0 {
            "null"
        } else {
            "negative or no number"
        };
        return Err(wrong(format!("a value of `{name}` is {problem}")));
    }
    Ok(found)
}

impl Features {
    /// The matrix of a table with the columns `row`, `col` and `data`.
    pub(super) fn new(batch: &RecordBatch, shape: Option<(u64, u64)>) -> Result<Features> {
        let rows = column(batch, "row", &DataType::UInt64)?;
        let columns = column(batch, "col", &DataType::UInt64)?;
        let values = column(batch, "data", &DataType::Float64)?;
        let mut entries: Vec<(u64, u64, f64)> = Vec::with_capacity(batch.num_rows());
        let places = rows
            .as_primitive::<UInt64Type>()
            .values()
            .iter()
            .zip(columns.as_primitive::<UInt64Type>().values());
        for ((row, column), value) in places.zip(values.as_primitive::<Float64Type>().values()) {
            if let Some((height, width)) = shape
                && (*row >= height || *column >= width)
            {
                return Err(wrong(format!(
                    "row {row}, column {column} is outside of the shape [{height}, {width}]"
                )));
            }
            entries.push((*row, *column, *value));
        }
        // A stable sort: entries of one place are added in the order of the table.
        entries.sort_by_key(|(row, column, _)| (*row, *column));
        entries.dedup_by(|entry, kept| {
            let same = (entry.0, entry.1) == (kept.0, kept.1);
            if same {
                kept.2 += entry.2;
            }
            same
        });
        let after_last = entries.last().map_or(0, |entry| entry.0.saturating_add(1));
        let mut rows = Vec::new();
        let mut starts = vec![0];
        for row in entries.chunk_by(|a, b| a.0 == b.0) {
            rows.push(row[0].0);
            starts.push(starts[starts.len() - 1] + row.len());
        }
        Ok(Features {
            height: shape.map_or(after_last, |(height, _)| height),
            rows,
            starts,
            columns: entries.iter().map(|entry| entry.1).collect(),
            values: entries.iter().map(|entry| entry.2).collect(),
        })
    }

    /// Every row divided by its length; rows of length zero stay.
    pub(super) fn normalised(mut self) -> Features {
        for row in self.starts.windows(2) {
            let values = &mut self.values[row[0]..row[1]];
            let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
            if length > 0.0 {
                values.iter_mut().for_each(|value| *value /= length);
            }
        }
        self
    }

    /// Every entry multiplied by the logarithm of how many times more rows there are than rows
    /// with an entry in its column.
    pub(super) fn weighted_by_rarity(mut self) -> Features {
        let mut columns: Vec<u64> = self
            .columns
            .iter()
            .zip(&self.values)
            .filter(|(_, value)| **value != 0.0)
            .map(|(column, _)| *column)
            .collect();
        columns.sort_unstable();
        let height = self.height as f64;
        for (column, value) in self.columns.iter().zip(&mut self.values) {
            let first = columns.partition_point(|other| other < column);
            let after = columns.partition_point(|other| other <= column);
            if after > first {
                *value *= (height / (after - first) as f64).ln();
            }
        }
        self
    }

    fn row(&self, id: i64) -> Option<(&[u64], &[f64])> {
        let id = u64::try_from(id).ok().filter(|id| *id < self.height)?;
        let entries = match self.rows.binary_search(&id) {
            Ok(at) => self.starts[at]..self.starts[at + 1],
            // A row without entries.
            Err(_) => 0..0,
        };
        Some((&self.columns[entries.clone()], &self.values[entries]))
    }

    /// The sum of the products of the entries of a row and of a row of another matrix; `None` if
    /// one of the two is not there.
    pub(super) fn inner(&self, row: i64, other: &Features, other_row: i64) -> Option<f64> {
        let (left, left_values) = self.row(row)?;
        let (right, right_values) = other.row(other_row)?;
        let (mut i, mut j, mut sum) = (0, 0, 0.0);
        while i < left.len() && j < right.len() {
            match left[i].cmp(&right[j]) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => {
                    sum += left_values[i] * right_values[j];
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        Some(sum)
    }

    /// Writes the entries as a table; what is returned goes into the workflow's file.
    pub(super) fn save(&self, name: &str, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let rows = self.rows.iter().zip(self.starts.windows(2));
        let rows = rows.flat_map(|(row, ends)| std::iter::repeat_n(*row, ends[1] - ends[0]));
        let columns: [(&str, ArrayRef); 3] = [
            ("row", Arc::new(UInt64Array::from_iter_values(rows))),
            ("col", Arc::new(UInt64Array::from(self.columns.clone()))),
            ("data", Arc::new(Float64Array::from(self.values.clone()))),
        ];
        let batch = RecordBatch::try_from_iter(columns)
            .map_err(|error| Error::Internal(format!("table of features: {error}")))?;
        Ok(json!({ "file": artifacts.write_batch(name, &batch)?, "rows": self.height }))
    }

    /// Reads what [`save`](Features::save) wrote.
    pub(super) fn load(stored: &Value, artifacts: &ArtifactReader) -> Result<Features> {
        let (Some(file), Some(rows)) = (stored["file"].as_str(), stored["rows"].as_u64()) else {
            return Err(artifacts.wrong("the features of column_similarity have no file"));
        };
        let batch = artifacts.read_batch(file)?;
        Features::new(&batch, Some((rows, u64::MAX)))
            .map_err(|error| artifacts.wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(i64, i64, f64)]) -> RecordBatch {
        let of = |part: fn(&(i64, i64, f64)) -> i64| -> ArrayRef {
            Arc::new(arrow::array::Int64Array::from_iter_values(
                entries.iter().map(part),
            ))
        };
        let data = Float64Array::from_iter_values(entries.iter().map(|entry| entry.2));
        RecordBatch::try_from_iter([
            ("row", of(|entry| entry.0)),
            ("col", of(|entry| entry.1)),
            ("data", Arc::new(data) as ArrayRef),
        ])
        .unwrap()
    }

    /// Rows {0, 1}, {0, 2}, {2}, {1}.
    fn features() -> Features {
        let ones = [(0, 0), (0, 1), (1, 2), (1, 0), (2, 2), (3, 1)];
        Features::new(&table(&ones.map(|(row, col)| (row, col, 1.0))), None).unwrap()
    }

    #[test]
    fn inner_products_and_cosines_are_those_of_the_rows() {
        let pairs = [(0, 1), (1, 1), (2, 3)];
        let of = |features: &Features| pairs.map(|(p, q)| features.inner(p, features, q).unwrap());
        assert_eq!(of(&features()), [1.0, 2.0, 0.0]);
        let cosines = of(&features().normalised());
        assert!((cosines[0] - 0.5).abs() < 1e-15 && (cosines[1] - 1.0).abs() < 1e-15);
        assert_eq!(cosines[2], 0.0);
    }

    #[test]
    fn rare_columns_weigh_more() {
        // Columns 0 and 2 are in two of four rows, and a column in all rows weighs nothing.
        let entries = [(0, 0, 2.0), (0, 1, 1.0), (1, 1, 1.0)];
        let features = Features::new(&table(&entries), None).unwrap();
        let weighted = features.weighted_by_rarity();
        assert_eq!(weighted.values, [2.0 * 2f64.ln(), 0.0, 0.0]);
    }

    #[test]
    fn entries_of_one_place_are_added() {
        let features = Features::new(&table(&[(0, 3, 1.0), (0, 1, 5.0), (0, 3, 2.0)]), None);
        let features = features.unwrap();
        assert_eq!(
            (features.columns, features.values),
            (vec![1, 3], vec![5.0, 3.0])
        );
    }

    #[test]
    fn ids_without_a_row_have_no_similarity() {
        let features = features();
        assert_eq!(features.inner(-1, &features, 0), None);
        assert_eq!(features.inner(0, &features, 4), None);
        // Rows without entries have no features in common with any.
        let taller = Features::new(&table(&[(1, 0, 1.0)]), Some((3, 1))).unwrap();
        assert_eq!(taller.inner(1, &taller, 2), Some(0.0));
        assert_eq!(taller.inner(1, &taller, 3), None);
    }

    #[test]
    fn tables_that_are_no_matrix_are_refused() {
        let problem =
            |batch: &RecordBatch, shape| Features::new(batch, shape).unwrap_err().to_string();
        assert_eq!(
            problem(&table(&[(4, 0, 1.0)]), Some((4, 3))),
            "column_similarity: table of features: row 4, column 0 is outside of the shape [4, 3]"
        );
        assert_eq!(
            problem(&table(&[(-1, 0, 1.0)]), None),
            "column_similarity: table of features: a value of `row` is negative or no number"
        );
        assert_eq!(
            problem(&table(&[(0, 0, 1.0)]).project(&[0, 1]).unwrap(), None),
            "column_similarity: table of features: there is no column `data`; it needs row, col and \
             data"
        );
    }
}
