//! Reading the columns of one row group.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use emrys_schema::{ColumnSchema, Schema, Tag};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::column::Column;
use crate::files::{Files, Part, SourceFile, without_panic};
use crate::from_arrow::{RowShape, column_from_arrow, is_float, list_item, row_shape};
use crate::{Error, LoaderConfig, Missing, Result};

/// The columns of a data set that are loaded.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) schema: Schema,
    pub(crate) names: Arc<[Arc<str>]>,
    shapes: Vec<RowShape>,
    missing: Missing,
}

impl Selection {
    pub(crate) fn new(files: &Files, config: &LoaderConfig) -> Result<Selection> {
        let schema = match config.columns() {
            Some(names) => files.schema.select(names)?,
            None => files.schema.filter(|column| is_model_input(column, files)),
        };
        if schema.is_empty() {
            let available = files
                .schema
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect();
            return Err(Error::NoColumns { available });
        }
        let shapes = schema
            .iter()
            .map(|column| row_shape(column, data_type(column, files)?));
        Ok(Selection {
            shapes: shapes.collect::<Result<_>>()?,
            names: schema.iter().map(|column| column.name().into()).collect(),
            missing: config.missing(),
            schema,
        })
    }

    /// Whether a column is loaded and holds integers.
    pub(crate) fn check_ids(&self, files: &Files, name: &str) -> Result<()> {
        let Some(column) = self.schema.get(name) else {
            return Err(Error::NotInBatch {
                column: name.to_owned(),
                available: self.names.iter().map(ToString::to_string).collect(),
            });
        };
        let data_type = data_type(column, files)?;
        match is_float(list_item(data_type).unwrap_or(data_type)) {
            Some(true) => Err(Error::IdsNotInteger {
                column: name.to_owned(),
                found: column.dtype(),
            }),
            Some(false) | None => Ok(()),
        }
    }

    /// The columns of a row group, in the order of the schema.
    pub(crate) fn decode(&self, files: &Files, part: Part) -> Result<Vec<Column>> {
        let file = &files.files[part.file];
        let mut arrays = self.read(file, part)?;
        let columns = self.names.iter().zip(&self.shapes).map(|(name, shape)| {
            let index = arrays.iter().position(|(other, _)| **other == **name);
            let (_, array) =
                arrays.swap_remove(index.expect("the reader gives the columns asked for"));
            column_from_arrow(name, array, *shape, self.missing).map_err(|error| {
                Error::InRowGroup {
                    path: file.path.clone(),
                    row_group: part.row_group,
                    error: Box::new(error),
                }
            })
        });
        columns.collect()
    }

    fn read(&self, file: &SourceFile, part: Part) -> Result<Vec<(String, ArrayRef)>> {
        let opened = File::open(&file.path).map_err(|source| Error::Read {
            path: file.path.clone(),
            source,
        })?;
        let fields = file.footer.schema().fields();
        let roots = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| self.schema.get(field.name()).is_some());
        let mask =
            ProjectionMask::roots(file.footer.parquet_schema(), roots.map(|(index, _)| index));
        let records = without_panic(|| {
            let mut reader =
                ParquetRecordBatchReaderBuilder::new_with_metadata(opened, file.footer.clone())
                    .with_row_groups(vec![part.row_group])
                    .with_projection(mask)
                    .with_batch_size(part.rows)
                    .build()?;
            let records = reader
                .next()
                .transpose()?
                .filter(|records| records.num_rows() == part.rows);
            records.ok_or_else(|| ParquetError::General(format!("fewer than {} rows", part.rows)))
        });
        let (schema, arrays, _) = records
            .map_err(|source| Error::CorruptRowGroup {
                path: file.path.clone(),
                row_group: part.row_group,
                source,
            })?
            .into_parts();
        let in_file = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .zip(arrays);
        let same_row = UInt32Array::from(vec![0; part.rows]);
        let in_folders = file
            .folder_columns
            .iter()
            .filter(|column| self.schema.get(column.field.name()).is_some())
            .map(|column| {
                let values = take(&column.value, &same_row, None);
                let values = values.expect("a folder has one value");
                (column.field.name().clone(), values)
            });
        Ok(in_file.chain(in_folders).collect())
    }
}

/// The type of a column in the files.
fn data_type<'a>(column: &ColumnSchema, files: &'a Files) -> Result<&'a DataType> {
    let arrow = files.arrow_schema();
    arrow
        .field_with_name(column.name())
        .map(Field::data_type)
        .map_err(|_| Error::NotInData {
            column: column.name().to_owned(),
            place: format!("`{}`", files.files[0].path.display()),
            available: arrow
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect(),
        })
}

/// Whether a column is loaded when no columns were named. A column that is tagged for models is,
/// whatever its type, so that a text column that was forgotten in the workflow gives an error.
fn is_model_input(column: &ColumnSchema, files: &Files) -> bool {
    let tags = [
        Tag::Categorical,
        Tag::Continuous,
        Tag::Embedding,
        Tag::Target,
    ];
    if tags.into_iter().any(|tag| column.has_tag(tag)) {
        return true;
    }
    let Ok(data_type) = data_type(column, files) else {
        return true;
    };
    let leaf = list_item(data_type).unwrap_or(data_type);
    is_float(leaf).is_some() && !leaf.is_temporal()
}
