//! Workflows: fitted on one data set, then applied to any.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{cast, ident};
use datafusion::prelude::DataFrame;
use emrys_schema::{DType, Schema};

use crate::fit;
use crate::graph::Node;
use crate::io::{Dataset, Manifest, ReadOptions, WriteOptions, write_partitions};
use crate::plan::bind::{Binding, bind};
use crate::plan::dataset_columns;
use crate::plan::graph::{Graph, Phase, States};
use crate::plan::lower::Lowering;
use crate::progress::Stage;
use crate::session::{Session, SessionOptions};
use crate::{Error, Result, saved};

/// A graph of operators that is not fitted yet.
///
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::{Categorify, LogOp}};
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
/// # use std::sync::Arc;
/// # let user: ArrayRef = Arc::new(StringArray::from(vec!["ann", "bob", "ann"]));
/// # let price: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
/// # let batch = RecordBatch::try_from_iter([("user", user), ("price", price)]).unwrap();
/// # let dataset = Dataset::from_batches(batch.schema(), vec![batch])?;
///
/// let features = (cols(["user"]) >> Categorify::default()) + (cols(["price"]) >> LogOp::default());
/// let fitted = Workflow::new(features).fit(&dataset)?;
/// assert_eq!(fitted.output_schema().get("user").unwrap().cardinality(), Some(5));
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Workflow {
    pub(crate) graph: Graph,
    options: SessionOptions,
}

/// A workflow that has been fitted: it transforms data, and is saved and loaded.
#[derive(Clone)]
pub struct FittedWorkflow {
    pub(crate) graph: Graph,
    pub(crate) states: States,
    /// The columns of the data set that the workflow uses, as they were when it was fitted.
    pub(crate) input_schema: Schema,
    pub(crate) output_schema: Schema,
    /// What identifies the data set it was fitted on.
    pub(crate) training_fingerprint: u64,
    session: Arc<Session>,
}

impl Workflow {
    /// The workflow whose outputs are the columns of a node.
    pub fn new(output: Node) -> Workflow {
        Workflow {
            graph: Graph::new(&output),
            options: SessionOptions::default(),
        }
    }

    /// Sets threads, memory limit and spill directory.
    #[must_use]
    pub fn with_options(mut self, options: SessionOptions) -> Workflow {
        self.options = options;
        self
    }

    /// The columns that come out, as far as they are known without fitting: cardinalities are
    /// those of empty vocabularies.
    ///
    /// # Errors
    /// All errors that can be seen from the schema, at once.
    pub fn output_schema(&self, input: &Schema) -> Result<Schema> {
        let binding = bind(&self.graph, input, &States::new(), Phase::Training)?;
        binding.node(self.graph.output)?.schema()
    }

    /// Learns what the operators need to know from the data: one round of queries for each level
    /// of operators that are fitted on the results of others.
    ///
    /// # Errors
    /// Errors in the graph are all found before any data is read; then those of the data.
    pub fn fit(&self, dataset: &Dataset) -> Result<FittedWorkflow> {
        let binding = bind(
            &self.graph,
            dataset.schema(),
            &States::new(),
            Phase::Training,
        )?;
        let used: Vec<_> = binding
            .used_columns()
            .into_iter()
            .map(|c| c.schema.clone())
            .collect();
        let session = Session::new(self.options.clone())?;
        let states =
            fit::fit(&self.graph, dataset, &session).map_err(|error| dataset.blame(error))?;
        FittedWorkflow::new(
            self.graph.clone(),
            states,
            Schema::new(used)?,
            dataset.fingerprint()?,
            Arc::new(session),
        )
    }

    /// The rounds of fitting in words, with the plans of the queries of the first.
    ///
    /// # Errors
    /// As [`fit`](Workflow::fit), before data are read.
    pub fn explain(&self, dataset: &Dataset) -> Result<String> {
        let session = Session::new(self.options.clone())?;
        fit::explain(&self.graph, dataset, &session)
    }
}

impl FittedWorkflow {
    pub(crate) fn new(
        graph: Graph,
        states: States,
        input_schema: Schema,
        training_fingerprint: u64,
        session: Arc<Session>,
    ) -> Result<FittedWorkflow> {
        let binding = bind(&graph, &input_schema, &states, Phase::Training)?;
        let output_schema = binding.node(graph.output)?.schema()?;
        Ok(FittedWorkflow {
            graph,
            states,
            input_schema,
            output_schema,
            training_fingerprint,
            session,
        })
    }

    /// The columns of the data set that the workflow uses.
    pub fn input_schema(&self) -> &Schema {
        &self.input_schema
    }

    /// The columns that come out, with tags, domains and embedding sizes.
    pub fn output_schema(&self) -> &Schema {
        &self.output_schema
    }

    /// The columns that come out of a part of the graph that was named with [`Node::named`].
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there is no such part, or several.
    pub fn subgraph_schema(&self, name: &str) -> Result<Schema> {
        let id = self.graph.subgraph(name)?;
        bind(
            &self.graph,
            &self.input_schema,
            &self.states,
            Phase::Training,
        )?
        .node(id)?
        .schema()
    }

    /// The rows of a data set as the graph makes them; nothing is computed yet.
    ///
    /// The data set on which the workflow was fitted is recognised, wherever it lies now:
    /// encodings of a target are then out of fold, so that no row sees its own target. All other
    /// data get the statistics of the whole training set, and need no target.
    ///
    /// # Errors
    /// If columns are missing or have other types than when the workflow was fitted.
    pub fn transform(&self, dataset: &Dataset) -> Result<Transformed> {
        let phase = if dataset.fingerprint()? == self.training_fingerprint {
            Phase::Training
        } else {
            Phase::Inference
        };
        self.lower(dataset, phase)
    }

    /// The plan of a transform in words: the phase, DataFusion's logical plan and its physical plan.
    ///
    /// # Errors
    /// As [`transform`](FittedWorkflow::transform).
    pub fn explain(&self, dataset: &Dataset) -> Result<String> {
        let transformed = self.transform(dataset)?;
        let mut text = String::new();
        let _ = writeln!(text, "transform: {:?} data", transformed.phase);
        text += &transformed.explain()?;
        Ok(text)
    }

    /// Writes the workflow to a folder: `workflow.json` and the files of its operators.
    ///
    /// # Errors
    /// If the folder exists and holds no workflow, or cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        saved::save(self, path.as_ref())
    }

    /// Reads a workflow that was saved.
    ///
    /// # Errors
    /// [`Error::Saved`], [`Error::NewerFormat`]: what is missing or wrong in which file.
    pub fn load(path: impl AsRef<Path>) -> Result<FittedWorkflow> {
        FittedWorkflow::load_with(path, SessionOptions::default())
    }

    /// Reads a workflow that was saved, to run with the given threads and memory.
    ///
    /// # Errors
    /// As [`load`](FittedWorkflow::load).
    pub fn load_with(path: impl AsRef<Path>, options: SessionOptions) -> Result<FittedWorkflow> {
        saved::load(path.as_ref(), Arc::new(Session::new(options)?))
    }

    fn lower(&self, dataset: &Dataset, phase: Phase) -> Result<Transformed> {
        let binding = bind(&self.graph, &self.input_schema, &self.states, phase)?;
        let frame = self.outputs(dataset, phase, &binding)?;
        Ok(Transformed {
            frame,
            dataset: dataset.clone(),
            schema: self.output_schema.clone(),
            phase,
            session: Arc::clone(&self.session),
        })
    }

    fn outputs(&self, dataset: &Dataset, phase: Phase, binding: &Binding) -> Result<DataFrame> {
        let table = dataset.table(ReadOptions {
            row_id: binding.needs_row_id,
            dictionary_strings: false,
        })?;
        let context = self.session.context();
        let frame = context
            .read_table(table)
            .map_err(Error::query("reading the data set"))?;
        let columns = dataset_columns(binding, frame.schema(), dataset.schema())?;
        let mut lowering =
            Lowering::new(&self.graph, binding, &self.states, phase, frame, columns)?;
        lowering.add([self.graph.output])?;
        let output = binding.node(self.graph.output)?;
        let frame = lowering.frame(output.rows)?.clone();
        let mut columns = Vec::with_capacity(output.columns.len());
        for column in &output.columns {
            let promised = self.output_schema.column(column.schema.name())?;
            let expr = ident(&column.internal);
            // What comes out has exactly the promised type, such as Utf8 for views of strings.
            let expr = match promised.dtype() {
                DType::Unknown => expr,
                _ => cast(expr, promised.to_arrow()?.data_type().clone()),
            };
            columns.push(expr.alias(column.schema.name()));
        }
        frame
            .select(columns)
            .map_err(Error::query("selecting the outputs"))
    }
}

impl std::fmt::Debug for FittedWorkflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FittedWorkflow")
            .field("graph", &self.graph)
            .field("output_schema", &self.output_schema)
            .finish_non_exhaustive()
    }
}

/// The rows that a workflow makes of a data set, computed when they are written or collected.
pub struct Transformed {
    frame: DataFrame,
    dataset: Dataset,
    schema: Schema,
    phase: Phase,
    session: Arc<Session>,
}

impl Transformed {
    /// The columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Writes the rows as parquet files with `schema.json`, `schema.pbtxt` and a manifest, in the
    /// order of the data set. The folder appears when it is whole.
    ///
    /// # Errors
    /// If the folder exists (see [`WriteOptions::with_overwrite`]) or cannot be written, or the
    /// data are not what the operators expect.
    pub fn write(self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<Manifest> {
        let Transformed {
            frame,
            dataset,
            schema,
            session,
            ..
        } = self;
        let path = path.as_ref();
        let write = async {
            session.begin(Stage::Transform, 1, dataset.num_rows());
            let streams = frame
                .execute_stream_partitioned()
                .await
                .map_err(Error::query("planning the transform"))?;
            let streams = session.watch(streams);
            write_partitions(streams, &schema, path, options).await
        };
        session
            .run("transforming", write)
            .map_err(|error| dataset.blame(error))
    }

    /// All rows at once, in the order of the data set. They must fit into memory.
    ///
    /// # Errors
    /// If the data are not what the operators expect.
    pub fn collect(self) -> Result<Vec<RecordBatch>> {
        let Transformed {
            frame,
            dataset,
            session,
            ..
        } = self;
        let collect = async {
            frame
                .collect_partitioned()
                .await
                .map_err(Error::query("transforming"))
        };
        let partitions = session
            .run("transforming", collect)
            .map_err(|error| dataset.blame(error))?;
        Ok(partitions.into_iter().flatten().collect())
    }

    fn explain(&self) -> Result<String> {
        let planning = Error::query("planning the transform");
        let logical = self.frame.clone().into_optimized_plan().map_err(planning)?;
        let physical = self
            .session
            .block_on(self.frame.clone().create_physical_plan())
            .map_err(Error::query("planning the transform"))?;
        let physical = datafusion::physical_plan::displayable(&*physical)
            .indent(false)
            .to_string();
        Ok(format!("{}\n\n{physical}", logical.display_indent()))
    }
}
