//! What fitting and transforming will read and do, before it is done.

use std::fmt;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use serde::Serialize;

use super::bind::bind;
use super::graph::{Graph, NodeId, Phase, States};
use crate::fit::{round_work, stateless};
use crate::io::{Dataset, ROW_ID};
use crate::ops::GroupTable;
use crate::session::Session;
use crate::workflow::{FittedWorkflow, Workflow};
use crate::{Error, Result};

/// What a workflow reads and does: for people as text (`Display`), for scripts as JSON
/// ([`to_json`](Explanation::to_json)).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// How much there is to read.
    pub data: DataSize,
    /// The rounds of fitting; none in the explanation of a transform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// The transform; none in the explanation of a fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<TransformPlan>,
}

/// The size of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataSize {
    /// Rows.
    pub rows: u64,
    /// Files; none for batches in memory.
    pub files: usize,
    /// The bytes of the files.
    pub bytes: u64,
}

/// What is read of the data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// How many times the data set is scanned.
    pub scans: usize,
    /// The columns of all scans together.
    pub columns: Vec<String>,
    /// How many compressed bytes the columns have, each as often as it is scanned; unknown for
    /// batches in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed_bytes: Option<u64>,
}

/// Operators that are fitted at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Round {
    /// From 1.
    pub number: usize,
    /// The operators with their nodes.
    pub operators: Vec<String>,
    /// The queries; none if they depend on what earlier rounds learn.
    pub queries: Vec<QueryPlan>,
    /// What all queries read; at most this if they are not known yet.
    pub reads: Reads,
    /// Whether the queries are known.
    pub known: bool,
}

/// One query of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryPlan {
    /// What it answers.
    pub answers: String,
    /// What it reads.
    pub reads: Reads,
    /// The logical plan.
    pub plan: String,
}

/// The plan of a transform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransformPlan {
    /// `training` for the data that the workflow was fitted on, else `inference`.
    pub phase: &'static str,
    /// What it reads.
    pub reads: Reads,
    /// The logical plan.
    pub logical: String,
    /// The physical plan.
    pub physical: String,
}

impl Explanation {
    /// As JSON, for scripts.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::Internal(format!("an explanation as JSON: {error}")))
    }
}

impl Workflow {
    /// The rounds of fitting in words, with the plans of the queries: see
    /// [`explanation`](Workflow::explanation).
    ///
    /// # Errors
    /// As [`fit`](Workflow::fit), before data are read.
    pub fn explain(&self, dataset: &Dataset) -> Result<String> {
        Ok(self.explanation(dataset)?.to_string())
    }

    /// The rounds of fitting: operators, scans, columns and bytes of each, and the plans of the
    /// queries of the first. Those of later rounds depend on what the earlier ones learn;
    /// [`FittedWorkflow::fit_explanation`] knows them all.
    ///
    /// # Errors
    /// As [`fit`](Workflow::fit), before data are read.
    pub fn explanation(&self, dataset: &Dataset) -> Result<Explanation> {
        let session = Session::new(self.options.clone())?;
        let graph = self.graph(dataset.schema())?;
        explain_fit(&graph, dataset, &session, None)
    }
}

impl FittedWorkflow {
    /// The plan of a transform in words: what is read, and DataFusion's logical and physical plan.
    ///
    /// # Errors
    /// As [`transform`](FittedWorkflow::transform).
    pub fn explain(&self, dataset: &Dataset) -> Result<String> {
        Ok(self.explanation(dataset)?.to_string())
    }

    /// The plan of a transform.
    ///
    /// # Errors
    /// As [`transform`](FittedWorkflow::transform).
    pub fn explanation(&self, dataset: &Dataset) -> Result<Explanation> {
        let transformed = self.transform(dataset)?;
        let planning = || Error::query("planning the transform");
        let logical = transformed.frame.clone().into_optimized_plan();
        let logical = logical.map_err(planning())?;
        let physical = self
            .session
            .block_on(transformed.frame.clone().create_physical_plan())
            .map_err(planning())?;
        let physical = datafusion::physical_plan::displayable(&*physical)
            .indent(false)
            .to_string();
        Ok(Explanation {
            data: size(dataset),
            rounds: Vec::new(),
            transform: Some(TransformPlan {
                phase: match transformed.phase {
                    Phase::Training => "training",
                    Phase::Inference => "inference",
                },
                reads: reads(&logical, dataset, &self.session),
                logical: logical.display_indent().to_string(),
                physical,
            }),
        })
    }

    /// All rounds of fitting the same graph on a data set, with the plans of all queries.
    ///
    /// # Errors
    /// As [`Workflow::fit`], before data are read.
    pub fn fit_explanation(&self, dataset: &Dataset) -> Result<Explanation> {
        explain_fit(&self.graph, dataset, &self.session, Some(&self.states))
    }
}

/// `fitted` are the states after fitting, if they are known.
fn explain_fit(
    graph: &Graph,
    dataset: &Dataset,
    session: &Session,
    fitted: Option<&States>,
) -> Result<Explanation> {
    let in_rounds = graph.rounds();
    let mut states = stateless(graph)?;
    let mut rounds = Vec::new();
    for number in 1..=in_rounds.iter().copied().max().unwrap_or(0) {
        let nodes: Vec<NodeId> = (0..in_rounds.len())
            .filter(|id| in_rounds[*id] == number)
            .collect();
        let binding = bind(graph, dataset.schema(), &states, Phase::Training)?;
        let operators = nodes.iter().map(|id| graph.describe(*id)).collect();
        let known = number == 1 || fitted.is_some();
        let round = if known {
            let work = round_work(graph, dataset, session, &nodes, &states, &binding, 0)?;
            let explained = |answers: String, plan: LogicalPlan| QueryPlan {
                answers,
                reads: reads(&plan, dataset, session),
                plan: plan.display_indent().to_string(),
            };
            let mut queries = Vec::new();
            for count in &work.counts {
                queries.push(explained(count.label(), count.logical_plan()?));
            }
            for query in &work.queries {
                queries.push(explained(query.label().to_owned(), query.logical_plan()?));
            }
            Round {
                number,
                operators,
                reads: Reads::sum(queries.iter().map(|query| &query.reads), dataset),
                queries,
                known,
            }
        } else {
            let upstream = graph.upstream_of(nodes.iter().copied(), Phase::Training);
            let columns = binding.columns_used_by(|id| upstream[id]);
            let columns = columns.iter().map(|c| c.schema.name().to_owned()).collect();
            Round {
                number,
                operators,
                queries: Vec::new(),
                reads: Reads::once(columns, dataset),
                known,
            }
        };
        rounds.push(round);
        if let Some(fitted) = fitted {
            for id in nodes {
                if let Some(state) = fitted.get(&id) {
                    states.insert(id, std::sync::Arc::clone(state));
                }
            }
        }
    }
    Ok(Explanation {
        data: size(dataset),
        rounds,
        transform: None,
    })
}

fn size(dataset: &Dataset) -> DataSize {
    DataSize {
        rows: dataset.num_rows(),
        files: dataset.files().len(),
        bytes: dataset.files().iter().map(|file| file.bytes).sum(),
    }
}

/// What an optimised plan reads.
fn reads(plan: &LogicalPlan, dataset: &Dataset, session: &Session) -> Reads {
    let mut scans = Vec::new();
    // Visiting cannot fail: the closure does not.
    let _ = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            if let Some(groups) = GroupTable::of(scan) {
                // What groups are made of is planned when they are read.
                let state = session.context().state();
                let rows = groups.rows(scan.projection.as_ref());
                if let Ok(rows) = rows.and_then(|rows| state.optimize(&rows)) {
                    scans.push(reads(&rows, dataset, session));
                }
                return Ok(TreeNodeRecursion::Continue);
            }
            let fields = scan.projected_schema.fields().iter();
            let columns = fields.map(|field| field.name().clone());
            scans.push(Reads::once(columns.collect(), dataset));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    Reads::sum(scans.iter(), dataset)
}

impl Reads {
    fn once(mut columns: Vec<String>, dataset: &Dataset) -> Reads {
        columns.retain(|column| column != ROW_ID);
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        Reads {
            scans: 1,
            compressed_bytes: dataset.compressed_bytes(&names),
            columns,
        }
    }

    /// The columns in the order of the data set.
    fn sum<'a>(parts: impl Iterator<Item = &'a Reads> + Clone, dataset: &Dataset) -> Reads {
        let is_read = |name: &str| {
            let mut columns = parts.clone().flat_map(|part| &part.columns);
            columns.any(|column| column == name)
        };
        let names = dataset.schema().names().into_iter();
        Reads {
            scans: parts.clone().map(|part| part.scans).sum(),
            columns: names
                .filter(|name| is_read(name))
                .map(str::to_owned)
                .collect(),
            compressed_bytes: match dataset.files().is_empty() {
                true => None,
                false => parts.map(|part| part.compressed_bytes).sum(),
            },
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data set: {}", self.data)?;
        for round in &self.rounds {
            write!(f, "{round}")?;
        }
        if let Some(transform) = &self.transform {
            write!(f, "{transform}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DataSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.files {
            0 => write!(f, "{} in memory", count(self.rows, "row")),
            files => write!(
                f,
                "{} in {}, {}",
                count(self.rows, "row"),
                count(files as u64, "file"),
                bytes(self.bytes)
            ),
        }
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scans = count(self.scans as u64, "scan");
        match self.columns.as_slice() {
            [] => write!(f, "{scans} of no column")?,
            columns => write!(f, "{scans} of {}", columns.join(", "))?,
        }
        match self.compressed_bytes {
            Some(compressed) => write!(f, " ({} compressed)", bytes(compressed)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "fit round {}: {}",
            self.number,
            self.operators.join(", ")
        )?;
        if !self.known {
            let before = self.number - 1;
            return writeln!(
                f,
                "  reads at most {}; its queries are known after round {before}",
                self.reads.columns.join(", ")
            );
        }
        writeln!(f, "  reads: {}", self.reads)?;
        for query in &self.queries {
            writeln!(f, "  {}: {}", query.answers, query.reads)?;
            for line in query.plan.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TransformPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "transform: {} data", self.phase)?;
        writeln!(f, "  reads: {}", self.reads)?;
        writeln!(f, "{}\n\n{}", self.logical, self.physical)
    }
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => count(bytes, "byte"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
