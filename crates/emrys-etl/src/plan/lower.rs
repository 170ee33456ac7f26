//! Builds the relations: one frame per set of rows, to which every operator adds its columns.
//!
//! Operators at the same depth of the graph add their columns in one projection, under names of
//! their own (`#3.user_id`). So a column that several nodes use is computed once, and DataFusion
//! merges the projections where a column is used once.

use std::collections::BTreeMap;

use datafusion::logical_expr::ident;
use datafusion::prelude::{DataFrame, Expr};

use super::bind::{Binding, RowsId, internal_name};
use super::graph::{Graph, NodeId, OperatorStep, Phase, States, Step};
use crate::io::ROW_ID;
use crate::operator::{DynOperator, Lowered, Relation};
use crate::{Error, Result};

/// The frames of a graph that is being lowered.
pub(crate) struct Lowering<'a> {
    graph: &'a Graph,
    binding: &'a Binding,
    states: &'a States,
    phase: Phase,
    frames: BTreeMap<RowsId, DataFrame>,
}

impl<'a> Lowering<'a> {
    /// Starts from the data set: `columns` are its used columns as expressions, with the names
    /// they have inside the plan, and the row id if an operator needs it.
    pub(crate) fn new(
        graph: &'a Graph,
        binding: &'a Binding,
        states: &'a States,
        phase: Phase,
        dataset: DataFrame,
        columns: Vec<Expr>,
    ) -> Result<Lowering<'a>> {
        let root = dataset
            .select(columns)
            .map_err(Error::query("selecting columns"))?;
        Ok(Lowering {
            graph,
            binding,
            states,
            phase,
            frames: BTreeMap::from([(0, root)]),
        })
    }

    /// Computes the columns of all nodes upstream of `targets`, and of these.
    pub(crate) fn add(&mut self, targets: impl IntoIterator<Item = NodeId>) -> Result<()> {
        let needed = self.graph.upstream_of(targets, self.phase);
        for (_, nodes) in self.levels(&needed) {
            let mut columns: BTreeMap<RowsId, Vec<Expr>> = BTreeMap::new();
            for (id, operator) in nodes {
                let relation = self.relation(id)?;
                let state = self.states.get(&id).ok_or_else(|| {
                    Error::Internal(format!("{} is not fitted", self.graph.describe(id)))
                })?;
                let lowered = operator
                    .lower(state, &relation)
                    .map_err(|error| error.at(self.graph.describe(id)))?;
                match lowered {
                    Lowered::Columns(outputs) => {
                        let rows = self.binding.node(id)?.rows;
                        columns.entry(rows).or_default().extend(
                            outputs
                                .into_iter()
                                .map(|(name, expr)| expr.alias(internal_name(id + 1, &name))),
                        );
                    }
                    Lowered::Rows(frame) => self.add_rows(id, frame)?,
                }
            }
            for (rows, new) in columns {
                self.add_columns(rows, new)?;
            }
        }
        Ok(())
    }

    /// The input of an operator.
    pub(crate) fn relation(&self, id: NodeId) -> Result<Relation> {
        let input = self.binding.node(id)?.input.as_ref().ok_or_else(|| {
            Error::Internal(format!("{} is no operator", self.graph.describe(id)))
        })?;
        let frame = self.frame(input.rows)?.clone();
        Ok(Relation {
            input: input.schema.clone(),
            has_row_id: has_row_id(&frame),
            frame,
            names: input.names.clone(),
            training: self.phase == Phase::Training,
        })
    }

    /// The frame of a set of rows, with the columns that were added so far.
    pub(crate) fn frame(&self, rows: RowsId) -> Result<&DataFrame> {
        self.frames
            .get(&rows)
            .ok_or_else(|| Error::Internal(format!("rows {rows} are not computed yet")))
    }

    /// Operators by their depth in the graph; those of one depth do not use each other.
    fn levels(&self, needed: &[bool]) -> BTreeMap<usize, Vec<(NodeId, &'a dyn DynOperator)>> {
        let mut depths: Vec<usize> = Vec::new();
        let mut levels: BTreeMap<usize, Vec<(NodeId, &dyn DynOperator)>> = BTreeMap::new();
        for (id, step) in self.graph.steps.iter().enumerate() {
            let inputs = step.inputs(self.phase);
            let above = inputs
                .into_iter()
                .map(|input| depths[input])
                .max()
                .unwrap_or(0);
            match step {
                Step::Operator(OperatorStep { operator, .. }) => {
                    depths.push(above + 1);
                    if needed[id] && self.has_input(id) && !self.is_added(id) {
                        levels.entry(above + 1).or_default().push((id, &**operator));
                    }
                }
                _ => depths.push(above),
            }
        }
        levels
    }

    /// Operators whose inputs were removed have none.
    fn has_input(&self, id: NodeId) -> bool {
        self.binding
            .node(id)
            .map_or(true, |node| node.input.is_some())
    }

    fn is_added(&self, id: NodeId) -> bool {
        let Ok(node) = self.binding.node(id) else {
            return false;
        };
        let Some(frame) = self.frames.get(&node.rows) else {
            return false;
        };
        let has = |name: &str| frame.schema().has_column_with_unqualified_name(name);
        node.columns.iter().all(|column| has(&column.internal))
    }

    fn add_columns(&mut self, rows: RowsId, new: Vec<Expr>) -> Result<()> {
        let frame = self.frame(rows)?.clone();
        let old = frame
            .schema()
            .fields()
            .iter()
            .map(|field| ident(field.name()));
        let columns: Vec<Expr> = old.chain(new).collect();
        let frame = frame
            .select(columns)
            .map_err(Error::query("adding columns"))?;
        self.frames.insert(rows, frame);
        Ok(())
    }

    fn add_rows(&mut self, id: NodeId, frame: DataFrame) -> Result<()> {
        let node = self.binding.node(id)?;
        let mut columns: Vec<Expr> = node
            .columns
            .iter()
            .map(|column| ident(column.schema.name()).alias(&column.internal))
            .collect();
        if has_row_id(&frame) {
            columns.push(ident(ROW_ID));
        }
        let frame = frame
            .select(columns)
            .map_err(Error::query("changing rows"))?;
        self.frames.insert(node.rows, frame);
        Ok(())
    }
}

fn has_row_id(frame: &DataFrame) -> bool {
    frame.schema().has_column_with_unqualified_name(ROW_ID)
}
