//! [`ModelSpec`] and [`Model`].

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use emrys_loader::{Batch, Layout, LookupSpec};
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::embeddings::{EmbeddingBatch, EmbeddingTables};
use crate::scope::DeclaredInputs;
use crate::tasks::TaskSpec;
use crate::{
    BoxedBlock, Error, Features, Network, Outputs, Pass, Problems, Result, Scope, Signature, Spec,
    Value,
};

/// The description of a model: a body, and the tasks that it is trained for.
///
/// A model without tasks is a way to look at any block: it runs on raw batches and gives what the
/// block gives.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use emrys_loader::Batch;
/// use emrys_models::blocks::{Embeddings, Mlp};
/// use emrys_models::models::Dlrm;
/// use emrys_models::tasks::BinaryClassification;
/// use emrys_models::{ModelSpec, Pass};
/// use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
///
/// let schema = Schema::new([
///     ColumnSchema::new("item", DType::Int32)
///         .with_tags([Tag::Categorical])
///         .with_domain(Domain::int(0, 9)),
///     ColumnSchema::new("price", DType::Float32).with_tags([Tag::Continuous]),
///     ColumnSchema::new("click", DType::Int32).with_tags([Tag::Target]),
/// ])?;
/// let body = Dlrm::new(Embeddings::new(8))
///     .with_bottom(Mlp::new([16, 8]))
///     .with_top(Mlp::new([16]));
/// let spec = ModelSpec::new(body).with_task(BinaryClassification::new("click"));
/// let model = spec.build(&schema, &Device::default(), 42)?;
///
/// let batch = Batch::new([("item", vec![3, 4].into()), ("price", vec![0.5_f32, 1.5].into())])?
///     .with_lookups(&model.lookup_specs())?;
/// let outputs = model.forward(&batch, &Pass::evaluation())?;
/// assert_eq!(outputs.get("click").to_string(), "a tensor [2, 1]");
/// # Ok::<(), emrys_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    body: Spec,
    #[serde(default)]
    tasks: Vec<TaskSpec>,
}

impl ModelSpec {
    /// A model without tasks.
    pub fn new(body: impl Into<Spec>) -> ModelSpec {
        ModelSpec {
            body: body.into(),
            tasks: Vec::new(),
        }
    }

    /// One more task.
    #[must_use]
    pub fn with_task(mut self, task: impl Into<TaskSpec>) -> ModelSpec {
        self.tasks.push(task.into());
        self
    }

    /// What comes before the tasks.
    pub fn body(&self) -> &Spec {
        &self.body
    }

    /// The tasks.
    pub fn tasks(&self) -> &[TaskSpec] {
        &self.tasks
    }

    /// Checks that everything fits the schema and makes the model.
    ///
    /// The same spec, schema and seed give the same numbers on every device. Parameters are ready
    /// for training; `device` itself need not have autodiff on.
    ///
    /// # Errors
    /// [`Error::Build`] with every mismatch and the path of its block.
    pub fn build(&self, schema: &Schema, device: &Device, seed: u64) -> Result<Model> {
        self.build_with(schema, device, seed, |inputs| {
            EmbeddingTables::new(inputs.tables(), inputs.features(), seed)
        })
    }

    pub(crate) fn build_with<E: Into<Error>>(
        &self,
        schema: &Schema,
        device: &Device,
        seed: u64,
        make_tables: impl FnOnce(&DeclaredInputs) -> Result<EmbeddingTables, E>,
    ) -> Result<Model> {
        let training_device = device.clone().autodiff();
        let mut inputs = DeclaredInputs::default();
        let mut scope = Scope::root(self.body.name(), &training_device, seed, &mut inputs);

        let columns = Signature::Features(schema.clone());
        let body = self.body.build(&columns, &mut scope)?;
        let heads = scope.enter("heads", |scope| {
            let mut names = BTreeSet::new();
            Problems::gather(self.tasks.iter().map(|task| {
                scope.enter(task.name(), |scope| {
                    if !names.insert(task.name()) {
                        return Err(scope.problem(
                            "two tasks of a model have this name; give each its own target",
                        ));
                    }
                    build_head(task, schema, &body.output, scope)
                })
            }))
        })?;
        let heads: Vec<_> = heads.into_iter().flatten().collect();
        let tables = make_tables(&inputs).map_err(Into::into)?;
        Ok(Model {
            spec: self.clone(),
            schema: schema.clone(),
            device: device.clone(),
            inputs,
            output: body.output,
            network: Network::new(body.block, heads),
            tables,
        })
    }
}

/// The head of a task, if it has one.
fn build_head(
    task: &TaskSpec,
    schema: &Schema,
    body: &Signature,
    scope: &mut Scope<'_>,
) -> Result<Option<(String, BoxedBlock)>, Problems> {
    let Some(head) = task.head() else {
        task.check(schema, body, scope)?;
        return Ok(None);
    };
    let built = head.build(body, scope)?;
    task.check(schema, &built.output, scope)?;
    Ok(Some((task.name().to_owned(), built.block)))
}

/// A model: its description, its schema, its network and its embedding tables.
#[derive(Debug)]
pub struct Model {
    spec: ModelSpec,
    schema: Schema,
    device: Device,
    inputs: DeclaredInputs,
    output: Signature,
    network: Network,
    tables: EmbeddingTables,
}

impl Model {
    /// What the model was built from.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The schema that the model was built for.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The tasks.
    pub fn tasks(&self) -> &[TaskSpec] {
        self.spec.tasks()
    }

    /// Where the network is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the body gives.
    pub fn output(&self) -> &Signature {
        &self.output
    }

    /// The parameters, without the embedding tables. For evaluation, take its
    /// [`valid`](Module::valid) copy, which shares the numbers.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Changes the network: optimizers of Burn take and give it by value.
    ///
    /// If `update` panics, the network is lost.
    pub fn update_network(&mut self, update: impl FnOnce(Network) -> Network) {
        // A clone would share its tensors, so that nothing could be changed in place.
        let network = std::mem::replace(&mut self.network, Network::empty());
        self.network = update(network);
    }

    /// The embedding tables.
    pub fn tables(&self) -> &EmbeddingTables {
        &self.tables
    }

    /// The embedding tables, to be trained or set.
    pub fn tables_mut(&mut self) -> &mut EmbeddingTables {
        &mut self.tables
    }

    /// What a loader must look up for each batch.
    pub fn lookup_specs(&self) -> Vec<LookupSpec> {
        self.tables.lookup_specs()
    }

    /// The columns that the model reads from a batch, without those of its tasks, in order of
    /// their names.
    pub fn input_columns(&self) -> Vec<&str> {
        self.inputs.columns_of(None).into_iter().collect()
    }

    /// The embeddings of a batch that carries the plans of [`lookup_specs`](Self::lookup_specs).
    ///
    /// In training, those of trainable tables are leaves that keep their gradients.
    ///
    /// # Errors
    /// The batch does not carry the plans.
    pub fn gather(&self, batch: &Batch, pass: &Pass) -> Result<EmbeddingBatch> {
        Ok(self.tables.gather(batch.plans(), &self.device_for(pass))?)
    }

    /// A batch as the network reads it.
    ///
    /// # Errors
    /// A column that the model reads as numbers is not in the batch, or is a ragged list.
    pub fn features(
        &self,
        batch: &Batch,
        embeddings: &EmbeddingBatch,
        pass: &Pass,
    ) -> Result<Features> {
        let columns = self.inputs.numbers_of(None);
        features(batch, embeddings, columns, &self.device_for(pass))
    }

    /// What the network makes of a batch that carries the plans of
    /// [`lookup_specs`](Self::lookup_specs).
    ///
    /// # Errors
    /// As [`gather`](Self::gather) and [`features`](Self::features).
    pub fn forward(&self, batch: &Batch, pass: &Pass) -> Result<Outputs> {
        let embeddings = self.gather(batch, pass)?;
        let features = self.features(batch, &embeddings, pass)?;
        if pass.is_training() {
            self.network.forward(&features, pass)
        } else {
            self.network.valid().forward(&features, pass)
        }
    }

    /// One part of the body, such as the `query` tower of two, ready for evaluation.
    ///
    /// # Errors
    /// [`Error::UnknownPart`].
    pub fn tower(&self, name: &str) -> Result<Tower<'_>> {
        let Some(block) = self.network.body().part(name) else {
            let available = self.inputs.parts();
            return Err(Error::UnknownPart {
                name: name.to_owned(),
                available,
            });
        };
        Ok(Tower {
            name: name.to_owned(),
            block: block.valid(),
            model: self,
        })
    }

    fn device_for(&self, pass: &Pass) -> Device {
        if pass.is_training() {
            self.device.clone().autodiff()
        } else {
            self.device.clone()
        }
    }
}

/// A part of a model that reads its own columns: one tower of two.
#[derive(Debug)]
pub struct Tower<'a> {
    name: String,
    block: BoxedBlock,
    model: &'a Model,
}

impl Tower<'_> {
    /// The columns that the tower reads, in order of their names.
    pub fn input_columns(&self) -> Vec<&str> {
        self.model
            .inputs
            .columns_of(Some(&self.name))
            .into_iter()
            .collect()
    }

    /// What must be looked up for the tower alone.
    pub fn lookup_specs(&self) -> Vec<LookupSpec> {
        let columns = self.model.inputs.columns_of(Some(&self.name));
        let mut specs = self.model.lookup_specs();
        for spec in &mut specs {
            spec.features
                .retain(|feature| columns.contains(&*feature.column));
        }
        specs.retain(|spec| !spec.features.is_empty());
        specs
    }

    /// The vectors `[B, D]` of a batch that carries the plans of
    /// [`lookup_specs`](Self::lookup_specs).
    ///
    /// # Errors
    /// A column that the tower reads or a plan is not in the batch; the part gives something else
    /// than one vector per row.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor<2>> {
        let pass = Pass::evaluation();
        let embeddings = self
            .model
            .tables
            .gather(batch.plans(), &self.model.device)?;
        let columns = self.model.inputs.numbers_of(Some(&self.name));
        let features = features(batch, &embeddings, columns, &self.model.device)?;
        self.block.forward(features, &pass)?.into_rank2("tower")
    }
}

/// The columns and embeddings of a batch on a device.
fn features<'a>(
    batch: &Batch,
    embeddings: &EmbeddingBatch,
    columns: impl IntoIterator<Item = &'a str>,
    device: &Device,
) -> Result<Features> {
    let mut features = Features::new(batch.num_rows());
    for name in columns {
        let Some(column) = batch.get(name) else {
            return Err(Error::MissingColumn {
                reader: "model".to_owned(),
                column: name.to_owned(),
                available: batch.names().map(str::to_owned).collect(),
            });
        };
        let width = match column.layout() {
            Layout::Scalar => 1,
            Layout::Fixed(width) => *width,
            Layout::Ragged(_) => {
                return Err(Error::UnexpectedColumn {
                    column: name.to_owned(),
                    expected: "one number or a list of one length in each row".to_owned(),
                    found: "lists of different lengths".to_owned(),
                });
            }
        };
        let data = TensorData::new(column.to_f32(), [batch.num_rows(), width]);
        features = features.with_column(name, Tensor::from_data(data, device));
    }
    for (key, rows) in embeddings.iter() {
        features = features.with_embedding(key, rows.clone());
    }
    Ok(features)
}

/// What a block makes of a raw batch, with starting parameters: a look at the shapes, key by key.
///
/// # Errors
/// The block does not fit the schema, or the batch lacks a column.
///
/// # Example
/// ```
/// use emrys_loader::Batch;
/// use emrys_models::blocks::ContinuousFeatures;
/// use emrys_models::inspect;
/// use emrys_schema::{ColumnSchema, DType, Schema, Tag};
///
/// let schema = Schema::new([
///     ColumnSchema::new("price", DType::Float32).with_tags([Tag::Continuous]),
///     ColumnSchema::new("age", DType::Float32).with_tags([Tag::Continuous]),
/// ])?;
/// let batch = Batch::new([("price", vec![0.5_f32, 1.5].into()), ("age", vec![30.0_f32, 40.0].into())])?;
/// let value = inspect(ContinuousFeatures::new(), &schema, &batch)?;
/// assert_eq!(value.to_string(), "named tensors {age: [2, 1], price: [2, 1]}");
/// # Ok::<(), emrys_models::Error>(())
/// ```
pub fn inspect(spec: impl Into<Spec>, schema: &Schema, batch: &Batch) -> Result<Value> {
    let model = ModelSpec::new(spec).build(schema, &Device::default(), 0)?;
    let batch = batch.clone().with_lookups(&model.lookup_specs())?;
    Ok(model.forward(&batch, &Pass::evaluation())?.body().clone())
}
