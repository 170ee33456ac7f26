//! Nested boxed blocks under Burn's optimizers and records, and saved models.

use std::fs;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Device;
use emrys_models::blocks::{Activation, Concat, Embeddings, Mlp, Parallel};
use emrys_models::models::{Dlrm, TwoTower};
use emrys_models::tasks::{BinaryClassification, ItemRetrieval};
use emrys_models::{BoxedBlock, Compose, Error, Model, ModelSpec, Pass, build};

use super::composition::tutorial_interaction;
use super::{five_rows, movies, numbers, tensor, vector};

fn nested() -> BoxedBlock {
    let inner = Parallel::new([("deep", Mlp::new([8, 4])), ("wide", Mlp::linear(2))]);
    let spec = Mlp::new([6])
        .connect(inner)
        .connect(Concat::new())
        .connect_with_residual(Mlp::new([6]).named("inner"), Activation::Linear)
        .connect(Mlp::linear(1));
    build(spec, &vector(3), &Device::default().autodiff(), 5)
        .unwrap()
        .block
}

fn paths(block: &BoxedBlock) -> Vec<String> {
    use burn::store::ModuleSnapshot;
    block
        .collect(None, None, false)
        .into_iter()
        .map(|tensor| tensor.name.clone())
        .collect()
}

#[test]
fn parameters_have_readable_paths() {
    insta::assert_snapshot!(paths(&nested()).join("\n"), @r"
        blocks.0_mlp.layers.0.weight
        blocks.0_mlp.layers.0.bias
        blocks.1_parallel.branches.deep.layers.0.weight
        blocks.1_parallel.branches.deep.layers.0.bias
        blocks.1_parallel.branches.deep.layers.1.weight
        blocks.1_parallel.branches.deep.layers.1.bias
        blocks.1_parallel.branches.wide.layers.0.weight
        blocks.1_parallel.branches.wide.layers.0.bias
        blocks.3_residual.block.layers.0.weight
        blocks.3_residual.block.layers.0.bias
        blocks.4_mlp.layers.0.weight
        blocks.4_mlp.layers.0.bias
        ");
}

#[test]
fn nested_boxed_blocks_train_with_burns_optimizer() {
    let device = Device::default().autodiff();
    let mut block = nested();
    let mut optimizer = AdamConfig::new().init();
    let x = tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]);
    let x = burn::tensor::Tensor::<2>::from_data(x.into_data(), &device);
    let y = burn::tensor::Tensor::<2>::from_data([[1.0], [-1.0]], &device);
    let mut losses = Vec::new();
    for step in 0..60 {
        let output = block.forward(x.clone(), &Pass::training(step)).unwrap();
        let loss = (output.into_rank2("test").unwrap() - y.clone())
            .square()
            .mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &block);
        assert_eq!(gradients.len(), paths(&block).len());
        block = optimizer.step(0.02, block, gradients);
    }
    assert!(losses[59] < losses[0] / 20.0, "{losses:?}");
}

#[test]
fn burns_records_keep_every_bit_of_boxed_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.bpk");
    let x = || tensor([[1.0, 2.0, 3.0]]);
    let block = nested().valid();
    let before = numbers(block.forward(x(), &Pass::evaluation()).unwrap());
    block.clone().save_file(&path).unwrap();
    let other = build(
        Mlp::new([6])
            .connect(Parallel::new([
                ("deep", Mlp::new([8, 4])),
                ("wide", Mlp::linear(2)),
            ]))
            .connect(Concat::new())
            .connect_with_residual(Mlp::new([6]).named("inner"), Activation::Linear)
            .connect(Mlp::linear(1)),
        &vector(3),
        &Device::default(),
        99,
    );
    let other = other.unwrap().block.valid();
    assert_ne!(
        before,
        numbers(other.forward(x(), &Pass::evaluation()).unwrap())
    );
    let loaded = other.load_file(&path);
    assert_eq!(
        before,
        numbers(loaded.forward(x(), &Pass::evaluation()).unwrap())
    );
}

fn models() -> Vec<(ModelSpec, &'static str)> {
    let network = Mlp::new([6, 4]).with_last_linear();
    vec![
        (
            ModelSpec::new(tutorial_interaction().connect(Mlp::new([64, 128])))
                .with_task(BinaryClassification::new("rating").with_temperature(2.0)),
            "rating",
        ),
        (
            ModelSpec::new(Dlrm::new(Embeddings::new(8)).with_bottom(Mlp::new([8])))
                .with_task(BinaryClassification::new("rating")),
            "rating",
        ),
        (
            ModelSpec::new(TwoTower::new(
                Embeddings::inferred(),
                network.clone(),
                network,
            ))
            .with_task(ItemRetrieval::new("movieId")),
            "movieId",
        ),
    ]
}

/// The bits of what a model gives for a task.
fn predictions(model: &Model, task: &str) -> Vec<Vec<u32>> {
    let batch = five_rows().with_lookups(&model.lookup_specs()).unwrap();
    let outputs = model.forward(&batch, &Pass::evaluation()).unwrap();
    let tensors = match outputs.get(task).clone() {
        emrys_models::Value::Dict(entries) => entries.into_values().collect(),
        emrys_models::Value::Tensor(tensor) => vec![tensor],
        other @ emrys_models::Value::Features(_) => panic!("{other}"),
    };
    let bits = |tensor| {
        numbers(emrys_models::Value::Tensor(tensor))
            .into_iter()
            .map(f32::to_bits)
    };
    tensors
        .into_iter()
        .map(|tensor| bits(tensor).collect())
        .collect()
}

#[test]
fn a_saved_model_predicts_the_same_bits_without_the_code_that_composed_it() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default();
    for (index, (spec, task)) in models().into_iter().enumerate() {
        let model = spec.build(&movies(), &device, 11).unwrap();
        let path = folder.path().join(format!("model_{index}"));
        model.save(&path).unwrap();
        let loaded = Model::load(&path, &device).unwrap();
        assert_eq!(loaded.spec(), model.spec());
        assert_eq!(loaded.schema(), model.schema());
        assert_eq!(predictions(&loaded, task), predictions(&model, task));
        let other = spec.build(&movies(), &device, 12).unwrap();
        assert_ne!(predictions(&other, task), predictions(&model, task));
        let mut files: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        files.sort();
        assert_eq!(
            files,
            [
                "embeddings.safetensors",
                "model.json",
                "weights.safetensors"
            ]
        );
    }
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 3, "drafts are removed");
}

#[test]
fn the_same_seed_builds_the_same_model() {
    let (spec, task) = models().remove(0);
    let build = || spec.build(&movies(), &Device::default(), 4).unwrap();
    assert_eq!(predictions(&build(), task), predictions(&build(), task));
}

#[test]
fn what_is_wrong_with_a_saved_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let (spec, _) = models().remove(1);
    let device = Device::default();
    let model = spec.build(&movies(), &device, 1).unwrap();
    model.save(&path).unwrap();

    let told = |error: Error| {
        let text = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        text.replace(&*folder.path().to_string_lossy(), "DIR")
    };
    insta::assert_snapshot!(told(model.save(&path).unwrap_err()), @"`DIR/model` already exists; choose another folder or remove it");
    insta::assert_snapshot!(told(Model::load(folder.path().join("none"), &device).unwrap_err()), @"cannot read `DIR/none/model.json`: No such file or directory (os error 2)");

    let description = fs::read_to_string(path.join("model.json")).unwrap();
    let rewrite = |text: &str| fs::write(path.join("model.json"), text).unwrap();
    rewrite(&description.replace("\"format\": 1", "\"format\": 2"));
    insta::assert_snapshot!(told(Model::load(&path, &device).unwrap_err()), @"`DIR/model/model.json` has format version 2, this program reads up to 1; upgrade emrys to load it");
    rewrite(&description.replace("\"dlrm\"", "\"dlrn\""));
    let error = told(Model::load(&path, &device).unwrap_err());
    insta::assert_snapshot!(error.split(" (there are").next().unwrap(), @"`DIR/model/model.json` is not a model description that this program can read: block type `dlrn` is not registered; did you mean `dlrm`?");
    rewrite("{");
    insta::assert_snapshot!(told(Model::load(&path, &device).unwrap_err()), @"`DIR/model/model.json` is not a model description that this program can read: EOF while parsing an object at line 1 column 1");
    rewrite(&description.replacen(
        "\"units\": [\n              8\n",
        "\"units\": [\n              9,\n 8\n",
        1,
    ));
    let error = told(Model::load(&path, &device).unwrap_err());
    assert!(
        error.starts_with("weights in `DIR/model/weights.safetensors`: "),
        "{error}"
    );
    rewrite(&description);
    fs::remove_file(path.join("weights.safetensors")).unwrap();
    insta::assert_snapshot!(told(Model::load(&path, &device).unwrap_err()), @"cannot read `DIR/model/weights.safetensors`: No such file or directory (os error 2)");
}
