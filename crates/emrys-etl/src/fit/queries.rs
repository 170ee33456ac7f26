//! The queries of a round.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::UnnestOptions;
use datafusion::logical_expr::{LogicalPlan, ident};
use datafusion::prelude::{DataFrame, Expr};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt};

use crate::operator::{FitResults, GroupedStatistic, Source};
use crate::plan::graph::NodeId;
use crate::{Error, Result};

/// One query, and who asked for it.
pub(crate) struct Query {
    label: String,
    frame: DataFrame,
    kind: Kind,
}

enum Kind {
    /// All single numbers over the same rows: who wants which, and the expression.
    Aggregates(Vec<(NodeId, String, Expr)>),
    /// Aggregates by key.
    Grouped { node: NodeId, name: String },
}

impl Query {
    /// A query of single numbers over all rows of a frame.
    pub(crate) fn aggregates(frame: DataFrame) -> Query {
        Query {
            label: "aggregates".to_owned(),
            frame,
            kind: Kind::Aggregates(Vec::new()),
        }
    }

    /// Adds one number to a query of single numbers.
    pub(crate) fn add_aggregate(&mut self, node: NodeId, name: String, expr: Expr) {
        if let Kind::Aggregates(asked) = &mut self.kind {
            asked.push((node, name, expr));
        }
    }

    /// A query of aggregates by key.
    pub(crate) fn grouped(
        node: NodeId,
        label: String,
        frame: &DataFrame,
        statistic: GroupedStatistic,
    ) -> Result<Query> {
        let mut stacked: Option<DataFrame> = None;
        for source in statistic.sources {
            let rows = source_rows(frame, source).map_err(Error::query(&*label))?;
            stacked = Some(match stacked {
                None => rows,
                Some(above) => above.union(rows).map_err(Error::query(&*label))?,
            });
        }
        let stacked =
            stacked.ok_or_else(|| Error::Internal(format!("{label}: a statistic of nothing")))?;
        let keys = statistic.keys.iter().map(ident).collect();
        let aggregates = statistic
            .aggregates
            .into_iter()
            .map(|(name, expr)| expr.alias(name))
            .collect();
        let frame = stacked
            .aggregate(keys, aggregates)
            .map_err(Error::query(&*label))?;
        Ok(Query {
            label,
            frame,
            kind: Kind::Grouped {
                node,
                name: statistic.name,
            },
        })
    }

    /// What it answers.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Its plan after optimisation.
    pub(crate) fn logical_plan(&self) -> Result<LogicalPlan> {
        self.plan()?
            .into_optimized_plan()
            .map_err(Error::query(format!("planning {}", self.label)))
    }

    fn plan(&self) -> Result<DataFrame> {
        match &self.kind {
            Kind::Grouped { .. } => Ok(self.frame.clone()),
            Kind::Aggregates(asked) => {
                let exprs = asked
                    .iter()
                    .enumerate()
                    .map(|(i, (_, _, expr))| expr.clone().alias(aggregate_name(i)))
                    .collect();
                self.frame
                    .clone()
                    .aggregate(Vec::new(), exprs)
                    .map_err(Error::query("planning aggregates"))
            }
        }
    }

    async fn run(self) -> Result<Answer> {
        let activity = format!("fitting {}", self.label);
        let plan = self.plan()?;
        let schema = Arc::clone(plan.schema().inner());
        let mut batches = plan.collect().await.map_err(Error::query(activity))?;
        if batches.is_empty() {
            // No rows still have columns.
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok((self.kind, batches))
    }
}

type Answer = (Kind, Vec<RecordBatch>);

fn aggregate_name(position: usize) -> String {
    format!("aggregate_{position}")
}

fn source_rows(frame: &DataFrame, source: Source) -> datafusion::error::Result<DataFrame> {
    let columns: Vec<Expr> = source
        .columns
        .into_iter()
        .map(|(name, expr)| expr.alias(name))
        .collect();
    let mut rows = frame.clone().select(columns)?;
    if let Some(list) = source.flatten {
        let is_list = |rows: &DataFrame| {
            let field = rows.schema().field_with_unqualified_name(&list)?;
            Ok::<_, datafusion::error::DataFusionError>(matches!(
                field.data_type(),
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
            ))
        };
        // Empty and null lists hold no values; nulls inside lists are values.
        let options = UnnestOptions::new().with_preserve_nulls(false);
        while is_list(&rows)? {
            rows = rows.unnest_columns_with_options(&[&list], options.clone())?;
        }
    }
    Ok(rows)
}

/// Runs the queries, a few at a time, and hands the results to those who asked.
pub(crate) async fn run(
    queries: Vec<Query>,
    at_once: usize,
) -> Result<HashMap<NodeId, FitResults>> {
    let answers: Vec<Answer> = futures::stream::iter(queries.into_iter().map(Query::run))
        .buffer_unordered(at_once.max(1))
        .try_collect()
        .await?;
    let mut results: HashMap<NodeId, FitResults> = HashMap::new();
    for (kind, batches) in answers {
        match kind {
            Kind::Grouped { node, name } => {
                results
                    .entry(node)
                    .or_default()
                    .grouped
                    .insert(name, batches);
            }
            Kind::Aggregates(asked) => {
                let row = batches
                    .iter()
                    .find(|batch| batch.num_rows() > 0)
                    .ok_or_else(|| Error::Internal("aggregates gave no row".to_owned()))?;
                for (i, (node, name, _)) in asked.into_iter().enumerate() {
                    let value = ScalarValue::try_from_array(row.column(i), 0)
                        .map_err(Error::query("reading aggregates"))?;
                    results
                        .entry(node)
                        .or_default()
                        .aggregates
                        .insert(name, value);
                }
            }
        }
    }
    Ok(results)
}
