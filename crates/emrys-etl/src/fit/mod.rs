//! Fitting: rounds of queries, each after the operators upstream are fitted.

mod counting;
mod queries;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use emrys_schema::Schema;

use crate::io::{Dataset, ReadOptions};
use crate::operator::{FitResults, Statistic};
use crate::plan::bind::{Binding, bind};
use crate::plan::dataset_columns;
use crate::plan::graph::{Graph, NodeId, Phase, States};
use crate::plan::lower::Lowering;
use crate::session::Session;
use crate::{Error, Result};

use counting::{CountScan, is_countable};
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
fn stateless(graph: &Graph) -> Result<States> {
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
    let work = round_work(graph, dataset, session, nodes, states, &binding)?;
    let mut results = session.run("fitting", work.run(session.options().threads()))?;
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

/// The rounds of fitting in words, with the plans of the queries of the first; the plans of later
/// rounds depend on what the earlier ones learn.
pub(crate) fn explain(graph: &Graph, dataset: &Dataset, session: &Session) -> Result<String> {
    let rounds = graph.rounds();
    let states = stateless(graph)?;
    let mut text = String::new();
    for round in 1..=rounds.iter().copied().max().unwrap_or(0) {
        let nodes: Vec<NodeId> = (0..rounds.len())
            .filter(|id| rounds[*id] == round)
            .collect();
        let names: Vec<String> = nodes.iter().map(|id| graph.describe(*id)).collect();
        let _ = writeln!(text, "fit round {round}: {}", names.join(", "));
        if round == 1 {
            let binding = bind(graph, dataset.schema(), &states, Phase::Training)?;
            let work = round_work(graph, dataset, session, &nodes, &states, &binding)?;
            for count in &work.counts {
                text += &indent(&count.explain()?);
            }
            for query in &work.queries {
                text += &indent(&query.explain()?);
            }
        }
    }
    Ok(text)
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// What answers all statistics of a round.
struct RoundWork {
    counts: Vec<CountScan>,
    queries: Vec<Query>,
}

impl RoundWork {
    async fn run(self, at_once: usize) -> Result<HashMap<NodeId, FitResults>> {
        let counts = futures::future::try_join_all(self.counts.into_iter().map(CountScan::run));
        let (counts, mut results) =
            futures::try_join!(counts, queries::run(self.queries, at_once))?;
        for (node, counts) in counts.into_iter().flatten() {
            let results = results.entry(node).or_default();
            results.grouped.extend(counts.grouped);
        }
        Ok(results)
    }
}

fn round_work(
    graph: &Graph,
    dataset: &Dataset,
    session: &Session,
    nodes: &[NodeId],
    states: &States,
    binding: &Binding,
) -> Result<RoundWork> {
    let table = dataset.table(ReadOptions {
        row_id: binding.needs_row_id,
        dictionary_strings: false,
    })?;
    let frame = session
        .context()
        .read_table(table)
        .map_err(Error::query("reading the data set"))?;
    let columns = dataset_columns(binding, frame.schema(), dataset.schema())?;
    let mut lowering = Lowering::new(graph, binding, states, Phase::Training, frame, columns)?;
    let upstream = nodes
        .iter()
        .flat_map(|id| graph.steps[*id].inputs(Phase::Training));
    lowering.add(upstream.collect::<Vec<_>>())?;

    let mut queries = Vec::new();
    let mut counts: BTreeMap<usize, CountScan> = BTreeMap::new();
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
                Statistic::Grouped(grouped)
                    if !session.options().has_memory_limit()
                        && is_countable(&relation.frame, &grouped) =>
                {
                    counts
                        .entry(rows)
                        .or_insert_with(|| CountScan::new(relation.frame.clone()))
                        .add(*id, grouped)?;
                }
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
    Ok(RoundWork {
        counts: counts.into_values().collect(),
        queries,
    })
}
