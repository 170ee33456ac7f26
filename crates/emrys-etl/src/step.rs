//! What the nodes of a graph do, however the graph is held: as nodes that a user wrote, by number,
//! or in a saved workflow.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::operator::DynOperator;
use crate::selector::Selector;

/// The number of a node in a graph whose nodes stand in order.
pub(crate) type NodeId = usize;

/// What a node does. `I` is how its inputs are named, `O` what is known of its operator.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step<I = NodeId, O = OperatorStep<I>> {
    /// Columns of the data set.
    Select(Selector),
    /// An operator applied to the columns of a node.
    Operator(O),
    /// The columns of several nodes.
    Concat(Vec<I>),
    /// Some of the columns of a node.
    Subset { input: I, columns: Selector },
    /// The columns of a node without those of a selector.
    Without { input: I, columns: Selector },
    /// The columns of a node without those of another.
    Difference { input: I, other: I },
    /// The columns of a node as one group.
    Group(I),
    /// A part of the graph that has a name.
    Subgraph { name: String, node: I },
}

/// An operator and its inputs.
#[derive(Debug, Clone)]
pub(crate) struct OperatorStep<I = NodeId> {
    pub(crate) operator: Arc<dyn DynOperator>,
    pub(crate) input: I,
    pub(crate) dependencies: Vec<I>,
}

impl<I, O> Step<I, O> {
    /// The step with other names of its inputs, and what becomes of its operator.
    pub(crate) fn try_map<J, P, E, N: FnMut(I) -> Result<J, E>>(
        self,
        mut input: N,
        operator: impl FnOnce(O, &mut N) -> Result<P, E>,
    ) -> Result<Step<J, P>, E> {
        Ok(match self {
            Step::Select(selector) => Step::Select(selector),
            Step::Operator(known) => Step::Operator(operator(known, &mut input)?),
            Step::Concat(parts) => {
                Step::Concat(parts.into_iter().map(input).collect::<Result<_, _>>()?)
            }
            Step::Subset { input: of, columns } => Step::Subset {
                input: input(of)?,
                columns,
            },
            Step::Without { input: of, columns } => Step::Without {
                input: input(of)?,
                columns,
            },
            Step::Difference { input: of, other } => Step::Difference {
                input: input(of)?,
                other: input(other)?,
            },
            Step::Group(node) => Step::Group(input(node)?),
            Step::Subgraph { name, node } => Step::Subgraph {
                name,
                node: input(node)?,
            },
        })
    }

    /// The step with another form of its operator.
    pub(crate) fn try_with_operator<P, E>(
        self,
        operator: impl FnOnce(O) -> Result<P, E>,
    ) -> Result<Step<I, P>, E> {
        self.try_map(Ok, |known, _| operator(known))
    }
}

impl<I> Step<I> {
    /// The step with other names of its inputs.
    pub(crate) fn try_with_inputs<J, E>(
        self,
        input: impl FnMut(I) -> Result<J, E>,
    ) -> Result<Step<J>, E> {
        self.try_map(input, |known, input| {
            Ok(OperatorStep {
                operator: known.operator,
                input: input(known.input)?,
                dependencies: known
                    .dependencies
                    .into_iter()
                    .map(input)
                    .collect::<Result<_, _>>()?,
            })
        })
    }
}
