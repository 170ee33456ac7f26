//! Statistics of the values of columns, or of the elements of their lists.

use datafusion::logical_expr::ident;
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use emrys_schema::ColumnSchema;

use crate::operator::{FitResults, GroupedStatistic, Order, Relation, Source, Statistic};
use crate::{Error, Result};

/// How the elements of lists are called in statistics.
pub(super) const ELEMENT: &str = "element";

/// Aggregates over the values of a column, or over all elements of its lists.
///
/// `aggregates` makes them, with their names, from an expression for the values.
pub(super) fn leaf_statistics(
    input: &Relation,
    column: &ColumnSchema,
    aggregates: impl FnOnce(Expr) -> Result<Vec<(String, Expr)>>,
) -> Result<Vec<Statistic>> {
    let name = column.name();
    let expr = input.expr(name)?;
    if column.shape().is_list() {
        return Ok(vec![Statistic::Grouped(GroupedStatistic {
            name: name.to_owned(),
            sources: vec![source(expr, column)],
            keys: Vec::new(),
            aggregates: aggregates(ident(ELEMENT))?,
        })]);
    }
    let aggregates = aggregates(expr)?.into_iter();
    Ok(aggregates
        .map(|(aggregate, expr)| Statistic::Aggregate {
            name: aggregate_name(name, &aggregate),
            expr,
        })
        .collect())
}

/// The results of the aggregates of [`leaf_statistics`] for a column.
#[derive(Debug)]
pub(super) struct LeafResults {
    column: String,
    /// For lists: the names and values of all aggregates.
    of_lists: Option<Vec<(String, ScalarValue)>>,
}

impl LeafResults {
    /// The results for a column.
    ///
    /// # Errors
    /// [`Error::Internal`] if they were not asked for.
    pub(super) fn take(results: &mut FitResults, column: &ColumnSchema) -> Result<LeafResults> {
        let name = column.name();
        let of_lists = if column.shape().is_list() {
            let batches = results.take_grouped(name)?.into_batches()?;
            let row = batches
                .iter()
                .find(|batch| batch.num_rows() > 0)
                .ok_or_else(|| Error::Internal(format!("no statistics of `{name}`")))?;
            let schema = row.schema();
            let named = schema.fields().iter().zip(row.columns());
            let values: Result<Vec<_>> = named
                .map(|(field, column)| {
                    let value = ScalarValue::try_from_array(column, 0)
                        .map_err(Error::query("reading statistics"))?;
                    Ok((field.name().clone(), value))
                })
                .collect();
            Some(values?)
        } else {
            None
        };
        Ok(LeafResults {
            column: name.to_owned(),
            of_lists,
        })
    }

    /// The result of an aggregate.
    ///
    /// # Errors
    /// [`Error::Internal`] if it was not asked for.
    pub(super) fn get<'a>(
        &'a self,
        results: &'a FitResults,
        aggregate: &str,
    ) -> Result<&'a ScalarValue> {
        match &self.of_lists {
            None => results.aggregate(&aggregate_name(&self.column, aggregate)),
            Some(values) => {
                let mut values = values.iter();
                values
                    .find(|(name, _)| name == aggregate)
                    .map(|(_, value)| value)
                    .ok_or_else(|| Error::Internal(format!("`{aggregate}` was not computed")))
            }
        }
    }
}

/// Aggregates for each distinct value of a column, or element of its lists: batches of the values
/// (null is one), then the aggregates, under the given name; in rising order if memory is limited.
///
/// `key` makes what is told apart from an expression for the values.
pub(super) fn leaf_groups(
    input: &Relation,
    column: &ColumnSchema,
    name: String,
    key: impl FnOnce(Expr) -> Result<Expr>,
    aggregates: Vec<(String, Expr)>,
) -> Result<Statistic> {
    let expr = key(input.expr(column.name())?)?;
    Ok(Statistic::Large {
        grouped: GroupedStatistic {
            name,
            sources: vec![source(expr, column)],
            keys: vec![ELEMENT.to_owned()],
            aggregates,
        },
        order: vec![Order::rising(ELEMENT)],
    })
}

fn source(expr: Expr, column: &ColumnSchema) -> Source {
    Source {
        columns: vec![(ELEMENT.to_owned(), expr)],
        flatten: column.shape().is_list().then(|| ELEMENT.to_owned()),
    }
}

fn aggregate_name(column: &str, aggregate: &str) -> String {
    // No aggregate has this character in its name, so no two columns meet.
    format!("{aggregate}\u{1f}{column}")
}
