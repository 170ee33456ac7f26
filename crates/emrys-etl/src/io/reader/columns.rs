//! The columns that a scan yields, and what they are made of.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr_common::physical_expr::is_volatile;

use crate::batch_of::batch_of;
use crate::functions::by_entry_of;

/// What a scan yields.
pub(super) struct Columns {
    /// The columns of the table that are needed, in increasing order, and their fields.
    pub(super) needed: Vec<usize>,
    fields: Vec<FieldRef>,
    expressions: Vec<Expression>,
    /// Whether all that each needed column is for are expressions that map it.
    is_only_mapped: Vec<bool>,
    pub(super) output: SchemaRef,
}

struct Expression {
    /// Over the needed columns, by name.
    expr: Arc<dyn PhysicalExpr>,
    /// The needed column that it maps, value by value, if it does that.
    maps: Option<usize>,
}

/// How the columns of a row group become what a scan yields.
pub(super) struct Maker {
    /// For each yielded column.
    parts: Vec<Made>,
    /// Whether each needed column is only mapped: then its places are needed, else its rows.
    is_mapped: Vec<bool>,
    /// The columns of which rows are needed.
    rows: SchemaRef,
    output: SchemaRef,
}

enum Made {
    /// A value for each entry of the dictionary of a needed column.
    OfEntries(usize, ArrayRef),
    /// A dictionary of such values: what [`by_entry`](crate::functions::by_entry) asks for.
    Entries(usize, ArrayRef),
    /// Evaluated over the rows.
    OfRows(Arc<dyn PhysicalExpr>),
}

impl Expression {
    /// What makes a value of an entry.
    fn mapping(&self) -> &Arc<dyn PhysicalExpr> {
        by_entry_of(&self.expr).unwrap_or(&self.expr)
    }
}

impl Columns {
    pub(super) fn new(projection: &ProjectionExprs, table: &SchemaRef) -> Result<Columns> {
        let needed = projection.column_indices();
        let fields: Vec<FieldRef> = needed
            .iter()
            .map(|index| Arc::clone(&table.fields()[*index]))
            .collect();
        let place = |name: &str| fields.iter().position(|field| field.name() == name);
        let mut is_only_mapped = vec![true; needed.len()];
        let expressions = projection.expr_iter().map(|expr| {
            let used = collect_columns(&expr).into_iter();
            let used: Vec<usize> = used.filter_map(|column| place(column.name())).collect();
            // A column as it is has nothing to be mapped.
            let maps = match used[..] {
                [column] if !expr.is::<Column>() && !is_volatile(&expr) => Some(column),
                _ => None,
            };
            if maps.is_none() {
                used.iter()
                    .for_each(|column| is_only_mapped[*column] = false);
            }
            Expression { expr, maps }
        });
        let expressions = expressions.collect();
        Ok(Columns {
            expressions,
            is_only_mapped,
            output: Arc::new(projection.project_schema(table)?),
            needed,
            fields,
        })
    }

    /// Whether all that a needed column is for are expressions that map it.
    pub(super) fn is_only_mapped(&self, column: usize) -> bool {
        self.is_only_mapped[column]
    }

    /// For a row group in which some needed columns come as places in a dictionary, of which these
    /// are the entries.
    pub(super) fn maker(
        &self,
        mut dictionaries: Vec<Option<ArrayRef>>,
        batch_rows: usize,
    ) -> Result<Maker> {
        let mut mapped: Vec<Option<ArrayRef>> = vec![None; self.expressions.len()];
        for (expression, mapped) in self.expressions.iter().zip(&mut mapped) {
            let Some(column) = expression.maps else {
                continue;
            };
            if let Some(entries) = &dictionaries[column] {
                let field = &self.fields[column];
                let values = map_entries(expression.mapping(), field, entries, batch_rows);
                // The value that is to blame for an error may not be among the rows.
                *mapped = values.ok().flatten();
                if mapped.is_none() {
                    dictionaries[column] = None;
                }
            }
        }
        let is_mapped: Vec<bool> = dictionaries.iter().map(Option::is_some).collect();
        let fields = self.fields.iter().zip(&is_mapped);
        let rows = fields.filter(|(_, is_mapped)| !**is_mapped);
        let rows = rows.map(|(field, _)| Arc::clone(field)).collect::<Vec<_>>();
        let rows = Arc::new(Schema::new(rows));
        let parts = self.expressions.iter().zip(mapped);
        let parts = parts.map(|(expression, values)| {
            let column = expression.maps.filter(|column| is_mapped[*column]);
            match (column, values) {
                (Some(column), Some(values)) => Ok(match by_entry_of(&expression.expr) {
                    Some(_) => Made::Entries(column, values),
                    None => Made::OfEntries(column, values),
                }),
                _ => reassign_expr_columns(Arc::clone(&expression.expr), &rows).map(Made::OfRows),
            }
        });
        Ok(Maker {
            parts: parts.collect::<Result<_>>()?,
            is_mapped,
            rows,
            output: Arc::clone(&self.output),
        })
    }
}

impl Maker {
    /// Whether the places of a needed column are wanted, in place of its values.
    pub(super) fn maps(&self, column: usize) -> bool {
        self.is_mapped[column]
    }

    /// What the scan yields of rows: `places` holds the places of those columns that come as
    /// places, `rows` the other columns.
    pub(super) fn batch(
        &self,
        places: &[Option<UInt32Array>],
        rows: Vec<ArrayRef>,
        count: usize,
    ) -> Result<RecordBatch> {
        let rows = batch_of(&self.rows, rows, count)?;
        let places_of = |column: usize| match &places[column] {
            Some(places) => Ok(places),
            None => internal_err!("places of a column that has none"),
        };
        let parts = self.parts.iter().map(|part| match part {
            Made::OfRows(expr) => expr.evaluate(&rows)?.into_array(count),
            Made::OfEntries(column, values) => Ok(take(values, places_of(*column)?, None)?),
            Made::Entries(column, values) => {
                let places = places_of(*column)?.values().inner().clone();
                let keys = Int32Array::new(ScalarBuffer::new(places, 0, count), None);
                #[expect(unsafe_code, reason = "places are those of entries")]
                // SAFETY: see the reason; decoding has checked each.
                let made = unsafe { DictionaryArray::new_unchecked(keys, Arc::clone(values)) };
                Ok(Arc::new(made) as ArrayRef)
            }
        });
        let parts = parts.collect::<Result<_>>()?;
        Ok(batch_of(&self.output, parts, count)?)
    }
}

/// How many bytes the values of a dictionary's entries may have.
const MOST_BYTES: usize = 64 << 20;

/// An expression over each entry of a dictionary; `None` if that takes too much memory.
fn map_entries(
    expr: &Arc<dyn PhysicalExpr>,
    field: &FieldRef,
    entries: &ArrayRef,
    batch_rows: usize,
) -> Result<Option<ArrayRef>> {
    if expr.is::<Column>() {
        return Ok(Some(Arc::clone(entries)));
    }
    let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
    let expr = reassign_expr_columns(Arc::clone(expr), &schema)?;
    let mut bytes = 0;
    let mut parts = Vec::new();
    for start in (0..entries.len()).step_by(batch_rows.max(1)) {
        let count = batch_rows.max(1).min(entries.len() - start);
        let batch = batch_of(&schema, vec![entries.slice(start, count)], count)?;
        let values = expr.evaluate(&batch)?.into_array(count)?;
        bytes += values.get_array_memory_size();
        if bytes > MOST_BYTES {
            return Ok(None);
        }
        parts.push(values);
    }
    match parts.as_slice() {
        [all] => Ok(Some(Arc::clone(all))),
        _ => {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            Ok(Some(concat(&parts)?))
        }
    }
}
