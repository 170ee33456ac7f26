//! Cases of kind `model`.

use burn::optim::GradientsParams;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use emrys_loader::{Batch, Column};
use emrys_models::blocks::{Concat, Embeddings, Mlp};
use emrys_models::embeddings::EmbeddingBatch;
use emrys_models::losses::{FalseNegatives, Reduction};
use emrys_models::metrics::Predictions;
use emrys_models::models::{Dlrm, MlpModel, TwoTower};
use emrys_models::optimizers::{DenseOptimizer, SparseOptimizer};
use emrys_models::tasks::{
    BinaryClassification, ItemRetrieval, Regression, TaskSpec, TemperatureOn,
};
use emrys_models::{
    Model, ModelSpec, Network, Outputs, Pass, RowShape, Signature, Spec, Value, build,
};
use serde_json::Value as Json;

use crate::case::{Case, Golden, Outcome, Stop};
use crate::compare::{self, Tolerance, same, same_tensor};
use crate::network::{Names, compare_parameters, mlp_names, on_device, set_weights};

pub fn run(case: &Case) -> Option<Outcome> {
    if case.kind != "model" {
        return None;
    }
    Some(match case.name.as_str() {
        "dlrm" => dlrm(case),
        "multi_task_mlp" if case.text("body") == Some("mlp") => multi_task(case),
        "two_tower" => two_tower(case),
        "matrix_factorization" => matrix_factorization(case),
        "tfrs_deep_retrieval" => tfrs_deep_retrieval(case),
        "binary_output_temperature" => binary_temperature(case),
        _ => return None,
    })
}

/// The inputs and targets of a case as a batch.
pub fn batch_of(case: &Case) -> Result<Batch, Stop> {
    let mut columns = Vec::new();
    for (name, golden) in case.under("inputs/").chain(case.under("targets/")) {
        if let Some(column) = name.strip_suffix("__values") {
            let offsets = case.tensor(&format!("inputs/{column}__offsets"))?.i32();
            columns.push((column, Column::ragged(golden.i64(), offsets)?));
        } else if !name.ends_with("__offsets") {
            columns.push((name, column(golden)?));
        }
    }
    Ok(Batch::new(columns)?)
}

/// `[B]` and `[B, 1]` are scalars, `[B, T]` is a list of a fixed length.
fn column(golden: &Golden) -> Result<Column, Stop> {
    let width = golden.shape.get(1).copied().unwrap_or(1);
    Ok(match (width, golden.is_integer) {
        (1, true) => golden.i64().into(),
        (1, false) => golden.f32().into(),
        (width, true) => Column::fixed(golden.i64(), width)?,
        (width, false) => Column::fixed(golden.f32(), width)?,
    })
}

/// A model with the weights of a case, and the case's batch.
pub struct ModelCase {
    pub model: Model,
    names: Names,
    batch: Batch,
}

/// A forward pass.
pub struct Step {
    pub outputs: Outputs,
    embeddings: EmbeddingBatch,
}

impl ModelCase {
    pub fn build(
        case: &Case,
        body: impl Into<Spec>,
        tasks: &[TaskSpec],
        names: Names,
    ) -> Result<ModelCase, Stop> {
        let schema = case
            .schema()
            .ok_or_else(|| Stop::Fail("no schema".to_owned()))?;
        let spec = ModelSpec::new(body);
        let spec = tasks.iter().cloned().fold(spec, ModelSpec::with_task);
        let mut model = spec.build(&schema, &Device::default(), 0)?;
        let network = set_weights(case, model.network().clone(), &names)?;
        model.update_network(|_| network);
        let tables: Vec<String> = model
            .tables()
            .specs()
            .map(|spec| spec.name.clone())
            .collect();
        for table in tables {
            let weights = case.tensor(&format!("weights/embeddings.{table}"))?;
            model.tables_mut().set_weights(&table, &weights.f32())?;
        }
        let batch = batch_of(case)?.with_lookups(&model.lookup_specs())?;
        Ok(ModelCase {
            model,
            names,
            batch,
        })
    }

    pub fn forward(&self) -> Result<Step, Stop> {
        let pass = Pass::training(0);
        let embeddings = self.model.gather(&self.batch, &pass)?;
        let features = self.model.features(&self.batch, &embeddings, &pass)?;
        let outputs = self.model.network().forward(&features, &pass)?;
        Ok(Step {
            outputs,
            embeddings,
        })
    }

    /// The sum of the tasks' losses.
    fn loss(&self, step: &Step) -> Result<Tensor<1>, Stop> {
        let mut sum: Option<Tensor<1>> = None;
        for task in self.model.tasks() {
            let output = step.outputs.get(task.name()).clone();
            let loss = task.loss(output, &self.batch, None)?;
            sum = Some(sum.map_or(loss.clone(), |sum| sum + loss));
        }
        sum.ok_or_else(|| Stop::Fail("a model without tasks".to_owned()))
    }

    /// Compares the gradients of the network, and those of the tables as what one step of plain
    /// descent with rate 1 takes from them.
    pub fn compare_gradients(&mut self, case: &Case, step: &Step, loss: Tensor<1>) -> Outcome {
        let mut gradients = loss.backward();
        let network = self.model.network();
        compare_parameters(case, network, &self.names, "grads/", Some(&gradients))?;

        let tables: Vec<String> = self
            .model
            .tables()
            .specs()
            .map(|spec| spec.name.clone())
            .collect();
        let before: Vec<Vec<f32>> = tables
            .iter()
            .map(|table| self.model.tables().weights(table).map(<[f32]>::to_vec))
            .collect::<Result<_, _>>()?;
        let descent = SparseOptimizer::sgd().with_learning_rate(1.0);
        let plans = self.batch.plans();
        self.model
            .tables_mut()
            .apply(plans, &step.embeddings, &mut gradients, &descent)?;
        for (table, before) in tables.iter().zip(&before) {
            let after = self.model.tables().weights(table)?;
            let gradient: Vec<f64> = before
                .iter()
                .zip(after)
                .map(|(before, after)| f64::from(*before) - f64::from(*after))
                .collect();
            let name = format!("grads/weights/embeddings.{table}");
            same(case, &name, &gradient, Tolerance::Gradient)?;
        }
        Ok(())
    }

    /// Trains with the case's optimizer and compares weights and loss where they are recorded.
    fn compare_steps(&mut self, case: &Case) -> Outcome {
        let (dense, sparse) = optimizers(&case.json["optimizer"])?;
        let mut optimizer = dense.init();
        let steps = case.json["optimizer"]["steps"].as_u64().unwrap_or(0);
        for t in 1..=steps {
            let step = self.forward()?;
            let mut gradients = self.loss(&step)?.backward();
            let plans = self.batch.plans();
            self.model
                .tables_mut()
                .apply(plans, &step.embeddings, &mut gradients, &sparse)?;
            let gradients = GradientsParams::from_grads(gradients, self.model.network());
            self.model.update_network(|network: Network| {
                optimizer.step(dense.learning_rate(), network, gradients)
            });
            let prefix = format!("after/{t}/");
            if !case
                .tensors
                .keys()
                .any(|name| name.starts_with(&format!("{prefix}weights/")))
            {
                continue;
            }
            compare_parameters(case, self.model.network(), &self.names, &prefix, None)?;
            for spec in self.model.tables().specs() {
                let weights = self.model.tables().weights(&spec.name)?;
                let weights: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
                let name = format!("{prefix}weights/embeddings.{}", spec.name);
                same(case, &name, &weights, Tolerance::Step)?;
            }
            if case.tensors.contains_key(&format!("{prefix}loss")) {
                let loss = self.loss(&self.forward()?)?;
                same_tensor(case, &format!("{prefix}loss"), loss, Tolerance::Step)?;
            }
        }
        Ok(())
    }

    /// Loss, gradients and steps.
    fn compare_training(&mut self, case: &Case) -> Outcome {
        let step = self.forward()?;
        let loss = self.loss(&step)?;
        same_tensor(case, "loss", loss.clone(), Tolerance::Forward)?;
        let names = self.names.clone();
        self.compare_gradients(case, &step, loss)?;
        // The gradients were read by changing the tables.
        let mut fresh = ModelCase::build(
            case,
            self.model.spec().body().clone(),
            self.model.tasks(),
            names,
        )?;
        fresh.compare_steps(case)
    }
}

/// The optimizers of network and tables.
fn optimizers(json: &Json) -> Result<(DenseOptimizer, SparseOptimizer), Stop> {
    let number = |key: &str| {
        json[key]
            .as_f64()
            .unwrap_or_else(|| panic!("optimizer {key}"))
    };
    match json["name"].as_str() {
        Some("adagrad") => {
            let settings = serde_json::json!({
                "name": "adagrad",
                "learning_rate": number("lr"),
                "initial_accumulator": number("initial_accumulator"),
                "epsilon": number("epsilon"),
            });
            let dense = serde_json::from_value(settings.clone())?;
            Ok((dense, serde_json::from_value(settings)?))
        }
        other => Err(Stop::Skip(format!(
            "there is no optimizer {other:?} for models yet"
        ))),
    }
}

/// The head of a binary or regression task is one linear unit.
fn head_names(target: &str) -> Names {
    [("weight", "kernel"), ("bias", "bias")]
        .map(|(our, their)| {
            (
                format!("heads.{target}.layers.0.{our}"),
                format!("heads.{target}.{their}"),
            )
        })
        .into()
}

fn dlrm(case: &Case) -> Outcome {
    let dim = case.params["embedding_dim"].as_u64().expect("a width") as usize;
    let target = case.text("target").expect("a target");
    let mut body = Dlrm::new(Embeddings::new(dim));
    let mut names = head_names(target);
    if let Some(units) = case.sizes("bottom_mlp") {
        names.extend(mlp_names("body.bottom_block.", "bottom.", units.len()));
        body = body.with_bottom(Mlp::new(units));
    }
    if let Some(units) = case.sizes("top_mlp") {
        names.extend(mlp_names("body.top_block.", "top.", units.len()));
        body = body.with_top(Mlp::new(units));
    }
    let task = BinaryClassification::new(target).into();
    let mut model = ModelCase::build(case, body, &[task], names)?;

    let logits = model
        .forward()?
        .outputs
        .get(target)
        .clone()
        .into_rank2("golden")?;
    same_tensor(
        case,
        &format!("outputs/logits/{target}"),
        logits.clone(),
        Tolerance::Forward,
    )?;
    same_tensor(
        case,
        &format!("outputs/{target}"),
        sigmoid(logits),
        Tolerance::Forward,
    )?;
    model.compare_training(case)
}

fn multi_task(case: &Case) -> Outcome {
    let dim = case.params["embedding_dim"].as_u64().expect("a width") as usize;
    let units = case.sizes("mlp").expect("units");
    let mut names = mlp_names("body.blocks.layers.", "mlp.", units.len());
    let tasks: Vec<TaskSpec> = vec![
        BinaryClassification::new("buy").into(),
        BinaryClassification::new("click").into(),
        Regression::new("rating").into(),
    ];
    tasks
        .iter()
        .for_each(|task| names.extend(head_names(task.name())));
    let body = MlpModel::new(Embeddings::new(dim), Mlp::new(units));
    let mut model = ModelCase::build(case, body, &tasks, names)?;

    let step = model.forward()?;
    for task in ["buy", "click", "rating"] {
        let output = step.outputs.get(task).clone().into_rank2("golden")?;
        let output = if task == "rating" {
            output
        } else {
            sigmoid(output)
        };
        same_tensor(case, &format!("outputs/{task}"), output, Tolerance::Forward)?;
    }
    model.compare_training(case)
}

/// The network of a tower, and the names of its parameters.
fn tower(case: &Case, part: &str, key: &str, theirs: &str, names: &mut Names) -> Mlp {
    let units = case.sizes(key).expect("units");
    let ours = format!("body.{part}.blocks.network.");
    names.extend(mlp_names(&ours, theirs, units.len()));
    let mlp = Mlp::new(units);
    if case.text("last_layer") == Some("linear") {
        mlp.with_last_linear()
    } else {
        mlp
    }
}

fn vectors(step: &Step) -> Result<(Tensor<2>, Tensor<2>), Stop> {
    let mut entries = step.outputs.body().clone().into_dict("golden")?;
    let mut take = |name: &str| -> Result<Tensor<2>, Stop> {
        let tensor = entries
            .remove(name)
            .ok_or_else(|| Stop::Fail(format!("no `{name}`")))?;
        Ok(Value::Tensor(tensor).into_rank2("golden")?)
    };
    Ok((take("query")?, take("candidate")?))
}

/// Compares what both towers give.
fn same_vectors(case: &Case, model: &ModelCase) -> Outcome {
    let (query, item) = vectors(&model.forward()?)?;
    same_tensor(case, "outputs/query_embedding", query, Tolerance::Forward)?;
    same_tensor(case, "outputs/item_embedding", item, Tolerance::Forward)
}

fn two_tower(case: &Case) -> Outcome {
    let dim = case.params["embedding_dim"].as_u64().expect("a width") as usize;
    let mut names = Names::new();
    let query = tower(case, "query", "query_mlp", "query.", &mut names);
    let item = tower(case, "candidate", "item_mlp", "item.", &mut names);
    let temperature = case.float("logits_temperature").unwrap_or(1.0) as f32;
    // The peer replaces false negatives by a score; the task masks them out, which is the same
    // to well below the tolerance.
    let task = ItemRetrieval::new("Item").with_temperature(temperature);
    let body = TwoTower::new(Embeddings::new(dim), query, item);
    let mut model = ModelCase::build(case, body, &[task.into()], names)?;

    same_vectors(case, &model)?;
    model.compare_training(case)
}

/// Two towers that consist of an embedding each.
fn matrix_factorization(case: &Case) -> Outcome {
    let dim = case.params["dim"].as_u64().expect("a width") as usize;
    let temperature = case.float("logits_temperature").unwrap_or(1.0) as f32;
    let task = ItemRetrieval::new("item").with_temperature(temperature);
    let body = TwoTower::new(Embeddings::new(dim), Concat::new(), Concat::new());
    let mut model = ModelCase::build(case, body, &[task.into()], Names::new())?;

    same_vectors(case, &model)?;
    model.compare_training(case)
}

fn tfrs_deep_retrieval(case: &Case) -> Outcome {
    // The peer puts the timestamp behind the user, as its author wrote them; here the names decide.
    let case = &case.with_column_renamed("timestamp", "user_timestamp");
    let dim = case.params["embedding_dim"].as_u64().expect("a width") as usize;
    let mut names = Names::new();
    let query = tower(case, "query", "layers", "query.", &mut names);
    let candidate = tower(case, "candidate", "layers", "candidate.", &mut names);
    let task = ItemRetrieval::new("title")
        .with_false_negatives(FalseNegatives::Keep)
        .with_reduction(Reduction::Sum);
    let body = TwoTower::new(Embeddings::new(dim), query, candidate);
    let mut model = ModelCase::build(case, body, &[task.into()], names)?;

    let (query, candidate) = vectors(&model.forward()?)?;
    same_tensor(case, "outputs/query", query, Tolerance::Forward)?;
    same_tensor(case, "outputs/candidate", candidate, Tolerance::Forward)?;
    model.compare_training(case)
}

/// Merlin's temperature on probabilities, and the one on logits, on a head alone.
fn binary_temperature(case: &Case) -> Outcome {
    let device = Device::default().autodiff();
    let temperature = case.float("logits_temperature").expect("a temperature") as f32;
    let task = BinaryClassification::new("click").with_temperature(temperature);
    let on_probability = task.clone().with_temperature_on(TemperatureOn::Probability);
    let modes: [(TaskSpec, &str, &str); 2] = [
        (
            task.into(),
            "outputs/logit_mode/click",
            "outputs/logit_mode/loss",
        ),
        (on_probability.into(), "outputs/click", "loss"),
    ];
    let names: Names = [("weight", "kernel"), ("bias", "bias")]
        .map(|(our, their)| (format!("layers.0.{our}"), format!("heads.click.{their}")))
        .into();
    let batch = batch_of(case)?;
    for (task, scores, loss) in modes {
        let head = task
            .head()
            .ok_or_else(|| Stop::Fail("the task has no head".to_owned()))?;
        let x = on_device::<2>(case.tensor("inputs/x")?, &device);
        let input = Signature::Tensor(RowShape::Vector(x.dims()[1]));
        let head = set_weights(case, build(head, &input, &device, 0)?.block, &names)?;
        let output = head.forward(x, &Pass::training(0))?;

        let found = compare::numbers(task.scores(output.clone())?);
        let found: Vec<f64> = match task.scale(&[]) {
            Predictions::Logits(_) => found.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect(),
            _ => found,
        };
        same(case, scores, &found, Tolerance::Forward)?;
        let found = task.loss(output, &batch, None)?;
        same_tensor(case, loss, found.clone(), Tolerance::Forward)?;
        if loss == "loss" {
            let gradients = found.backward();
            compare_parameters(case, &head, &names, "grads/", Some(&gradients))?;
        }
    }
    Ok(())
}
