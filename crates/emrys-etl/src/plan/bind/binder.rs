//! The columns of a node, from those of its inputs.

use std::collections::BTreeSet;

use emrys_schema::Schema;

use super::{BoundColumn, BoundInput, BoundNode, RowSource, RowsId, internal_name, not_bound};
use crate::operator::{DynOperator, InputSchema, message_name};
use crate::plan::graph::{Graph, NodeId, OperatorStep, Phase, States, Step};
use crate::selector::{Selected, Selector};
use crate::{Error, Result};

/// Binds one node after the other.
pub(super) struct Binder<'a> {
    pub(super) graph: &'a Graph,
    /// With the removed columns, as far as the data set has them.
    pub(super) whole: &'a Schema,
    pub(super) dataset: &'a Schema,
    pub(super) removed: &'a BTreeSet<String>,
    pub(super) states: &'a States,
    pub(super) phase: Phase,
    pub(super) rows: Vec<RowSource>,
    pub(super) nodes: Vec<Option<BoundNode>>,
}

impl Binder<'_> {
    fn node(&self, id: NodeId) -> Result<&BoundNode> {
        self.nodes[id].as_ref().ok_or_else(|| not_bound(id))
    }

    pub(super) fn bind(&mut self, id: NodeId) -> Result<BoundNode> {
        let label = self.graph.steps[id].label();
        match &self.graph.steps[id] {
            Step::Select(selector) => {
                let kept = selector.keeping(|name| !self.removed.contains(name));
                let selected = kept.resolve(self.dataset, &label)?;
                let reduced = self.loses_columns(selector)?;
                self.pick(&self.rows[0].columns, selected, 0, reduced)
            }
            Step::Operator(OperatorStep {
                operator,
                input,
                dependencies,
            }) => match self.operator(id, &**operator, *input, dependencies)? {
                Some(node) => Ok(node),
                None => self.emptied(*input),
            },
            Step::Concat(parts) => self.concat(&label, parts),
            Step::Subset { input, columns } => {
                let node = self.node(*input)?;
                let kept = present(columns, node);
                let selected = kept.resolve(&node.schema()?, &label)?;
                // Columns that are all there have lost nothing.
                let reduced = node.reduced && (kept != *columns || columns.takes_all());
                self.pick(&node.columns, selected, node.rows, reduced)
            }
            Step::Without { input, columns } => {
                let node = self.node(*input)?;
                let removed = present(columns, node).resolve(&node.schema()?, &label)?;
                Ok(without(node, |name| {
                    removed
                        .iter()
                        .any(|s| s.columns().iter().any(|c| c == name))
                }))
            }
            Step::Difference { input, other } => {
                let removed = self.node(*other)?;
                let names = |name: &str| removed.columns.iter().any(|c| c.schema.name() == name);
                Ok(without(self.node(*input)?, names))
            }
            Step::Group(node_id) => {
                let mut node = self.node(*node_id)?.clone();
                if let Some(group) = node.selected.iter().find(|s| s.columns().len() != 1) {
                    return Err(Error::InvalidOption {
                        operator: label,
                        option: "columns".to_owned(),
                        value: format!("the group ({}) among others", group.joined(", ")),
                        expected: "groups hold columns, not groups; name the columns".to_owned(),
                    });
                }
                // Part of a group is another feature, not what is left of it.
                if node.reduced {
                    return self.emptied(*node_id);
                }
                let names: Vec<String> = node
                    .columns
                    .iter()
                    .map(|c| c.schema.name().to_owned())
                    .collect();
                // A tag that no column has selects nothing, and nothing is no group.
                let is_group = !names.is_empty();
                node.selected = is_group
                    .then_some(Selected::Group(names))
                    .into_iter()
                    .collect();
                node.input = None;
                Ok(node)
            }
            Step::Subgraph { node, .. } => {
                let node = self.node(*node)?.clone();
                Ok(BoundNode {
                    input: None,
                    ..node
                })
            }
        }
    }

    fn pick(
        &self,
        from: &[BoundColumn],
        selected: Vec<Selected>,
        rows: RowsId,
        reduced: bool,
    ) -> Result<BoundNode> {
        let mut columns: Vec<BoundColumn> = Vec::new();
        for name in selected.iter().flat_map(Selected::columns) {
            if columns.iter().all(|column| column.schema.name() != name) {
                let column = from.iter().find(|column| column.schema.name() == name);
                columns.push(column.cloned().ok_or_else(|| {
                    Error::Internal(format!("column `{name}` was resolved but is not there"))
                })?);
            }
        }
        Ok(BoundNode {
            columns,
            selected,
            rows,
            input: None,
            reduced,
        })
    }

    /// What is left of an operator whose inputs were all removed.
    fn emptied(&self, input: NodeId) -> Result<BoundNode> {
        Ok(BoundNode {
            columns: Vec::new(),
            selected: Vec::new(),
            rows: self.node(input)?.rows,
            input: None,
            reduced: true,
        })
    }

    fn concat(&self, label: &str, parts: &[NodeId]) -> Result<BoundNode> {
        let mut sum = BoundNode {
            columns: Vec::new(),
            selected: Vec::new(),
            rows: 0,
            input: None,
            reduced: false,
        };
        for part in parts {
            let node = self.node(*part)?;
            sum.reduced |= node.reduced;
            if sum.columns.is_empty() {
                sum.rows = node.rows;
            } else if node.rows != sum.rows && !node.columns.is_empty() {
                return Err(self.rows_differ(label, &sum, node));
            }
            for column in &node.columns {
                match sum
                    .columns
                    .iter()
                    .find(|c| c.schema.name() == column.schema.name())
                {
                    None => sum.columns.push(column.clone()),
                    Some(same) if same.internal == column.internal => {}
                    Some(_) => {
                        return Err(Error::DuplicateColumn {
                            operator: label.to_owned(),
                            column: column.schema.name().to_owned(),
                        });
                    }
                }
            }
            for selected in &node.selected {
                if !sum.selected.contains(selected) {
                    sum.selected.push(selected.clone());
                }
            }
        }
        // Groups come after plain columns here too.
        sum.selected
            .sort_by_key(|selected| matches!(selected, Selected::Group(_)));
        Ok(sum)
    }

    /// `None` if nothing is left of it because of removed inputs.
    fn operator(
        &mut self,
        id: NodeId,
        operator: &dyn DynOperator,
        input: NodeId,
        dependencies: &[NodeId],
    ) -> Result<Option<BoundNode>> {
        operator.check()?;
        let name = message_name(operator.name());
        let node = self.node(input)?;
        if node.reduced && node.columns.is_empty() {
            return Ok(None);
        }
        let mut reduced = node.reduced;
        let mut names: Vec<(String, String)> = node
            .columns
            .iter()
            .map(|column| (column.schema.name().to_owned(), column.internal.clone()))
            .collect();
        let mut extra = Vec::new();
        let needed = match self.phase {
            Phase::Training => operator.dependencies(),
            Phase::Inference => operator.transform_dependencies(),
        };
        for dependency in needed {
            if names.iter().any(|(public, _)| *public == dependency) {
                continue;
            }
            let column = match self.dependency(&name, node, dependencies, &dependency) {
                Err(Error::UnknownColumn { .. })
                    if self.removed.contains(&dependency)
                        || self.has_lost_columns(node, dependencies) =>
                {
                    return Ok(None);
                }
                found => found?,
            };
            names.push((dependency, column.internal.clone()));
            extra.push(column.schema.clone());
        }
        reduced |= self.has_lost_columns(node, dependencies);
        let rows = node.rows;
        let schema = InputSchema::new(
            name,
            node.selected.clone(),
            node.schema()?,
            Schema::new(extra)?,
        );
        let output = operator
            .output_schema(&schema, self.states.get(&id))
            .map_err(|error| match error {
                Error::Schema(_) => error.at(schema.operator()),
                error => error,
            })?;
        let columns: Vec<BoundColumn> = output
            .iter()
            .map(|column| BoundColumn {
                schema: column.clone(),
                internal: internal_name(id + 1, column.name()),
            })
            .collect();
        let output_rows = if operator.changes_rows(self.states.get(&id))? {
            self.rows.push(RowSource {
                description: self.graph.describe(id),
                columns: columns.clone(),
                reduced,
            });
            self.rows.len() - 1
        } else {
            rows
        };
        Ok(Some(BoundNode {
            selected: columns
                .iter()
                .map(|column| Selected::Column(column.schema.name().to_owned()))
                .collect(),
            columns,
            rows: output_rows,
            input: Some(BoundInput {
                schema,
                names,
                rows,
            }),
            reduced,
        }))
    }

    /// Whether the columns that an operator may name besides its inputs are not all there.
    fn has_lost_columns(&self, input: &BoundNode, given: &[NodeId]) -> bool {
        let reduced = |id: &NodeId| self.nodes[*id].as_ref().is_some_and(|node| node.reduced);
        self.rows[input.rows].reduced || given.iter().any(reduced)
    }

    /// Whether a selection would have a removed column.
    fn loses_columns(&self, selector: &Selector) -> Result<bool> {
        if self.removed.is_empty() {
            return Ok(false);
        }
        // The data may be without them already.
        let takes = |name: &String| selector.takes_all() || selector.mentions(name);
        if self.removed.iter().any(takes) {
            return Ok(true);
        }
        let selected = selector.resolve(self.whole, "select")?;
        let mut names = selected.iter().flat_map(Selected::columns);
        Ok(names.any(|name| self.removed.contains(name)))
    }

    /// Where a column comes from that an operator names besides its inputs.
    fn dependency(
        &self,
        operator: &str,
        input: &BoundNode,
        given: &[NodeId],
        name: &str,
    ) -> Result<&BoundColumn> {
        let mut available = Vec::new();
        for id in given {
            let node = self.node(*id)?;
            if let Some(column) = node.columns.iter().find(|c| c.schema.name() == name) {
                if node.rows != input.rows {
                    return Err(self.rows_differ(operator, input, node));
                }
                return Ok(column);
            }
            available.extend(node.columns.iter().map(|c| c.schema.name().to_owned()));
        }
        let base = &self.rows[input.rows].columns;
        base.iter()
            .find(|c| c.schema.name() == name)
            .ok_or_else(|| {
                available.extend(base.iter().map(|c| c.schema.name().to_owned()));
                Error::UnknownColumn {
                    operator: operator.to_owned(),
                    column: name.to_owned(),
                    available,
                }
            })
    }

    fn rows_differ(&self, operator: &str, left: &BoundNode, right: &BoundNode) -> Error {
        let name = |node: &BoundNode| {
            node.columns
                .first()
                .map(|c| c.schema.name().to_owned())
                .unwrap_or_default()
        };
        Error::RowsDiffer {
            operator: operator.to_owned(),
            left: name(left),
            left_rows: self.rows[left.rows].description.clone(),
            right: name(right),
            right_rows: self.rows[right.rows].description.clone(),
        }
    }
}

/// The selection without names that may have gone with a removed input.
fn present(selector: &Selector, node: &BoundNode) -> Selector {
    let has = |name: &str| node.columns.iter().any(|c| c.schema.name() == name);
    selector.keeping(|name| !node.reduced || has(name))
}

/// What is left of a group that loses a column are single columns.
fn without(node: &BoundNode, removed: impl Fn(&str) -> bool) -> BoundNode {
    let mut selected: Vec<Selected> = Vec::new();
    let mut groups = Vec::new();
    for item in &node.selected {
        let kept = item.columns().iter().filter(|name| !removed(name));
        match item {
            Selected::Group(names) if kept.clone().count() == names.len() => {
                groups.push(item.clone());
            }
            _ => {
                for name in kept {
                    let single = Selected::Column(name.clone());
                    if !selected.contains(&single) {
                        selected.push(single);
                    }
                }
            }
        }
    }
    selected.append(&mut groups);
    BoundNode {
        columns: node
            .columns
            .iter()
            .filter(|c| !removed(c.schema.name()))
            .cloned()
            .collect(),
        selected,
        rows: node.rows,
        input: None,
        reduced: node.reduced,
    }
}
