//! Workflows: fitted on one data set, then applied to any.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{cast, ident};
use datafusion::prelude::DataFrame;
use emrys_schema::{DType, Schema};

use crate::fit;
use crate::graph::Node;
use crate::io::{Dataset, Manifest, ReadOptions, Stop, WriteOptions, write_until};
use crate::online::Compiled;
use crate::operator::NewIds;
use crate::ops::Registry;
use crate::parts::RemovedColumns;
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
    pub(crate) options: SessionOptions,
    pub(crate) removed: BTreeSet<String>,
}

/// A workflow that has been fitted: it transforms data, and is saved and loaded.
#[derive(Clone)]
pub struct FittedWorkflow {
    pub(crate) graph: Graph,
    pub(crate) states: States,
    /// The columns of the data set that the graph uses, as they were when it was fitted.
    pub(crate) input_schema: Schema,
    pub(crate) output_schema: Schema,
    /// The data sets it was fitted on, in order.
    pub(crate) trained_on: Vec<TrainingData>,
    pub(crate) session: Arc<Session>,
    pub(crate) removed: RemovedColumns,
    /// `input_schema` without the removed inputs.
    pub(crate) needed_schema: Schema,
    /// What [`transform_batch`](FittedWorkflow::transform_batch) compiled last.
    pub(crate) compiled: Arc<Compiled>,
}

/// How a saved workflow is loaded: threads and memory, and operators of your own.
///
/// Made from [`SessionOptions`] or a [`Registry`] where one of them is all there is to say.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    session: SessionOptions,
    registry: Registry,
}

impl LoadOptions {
    /// All cores, no limit of memory, the operators of Emrys.
    pub fn new() -> LoadOptions {
        LoadOptions::default()
    }

    /// Sets threads, memory limit and spill directory.
    #[must_use]
    pub fn with_session(mut self, session: SessionOptions) -> LoadOptions {
        self.session = session;
        self
    }

    /// Sets the operators that the workflow may have.
    #[must_use]
    pub fn with_registry(mut self, registry: Registry) -> LoadOptions {
        self.registry = registry;
        self
    }
}

impl From<SessionOptions> for LoadOptions {
    fn from(session: SessionOptions) -> LoadOptions {
        LoadOptions::new().with_session(session)
    }
}

impl From<Registry> for LoadOptions {
    fn from(registry: Registry) -> LoadOptions {
        LoadOptions::new().with_registry(registry)
    }
}

/// A data set that a workflow was fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainingData {
    /// What identifies it.
    pub(crate) fingerprint: u64,
    /// Not known of workflows that were saved in version 1 of the format.
    pub(crate) rows: Option<u64>,
}

impl TrainingData {
    fn of(dataset: &Dataset) -> Result<TrainingData> {
        Ok(TrainingData {
            fingerprint: dataset.fingerprint()?,
            rows: Some(dataset.num_rows()),
        })
    }
}

impl Workflow {
    /// The workflow whose outputs are the columns of a node.
    pub fn new(output: Node) -> Workflow {
        Workflow {
            graph: Graph::new(&output),
            options: SessionOptions::default(),
            removed: BTreeSet::new(),
        }
    }

    /// Sets threads, memory limit and spill directory.
    #[must_use]
    pub fn with_options(mut self, options: SessionOptions) -> Workflow {
        self.options = options;
        self
    }

    /// The columns that come out, as far as they are known without fitting: cardinalities are
    /// those of empty vocabularies. Types follow as far as the types of the inputs are known;
    /// names alone suffice.
    ///
    /// # Errors
    /// All errors that can be seen from the schema, at once.
    pub fn output_schema(&self, input: &Schema) -> Result<Schema> {
        let graph = self.graph(input)?;
        let binding = bind(&graph, input, &States::new(), Phase::Training)?;
        binding.node(graph.output)?.schema()
    }

    /// Learns what the operators need to know from the data: one round of queries for each level
    /// of operators that are fitted on the results of others.
    ///
    /// # Errors
    /// Errors in the graph are all found before any data is read; then those of the data.
    pub fn fit(&self, dataset: &Dataset) -> Result<FittedWorkflow> {
        let graph = self.graph(dataset.schema())?;
        let binding = bind(&graph, dataset.schema(), &States::new(), Phase::Training)?;
        let used: Vec<_> = binding
            .used_columns()
            .into_iter()
            .map(|c| c.schema.clone())
            .collect();
        let session = Session::new(self.options.clone())?;
        let states =
            fit::fit(&graph, dataset, &session, None).map_err(|error| dataset.blame(error))?;
        FittedWorkflow::new(
            graph.into_owned(),
            states,
            Schema::new(used)?,
            vec![TrainingData::of(dataset)?],
            Arc::new(session),
        )
    }
}

impl FittedWorkflow {
    pub(crate) fn new(
        graph: Graph,
        states: States,
        input_schema: Schema,
        trained_on: Vec<TrainingData>,
        session: Arc<Session>,
    ) -> Result<FittedWorkflow> {
        let binding = bind(&graph, &input_schema, &states, Phase::Training)?;
        let output_schema = binding.node(graph.output)?.schema()?;
        Ok(FittedWorkflow {
            graph,
            states,
            needed_schema: input_schema.clone(),
            input_schema,
            output_schema,
            trained_on,
            session,
            removed: RemovedColumns::default(),
            compiled: Arc::default(),
        })
    }

    /// The columns of the data set that the workflow uses.
    #[allow(
        clippy::misnamed_getters,
        reason = "removed inputs are still bound, but not used"
    )]
    pub fn input_schema(&self) -> &Schema {
        &self.needed_schema
    }

    /// The columns that come out, with tags, domains and embedding sizes.
    pub fn output_schema(&self) -> &Schema {
        &self.output_schema
    }

    /// The rows of a data set as the graph makes them; nothing is computed yet.
    ///
    /// A data set on which the workflow was fitted is recognised, wherever it lies now: encodings
    /// of a target are then out of fold, so that no row sees its own target. All other data get
    /// the statistics of the whole training data, and need no target.
    ///
    /// # Errors
    /// If columns are missing or have other types than when the workflow was fitted.
    pub fn transform(&self, dataset: &Dataset) -> Result<Transformed> {
        let (phase, first_row) = self.phase(dataset)?;
        self.lower(dataset, phase, first_row)
    }

    /// Learns from more data, on top of what was learned before: numeric statistics become those
    /// of fitting on all data, and so do the vocabularies, except that with [`NewIds::Append`]
    /// known categories keep their ids and new ones follow.
    ///
    /// Operators that are fitted on the results of others see the new data as those make them
    /// now, and what they learned of the old data as it was then.
    ///
    /// # Errors
    /// As [`Workflow::fit`]; an operator that cannot learn from more data; the data set was
    /// learned from before; inputs were removed.
    pub fn refit(&self, dataset: &Dataset, ids: NewIds) -> Result<FittedWorkflow> {
        let refused = |problem: &str| Error::Data {
            operator: "refit".to_owned(),
            problem: problem.to_owned(),
        };
        let data = TrainingData::of(dataset)?;
        let is_known = |known: &TrainingData| known.fingerprint == data.fingerprint;
        if self.trained_on.iter().any(is_known) {
            return Err(refused(
                "the workflow was fitted on these data before; give it new ones",
            ));
        }
        if !self.removed.is_empty() {
            return Err(refused(
                "inputs were removed from the workflow; let the whole one learn, then remove them",
            ));
        }
        let rows: Option<u64> = self.trained_on.iter().map(|data| data.rows).sum();
        let known = fit::Known {
            states: &self.states,
            ids,
            rows: rows.ok_or_else(|| {
                refused(
                    "the workflow was saved by a version that did not count its rows; fit it \
                     again on all data",
                )
            })?,
        };
        // What the graph reads must still be there, in the types it knows.
        self.lower(dataset, Phase::Training, known.rows)?;
        let states = fit::fit(&self.graph, dataset, &self.session, Some(known))
            .map_err(|error| dataset.blame(error))?;
        let mut trained_on = self.trained_on.clone();
        trained_on.push(data);
        FittedWorkflow::new(
            self.graph.clone(),
            states,
            self.input_schema.clone(),
            trained_on,
            Arc::clone(&self.session),
        )
    }

    /// How a data set is transformed, and the number of its first row among all training data.
    pub(crate) fn phase(&self, dataset: &Dataset) -> Result<(Phase, u64)> {
        // Without all inputs, statistics out of fold cannot be had.
        if !self.removed.is_empty() {
            return Ok((Phase::Inference, 0));
        }
        let fingerprint = dataset.fingerprint()?;
        let mut first_row = 0;
        for data in &self.trained_on {
            if data.fingerprint == fingerprint {
                return Ok((Phase::Training, first_row));
            }
            // Only the last one can be without a number, since nothing is learned after it.
            first_row += data.rows.unwrap_or(0);
        }
        Ok((Phase::Inference, 0))
    }

    /// Writes the workflow to a folder: `workflow.json` and the files of its operators.
    ///
    /// # Format
    /// `workflow.json` begins with the version of the format, now 2. A workflow that any version
    /// of Emrys has saved is read by every later one, and transforms to the same rows. A field may
    /// be added to a version as long as it has a default; a change of what files mean, or of how
    /// values are hashed, makes a new version, and files of a newer version are refused.
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

    /// Reads a workflow that was saved, to run with the given threads and memory
    /// ([`SessionOptions`]), or that has operators of your own ([`Registry`]), or both
    /// ([`LoadOptions`]).
    ///
    /// # Errors
    /// As [`load`](FittedWorkflow::load).
    pub fn load_with(
        path: impl AsRef<Path>,
        options: impl Into<LoadOptions>,
    ) -> Result<FittedWorkflow> {
        let LoadOptions { session, registry } = options.into();
        saved::load(path.as_ref(), &registry, Arc::new(Session::new(session)?))
    }

    pub(crate) fn binding(&self, phase: Phase) -> Result<Binding> {
        bind(&self.graph, &self.input_schema, &self.states, phase)
    }

    pub(crate) fn lower(
        &self,
        dataset: &Dataset,
        phase: Phase,
        first_row: u64,
    ) -> Result<Transformed> {
        let binding = self.binding(phase)?;
        let frame = self.outputs(dataset, phase, &binding, first_row)?;
        Ok(Transformed {
            frame,
            dataset: dataset.clone(),
            schema: self.output_schema.clone(),
            phase,
            session: Arc::clone(&self.session),
        })
    }

    pub(crate) fn outputs(
        &self,
        dataset: &Dataset,
        phase: Phase,
        binding: &Binding,
        first_row: u64,
    ) -> Result<DataFrame> {
        let table = dataset.table(ReadOptions {
            row_id: binding.needs_row_id,
            dictionary_strings: false,
        })?;
        self.outputs_of(table, dataset.schema(), phase, binding, first_row)
    }

    /// The outputs for the rows of a table, which has row numbers if the binding needs them.
    pub(crate) fn outputs_of(
        &self,
        table: Arc<dyn TableProvider>,
        schema: &Schema,
        phase: Phase,
        binding: &Binding,
        first_row: u64,
    ) -> Result<DataFrame> {
        let context = self.session.context();
        let frame = context
            .read_table(table)
            .map_err(Error::query("reading the data set"))?;
        let removed = &self.removed.inputs;
        let columns = dataset_columns(binding, frame.schema(), schema, removed, first_row)?;
        let mut lowering =
            Lowering::new(&self.graph, binding, &self.states, phase, frame, columns)?;
        lowering.add([self.graph.output])?;
        let output = binding.node(self.graph.output)?;
        let frame = lowering.frame(output.rows)?.clone();
        let mut columns = Vec::with_capacity(output.columns.len());
        for column in &output.columns {
            if self.removed.outputs.contains(column.schema.name()) {
                continue;
            }
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
    pub(crate) frame: DataFrame,
    pub(crate) dataset: Dataset,
    pub(crate) schema: Schema,
    pub(crate) phase: Phase,
    pub(crate) session: Arc<Session>,
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
            let stop = Stop::when_cancelled(session.options().progress());
            write_until(streams, &schema, path, options, stop).await
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
}
