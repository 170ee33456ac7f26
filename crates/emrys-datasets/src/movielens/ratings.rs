//! `ratings.dat`, and the same ratings as `ratings.parquet`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float32Builder, Int64Builder, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef};
use arrow::{array::AsArray, util::display::array_value_to_string};

use super::dat_file::{DatFile, Rows};
use crate::parquet_file::{self, ParquetFile};
use crate::{Error, Result};

const STARS: &str = "a whole number of stars from 1 to 5";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("userId", DataType::Int64, false),
        Field::new("movieId", DataType::Int64, false),
        Field::new("rating", DataType::Float32, false),
        Field::new("timestamp", DataType::Int64, true),
    ]))
}

/// The rows of `ratings.dat`.
#[derive(Default)]
pub(super) struct Ratings {
    user: Int64Builder,
    movie: Int64Builder,
    rating: Float32Builder,
    timestamp: Int64Builder,
}

impl Rows for Ratings {
    const LAYOUT: &'static [&'static str] = &["UserID", "MovieID", "Rating", "Timestamp"];

    fn schema() -> SchemaRef {
        schema()
    }

    fn push(&mut self, file: &DatFile) -> Result<()> {
        let [user, movie, rating, timestamp] = file.fields()?;
        self.user.append_value(file.integer("UserID", user)?);
        self.movie.append_value(file.integer("MovieID", movie)?);
        let stars = rating.parse().ok().filter(|stars| is_stars(*stars));
        self.rating
            .append_value(stars.ok_or_else(|| file.bad_field("Rating", rating, STARS))?);
        self.timestamp
            .append_value(file.integer("Timestamp", timestamp)?);
        Ok(())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.user.finish()),
            Arc::new(self.movie.finish()),
            Arc::new(self.rating.finish()),
            Arc::new(self.timestamp.finish()),
        ]
    }
}

/// Writes `ratings.parquet` under our column names and types and returns its rows.
pub(super) fn convert_parquet(from: &Path, to: &Path) -> Result<u64> {
    let (rows, batches) = parquet_file::open(from)?;
    if rows == 0 {
        return Err(Error::EmptyFile {
            path: from.to_owned(),
        });
    }
    let schema = schema();
    let mut file = ParquetFile::create(to, Arc::clone(&schema))?;
    let mut rows_before = 0;
    for batch in batches {
        let batch = batch.map_err(Error::arrow(from))?;
        let source = ParquetRows {
            path: from,
            batch: &batch,
            rows_before,
        };
        let columns = vec![
            source.required("user_id", &DataType::Int64)?,
            source.required("movie_id", &DataType::Int64)?,
            source.stars("rating")?,
            source.column("timestamp", &DataType::Int64)?,
        ];
        let converted = RecordBatch::try_new(Arc::clone(&schema), columns);
        file.write(&converted.map_err(Error::arrow(from))?)?;
        rows_before += batch.num_rows() as u64;
    }
    file.finish()
}

/// The star ratings of the data set.
fn is_stars(rating: f32) -> bool {
    (1.0..=5.0).contains(&rating) && rating.fract() == 0.0
}

/// A batch of `ratings.parquet`, and where it stands in the file.
struct ParquetRows<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
    rows_before: u64,
}

impl ParquetRows<'_> {
    /// A numeric column as the given type, which may have nulls.
    fn column(&self, name: &'static str, dtype: &DataType) -> Result<ArrayRef> {
        let column = self
            .batch
            .column_by_name(name)
            .ok_or_else(|| Error::MissingColumn {
                path: self.path.to_owned(),
                column: name,
                available: self
                    .batch
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect(),
            })?;
        let (readable, expected) = match dtype {
            DataType::Int64 => (column.data_type().is_integer(), "an integer"),
            _ => (column.data_type().is_numeric(), "a number"),
        };
        if !readable {
            return Err(Error::ColumnType {
                path: self.path.to_owned(),
                column: name,
                found: column.data_type().clone(),
                expected,
            });
        }
        cast(column, dtype).map_err(Error::arrow(self.path))
    }

    /// A column without nulls.
    fn required(&self, name: &'static str, dtype: &DataType) -> Result<ArrayRef> {
        let column = self.column(name, dtype)?;
        match (0..column.len()).find(|row| column.is_null(*row)) {
            Some(row) => Err(self.bad_value(name, row, "a value")),
            None => Ok(column),
        }
    }

    /// A column of star ratings.
    fn stars(&self, name: &'static str) -> Result<ArrayRef> {
        let column = self.required(name, &DataType::Float32)?;
        let ratings: &Float32Array = column.as_primitive::<Float32Type>();
        match ratings
            .values()
            .iter()
            .position(|rating| !is_stars(*rating))
        {
            Some(row) => Err(self.bad_value(name, row, STARS)),
            None => Ok(column),
        }
    }

    fn bad_value(&self, column: &'static str, row: usize, expected: &'static str) -> Error {
        let value = self
            .batch
            .column_by_name(column)
            .filter(|values| values.is_valid(row));
        Error::BadValue {
            path: self.path.to_owned(),
            row: self.rows_before + row as u64 + 1,
            column,
            value: value
                .and_then(|values| array_value_to_string(values, row).ok())
                .unwrap_or_else(|| "null".to_owned()),
            expected,
        }
    }
}
