//! The nodes of a graph in the order in which they can be computed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use crate::graph::{Node, NodeKind};
use crate::operator::{DynOperator, DynState, message_name};
use crate::{Error, Result};

pub(crate) use crate::step::{NodeId, OperatorStep, Step};

/// Which data a graph is bound for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The data that the workflow is fitted on.
    Training,
    /// Any other data.
    Inference,
}

/// Nodes in topological order: inputs stand before their consumers.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) steps: Vec<Step>,
    pub(crate) output: NodeId,
}

/// The fitted states of operators, by node.
pub(crate) type States = HashMap<NodeId, DynState>;

impl Step {
    /// The nodes whose columns it uses.
    pub(crate) fn inputs(&self, phase: Phase) -> Vec<NodeId> {
        match self {
            Step::Select(_) => Vec::new(),
            Step::Operator(OperatorStep {
                operator,
                input,
                dependencies,
            }) => {
                let mut inputs = vec![*input];
                if phase == Phase::Training || !operator.transform_dependencies().is_empty() {
                    inputs.extend(dependencies);
                }
                inputs
            }
            Step::Concat(parts) => parts.clone(),
            Step::Subset { input, .. } | Step::Without { input, .. } => vec![*input],
            Step::Difference { input, other } => vec![*input, *other],
            Step::Group(node) | Step::Subgraph { node, .. } => vec![*node],
        }
    }

    /// What messages call it.
    pub(crate) fn label(&self) -> String {
        match self {
            Step::Select(_) => "select".to_owned(),
            Step::Operator(OperatorStep { operator, .. }) => message_name(operator.name()),
            Step::Concat(_) => "sum of nodes".to_owned(),
            Step::Subset { .. } => "subset".to_owned(),
            Step::Without { .. } | Step::Difference { .. } => "difference".to_owned(),
            Step::Group(_) => "group".to_owned(),
            Step::Subgraph { name, .. } => format!("subgraph `{name}`"),
        }
    }
}

impl Graph {
    /// Numbers the nodes from which `output` is made, each once.
    pub(crate) fn new(output: &Node) -> Graph {
        let mut graph = Graph {
            steps: Vec::new(),
            output: 0,
        };
        graph.output = graph.add(output, &mut HashMap::new());
        graph
    }

    fn add(&mut self, node: &Node, known: &mut HashMap<*const NodeKind, NodeId>) -> NodeId {
        let key = Arc::as_ptr(&node.kind);
        if let Some(id) = known.get(&key) {
            return *id;
        }
        let step = NodeKind::clone(&node.kind);
        let Ok(step) = step.try_with_inputs(|node| Ok::<_, Infallible>(self.add(&node, known)));
        self.steps.push(step);
        let id = self.steps.len() - 1;
        known.insert(key, id);
        id
    }

    /// All operators, by node.
    pub(crate) fn operators(&self) -> impl Iterator<Item = (NodeId, &Arc<dyn DynOperator>)> {
        self.steps
            .iter()
            .enumerate()
            .filter_map(|(id, step)| match step {
                Step::Operator(OperatorStep { operator, .. }) => Some((id, operator)),
                _ => None,
            })
    }

    /// The operator of a node, if it is one.
    pub(crate) fn operator(&self, id: NodeId) -> Option<&Arc<dyn DynOperator>> {
        match &self.steps[id] {
            Step::Operator(OperatorStep { operator, .. }) => Some(operator),
            _ => None,
        }
    }

    /// In which round each operator is fitted: after all fitted operators upstream of it. Zero
    /// for nodes that need no fitting and have none upstream.
    pub(crate) fn rounds(&self) -> Vec<usize> {
        let mut upstream = Vec::with_capacity(self.steps.len());
        let mut rounds = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let before = step
                .inputs(Phase::Training)
                .into_iter()
                .map(|id| upstream[id])
                .max()
                .unwrap_or(0);
            let fitted = matches!(step, Step::Operator(OperatorStep { operator, .. }) if operator.is_fitted());
            rounds.push(if fitted { before + 1 } else { 0 });
            upstream.push(before + usize::from(fitted));
        }
        rounds
    }

    /// The node of a part of the graph that has a name.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there is no such part, or several.
    pub(crate) fn subgraph(&self, wanted: &str) -> Result<NodeId> {
        let named: Vec<(NodeId, &str)> = self
            .steps
            .iter()
            .enumerate()
            .filter_map(|(id, step)| match step {
                Step::Subgraph { name, .. } => Some((id, name.as_str())),
                _ => None,
            })
            .collect();
        let found: Vec<NodeId> = named
            .iter()
            .filter(|(_, name)| *name == wanted)
            .map(|(id, _)| *id)
            .collect();
        let invalid = |expected: String| Error::InvalidOption {
            operator: "workflow".to_owned(),
            option: "subgraph".to_owned(),
            value: format!("`{wanted}`"),
            expected,
        };
        match found.as_slice() {
            [id] => Ok(*id),
            [] => {
                let names: Vec<_> = named.iter().map(|(_, name)| *name).collect();
                Err(invalid(format!("the graph has: {}", names.join(", "))))
            }
            _ => Err(invalid(format!(
                "{} parts have that name; rename them",
                found.len()
            ))),
        }
    }

    /// Whether a node names a column of that name.
    pub(crate) fn mentions(&self, column: &str) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Select(columns)
            | Step::Subset { columns, .. }
            | Step::Without { columns, .. } => columns.mentions(column),
            Step::Operator(OperatorStep { operator, .. }) => {
                operator.dependencies().iter().any(|name| name == column)
            }
            _ => false,
        })
    }

    /// Checks that no two parts of the graph have the same name.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub(crate) fn check_names(&self) -> Result<()> {
        for step in &self.steps {
            if let Step::Subgraph { name, .. } = step {
                self.subgraph(name)?;
            }
        }
        Ok(())
    }

    /// The nodes of which `targets` are made, and the targets themselves.
    pub(crate) fn upstream_of(
        &self,
        targets: impl IntoIterator<Item = NodeId>,
        phase: Phase,
    ) -> Vec<bool> {
        let mut needed = vec![false; self.steps.len()];
        let mut stack: Vec<NodeId> = targets.into_iter().collect();
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id], true) {
                stack.extend(self.steps[id].inputs(phase));
            }
        }
        needed
    }

    /// The operator of a node as messages call it, with its inputs' names to tell several apart.
    pub(crate) fn describe(&self, id: NodeId) -> String {
        format!("{} (node {id})", self.steps[id].label())
    }
}
