//! The rows that a model sees at once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use emrys_schema::{DType, Schema};

use crate::column::{Column, Values};
use crate::from_arrow::{column_from_arrow, row_shape};
use crate::lookup::{LookupPlan, LookupSpec, plan};
use crate::{Error, Missing, Result};

/// The rows that a model sees at once: named columns, and the rows of embedding tables they need.
///
/// ```
/// use emrys_loader::{Batch, Column};
///
/// let batch = Batch::new([
///     ("user_id", Column::from(vec![3, 5])),
///     ("genres", Column::lists([vec![1, 2], vec![]])),
///     ("price", Column::from(vec![9.5_f32, 0.5])),
/// ])?;
/// assert_eq!(batch.num_rows(), 2);
/// assert_eq!(batch.f32("price")?, [9.5, 0.5]);
/// assert_eq!(
///     batch.column("user").unwrap_err().to_string(),
///     "column `user` is not in the batch (columns: user_id, genres, price)"
/// );
/// # Ok::<(), emrys_loader::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    num_rows: usize,
    /// Shared between the batches of a loader.
    names: Arc<[Arc<str>]>,
    columns: Vec<Column>,
    plans: Vec<LookupPlan>,
}

impl Batch {
    /// A batch of columns in memory.
    ///
    /// # Errors
    /// [`Error::ColumnLength`] if the columns differ in length, [`Error::Schema`] if two have the
    /// same name.
    pub fn new<N: Into<Arc<str>>>(columns: impl IntoIterator<Item = (N, Column)>) -> Result<Batch> {
        let (names, columns): (Vec<Arc<str>>, Vec<_>) = columns
            .into_iter()
            .map(|(name, column)| (name.into(), column))
            .unzip();
        let expected = columns.first().map_or(0, Column::num_rows);
        for (index, (name, column)) in names.iter().zip(&columns).enumerate() {
            let found = column.num_rows();
            if found != expected {
                return Err(Error::ColumnLength {
                    column: name.to_string(),
                    expected,
                    found,
                });
            }
            if names[..index].contains(name) {
                return Err(emrys_schema::Error::DuplicateColumn {
                    name: name.to_string(),
                }
                .into());
            }
        }
        Ok(Batch::from_parts(names.into(), columns))
    }

    /// The columns of `schema` from an Arrow record batch; its other columns are left out.
    ///
    /// Types become those of a loader's batches, see [`Loader::open`](crate::Loader::open).
    ///
    /// # Errors
    /// [`Error::NotInData`] if the record batch lacks a column; the errors of types and values that
    /// [`Loader`](crate::Loader) gives.
    pub fn from_record_batch(
        records: &RecordBatch,
        schema: &Schema,
        missing: Missing,
    ) -> Result<Batch> {
        let columns = schema.iter().map(|column| {
            let name = column.name();
            let array = records
                .column_by_name(name)
                .ok_or_else(|| Error::NotInData {
                    column: name.to_owned(),
                    place: "the record batch".to_owned(),
                    available: records
                        .schema()
                        .fields()
                        .iter()
                        .map(|field| field.name().clone())
                        .collect(),
                })?;
            let shape = row_shape(column, array.data_type())?;
            Ok((
                name,
                column_from_arrow(name, Arc::clone(array), shape, missing)?,
            ))
        });
        Batch::new(columns.collect::<Result<Vec<_>>>()?)
    }

    /// The columns are known to have one length and distinct names.
    pub(crate) fn from_parts(names: Arc<[Arc<str>]>, columns: Vec<Column>) -> Batch {
        Batch {
            num_rows: columns.first().map_or(0, Column::num_rows),
            names,
            columns,
            plans: Vec::new(),
        }
    }

    pub(crate) fn set_plans(&mut self, plans: Vec<LookupPlan>) {
        self.plans = plans;
    }

    /// The batch with the rows of embedding tables that it needs.
    ///
    /// # Errors
    /// Those of [`plan`].
    pub fn with_lookups(mut self, specs: &[LookupSpec]) -> Result<Batch> {
        self.plans = specs
            .iter()
            .map(|spec| plan(&self, spec))
            .collect::<Result<_>>()?;
        Ok(self)
    }

    /// The given rows, in the given order, each once; without plans.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Batch {
        let columns = self
            .columns
            .iter()
            .map(|column| column.take(rows))
            .collect();
        Batch::from_parts(Arc::clone(&self.names), columns)
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// The columns with their names, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &Column)> {
        self.names.iter().map(AsRef::as_ref).zip(&self.columns)
    }

    /// The columns with their names, without a copy.
    pub fn into_columns(self) -> Vec<(Arc<str>, Column)> {
        self.names.iter().cloned().zip(self.columns).collect()
    }

    /// The column of that name.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns()
            .find(|(other, _)| *other == name)
            .map(|(_, column)| column)
    }

    /// The column of that name.
    ///
    /// # Errors
    /// [`Error::NotInBatch`], which names the nearest column.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.get(name).ok_or_else(|| Error::NotInBatch {
            column: name.to_owned(),
            available: self.names().map(str::to_owned).collect(),
        })
    }

    /// The values of a column in single precision.
    ///
    /// # Errors
    /// [`Error::NotInBatch`], [`Error::WrongType`].
    pub fn f32(&self, name: &str) -> Result<&[f32]> {
        match self.column(name)?.values() {
            Values::F32(values) => Ok(values),
            other => Err(wrong_type(name, DType::Float32, other)),
        }
    }

    /// The values of a column in double precision.
    ///
    /// # Errors
    /// [`Error::NotInBatch`], [`Error::WrongType`].
    pub fn f64(&self, name: &str) -> Result<&[f64]> {
        match self.column(name)?.values() {
            Values::F64(values) => Ok(values),
            other => Err(wrong_type(name, DType::Float64, other)),
        }
    }

    /// The values of a column of 32-bit integers.
    ///
    /// # Errors
    /// [`Error::NotInBatch`], [`Error::WrongType`].
    pub fn i32(&self, name: &str) -> Result<&[i32]> {
        match self.column(name)?.values() {
            Values::I32(values) => Ok(values),
            other => Err(wrong_type(name, DType::Int32, other)),
        }
    }

    /// The values of a column of 64-bit integers.
    ///
    /// # Errors
    /// [`Error::NotInBatch`], [`Error::WrongType`].
    pub fn i64(&self, name: &str) -> Result<&[i64]> {
        match self.column(name)?.values() {
            Values::I64(values) => Ok(values),
            other => Err(wrong_type(name, DType::Int64, other)),
        }
    }

    /// The rows of embedding tables that the batch needs, in the order of the lookups given.
    pub fn plans(&self) -> &[LookupPlan] {
        &self.plans
    }

    /// The rows of embedding tables of one group that the batch needs.
    ///
    /// # Errors
    /// [`Error::NoPlan`] if the lookups of that group were not given.
    pub fn plan(&self, group: &str) -> Result<&LookupPlan> {
        self.plans
            .iter()
            .find(|plan| &*plan.group == group)
            .ok_or_else(|| Error::NoPlan {
                group: group.to_owned(),
                available: self
                    .plans
                    .iter()
                    .map(|plan| plan.group.to_string())
                    .collect(),
            })
    }
}

fn wrong_type(name: &str, expected: DType, found: &Values) -> Error {
    Error::WrongType {
        column: name.to_owned(),
        expected,
        found: found.dtype(),
    }
}
