//! Fitting: rounds of queries, each after the operators upstream are fitted.

mod queries;

use std::collections::{BTreeSet, HashMap};

use emrys_schema::Schema;

use crate::io::{Dataset, ReadOptions};
use crate::operator::{FitResults, Statistic};
use crate::plan::bind::{Binding, bind};
use crate::plan::dataset_columns;
use crate::plan::graph::{Graph, NodeId, Phase, States};
use crate::plan::lower::Lowering;
use crate::session::Session;
use crate::{Error, Result};

use queries::Query;

/// Fits all operators of a graph on a data set.
pub(crate) fn fit(graph: &Graph, dataset: &Dataset, session: &Session) -> Result<States> {
    let mut states = stateless(graph)?;
    let rounds = graph.rounds();
    for round in 1..=rounds.iter().copied().max().unwrap_or(0) {
        let nodes: Vec<NodeId> = (0..rounds.len())
            .filter(|id| rounds[*id] == round)
            .collect();
        tracing::debug!(round, operators = nodes.len(), "fitting");
        fit_round(graph, dataset, session, &nodes, &mut states)?;
    }
    Ok(states)
}

/// The states of operators that learn nothing.
pub(crate) fn stateless(graph: &Graph) -> Result<States> {
    graph
        .operators()
        .filter(|(_, operator)| !operator.is_fitted())
        .map(|(id, operator)| {
            let nothing = crate::operator::InputSchema::new(
                operator.name().to_owned(),
                Vec::new(),
                Schema::default(),
                Schema::default(),
            );
            Ok((id, operator.fit(&nothing, FitResults::default())?))
        })
        .collect()
}

fn fit_round(
    graph: &Graph,
    dataset: &Dataset,
    session: &Session,
    nodes: &[NodeId],
    states: &mut States,
) -> Result<()> {
    let binding = bind(graph, dataset.schema(), states, Phase::Training)?;
    let queries = round_queries(graph, dataset, session, nodes, states, &binding)?;
    let mut results = session.run(
        "fitting",
        queries::run(queries, session.options().threads()),
    )?;
    let mut errors = Vec::new();
    for id in nodes {
        let bound = binding.node(*id)?;
        let (Some(input), Some(operator)) = (&bound.input, graph.operator(*id)) else {
            return Err(Error::Internal(format!(
                "{} is no operator",
                graph.describe(*id)
            )));
        };
        match operator.fit(&input.schema, results.remove(id).unwrap_or_default()) {
            Ok(state) => {
                states.insert(*id, state);
            }
            Err(error) => errors.push(error.at(graph.describe(*id))),
        }
    }
    Error::collect(errors)
}

/// The queries that answer all statistics of a round.
pub(crate) fn round_queries(
    graph: &Graph,
    dataset: &Dataset,
    session: &Session,
    nodes: &[NodeId],
    states: &States,
    binding: &Binding,
) -> Result<Vec<Query>> {
    let table = dataset.table(ReadOptions {
        row_id: binding.needs_row_id,
        dictionary_strings: false,
    })?;
    let frame = session
        .context()
        .read_table(table)
        .map_err(Error::query("reading the data set"))?;
    let nothing = BTreeSet::new();
    let columns = dataset_columns(binding, frame.schema(), dataset.schema(), &nothing)?;
    let mut lowering = Lowering::new(graph, binding, states, Phase::Training, frame, columns)?;
    let upstream = nodes
        .iter()
        .flat_map(|id| graph.steps[*id].inputs(Phase::Training));
    lowering.add(upstream.collect::<Vec<_>>())?;

    let mut queries = Vec::new();
    let mut aggregates: HashMap<usize, Query> = HashMap::new();
    for id in nodes {
        let relation = lowering.relation(*id)?;
        let Some(operator) = graph.operator(*id) else {
            continue;
        };
        let asked = operator
            .statistics(&relation)
            .map_err(|error| error.at(graph.describe(*id)))?;
        let rows = binding
            .node(*id)?
            .input
            .as_ref()
            .map_or(0, |input| input.rows);
        for statistic in asked {
            match statistic {
                Statistic::Aggregate { name, expr } => aggregates
                    .entry(rows)
                    .or_insert_with(|| Query::aggregates(relation.frame.clone()))
                    .add_aggregate(*id, name, expr),
                Statistic::Grouped(grouped) => {
                    let label = format!("{}, {}", graph.describe(*id), grouped.name);
                    queries.push(Query::grouped(*id, label, &relation.frame, grouped)?);
                }
            }
        }
    }
    let mut aggregates: Vec<_> = aggregates.into_iter().collect();
    aggregates.sort_by_key(|(rows, _)| *rows);
    queries.extend(aggregates.into_iter().map(|(_, query)| query));
    Ok(queries)
}
