//! The queries of a round.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::UnnestOptions;
use datafusion::logical_expr::{LogicalPlan, SortExpr, ident};
use datafusion::prelude::{DataFrame, Expr};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt};

use crate::lookup::{plain_type, strict_cast};
use crate::operator::{FitResults, GroupedRows, GroupedStatistic, GroupedWriter, Order, Source};
use crate::plan::graph::NodeId;
use crate::storage::Storage;
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
    /// Aggregates by key, in the order to sort them if they may exceed memory.
    Grouped {
        node: NodeId,
        name: String,
        order: Option<Vec<Order>>,
    },
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

    /// A query of aggregates by key; with an `order`, of so many that memory may not hold them.
    pub(crate) fn grouped(
        node: NodeId,
        label: String,
        frame: &DataFrame,
        statistic: GroupedStatistic,
        order: Option<Vec<Order>>,
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
                order,
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

    async fn run(self, place: &Place) -> Result<Answer> {
        let activity = format!("fitting {}", self.label);
        let mut plan = self.plan()?;
        let in_order = match &self.kind {
            Kind::Grouped {
                order: Some(order), ..
            } if place.storage.is_limited() => {
                let by = order.iter().map(sort_expr).collect();
                plan = plan.sort(by).map_err(Error::query(&*activity))?;
                true
            }
            _ => false,
        };
        let schema = Arc::clone(plan.schema().inner());
        if let Kind::Aggregates(_) = self.kind {
            let batches = plan.collect().await.map_err(Error::query(activity))?;
            return Ok((self.kind, GroupedRows::from_batches(schema, batches)));
        }
        let Some(room) = place.storage.room_for_results() else {
            let batches = plan.collect().await.map_err(Error::query(activity))?;
            return Ok((self.kind, GroupedRows::from_batches(schema, batches)));
        };
        // Views are slices of buffers that a file would have to repeat with every batch.
        let plain = plain_schema(&schema);
        let room = room.saturating_sub(place.held.load(Ordering::Relaxed));
        let mut rows = GroupedWriter::new(Arc::clone(&plain), place.storage.clone(), room);
        let mut stream = plan
            .execute_stream()
            .await
            .map_err(Error::query(&*activity))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(Error::query(&*activity))?;
            rows.push(plain_batch(&plain, &batch)?)?;
        }
        place.held.fetch_add(rows.held(), Ordering::Relaxed);
        Ok((self.kind, rows.finish(in_order)?))
    }
}

type Answer = (Kind, GroupedRows);

/// Where results lie, and how many of their bytes are in memory.
struct Place {
    storage: Storage,
    held: AtomicUsize,
}

fn sort_expr(order: &Order) -> SortExpr {
    ident(&order.column).sort(!order.descending, true)
}

fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let plain = plain_type(field.data_type());
        Field::new(field.name(), plain, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_batch(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns
        .map(|(column, field)| strict_cast(column, field.data_type()))
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Internal(format!("results of a group-by: {error}")))?;
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| Error::Internal(format!("results of a group-by: {error}")))
}

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

/// Runs the queries, and hands the results to those who asked: a few at a time, or one after
/// another if memory is limited, so that each has all of it.
pub(crate) async fn run(
    queries: Vec<Query>,
    at_once: usize,
    storage: &Storage,
) -> Result<HashMap<NodeId, FitResults>> {
    let at_once = if storage.is_limited() { 1 } else { at_once };
    let place = Place {
        storage: storage.clone(),
        held: AtomicUsize::new(0),
    };
    let place = &place;
    let answers: Vec<Answer> = futures::stream::iter(queries)
        .map(|query| query.run(place))
        .buffer_unordered(at_once.max(1))
        .try_collect()
        .await?;
    let mut results: HashMap<NodeId, FitResults> = HashMap::new();
    for (kind, rows) in answers {
        match kind {
            Kind::Grouped { node, name, .. } => {
                results.entry(node).or_default().grouped.insert(name, rows);
            }
            Kind::Aggregates(asked) => {
                let batches = rows.into_batches()?;
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
