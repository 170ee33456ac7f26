//! Parts of graphs as graphs of their own.

use std::collections::HashMap;

use super::bind::Binding;
use super::graph::{Graph, NodeId, Phase, States, Step};
use crate::selector::Selector;
use crate::{Error, Result};

/// The graph whose output is a node, with what is upstream of it; and the states of its operators.
pub(crate) fn part(graph: &Graph, states: &States, output: NodeId) -> Result<(Graph, States)> {
    let needed = graph.upstream_of([output], Phase::Training);
    let mut cut = Cut::default();
    let mut kept = States::new();
    for (id, step) in graph.steps.iter().enumerate() {
        if !needed[id] {
            continue;
        }
        let new = cut.push(id, step.clone())?;
        if let Some(state) = states.get(&id) {
            kept.insert(new, std::sync::Arc::clone(state));
        }
    }
    Ok((cut.finish(output)?, kept))
}

/// The graph without the nodes that removed inputs leave empty; what remains names no removed
/// column.
///
/// `binding` is made by [`bind_without`](super::bind::bind_without).
pub(crate) fn remaining(graph: &Graph, binding: &Binding) -> Result<Graph> {
    let mut cut = Cut::default();
    let needed = graph.upstream_of([graph.output], Phase::Training);
    let mut kept = vec![false; graph.steps.len()];
    for (id, step) in graph.steps.iter().enumerate() {
        if !needed[id] {
            continue;
        }
        let node = binding.node(id)?;
        if node.reduced && node.columns.is_empty() {
            continue;
        }
        kept[id] = true;
        let present = |columns: &Selector, of: NodeId| -> Result<Selector> {
            let of = binding.node(of)?;
            let has = |name: &str| of.columns.iter().any(|c| c.schema.name() == name);
            Ok(columns.keeping(|name| !of.reduced || has(name)))
        };
        let step = match step.clone() {
            // Removed columns may still be in the data, where a tag would find them.
            Step::Select(_) => Step::Select(Selector::from(&*node.selected)),
            Step::Operator(mut step) => {
                step.dependencies.retain(|id| kept[*id]);
                Step::Operator(step)
            }
            Step::Concat(mut parts) => {
                parts.retain(|id| kept[*id]);
                Step::Concat(parts)
            }
            Step::Subset { input, columns } => Step::Subset {
                input,
                columns: present(&columns, input)?,
            },
            Step::Without { input, columns } => Step::Without {
                input,
                columns: present(&columns, input)?,
            },
            Step::Difference { input, other } if !kept[other] => Step::Concat(vec![input]),
            step => step,
        };
        cut.push(id, step)?;
    }
    if !kept[graph.output] {
        return Err(Error::InvalidOption {
            operator: "workflow".to_owned(),
            option: "remove_inputs".to_owned(),
            value: "all of its inputs".to_owned(),
            expected: "no output is left without them; keep some".to_owned(),
        });
    }
    let graph = cut.finish(graph.output)?;
    // Nobody may be left who wants a node, though something is left of it.
    Ok(part(&graph, &States::new(), graph.output)?.0)
}

/// Steps under new numbers.
#[derive(Default)]
struct Cut {
    steps: Vec<Step>,
    numbers: HashMap<NodeId, NodeId>,
}

impl Cut {
    fn number(&self, old: NodeId) -> Result<NodeId> {
        let number = self.numbers.get(&old).copied();
        number.ok_or_else(|| Error::Internal(format!("node {old} was cut off")))
    }

    fn push(&mut self, old: NodeId, step: Step) -> Result<NodeId> {
        let step = step.try_with_inputs(|input| self.number(input))?;
        self.steps.push(step);
        let new = self.steps.len() - 1;
        self.numbers.insert(old, new);
        Ok(new)
    }

    fn finish(self, output: NodeId) -> Result<Graph> {
        Ok(Graph {
            output: self.number(output)?,
            steps: self.steps,
        })
    }
}
