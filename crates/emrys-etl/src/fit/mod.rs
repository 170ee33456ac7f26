//! Fitting: rounds of queries, each after the operators upstream are fitted.

mod counting;
mod queries;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use emrys_schema::Schema;

use crate::io::{Dataset, ReadOptions};
use crate::operator::{FitResults, NewIds, Statistic};
use crate::plan::bind::{Binding, bind};
use crate::plan::dataset_columns;
use crate::plan::graph::{Graph, NodeId, Phase, States};
use crate::plan::lower::Lowering;
use crate::progress::Stage;
use crate::session::Session;
use crate::storage::Storage;
use crate::{Error, Result};

use counting::{CountScan, is_countable};
use queries::Query;

/// What a workflow knows already when it is fitted on more data.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) states: &'a States,
    pub(crate) ids: NewIds,
    /// How many rows it was fitted on; the new rows are numbered from there on.
    pub(crate) rows: u64,
}

/// Fits all operators of a graph on a data set, on top of what is known.
pub(crate) fn fit(
    graph: &Graph,
    dataset: &Dataset,
    session: &Session,
    known: Option<Known<'_>>,
) -> Result<States> {
    let mut states = stateless(graph)?;
    let rounds = graph.rounds();
    let last = rounds.iter().copied().max().unwrap_or(0);
    for round in 1..=last {
        let nodes: Vec<NodeId> = (0..rounds.len())
            .filter(|id| rounds[*id] == round)
            .collect();
        tracing::debug!(round, operators = nodes.len(), "fitting");
        let stage = Stage::Fit {
            round,
            rounds: last,
        };
        fit_round(graph, dataset, session, &nodes, &mut states, known, stage)?;
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
    known: Option<Known<'_>>,
    stage: Stage,
) -> Result<()> {
    let binding = bind(graph, dataset.schema(), states, Phase::Training)?;
    let first_row = known.map_or(0, |known| known.rows);
    let work = round_work(graph, dataset, session, nodes, states, &binding, first_row)?;
    session.begin(stage, work.scans(), dataset.num_rows());
    let answers = work.run(session.options().threads(), session.storage());
    let mut results = session.run("fitting", session.until_cancelled(answers))?;
    let mut errors = Vec::new();
    for id in nodes {
        let bound = binding.node(*id)?;
        let (Some(input), Some(operator)) = (&bound.input, graph.operator(*id)) else {
            return Err(Error::Internal(format!(
                "{} is no operator",
                graph.describe(*id)
            )));
        };
        let mut found = results.remove(id).unwrap_or_default();
        found.storage = session.storage().clone();
        let state = match known.and_then(|known| Some((known.states.get(id)?, known.ids))) {
            Some((state, ids)) => operator.refit(state, &input.schema, found, ids),
            None => operator.fit(&input.schema, found),
        };
        match state {
            Ok(state) => {
                states.insert(*id, state);
            }
            Err(error) => errors.push(error.at(graph.describe(*id))),
        }
    }
    Error::collect(errors)
}

/// What answers all statistics of a round.
pub(crate) struct RoundWork {
    pub(crate) counts: Vec<CountScan>,
    pub(crate) queries: Vec<Query>,
}

impl RoundWork {
    /// How often the data set is read.
    fn scans(&self) -> usize {
        self.counts.len() + self.queries.len()
    }

    async fn run(self, at_once: usize, storage: &Storage) -> Result<HashMap<NodeId, FitResults>> {
        let counts = futures::future::try_join_all(self.counts.into_iter().map(CountScan::run));
        let queries = queries::run(self.queries, at_once, storage);
        let (counts, mut results) = futures::try_join!(counts, queries)?;
        for (node, counts) in counts.into_iter().flatten() {
            let results = results.entry(node).or_default();
            results.grouped.extend(counts.grouped);
        }
        Ok(results)
    }
}

pub(crate) fn round_work(
    graph: &Graph,
    dataset: &Dataset,
    session: &Session,
    nodes: &[NodeId],
    states: &States,
    binding: &Binding,
    first_row: u64,
) -> Result<RoundWork> {
    let table = dataset.table(ReadOptions {
        row_id: binding.needs_row_id,
        dictionary_strings: false,
    })?;
    let frame = session
        .context()
        .read_table(table)
        .map_err(Error::query("reading the data set"))?;
    let nothing = BTreeSet::new();
    let (frame_schema, schema) = (frame.schema(), dataset.schema());
    let columns = dataset_columns(binding, frame_schema, schema, &nothing, first_row)?;
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
                Statistic::Grouped(grouped) | Statistic::Large { grouped, .. }
                    if !session.options().has_memory_limit()
                        && is_countable(&relation.frame, &grouped) =>
                {
                    counts
                        .entry(rows)
                        .or_insert_with(|| CountScan::new(relation.frame.clone()))
                        .add(
                            *id,
                            format!("{}, {}", graph.describe(*id), grouped.name),
                            grouped,
                        )?;
                }
                Statistic::Grouped(grouped) => {
                    let label = format!("{}, {}", graph.describe(*id), grouped.name);
                    queries.push(Query::grouped(*id, label, &relation.frame, grouped, None)?);
                }
                Statistic::Large { grouped, order } => {
                    let label = format!("{}, {}", graph.describe(*id), grouped.name);
                    let order = Some(order);
                    queries.push(Query::grouped(*id, label, &relation.frame, grouped, order)?);
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
