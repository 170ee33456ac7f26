//! See [`JoinExternal`].

mod matches;
mod table;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use datafusion::common::UnnestOptions;
use datafusion::logical_expr::ident;
use datafusion::prelude::{DataFrame, Expr};
use emrys_schema::{ColumnSchema, Schema};
use serde::{Deserialize, Serialize};

use super::one_or_many::OneOrMany;
use crate::functions::key_code;
use crate::io::ROW_ID;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

pub use table::ExternalTable;

/// Adds the columns of another table to the rows with the same key.
///
/// The other table is small enough to be held in memory; it is read once, when the graph is
/// checked, and becomes part of the saved workflow.
///
/// # Fits
/// Reads the other table and indexes its keys.
/// # Output
/// The input columns, then the columns of the other table (both keys, if their names differ), in
/// the order of the input rows. A left join on keys that are distinct in the other table keeps the
/// rows, so that its outputs can be combined with other columns of the data set. Otherwise rows
/// are repeated, in the order of the other table, or (inner join) removed.
/// # Schema
/// The columns of the other table keep the dtypes, tags and domains they have there.
/// # Nulls, NaN and empty input
/// A null in a key matches nothing. Without a match the new columns are null.
/// # Unseen values
/// A key that is not in the other table has no match.
/// # List columns
/// Joined like others, but refused as keys.
/// # Errors
/// At build: a table that cannot be read, an unknown key or column, keys of different types, a
/// name that both tables have.
/// # Compared with Merlin
/// Merlin drops tags of the other table, and misaligns an inner join with other branches.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::JoinExternal};
/// use emrys_schema::{ColumnSchema, DType, Schema};
/// # use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
/// # use std::sync::Arc;
/// # let key: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
/// # let title: ArrayRef = Arc::new(StringArray::from(vec!["Heat", "Alien"]));
/// # let movies = RecordBatch::try_from_iter([("movie", key), ("title", title)]).unwrap();
/// let joined = cols(["movie"]) >> JoinExternal::table(movies, ["movie"]);
/// let schema = Schema::new([ColumnSchema::new("movie", DType::Int64)])?;
/// assert_eq!(Workflow::new(joined).output_schema(&schema)?.names(), ["movie", "title"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinExternal {
    /// `None` for a table given in memory, which is stored with the state.
    df_ext: Option<OneOrMany<PathBuf>>,
    on: OneOrMany<String>,
    #[serde(default)]
    on_ext: Option<OneOrMany<String>>,
    #[serde(default)]
    how: JoinKind,
    #[serde(default)]
    columns_ext: Option<Vec<String>>,
    #[serde(default)]
    drop_duplicates_ext: bool,
    #[serde(skip)]
    loaded: OnceLock<Arc<ExternalTable>>,
    #[serde(skip)]
    given: Option<RecordBatch>,
}

/// What happens to rows without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinKind {
    /// They stay, with nulls in the new columns.
    #[default]
    Left,
    /// They go.
    Inner,
}

impl JoinExternal {
    /// Joins a parquet file on keys that have the same names in both tables.
    pub fn parquet(
        path: impl Into<PathBuf>,
        on: impl IntoIterator<Item = impl Into<String>>,
    ) -> JoinExternal {
        JoinExternal::of(Some(OneOrMany::One(path.into())), None, on)
    }

    /// Joins the rows of files in any form that a [`Dataset`](crate::Dataset) reads, of one folder or
    /// glob, or of several files in their order.
    pub fn files(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
        on: impl IntoIterator<Item = impl Into<String>>,
    ) -> JoinExternal {
        JoinExternal::of(Some(paths.into_iter().collect()), None, on)
    }

    /// Joins a table in memory on keys that have the same names in both tables.
    pub fn table(
        table: RecordBatch,
        on: impl IntoIterator<Item = impl Into<String>>,
    ) -> JoinExternal {
        JoinExternal::of(None, Some(table), on)
    }

    fn of(
        df_ext: Option<OneOrMany<PathBuf>>,
        given: Option<RecordBatch>,
        on: impl IntoIterator<Item = impl Into<String>>,
    ) -> JoinExternal {
        JoinExternal {
            df_ext,
            on: on.into_iter().collect(),
            on_ext: None,
            how: JoinKind::Left,
            columns_ext: None,
            drop_duplicates_ext: false,
            loaded: OnceLock::new(),
            given,
        }
    }

    /// The names of the keys in the other table, if they differ.
    #[must_use]
    pub fn with_external_keys(mut self, on: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.on_ext = Some(on.into_iter().collect());
        self
    }

    /// What happens to rows without a match; they stay by default.
    #[must_use]
    pub fn with_kind(mut self, kind: JoinKind) -> Self {
        self.how = kind;
        self
    }

    /// The columns of the other table that are added; all by default. Its keys are always read.
    #[must_use]
    pub fn with_columns(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.columns_ext = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Removes rows of the other table that are equal in all columns to an earlier one.
    #[must_use]
    pub fn with_distinct_rows(mut self, distinct: bool) -> Self {
        self.drop_duplicates_ext = distinct;
        self
    }

    fn external_keys(&self) -> &[String] {
        self.on_ext.as_ref().unwrap_or(&self.on).as_slice()
    }

    /// The other table: the fitted one, or the one that the configuration names.
    fn external(&self, state: Option<&ExternalTable>) -> Result<Arc<ExternalTable>> {
        if let Some(state) = state {
            return Ok(Arc::new(state.clone()));
        }
        if let Some(table) = self.loaded.get() {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(ExternalTable::open(
            self.df_ext.as_ref().map(OneOrMany::as_slice),
            self.given.as_ref(),
            self.external_keys(),
            self.columns_ext.as_deref(),
            self.drop_duplicates_ext,
        )?);
        Ok(Arc::clone(self.loaded.get_or_init(|| table)))
    }

    /// The columns of the other table that come out.
    fn added<'a>(&'a self, table: &'a ExternalTable) -> impl Iterator<Item = &'a ColumnSchema> {
        table.schema().iter().filter(|column| {
            // A key of the same name is the input's.
            !self.on.as_slice().iter().any(|key| key == column.name())
                || !self.external_keys().iter().any(|key| key == column.name())
        })
    }

    fn keys_of(&self, input: &Relation) -> Result<Vec<Expr>> {
        self.on
            .as_slice()
            .iter()
            .map(|key| input.expr(key))
            .collect()
    }

    /// One output row per match, in the order of the input and then of the other table.
    fn expand(&self, table: &ExternalTable, input: &Relation) -> Result<DataFrame> {
        const MATCH: &str = "__match__";
        let code = key_code("join_external", table.index(), self.keys_of(input)?);
        let mut columns: Vec<Expr> = Vec::new();
        for column in input.columns() {
            columns.push(input.expr(column.name())?.alias(column.name()));
        }
        let mut kept: Vec<Expr> = input.columns().map(|column| ident(column.name())).collect();
        if input.has_row_id {
            columns.push(ident(ROW_ID));
            kept.push(ident(ROW_ID));
        }
        columns.push(matches::rows_of(table, code).alias(MATCH));
        let unmatched = UnnestOptions::new().with_preserve_nulls(self.how == JoinKind::Left);
        for column in self.added(table) {
            kept.push(matches::value_of(table, column.name(), ident(MATCH))?.alias(column.name()));
        }
        let expand = || {
            input
                .frame
                .clone()
                .select(columns)?
                .unnest_columns_with_options(&[MATCH], unmatched)?
                .select(kept)
        };
        expand().map_err(Error::query("joining an external table"))
    }
}

impl Operator for JoinExternal {
    type State = ExternalTable;

    fn name() -> &'static str {
        "JoinExternal"
    }

    fn description() -> &'static str {
        "Adds the columns of another table to the rows with the same key."
    }

    fn check(&self) -> Result<()> {
        let (left, right) = (self.on.as_slice(), self.external_keys());
        if left.is_empty() || left.len() != right.len() {
            return Err(Error::InvalidOption {
                operator: "join_external".to_owned(),
                option: "on".to_owned(),
                value: format!("{} keys", left.len()),
                expected: format!(
                    "the other table has {}; give both tables the same number, at least one",
                    right.len()
                ),
            });
        }
        Ok(())
    }

    fn dependencies(&self) -> Vec<String> {
        self.on.as_slice().to_vec()
    }

    fn changes_rows(&self, state: Option<&ExternalTable>) -> Result<bool> {
        Ok(self.how == JoinKind::Inner || !self.external(state)?.has_distinct_keys())
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&ExternalTable>) -> Result<Schema> {
        let table = self.external(state)?;
        for (key, external) in self.on.as_slice().iter().zip(self.external_keys()) {
            let column = input.column(key)?;
            table.check_key(external, column)?;
        }
        let mut columns: Vec<ColumnSchema> = input.columns().cloned().collect();
        for column in self.added(&table) {
            if input.schema().get(column.name()).is_some() {
                return Err(Error::DuplicateColumn {
                    operator: "join_external".to_owned(),
                    column: column.name().to_owned(),
                });
            }
            columns.push(column.clone());
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<ExternalTable> {
        Ok(ExternalTable::clone(&*self.external(None)?))
    }

    fn lower(&self, state: &ExternalTable, input: &Relation) -> Result<Lowered> {
        if self.changes_rows(Some(state))? {
            return Ok(Lowered::Rows(self.expand(state, input)?));
        }
        let mut outputs = Vec::new();
        for column in input.columns() {
            outputs.push((column.name().to_owned(), input.expr(column.name())?));
        }
        let code = key_code("join_external", state.index(), self.keys_of(input)?);
        let row = matches::row_of(state, code);
        for column in self.added(state) {
            let name = column.name().to_owned();
            outputs.push((name, matches::value_of(state, column.name(), row.clone())?));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        // The other table is a file, which an example does not have; see the tests.
        Vec::new()
    }
}
