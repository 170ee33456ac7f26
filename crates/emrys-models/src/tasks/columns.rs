//! Reads what tasks need from batches, with errors that name the column.

use burn::tensor::{Device, Tensor, TensorData};
use emrys_loader::{Batch, Column, Layout};
use emrys_schema::Schema;

use crate::{Error, Problems, Result, Scope};

/// One number a row of `name`.
fn scalar<'a>(batch: &'a Batch, reader: &str, name: &str) -> Result<&'a Column> {
    let column = batch.get(name).ok_or_else(|| Error::MissingColumn {
        reader: reader.to_owned(),
        column: name.to_owned(),
        available: batch.names().map(str::to_owned).collect(),
    })?;
    match column.layout() {
        Layout::Scalar | Layout::Fixed(1) => Ok(column),
        Layout::Fixed(_) | Layout::Ragged(_) => Err(Error::UnexpectedColumn {
            column: name.to_owned(),
            expected: "one number a row".to_owned(),
            found: "a list".to_owned(),
        }),
    }
}

/// One finite number a row of `name`, for which `is_valid` holds.
pub(super) fn numbers(
    batch: &Batch,
    reader: &str,
    name: &str,
    expected: &'static str,
    is_valid: impl Fn(f32) -> bool,
) -> Result<Vec<f32>> {
    let numbers = scalar(batch, reader, name)?.to_f32();
    match numbers
        .iter()
        .position(|number| !number.is_finite() || !is_valid(*number))
    {
        Some(row) => Err(Error::InvalidLabel {
            column: name.to_owned(),
            row,
            value: numbers[row],
            expected,
        }),
        None => Ok(numbers),
    }
}

/// The weights of the rows, if there is a column of them.
pub(super) fn weights(
    batch: &Batch,
    reader: &str,
    column: Option<&str>,
) -> Result<Option<Vec<f32>>> {
    let read = |name| numbers(batch, reader, name, "a weight of 0 or more", |w| w >= 0.0);
    column.map(read).transpose()
}

/// One id a row of `name`.
pub(crate) fn item_ids(batch: &Batch, reader: &str, name: &str) -> Result<Vec<i64>> {
    let column = scalar(batch, reader, name)?;
    column.to_i64().ok_or_else(|| Error::UnexpectedColumn {
        column: name.to_owned(),
        expected: "integer ids".to_owned(),
        found: column.values().dtype().to_string(),
    })
}

/// A tensor `[B]`.
pub(super) fn tensor(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows]), device)
}

/// A problem for each of `columns` that the schema lacks.
pub(super) fn check<'a>(
    schema: &Schema,
    columns: impl IntoIterator<Item = &'a str>,
    scope: &Scope<'_>,
) -> Result<(), Problems> {
    let present = |name: &str| match schema.column(name) {
        Ok(_) => Ok(()),
        Err(error) => Err(scope.problem(error.to_string())),
    };
    Problems::gather(columns.into_iter().map(present)).map(drop)
}

/// A problem unless a temperature can divide.
pub(super) fn check_temperature(temperature: f32, scope: &Scope<'_>) -> Result<(), Problems> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(());
    }
    Err(scope.problem(format!(
        "the temperature is {temperature}, expected a number above 0"
    )))
}
