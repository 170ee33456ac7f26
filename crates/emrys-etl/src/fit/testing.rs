//! Fitting on one data set and learning from another, for tests of operators.

use std::sync::Arc;

use emrys_schema::Schema;

use super::{Binding, Graph, States, bind, fit, queries, round_queries, stateless};
use crate::operator::NewIds;
use crate::plan::graph::Phase;
use crate::{Dataset, FittedWorkflow, Node, Result, Session, SessionOptions};

/// Fits a graph of one round on `first`; then its operators learn from `second`.
pub(crate) fn fit_and_refit(
    node: &Node,
    first: &Dataset,
    second: Option<(&Dataset, NewIds)>,
    options: SessionOptions,
) -> Result<FittedWorkflow> {
    let graph = Graph::new(node);
    let session = Session::new(options)?;
    let mut states = fit(&graph, first, &session)?;
    if let Some((second, ids)) = second {
        states = refit(&graph, &states, second, ids, &session)?;
    }
    let binding = bind(&graph, first.schema(), &States::new(), Phase::Training)?;
    let used = binding.used_columns().into_iter().map(|c| c.schema.clone());
    let used = Schema::new(used.collect::<Vec<_>>())?;
    FittedWorkflow::new(graph, states, used, 0, Arc::new(session))
}

fn refit(
    graph: &Graph,
    old: &States,
    dataset: &Dataset,
    ids: NewIds,
    session: &Session,
) -> Result<States> {
    let mut states = stateless(graph)?;
    let rounds = graph.rounds();
    let nodes: Vec<_> = (0..rounds.len()).filter(|id| rounds[*id] == 1).collect();
    let binding: Binding = bind(graph, dataset.schema(), &states, Phase::Training)?;
    let queries = round_queries(graph, dataset, session, &nodes, &states, &binding)?;
    let mut results = session.run("fitting", queries::run(queries, 1, session.storage()))?;
    for id in nodes {
        let input = binding.node(id)?.input.as_ref().expect("it is an operator");
        let operator = graph.operator(id).expect("it is an operator");
        let mut found = results.remove(&id).unwrap_or_default();
        found.storage = session.storage().clone();
        states.insert(id, operator.refit(&old[&id], &input.schema, found, ids)?);
    }
    Ok(states)
}
