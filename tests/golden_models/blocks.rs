//! Cases of kind `block`.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use emrys_models::blocks::{
    Activation, Concat, ContinuousFeatures, CosineSimilarity, DotProductInteraction,
    ElementwiseProduct, ElementwiseSum, Embeddings, Filter, L2Norm, Mlp, Parallel, Stack,
};
use emrys_models::{AnyTensor, BoxedBlock, Compose, Pass, Signature, Spec, Value, build, inspect};

use crate::case::{Case, Golden, Outcome, Stop, sizes};
use crate::compare::{Tolerance, same_tensor};
use crate::models::{ModelCase, batch_of};
use crate::network::{Names, compare_parameters, mlp_names, on_device, set_weights};

pub fn run(case: &Case) -> Option<Outcome> {
    if case.kind != "block" {
        return None;
    }
    Some(match case.name.as_str() {
        "concat" => concat(case),
        "aggregations" => aggregations(case),
        "pair_aggregations" => pair_aggregations(case),
        "mlp" => mlp(case),
        "dot_product_interaction" => dot_product_interaction(case),
        "connect_branch" => connect_branch(case),
        "connect_with_shortcut" => connect_with_shortcut(case),
        "connect_with_residual" => connect_with_residual(case),
        "parallel_routing" => parallel_routing(case),
        "dlrm_interaction_with_shortcut" => seed_dlrm(case),
        "continuous_features" => continuous_features(case),
        _ => return None,
    })
}

fn skip(reason: &str) -> Outcome {
    Err(Stop::Skip(reason.to_owned()))
}

pub fn activation(name: &str) -> Activation {
    match name {
        "linear" => Activation::Linear,
        "relu" => Activation::Relu,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "gelu" => Activation::Gelu,
        "selu" => Activation::Selu,
        other => panic!("activation `{other}`"),
    }
}

/// The inputs of a case as leaves, by their names.
struct Inputs {
    leaves: BTreeMap<String, AnyTensor>,
}

impl Inputs {
    fn read(case: &Case, device: &Device) -> Inputs {
        let leaf = |golden: &Golden| match golden.shape.len() {
            2 => on_device::<2>(golden, device).require_grad().into(),
            3 => AnyTensor::from(on_device::<3>(golden, device).require_grad()),
            rank => panic!("an input of rank {rank}"),
        };
        let leaves = case
            .under("inputs/")
            .map(|(name, golden)| (name.to_owned(), leaf(golden)))
            .collect();
        Inputs { leaves }
    }

    fn only(&self, names: &[&str]) -> Value {
        Value::dict(names.iter().map(|name| (*name, self.leaves[*name].clone())))
    }

    fn all(&self) -> Value {
        Value::Dict(self.leaves.clone())
    }

    fn one(&self, name: &str) -> Value {
        Value::Tensor(self.leaves[name].clone())
    }
}

fn signature(value: &Value) -> Signature {
    match value {
        Value::Tensor(tensor) => Signature::Tensor(tensor.row_shape()),
        Value::Dict(entries) => Signature::dict(
            entries
                .iter()
                .map(|(name, tensor)| (name, tensor.row_shape())),
        ),
        Value::Features(_) => panic!("blocks of these cases do not read batches"),
    }
}

/// A block with the case's weights, and what it gives.
struct Run {
    block: BoxedBlock,
    names: Names,
    output: Value,
}

fn run_block(
    case: &Case,
    spec: impl Into<Spec>,
    input: Value,
    names: Names,
    device: &Device,
) -> Result<Run, Stop> {
    let block = build(spec, &signature(&input), device, 0)?.block;
    let block = set_weights(case, block, &names)?;
    let output = block.forward(input, &Pass::training(0))?;
    Ok(Run {
        block,
        names,
        output,
    })
}

/// The sum over all outputs of the output times its probe.
fn probe_loss(case: &Case, outputs: &[(&str, Tensor<2>)]) -> Result<Tensor<1>, Stop> {
    let mut loss: Option<Tensor<1>> = None;
    for (name, output) in outputs {
        let probe = on_device::<2>(case.tensor(&format!("probe/{name}"))?, &output.device());
        let part = (output.clone() * probe).sum();
        loss = Some(match loss {
            None => part,
            Some(loss) => loss + part,
        });
    }
    loss.ok_or_else(|| Stop::Fail("a block without outputs".to_owned()))
}

/// Compares outputs, loss, and the gradients of inputs and parameters.
fn compare(case: &Case, inputs: &Inputs, runs: &[&Run], outputs: &[(&str, Tensor<2>)]) -> Outcome {
    for (name, output) in outputs {
        same_tensor(
            case,
            &format!("outputs/{name}"),
            output.clone(),
            Tolerance::Forward,
        )?;
    }
    if !case.tensors.contains_key("loss") {
        return Ok(());
    }
    let loss = probe_loss(case, outputs)?;
    same_tensor(case, "loss", loss.clone(), Tolerance::Forward)?;
    let gradients = loss.backward();
    for run in runs {
        compare_parameters(case, &run.block, &run.names, "grads/", Some(&gradients))?;
    }
    for (name, leaf) in &inputs.leaves {
        let key = format!("grads/inputs/{name}");
        if !case.tensors.contains_key(&key) {
            continue;
        }
        let missing = || Stop::Fail(format!("no gradient reached input `{name}`"));
        match leaf {
            AnyTensor::Rank2(leaf) => {
                let gradient = leaf.grad(&gradients).ok_or_else(missing)?;
                same_tensor(case, &key, gradient, Tolerance::Gradient)?;
            }
            AnyTensor::Rank3(leaf) => {
                let gradient = leaf.grad(&gradients).ok_or_else(missing)?;
                same_tensor(case, &key, gradient, Tolerance::Gradient)?;
            }
        }
    }
    Ok(())
}

/// A block from one tensor `x` to one tensor `y`.
fn from_x_to_y(case: &Case, spec: impl Into<Spec>, names: Names) -> Outcome {
    let device = Device::default().autodiff();
    let inputs = Inputs::read(case, &device);
    let run = run_block(case, spec, inputs.one("x"), names, &device)?;
    let y = run.output.clone().into_rank2("golden")?;
    compare(case, &inputs, &[&run], &[("y", y)])
}

fn concat(case: &Case) -> Outcome {
    let device = Device::default().autodiff();
    let inputs = Inputs::read(case, &device);
    let run = run_block(case, Concat::new(), inputs.all(), Names::new(), &device)?;
    compare(
        case,
        &inputs,
        &[],
        &[("y", run.output.into_rank2("golden")?)],
    )
}

fn aggregations(case: &Case) -> Outcome {
    let device = Device::default().autodiff();
    let inputs = Inputs::read(case, &device);
    let run = |spec: Spec| run_block(case, spec, inputs.all(), Names::new(), &device);

    let order: Vec<&str> = inputs.leaves.keys().map(String::as_str).collect();
    let expected = case.params["order"].as_array().into_iter().flatten();
    let expected: Vec<&str> = expected.filter_map(|name| name.as_str()).collect();
    if order != expected {
        return Err(Stop::Fail(format!(
            "the order is {order:?}, expected {expected:?}"
        )));
    }
    let concat = run(Concat::new().into())?.output.into_rank2("golden")?;
    let sum = run(ElementwiseSum::new().into())?
        .output
        .into_rank2("golden")?;
    let stack = run(Stack::new().into())?.output.into_rank3("golden")?;
    same_tensor(case, "outputs/concat", concat, Tolerance::Forward)?;
    same_tensor(case, "outputs/element_wise_sum", sum, Tolerance::Forward)?;
    same_tensor(case, "outputs/stack_axis1", stack, Tolerance::Forward)
}

fn pair_aggregations(case: &Case) -> Outcome {
    let device = Device::default().autodiff();
    let inputs = Inputs::read(case, &device);
    let run = |spec: Spec, input| run_block(case, spec, input, Names::new(), &device);
    let tensor = |run: Run| run.output.into_rank2("golden");

    let cosine = tensor(run(CosineSimilarity::new().into(), inputs.all())?)?;
    let norm = tensor(run(L2Norm::new().into(), inputs.one("left"))?)?;
    let product = tensor(run(ElementwiseProduct::new().into(), inputs.all())?)?;
    let outputs = [
        ("cosine", cosine),
        ("l2_norm_left", norm),
        ("multiply", product),
    ];
    compare(case, &inputs, &[], &outputs)
}

fn mlp(case: &Case) -> Outcome {
    if !case.params["normalization"].is_null() {
        return skip("Mlp has no normalization yet");
    }
    let units = case.sizes("dimensions").expect("dimensions");
    let layers = units.len();
    let mut spec = Mlp::new(units);
    match &case.params["activation"] {
        serde_json::Value::String(name) => spec = spec.with_activation(activation(name)),
        names => {
            let names = names
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str());
            spec = spec.with_activations(names.map(activation).collect::<Vec<_>>());
        }
    }
    let mut names = mlp_names("", "", layers);
    if case.params["use_bias"] == false {
        spec = spec.without_bias();
        names.retain(|path, _| path.ends_with("weight"));
    }
    if case.params["no_activation_last_layer"] == true {
        spec = spec.with_last_linear();
    }
    from_x_to_y(case, spec, names)
}

fn dot_product_interaction(case: &Case) -> Outcome {
    if !case.params["interaction_type"].is_null() {
        return skip("DotProductInteraction has no bilinear variants yet");
    }
    from_x_to_y(case, DotProductInteraction::new(), Names::new())
}

fn connect_branch(case: &Case) -> Outcome {
    let first = case.sizes("first_mlp").expect("first_mlp");
    let mut names = mlp_names("first.", "first.", first.len());
    let mut branches = Vec::new();
    for (name, units) in case.params["branches"].as_object().expect("branches") {
        let units = sizes(units).expect("units");
        let ours = format!("1_parallel.branches.{name}.");
        names.extend(mlp_names(&ours, &format!("branches.{name}."), units.len()));
        branches.push((name.clone(), Mlp::new(units)));
    }
    let aggregation: Spec = match case.text("aggregation") {
        Some("concat") => Concat::new().into(),
        Some("element-wise-sum") => ElementwiseSum::new().into(),
        other => panic!("aggregation {other:?}"),
    };
    let spec = Mlp::new(first)
        .named("first")
        .connect_branch(branches)
        .connect(aggregation);
    from_x_to_y(case, spec, in_blocks(names))
}

/// The parameters of a sequence stand under `blocks`.
fn in_blocks(names: Names) -> Names {
    names
        .into_iter()
        .map(|(path, name)| (format!("blocks.{path}"), name))
        .collect()
}

fn connect_with_shortcut(case: &Case) -> Outcome {
    let first = case.sizes("first_mlp").expect("first_mlp");
    let block = case.sizes("block_mlp").expect("block_mlp");
    let mut names = mlp_names("first.", "first.", first.len());
    names.extend(mlp_names("1_shortcut.block.", "block.", block.len()));
    let name = case.text("block_outputs_name").expect("a name");
    let spec = Mlp::new(first)
        .named("first")
        .connect_with_shortcut(Mlp::new(block).named(name), Filter::all())
        .connect(Concat::new());
    from_x_to_y(case, spec, in_blocks(names))
}

fn connect_with_residual(case: &Case) -> Outcome {
    let first = case.sizes("first_mlp").expect("first_mlp");
    let inner = case.sizes("inner_mlp").expect("inner_mlp");
    let mut names = mlp_names("first.", "first.", first.len());
    names.extend(mlp_names("1_residual.block.", "inner.", inner.len()));
    let inner_activation = activation(case.text("inner_activation").expect("an activation"));
    let after = case
        .text("activation")
        .map_or(Activation::Linear, activation);
    let spec = Mlp::new(first)
        .named("first")
        .connect_with_residual(Mlp::new(inner).with_activation(inner_activation), after);
    from_x_to_y(case, spec, in_blocks(names))
}

fn parallel_routing(case: &Case) -> Outcome {
    let device = Device::default().autodiff();
    let inputs = Inputs::read(case, &device);
    let branches = ["left", "right"];
    let named = branches.map(|branch| {
        (
            branch,
            Mlp::new(sizes(&case.params["dims"][branch]).expect("units")),
        )
    });
    // The case does not say how wide the branches of the second block are; its weights do.
    let broadcast = branches.map(|branch| {
        let kernel = &case.tensors[&format!("weights/broadcast.{branch}.0.kernel")];
        (branch, Mlp::new([kernel.shape[1]]))
    });
    let names = |which: &str| -> Names {
        branches
            .iter()
            .flat_map(|branch| {
                mlp_names(
                    &format!("branches.{branch}."),
                    &format!("{which}.{branch}."),
                    1,
                )
            })
            .collect()
    };
    let routed = inputs.only(&["left", "right"]);
    let named = run_block(case, Parallel::new(named), routed, names("named"), &device)?;
    let whole = inputs.one("x");
    let broadcast = run_block(
        case,
        Parallel::new(broadcast),
        whole,
        names("broadcast"),
        &device,
    )?;

    let entry = |run: &Run, name: &str| -> Result<Tensor<2>, Stop> {
        let mut entries = run.output.clone().into_dict("golden")?;
        let tensor = entries.remove(name).and_then(AnyTensor::rank2);
        tensor.ok_or_else(|| Stop::Fail(format!("no output `{name}`")))
    };
    let outputs = [
        ("named/left", entry(&named, "left")?),
        ("named/right", entry(&named, "right")?),
        ("broadcast/left", entry(&broadcast, "left")?),
        ("broadcast/right", entry(&broadcast, "right")?),
    ];
    compare(case, &inputs, &[&named, &broadcast], &outputs)
}

/// The interaction of Merlin's DLRM tutorial, composed by hand.
fn seed_dlrm(case: &Case) -> Outcome {
    let dim = case.params["embedding_dim"].as_u64().expect("a width") as usize;
    let bottom = case.sizes("bottom_mlp").expect("units");
    let mut names = Names::new();
    names.extend(mlp_names(
        "body.blocks.0_parallel.branches.deep_continuous.blocks.1_mlp.",
        "bottom.",
        bottom.len(),
    ));
    let deep_continuous = ContinuousFeatures::new().connect(Mlp::new(bottom));
    let spec = Parallel::new([
        ("deep_continuous", Spec::from(deep_continuous)),
        ("embeddings", Embeddings::new(dim).into()),
    ])
    .connect_with_shortcut(
        DotProductInteraction::new(),
        Filter::names(["deep_continuous"]),
    )
    .connect(Concat::new());

    let mut model = ModelCase::build(case, spec, &[], names)?;
    let step = model.forward()?;
    let y = step.outputs.body().clone().into_rank2("golden")?;
    same_tensor(case, "outputs/y", y.clone(), Tolerance::Forward)?;
    let loss = probe_loss(case, &[("y", y)])?;
    same_tensor(case, "loss", loss.clone(), Tolerance::Forward)?;
    model.compare_gradients(case, &step, loss)
}

fn continuous_features(case: &Case) -> Outcome {
    let schema = case.schema().expect("a schema");
    let batch = batch_of(case)?;
    let columns = inspect(ContinuousFeatures::new(), &schema, &batch)?;
    let side_by_side = inspect(
        ContinuousFeatures::new().connect(Concat::new()),
        &schema,
        &batch,
    )?;
    let entries = columns.into_dict("golden")?;
    let expected = case
        .under("outputs/")
        .filter(|(name, _)| *name != "concat")
        .count();
    if entries.len() != expected {
        return Err(Stop::Fail(format!(
            "{} columns, expected {expected}",
            entries.len()
        )));
    }
    for (name, tensor) in entries {
        let tensor = Value::Tensor(tensor).into_rank2("golden")?;
        same_tensor(case, &format!("outputs/{name}"), tensor, Tolerance::Exact)?;
    }
    let side_by_side = side_by_side.into_rank2("golden")?;
    same_tensor(case, "outputs/concat", side_by_side, Tolerance::Exact)
}
