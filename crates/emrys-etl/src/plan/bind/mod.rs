//! Finds the columns of every node and checks all schemas, before any data is read.

mod binder;

use std::collections::BTreeSet;

use emrys_schema::{ColumnSchema, Schema};

use super::graph::{Graph, NodeId, Phase, States};
use crate::operator::InputSchema;
use crate::selector::Selected;
use crate::{Error, Result};
use binder::Binder;

/// A graph whose columns are all known.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    /// `None` for nodes that are not needed.
    nodes: Vec<Option<BoundNode>>,
    pub(crate) rows: Vec<RowSource>,
    pub(crate) needs_row_id: bool,
}

/// The columns of a node.
#[derive(Debug, Clone)]
pub(crate) struct BoundNode {
    pub(crate) columns: Vec<BoundColumn>,
    pub(crate) selected: Vec<Selected>,
    pub(crate) rows: RowsId,
    /// For operators: what comes in; `None` if nothing is left of it.
    pub(crate) input: Option<BoundInput>,
    /// Whether columns are missing that come from removed inputs.
    pub(crate) reduced: bool,
}

/// A column: its public name and meaning, and the name it has inside the plan.
#[derive(Debug, Clone)]
pub(crate) struct BoundColumn {
    pub(crate) schema: ColumnSchema,
    pub(crate) internal: String,
}

/// The input of an operator.
#[derive(Debug, Clone)]
pub(crate) struct BoundInput {
    pub(crate) schema: InputSchema,
    /// Public and internal names of inputs and dependencies.
    pub(crate) names: Vec<(String, String)>,
    /// The rows of the inputs, which are not those of the outputs if the operator changes rows.
    pub(crate) rows: RowsId,
}

/// The position of a [`RowSource`] in [`Binding::rows`].
pub(crate) type RowsId = usize;

/// What defines a set of rows: the data set, or an operator that changes rows.
#[derive(Debug, Clone)]
pub(crate) struct RowSource {
    pub(crate) description: String,
    pub(crate) columns: Vec<BoundColumn>,
    reduced: bool,
}

/// The name inside the plan of a column that a node makes.
pub(crate) fn internal_name(node: usize, column: &str) -> String {
    // The data set's own columns have number 0; no two columns have the same name.
    format!("#{node}.{column}")
}

impl Binding {
    /// The columns of a node.
    ///
    /// # Errors
    /// [`Error::Internal`] if the node is not needed in this phase.
    pub(crate) fn node(&self, id: NodeId) -> Result<&BoundNode> {
        self.nodes[id].as_ref().ok_or_else(|| not_bound(id))
    }

    /// The columns of the data set that are used, in its order.
    pub(crate) fn used_columns(&self) -> Vec<&BoundColumn> {
        self.columns_used_by(|_| true)
    }

    /// The columns of the data set that some nodes use, in its order.
    pub(crate) fn columns_used_by(&self, user: impl Fn(NodeId) -> bool) -> Vec<&BoundColumn> {
        let used: std::collections::HashSet<&str> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(id, _)| user(*id))
            .filter_map(|(_, node)| node.as_ref())
            .flat_map(|node| {
                let read = node.input.iter().flat_map(|input| &input.names);
                let read = read.map(|(_, internal)| internal.as_str());
                read.chain(node.columns.iter().map(|column| column.internal.as_str()))
            })
            .collect();
        let columns = self.rows[0].columns.iter();
        columns
            .filter(|column| used.contains(column.internal.as_str()))
            .collect()
    }
}

fn not_bound(id: NodeId) -> Error {
    Error::Internal(format!("node {id} is not bound"))
}

impl BoundNode {
    pub(crate) fn schema(&self) -> Result<Schema> {
        Ok(Schema::new(
            self.columns.iter().map(|column| column.schema.clone()),
        )?)
    }
}

/// Binds a graph to the schema of a data set; `states` refine what fitted operators promise.
///
/// # Errors
/// All errors of all operators at once; those that only follow from others are left out.
pub(crate) fn bind(
    graph: &Graph,
    dataset: &Schema,
    states: &States,
    phase: Phase,
) -> Result<Binding> {
    bind_without(graph, dataset, states, phase, &BTreeSet::new())
}

/// Binds a graph without some columns of the data set, and without everything that comes from
/// them.
///
/// # Errors
/// As [`bind`].
pub(crate) fn bind_without(
    graph: &Graph,
    dataset: &Schema,
    states: &States,
    phase: Phase,
    removed: &BTreeSet<String>,
) -> Result<Binding> {
    graph.check_names()?;
    let whole = dataset;
    let dataset = &dataset.filter(|column| !removed.contains(column.name()));
    let root = RowSource {
        description: "the data set".to_owned(),
        reduced: false,
        columns: dataset
            .iter()
            .map(|column| BoundColumn {
                schema: column.clone(),
                internal: internal_name(0, column.name()),
            })
            .collect(),
    };
    let needed = graph.upstream_of([graph.output], phase);
    let mut binder = Binder {
        graph,
        whole,
        dataset,
        removed,
        states,
        phase,
        rows: vec![root],
        nodes: Vec::new(),
    };
    let mut errors = Vec::new();
    for (id, needed) in needed.into_iter().enumerate() {
        let inputs = graph.steps[id].inputs(phase);
        let upstream_failed = inputs.iter().any(|input| binder.nodes[*input].is_none());
        let node = if upstream_failed || !needed {
            None
        } else {
            binder.bind(id).map_err(|error| errors.push(error)).ok()
        };
        binder.nodes.push(node);
    }
    Error::collect(errors)?;
    let needs_row_id = graph
        .operators()
        .any(|(_, operator)| operator.needs_row_id());
    Ok(Binding {
        nodes: binder.nodes,
        rows: binder.rows,
        needs_row_id,
    })
}
