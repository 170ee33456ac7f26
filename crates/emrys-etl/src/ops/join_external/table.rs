//! The other table of a join, with an index of its keys.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, take};
use arrow::row::{OwnedRow, RowConverter, SortField};
use emrys_schema::{ColumnSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::io::Dataset;
use crate::lookup::ValueIndex;
use crate::operator::{ArtifactReader, ArtifactWriter, State};
use crate::session::{Session, SessionOptions};
use crate::{Error, Result};

/// The other table of a [`JoinExternal`](super::JoinExternal), as the workflow keeps it.
#[derive(Debug, Clone)]
pub struct ExternalTable {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    batch: RecordBatch,
    schema: Schema,
    keys: Vec<String>,
    /// Codes from 1 on, one for each distinct key without nulls.
    index: Arc<ValueIndex>,
    /// The rows of code `c` are `rows[starts[c - 1]..starts[c]]`, in the order of the table.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl ExternalTable {
    pub(super) fn open(
        paths: Option<&[PathBuf]>,
        given: Option<&RecordBatch>,
        keys: &[String],
        columns: Option<&[String]>,
        distinct: bool,
    ) -> Result<ExternalTable> {
        let (batch, schema) = match (paths, given) {
            (_, Some(batch)) => (batch.clone(), Schema::from_arrow(&batch.schema())?),
            (Some(paths), None) => {
                let dataset = match paths {
                    [path] => Dataset::open(path)?,
                    paths => Dataset::from_paths(paths)?,
                };
                (all_rows(&dataset)?, dataset.schema().clone())
            }
            (None, None) => {
                return Err(Error::InvalidOption {
                    operator: "join_external".to_owned(),
                    option: "df_ext".to_owned(),
                    value: "not given".to_owned(),
                    expected: "name the files of the other table".to_owned(),
                });
            }
        };
        let mut wanted: Vec<String> = match columns {
            Some(columns) => columns.to_vec(),
            None => schema.names().into_iter().map(str::to_owned).collect(),
        };
        // The keys are needed to join, but come out only if they were asked for.
        wanted.extend(
            keys.iter()
                .filter(|key| !wanted.contains(key))
                .cloned()
                .collect::<Vec<_>>(),
        );
        for name in &wanted {
            if batch.column_by_name(name).is_none() {
                return Err(Error::UnknownColumn {
                    operator: "join_external, the other table".to_owned(),
                    column: name.clone(),
                    available: schema.names().into_iter().map(str::to_owned).collect(),
                });
            }
        }
        let schema = schema.select(&wanted)?;
        let positions: Vec<usize> = wanted
            .iter()
            .filter_map(|name| batch.schema().index_of(name).ok())
            .collect();
        let mut batch = batch.project(&positions).map_err(arrow_error)?;
        if distinct {
            batch = without_repeated_rows(&batch)?;
        }
        ExternalTable::new(batch, schema, keys.to_vec())
    }

    fn new(batch: RecordBatch, schema: Schema, keys: Vec<String>) -> Result<ExternalTable> {
        let key_columns: Vec<ArrayRef> = keys
            .iter()
            .filter_map(|key| batch.column_by_name(key))
            .cloned()
            .collect();
        let has_key = |row: usize| key_columns.iter().all(|column| column.is_valid(row));
        let encoded = row_format(&key_columns)?;
        let mut codes: HashMap<OwnedRow, usize> = HashMap::new();
        let mut rows_of: Vec<Vec<u32>> = Vec::new();
        for (row, number) in (0..batch.num_rows()).zip(0u32..) {
            if has_key(row) {
                let code = *codes.entry(encoded.row(row).owned()).or_insert_with(|| {
                    rows_of.push(Vec::new());
                    rows_of.len() - 1
                });
                rows_of[code].push(number);
            }
        }
        let firsts: UInt32Array = rows_of.iter().map(|rows| rows[0]).collect();
        let distinct: Result<Vec<ArrayRef>> = key_columns
            .iter()
            .map(|column| take(column, &firsts, None).map_err(arrow_error))
            .collect();
        let index = ValueIndex::build(&distinct?, 1, 0).map_err(|error| Error::Data {
            operator: "join_external".to_owned(),
            problem: format!("key `{}` of the other table: {error}", keys.join(", ")),
        })?;
        let mut starts = vec![0];
        let mut end = 0;
        for rows in &rows_of {
            // There are no more entries than rows, whose numbers are `u32`.
            end += rows.len() as u32;
            starts.push(end);
        }
        Ok(ExternalTable {
            inner: Arc::new(Inner {
                batch,
                schema,
                keys,
                index: Arc::new(index),
                starts,
                rows: rows_of.concat(),
            }),
        })
    }

    /// The columns.
    pub fn schema(&self) -> &Schema {
        &self.inner.schema
    }

    /// Whether no key occurs twice.
    pub(super) fn has_distinct_keys(&self) -> bool {
        self.inner.rows.len() + 1 == self.inner.starts.len()
    }

    pub(super) fn index(&self) -> &Arc<ValueIndex> {
        &self.inner.index
    }

    pub(super) fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.inner
            .batch
            .column_by_name(name)
            .ok_or_else(|| Error::Internal(format!("the other table has no column `{name}`")))
    }

    /// The rows with the key of a code, none for code 0.
    pub(super) fn rows(&self, code: u32) -> &[u32] {
        match (code as usize).checked_sub(1) {
            None => &[],
            Some(key) => {
                let (start, end) = (self.inner.starts[key], self.inner.starts[key + 1]);
                &self.inner.rows[start as usize..end as usize]
            }
        }
    }

    /// Refuses a key whose type is not that of the other table's.
    pub(super) fn check_key(&self, name: &str, column: &ColumnSchema) -> Result<()> {
        let refuse = |expected: String| {
            Err(Error::UnsupportedType {
                operator: "join_external".to_owned(),
                column: column.name().to_owned(),
                found: format!("{}{}", column.dtype(), column.shape()),
                expected,
            })
        };
        if column.shape().is_list() {
            return refuse("a key must be a single value; join before making lists".to_owned());
        }
        if column.dtype() == emrys_schema::DType::Unknown {
            return Ok(());
        }
        let field = column.to_arrow()?;
        let key = self
            .inner
            .keys
            .iter()
            .position(|key| key == name)
            .unwrap_or(0);
        let mut types: Vec<_> = Vec::new();
        for key in &self.inner.keys {
            types.push(self.column(key)?.data_type());
        }
        types[key] = field.data_type();
        match self.inner.index.check(&types) {
            Ok(()) => Ok(()),
            Err(_) => refuse(format!(
                "key `{name}` of the other table is {}; cast one of the two",
                self.inner.schema.column(name)?.dtype()
            )),
        }
    }

    pub(super) fn same(&self, other: &ExternalTable) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// A data set as one batch, in its order.
fn all_rows(dataset: &Dataset) -> Result<RecordBatch> {
    const ACTIVITY: &str = "reading the other table";
    let session = Session::new(SessionOptions::new().with_threads(1))?;
    let frame = dataset.to_dataframe(session.context(), None)?;
    let rows = async { frame.collect().await.map_err(Error::query(ACTIVITY)) };
    let rows = session.run(ACTIVITY, rows);
    let schema = dataset.arrow_schema();
    // The engine has views of texts.
    let plain = |batch: &RecordBatch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(values, field)| cast(values, field.data_type()));
        RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
    };
    let batches = rows.map_err(|error| dataset.blame(error))?;
    let batches = batches.iter().map(plain).collect::<Result<Vec<_>, _>>();
    concat_batches(schema, &batches.map_err(arrow_error)?).map_err(arrow_error)
}

fn without_repeated_rows(batch: &RecordBatch) -> Result<RecordBatch> {
    let encoded = row_format(batch.columns())?;
    let mut seen = std::collections::HashSet::new();
    let first: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(seen.insert(encoded.row(row))))
        .collect();
    filter_record_batch(batch, &first).map_err(arrow_error)
}

fn row_format(columns: &[ArrayRef]) -> Result<arrow::row::Rows> {
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()))
        .collect();
    RowConverter::new(fields)
        .and_then(|converter| converter.convert_columns(columns))
        .map_err(arrow_error)
}

fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::query("reading an external table")(error.into())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    file: String,
    keys: Vec<String>,
    schema: Schema,
}

impl State for ExternalTable {
    fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let file = artifacts.write_batch("external.parquet", &self.inner.batch)?;
        let (keys, schema) = (self.inner.keys.clone(), self.inner.schema.clone());
        serde_json::to_value(Saved { file, keys, schema })
            .map_err(|e| Error::Internal(format!("state to JSON: {e}")))
    }

    fn load(saved: Value, artifacts: &ArtifactReader) -> Result<ExternalTable> {
        let saved: Saved =
            serde_json::from_value(saved).map_err(|e| artifacts.wrong(e.to_string()))?;
        let batch = artifacts.read_batch(&saved.file)?;
        let complete = |name: &&str| batch.column_by_name(name).is_some();
        let names = saved
            .keys
            .iter()
            .map(String::as_str)
            .chain(saved.schema.names());
        if !names.collect::<Vec<_>>().iter().all(complete) || saved.keys.is_empty() {
            return Err(artifacts.wrong(format!("artifact `{}` lacks columns", saved.file)));
        }
        ExternalTable::new(batch, saved.schema, saved.keys)
    }
}
