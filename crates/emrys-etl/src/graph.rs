//! The graph that a user writes: nodes, `>>`, `+` and `-`.

use std::fmt;
use std::ops::{Add, Shr, Sub};
use std::sync::Arc;

use crate::operator::{DynOperator, Operator};
use crate::selector::Selector;
use crate::step::{OperatorStep, Step};
use emrys_schema::Tag;

/// A node of a workflow: some columns, and how they come about.
///
/// Nodes are cheap to clone, and a clone is the same node: however many consumers it has, it is
/// computed once.
///
/// ```
/// use emrys_etl::{cols, ops::{LogOp, Rename}};
///
/// let price = cols(["price"]) >> LogOp::default();
/// let features = price.clone() + (price >> Rename::postfix("_again")) + "user" + ["item", "day"];
/// # let _ = features;
/// ```
#[derive(Clone)]
pub struct Node {
    pub(crate) kind: Arc<NodeKind>,
}

/// What a node of a graph does that a user writes.
pub(crate) type NodeKind = Step<Node>;

/// Columns of the data set by name.
pub fn cols(names: impl IntoIterator<Item = impl Into<String>>) -> Node {
    select(Selector::names(names))
}

/// Columns of the data set, at least one, that an operator treats as one, such as the parts of a
/// combined key.
pub fn group(names: impl IntoIterator<Item = impl Into<String>>) -> Node {
    select(Selector::group(names))
}

/// The columns of several nodes as one group, such as a derived column and one of the data set.
pub fn group_of(nodes: impl IntoIterator<Item = Node>) -> Node {
    Node::new(NodeKind::Concat(nodes.into_iter().collect())).grouped()
}

/// Columns of the data set that have any of the tags; for a compound tag, all its parts.
pub fn tagged(tags: impl IntoIterator<Item = impl Into<Tag>>) -> Node {
    select(Selector::tags(tags))
}

/// All columns of the data set.
pub fn all_columns() -> Node {
    select(Selector::all())
}

/// Columns of the data set.
pub fn select(selector: Selector) -> Node {
    Node::new(NodeKind::Select(selector))
}

impl Node {
    pub(crate) fn new(kind: NodeKind) -> Node {
        Node {
            kind: Arc::new(kind),
        }
    }

    /// Applies an operator of any type; [`Node::shr`] (`>>`) for one whose type is known.
    #[must_use]
    pub fn apply(self, operator: Arc<dyn DynOperator>) -> Node {
        Node::new(NodeKind::Operator(OperatorStep {
            operator,
            input: self,
            dependencies: Vec::new(),
        }))
    }

    /// Lets the operator of this node find the columns that it names besides its inputs (such as
    /// a target) among the columns of `other`.
    ///
    /// No effect on nodes that are not operators.
    #[must_use]
    pub fn depends_on(self, other: Node) -> Node {
        match &*self.kind {
            NodeKind::Operator(step) => {
                let mut step = step.clone();
                step.dependencies.push(other);
                Node::new(NodeKind::Operator(step))
            }
            _ => self,
        }
    }

    /// Some of the columns of this node, in the order asked for.
    #[must_use]
    pub fn subset(self, columns: impl Into<Selector>) -> Node {
        Node::new(NodeKind::Subset {
            input: self,
            columns: columns.into(),
        })
    }

    /// The columns of this node as one group, for operators that work on groups. Groups hold
    /// columns, not groups.
    #[must_use]
    pub fn grouped(self) -> Node {
        Node::new(NodeKind::Group(self))
    }

    /// Gives this part of the graph a name of its own, by which
    /// [`FittedWorkflow::subgraph`](crate::FittedWorkflow::subgraph) finds it.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Node {
        Node::new(NodeKind::Subgraph {
            name: name.into(),
            node: self,
        })
    }
}

impl<O: Operator> Shr<O> for Node {
    type Output = Node;

    fn shr(self, operator: O) -> Node {
        self.apply(Arc::new(operator))
    }
}

impl Add for Node {
    type Output = Node;

    fn add(self, other: Node) -> Node {
        // A chain of sums is one node.
        let mut parts = match &*self.kind {
            NodeKind::Concat(parts) => parts.clone(),
            _ => vec![self],
        };
        parts.push(other);
        Node::new(NodeKind::Concat(parts))
    }
}

impl<S: Into<Selector>> Add<S> for Node {
    type Output = Node;

    fn add(self, columns: S) -> Node {
        self + select(columns.into())
    }
}

impl Sub for Node {
    type Output = Node;

    fn sub(self, other: Node) -> Node {
        Node::new(NodeKind::Difference { input: self, other })
    }
}

impl<S: Into<Selector>> Sub<S> for Node {
    type Output = Node;

    fn sub(self, columns: S) -> Node {
        Node::new(NodeKind::Without {
            input: self,
            columns: columns.into(),
        })
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            NodeKind::Select(selector) => write!(f, "{selector:?}"),
            NodeKind::Operator(OperatorStep {
                operator, input, ..
            }) => write!(f, "{input:?} >> {operator:?}"),
            NodeKind::Concat(parts) => f.debug_tuple("Concat").field(parts).finish(),
            NodeKind::Subset { input, columns } => write!(f, "{input:?}[{columns:?}]"),
            NodeKind::Without { input, columns } => write!(f, "{input:?} - {columns:?}"),
            NodeKind::Difference { input, other } => write!(f, "{input:?} - {other:?}"),
            NodeKind::Group(node) => write!(f, "[{node:?}]"),
            NodeKind::Subgraph { name, node } => write!(f, "{name}: {node:?}"),
        }
    }
}
