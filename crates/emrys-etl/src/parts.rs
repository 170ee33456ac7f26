//! Parts of workflows: named subgraphs, and what is left without some inputs.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::prelude::DataFrame;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::expression::ToArrowIfKnown;
use crate::graph::Node;
use crate::io::Dataset;
use crate::plan::bind::{bind, bind_without};
use crate::plan::cut;
use crate::plan::graph::{Graph, Phase, States};
use crate::plan::lineage::{self, Sources};
use crate::workflow::{FittedWorkflow, Workflow};
use crate::{Error, Result};

/// The columns that [`FittedWorkflow::remove_inputs`] took away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovedColumns {
    pub(crate) inputs: BTreeSet<String>,
    /// What came from them.
    pub(crate) outputs: BTreeSet<String>,
}

impl RemovedColumns {
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }
}

impl Workflow {
    /// Takes columns of the data set away, and everything that comes from them: operators that
    /// need one of them go, as do groups that one of them is part of; operators on several
    /// columns keep the others.
    ///
    /// What is removed is worked out when the data are known. See
    /// [`FittedWorkflow::remove_inputs`] for workflows that are fitted already.
    ///
    /// ```
    /// use emrys_etl::{Workflow, cols, ops::Categorify};
    /// use emrys_schema::{ColumnSchema, DType, Schema};
    ///
    /// let schema = Schema::new(["user", "city"].map(|name| ColumnSchema::new(name, DType::String)))?;
    /// let workflow = Workflow::new(cols(["user", "city"]) >> Categorify::default());
    /// assert_eq!(workflow.remove_inputs(["city"]).output_schema(&schema)?.names(), ["user"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn remove_inputs(
        mut self,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Workflow {
        self.removed.extend(columns.into_iter().map(Into::into));
        self
    }

    /// The part of the graph that was named with [`Node::named`](crate::Node::named), as a workflow of its own.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there is no such part, or several.
    pub fn subgraph(&self, name: &str) -> Result<Workflow> {
        let id = self.graph.subgraph(name)?;
        let (graph, _) = cut::part(&self.graph, &States::new(), id)?;
        Ok(Workflow {
            graph,
            ..self.clone()
        })
    }

    /// Refuses to remove what neither the data set nor the graph knows.
    pub(crate) fn check_removed(&self, input: &Schema) -> Result<()> {
        let unknown = |name: &&String| input.get(name).is_none() && !self.graph.mentions(name);
        match self.removed.iter().find(unknown) {
            Some(name) => Err(unknown_input(name, input)),
            None => Ok(()),
        }
    }

    /// Checks a node of the graph, as far as removed inputs leave something of it.
    pub(crate) fn check_node(&self, node: Node, input: &Schema) -> Result<()> {
        let (graph, nothing) = (Graph::new(&node), States::new());
        bind_without(&graph, input, &nothing, Phase::Training, &self.removed).map(drop)
    }

    /// The graph without what comes from removed inputs.
    pub(crate) fn graph(&self, input: &Schema) -> Result<Cow<'_, Graph>> {
        if self.removed.is_empty() {
            return Ok(Cow::Borrowed(&self.graph));
        }
        self.check_removed(input)?;
        let nothing = States::new();
        let binding = bind_without(&self.graph, input, &nothing, Phase::Training, &self.removed)?;
        Ok(Cow::Owned(cut::remaining(&self.graph, &binding)?))
    }
}

impl FittedWorkflow {
    /// The columns that come out of a part of the graph that was named with [`Node::named`](crate::Node::named).
    ///
    /// # Errors
    /// As [`subgraph`](FittedWorkflow::subgraph).
    pub fn subgraph_schema(&self, name: &str) -> Result<Schema> {
        Ok(self.subgraph(name)?.output_schema)
    }

    /// The part of the graph that was named with [`Node::named`](crate::Node::named), as a workflow of its own with
    /// the inputs it needs: the user's features, say, without those of items.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there is no such part, or several.
    pub fn subgraph(&self, name: &str) -> Result<FittedWorkflow> {
        let id = self.graph.subgraph(name)?;
        let (graph, states) = cut::part(&self.graph, &self.states, id)?;
        let binding = bind(&graph, &self.input_schema, &states, Phase::Training)?;
        let used: Vec<_> = binding
            .used_columns()
            .into_iter()
            .map(|c| c.schema.clone())
            .collect();
        let part = FittedWorkflow::new(
            graph,
            states,
            Schema::new(used)?,
            self.trained_on.clone(),
            Arc::clone(&self.session),
        )?;
        match self.removed.is_empty() {
            true => Ok(part),
            false => {
                let removed = self.removed.inputs.clone();
                part.removing(removed)
            }
        }
    }

    /// Which columns of the data set each output comes from, when data are transformed that the
    /// workflow was not fitted on. Columns that decide which rows there are count.
    ///
    /// # Errors
    /// If the plan cannot be built.
    pub fn column_mapping(&self) -> Result<Vec<(String, Vec<String>)>> {
        let sources = self.sources()?.into_iter();
        Ok(sources
            .map(|(name, from)| (name, from.into_iter().collect()))
            .collect())
    }

    /// The workflow without some of its inputs, and without every output that comes from them:
    /// what is left transforms data that do not have them.
    ///
    /// Outputs that only learned from a column, as an encoding from its target, stay. The data it
    /// was fitted on are then transformed like any others.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is no input, [`Error::InvalidOption`] if no
    /// output is left.
    pub fn remove_inputs(
        &self,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<FittedWorkflow> {
        let inputs: BTreeSet<String> = columns.into_iter().map(Into::into).collect();
        let unknown = |name: &&String| self.needed_schema.get(name).is_none();
        if let Some(name) = inputs.iter().find(unknown) {
            return Err(unknown_input(name, &self.needed_schema));
        }
        self.clone().removing(inputs)
    }

    fn removing(self, inputs: BTreeSet<String>) -> Result<FittedWorkflow> {
        let from_them = self.sources()?.into_iter();
        let outputs = from_them
            .filter(|(_, from)| !from.is_disjoint(&inputs))
            .map(|(name, _)| name)
            .collect();
        let left = self.without(RemovedColumns { inputs, outputs });
        if left.output_schema.is_empty() {
            return Err(Error::InvalidOption {
                operator: "workflow".to_owned(),
                option: "remove_inputs".to_owned(),
                value: left
                    .removed
                    .inputs
                    .into_iter()
                    .collect::<Vec<_>>()
                    .join(", "),
                expected: "no output is left without them; keep some".to_owned(),
            });
        }
        Ok(left)
    }

    fn sources(&self) -> Result<Vec<(String, Sources)>> {
        let frame = self.empty_frame()?;
        let names = self.output_schema.names().into_iter().map(str::to_owned);
        Ok(names.zip(lineage::sources(frame.logical_plan())).collect())
    }

    /// The outputs for data of no rows that have the columns of the training data.
    pub(crate) fn empty_frame(&self) -> Result<DataFrame> {
        let fields = self.input_schema.iter();
        let fields: Vec<_> = fields
            .map(|column| column.to_arrow_if_known())
            .collect::<Result<_, _>>()?;
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let dataset = Dataset::from_batches(schema, Vec::new())?;
        let binding = self.binding(Phase::Inference)?;
        self.outputs(&dataset, Phase::Inference, &binding, 0)
    }

    pub(crate) fn without(mut self, removed: RemovedColumns) -> FittedWorkflow {
        let inputs = self.input_schema.iter();
        let inputs = inputs.filter(|column| removed.inputs.contains(column.name()));
        self.removed
            .inputs
            .extend(inputs.map(|column| column.name().to_owned()));
        self.removed.outputs.extend(removed.outputs);
        self.needed_schema = self.input_schema.excluding(&self.removed.inputs);
        self.output_schema = self.output_schema.excluding(&self.removed.outputs);
        self.compiled = Arc::default();
        self
    }
}

fn unknown_input(name: &str, input: &Schema) -> Error {
    Error::UnknownColumn {
        operator: "remove_inputs".to_owned(),
        column: name.to_owned(),
        available: input.names().into_iter().map(str::to_owned).collect(),
    }
}
