//! Which columns of the data set the columns of a plan come from.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};

use crate::ops::GroupTable;

/// Names of columns of the data set.
pub(crate) type Sources = BTreeSet<String>;

/// For each column of a plan, the scanned columns that decide its values, or which rows there are.
///
/// Where the plan does not tell, a column comes from everything.
pub(crate) fn sources(plan: &LogicalPlan) -> Vec<Sources> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            if let Some(groups) = GroupTable::of(scan) {
                // Which rows make a group decides about all its values.
                let rows = groups.rows(scan.projection.as_ref());
                let all: Sources = match &rows {
                    Ok(rows) => sources(rows).into_iter().flatten().collect(),
                    Err(_) => Sources::new(),
                };
                return vec![all; scan.projected_schema.fields().len()];
            }
            let fields = scan.projected_schema.fields().iter();
            fields.map(|f| Sources::from([f.name().clone()])).collect()
        }
        LogicalPlan::Projection(projection) => of_all(
            &projection.expr,
            projection.input.schema(),
            &sources(&projection.input),
        ),
        LogicalPlan::Filter(filter) => {
            let below = sources(&filter.input);
            let rows = of_expr(&filter.predicate, filter.input.schema(), &below);
            with_rows(below, &rows)
        }
        LogicalPlan::Sort(sort) => {
            let below = sources(&sort.input);
            let keys = sort.expr.iter().map(|key| &key.expr);
            let rows = keys
                .flat_map(|key| of_expr(key, sort.input.schema(), &below))
                .collect();
            with_rows(below, &rows)
        }
        LogicalPlan::SubqueryAlias(alias) => sources(&alias.input),
        LogicalPlan::Limit(limit) => sources(&limit.input),
        LogicalPlan::Repartition(repartition) => sources(&repartition.input),
        LogicalPlan::Window(window) => {
            let mut columns = sources(&window.input);
            let new = of_all(&window.window_expr, window.input.schema(), &columns);
            columns.extend(new);
            columns
        }
        LogicalPlan::Aggregate(aggregate)
            if aggregate.schema.fields().len()
                == aggregate.group_expr.len() + aggregate.aggr_expr.len() =>
        {
            let (schema, below) = (aggregate.input.schema(), sources(&aggregate.input));
            let mut columns = of_all(&aggregate.group_expr, schema, &below);
            let keys = columns.iter().flatten().cloned().collect();
            columns.extend(of_all(&aggregate.aggr_expr, schema, &below));
            with_rows(columns, &keys)
        }
        LogicalPlan::Unnest(unnest) => {
            let below = sources(&unnest.input);
            let schema = unnest.input.schema();
            let lists = unnest.exec_columns.iter();
            let rows = lists
                .filter_map(|list| schema.maybe_index_of_column(list))
                .flat_map(|at| below[at].clone())
                .collect();
            let columns = unnest
                .dependency_indices
                .iter()
                .map(|at| below[*at].clone());
            with_rows(columns.collect(), &rows)
        }
        LogicalPlan::Join(join)
            if matches!(
                join.join_type,
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
            ) =>
        {
            let (left, right) = (sources(&join.left), sources(&join.right));
            let mut rows = Sources::new();
            for (l, r) in &join.on {
                rows.extend(of_expr(l, join.left.schema(), &left));
                rows.extend(of_expr(r, join.right.schema(), &right));
            }
            let columns: Vec<Sources> = left.into_iter().chain(right).collect();
            if let Some(condition) = &join.filter {
                rows.extend(of_expr(condition, &join.schema, &columns));
            }
            with_rows(columns, &rows)
        }
        other => {
            let everything: Sources = other
                .inputs()
                .into_iter()
                .flat_map(|input| sources(input).into_iter().flatten())
                .collect();
            vec![everything; other.schema().fields().len()]
        }
    }
}

fn with_rows(mut columns: Vec<Sources>, rows: &Sources) -> Vec<Sources> {
    for column in &mut columns {
        column.extend(rows.iter().cloned());
    }
    columns
}

fn of_all(exprs: &[Expr], schema: &DFSchema, below: &[Sources]) -> Vec<Sources> {
    exprs
        .iter()
        .map(|expr| of_expr(expr, schema, below))
        .collect()
}

fn of_expr(expr: &Expr, schema: &DFSchema, below: &[Sources]) -> Sources {
    let mut found = Sources::new();
    // Visiting cannot fail: the closure does not.
    let _ = expr.apply(|part| {
        if let Expr::Column(column) = part
            && let Some(at) = schema.maybe_index_of_column(column)
        {
            found.extend(below[at].iter().cloned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The names that the values of a column have on their way through a plan, from its output down.
///
/// The way ends where the values are computed. Rows may get lost on it, and integers become wider.
pub(crate) fn names_of(plan: &LogicalPlan, position: usize) -> Vec<String> {
    let mut names = Vec::new();
    let (mut plan, mut at) = (plan, position);
    loop {
        names.extend(plan.schema().fields().get(at).map(|f| f.name().clone()));
        (plan, at) = match plan {
            LogicalPlan::Projection(projection) => {
                let Some(column) = projection.expr.get(at).and_then(plain_column) else {
                    return names;
                };
                match projection.input.schema().maybe_index_of_column(column) {
                    Some(at) => (&*projection.input, at),
                    None => return names,
                }
            }
            LogicalPlan::Filter(filter) => (&*filter.input, at),
            LogicalPlan::Sort(sort) => (&*sort.input, at),
            LogicalPlan::SubqueryAlias(alias) => (&*alias.input, at),
            LogicalPlan::Limit(limit) => (&*limit.input, at),
            _ => return names,
        };
    }
}

fn plain_column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => plain_column(&alias.expr),
        Expr::Cast(cast) => plain_column(&cast.expr),
        _ => None,
    }
}
