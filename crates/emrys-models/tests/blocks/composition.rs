//! How blocks are put together, and how compositions are written down.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emrys_models::blocks::{
    Activation, Concat, ContinuousFeatures, DotProductInteraction, ElementwiseSum, Embeddings,
    Filter, Inputs, Mlp, Parallel,
};
use emrys_models::models::{Dlrm, MlpModel, TwoTower};
use emrys_models::tasks::{BinaryClassification, ItemRetrieval};
use emrys_models::{
    AnyTensor, Block, BlockSpec, Built, Compose, Error, Initializer, ModelSpec, Pass, Problems,
    Result, RowShape, Scope, Signature, Spec, Value, build, inspect, register_block,
};
use serde::{Deserialize, Serialize};

use super::{evaluate, five_rows, movies, numbers, tensor, vector};

/// What Merlin's tutorial composes by hand.
pub fn tutorial_interaction() -> Spec {
    let embeddings = Embeddings::new(64)
        .of(["userId", "movieId", "title", "gender"])
        .with_initializer(Initializer::TruncatedNormal {
            mean: 0.0,
            std: 0.05,
        });
    let deep_continuous =
        ContinuousFeatures::of(["TE_zipcode_rating", "TE_movieId_rating"]).connect(Mlp::new([64]));
    Parallel::new([
        ("embeddings", Spec::from(embeddings)),
        ("deep_continuous", deep_continuous.into()),
    ])
    .connect_with_shortcut(
        DotProductInteraction::new(),
        Filter::names(["deep_continuous"]),
    )
    .connect(Concat::new())
    .into()
}

#[test]
fn the_tutorials_interaction_is_74_wide() {
    let value = inspect(tutorial_interaction(), &movies(), &five_rows()).unwrap();
    assert_eq!(value.to_string(), "a tensor [5, 74]");
}

#[test]
fn every_block_can_be_looked_at_on_a_raw_batch() {
    let look = |spec: Spec| inspect(spec, &movies(), &five_rows()).unwrap().to_string();
    insta::assert_snapshot!(
        look(Inputs::new(Embeddings::new(8).with_dim("genres", 4)).into()),
        @"named tensors {TE_movieId_rating: [5, 1], TE_zipcode_rating: [5, 1], gender: [5, 8], genres: [5, 4], movieId: [5, 8], title: [5, 8], userId: [5, 8]}"
    );
    insta::assert_snapshot!(
        look(MlpModel::new(Embeddings::inferred(), Mlp::new([16, 3])).into()),
        @"a tensor [5, 3]"
    );
    insta::assert_snapshot!(
        look(Dlrm::new(Embeddings::new(8)).with_bottom(Mlp::new([8])).into()),
        @"a tensor [5, 15]"
    );
    insta::assert_snapshot!(
        look(TwoTower::new(Embeddings::new(8), Mlp::new([4]), Mlp::new([4])).into()),
        @"named tensors {candidate: [5, 4], query: [5, 4]}"
    );
}

#[test]
fn combinators_leave_their_parts_alone() {
    let first = Mlp::new([4]).connect(Mlp::new([3]));
    let longer = first.clone().connect(Mlp::new([2]));
    assert_eq!(first, Mlp::new([4]).connect(Mlp::new([3])));
    assert_ne!(first, longer);
    assert_eq!(
        longer,
        Mlp::new([4]).connect(Mlp::new([3]).connect(Mlp::new([2])))
    );
}

#[test]
fn branches_read_the_entry_of_their_name_if_all_are_there() {
    let routed = Signature::dict([
        ("left", RowShape::Vector(1)),
        ("right", RowShape::Vector(2)),
    ]);
    let value = Value::dict([
        ("left", AnyTensor::from(tensor([[1.0]]))),
        ("right", tensor([[2.0, 3.0]]).into()),
    ]);
    let constant = |units: usize| {
        Mlp::linear(units).with_kernel_initializer(Initializer::Constant { value: 1.0 })
    };
    let both = Parallel::new([("left", constant(1)), ("right", constant(1))]);
    let output = evaluate(both.connect(Concat::new()), &routed, value.clone());
    assert_eq!(numbers(output), [1.0, 5.0]);

    // `other` is not an input, so every branch reads all of it.
    let whole = Parallel::new([("left", constant(1)), ("other", constant(1))]);
    let output = evaluate(whole.connect(Concat::new()), &routed, value.clone());
    assert_eq!(numbers(output), [6.0, 6.0]);

    let rest = Parallel::new([("deep", constant(1))]).with_rest();
    let output = evaluate(rest.connect(Concat::new()), &routed, value);
    assert_eq!(numbers(output), [6.0, 1.0, 2.0, 3.0]);
}

#[test]
fn a_branch_that_gives_nothing_is_left_out() {
    let schema = movies().excluding(["TE_zipcode_rating", "TE_movieId_rating"]);
    let value = inspect(Inputs::new(Embeddings::new(2)), &schema, &five_rows()).unwrap();
    assert_eq!(value.into_dict("test").unwrap().len(), 5);
}

#[test]
fn a_residual_adds_its_input() {
    let doubling = Mlp::linear(2).with_kernel_initializer(Initializer::Zeros);
    let spec = Filter::all()
        .connect(Concat::new())
        .connect_with_residual(doubling, Activation::Linear);
    let input = Signature::dict([("x", RowShape::Vector(2))]);
    let value = Value::dict([("x", tensor([[3.0, 4.0]]))]);
    assert_eq!(numbers(evaluate(spec, &input, value)), [3.0, 4.0]);
}

#[test]
fn specs_survive_json() {
    let specs: [Spec; 4] = [
        tutorial_interaction()
            .connect(Mlp::new([64, 128, 512]))
            .into(),
        Dlrm::new(Embeddings::new(64))
            .with_bottom(Mlp::new([64]).named("own name"))
            .with_top(Mlp::new([8]).with_dropout(0.25).with_last_linear())
            .into(),
        TwoTower::new(
            Embeddings::inferred().with_frozen("movieId"),
            Mlp::new([4]),
            Mlp::new([4]),
        )
        .into(),
        Mlp::new([4])
            .connect_branch([Mlp::new([3]), Mlp::new([3]).without_bias()])
            .connect(ElementwiseSum::new())
            .into(),
    ];
    for spec in specs {
        let json = serde_json::to_string_pretty(&spec).unwrap();
        let read: Spec = serde_json::from_str(&json).unwrap();
        assert_eq!(read, spec, "{json}");
    }
    let spec: Spec = Mlp::new([64, 32]).into();
    insta::assert_snapshot!(spec, @r#"{"mlp":{"units":[64,32],"activation":"relu","bias":true,"kernel_initializer":"glorot_uniform"}}"#);
}

#[test]
fn unknown_block_types_are_named() {
    let error = serde_json::from_str::<Spec>(r#"{"mlpp": {"units": [4]}}"#).unwrap_err();
    insta::assert_snapshot!(error.to_string().split(" (there are").next().unwrap(), @"block type `mlpp` is not registered; did you mean `mlp`?");
    let error = serde_json::from_str::<Spec>(r#"{"mlp": {"unit": [4]}}"#).unwrap_err();
    assert!(
        error.to_string().starts_with("mlp: unknown field `unit`"),
        "{error}"
    );
}

/// A block of a user's own, with a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    start: f32,
}

#[derive(Module, Debug)]
struct ScaleBlock {
    factor: burn::module::Param<Tensor<1>>,
}

impl BlockSpec for Scale {
    const NAME: &'static str = "test_scale";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let start = Initializer::Constant { value: self.start };
        let factor = scope.vector("factor", input.width(), start);
        Ok(Built::new(ScaleBlock { factor }, input.clone()))
    }
}

impl Block for ScaleBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        Ok((input.into_rank2("test_scale")? * self.factor.val().unsqueeze()).into())
    }
}

#[test]
fn blocks_of_ones_own_compose_and_load() {
    register_block::<Scale>().unwrap();
    register_block::<Scale>().unwrap();
    let spec: Spec = Mlp::new([2])
        .connect(Scale { start: 3.0 }.named("scale"))
        .into();
    let read: Spec = serde_json::from_str(&spec.to_string()).unwrap();
    assert_eq!(read, spec);
    let block = build(read, &vector(2), &Device::default(), 1)
        .unwrap()
        .block;
    assert_eq!(block.num_params(), 2 * 2 + 2 + 2);
    let part = block.part("scale").unwrap();
    let out = part
        .forward(tensor([[1.0, 2.0]]), &Pass::evaluation())
        .unwrap();
    assert_eq!(numbers(out), [3.0, 6.0]);
}

#[test]
fn a_name_belongs_to_one_type() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Impostor {}
    impl BlockSpec for Impostor {
        const NAME: &'static str = "mlp";
        fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
            Mlp::new([1]).build(input, scope)
        }
    }
    let error = register_block::<Impostor>().unwrap_err();
    assert!(matches!(error, Error::DuplicateBlock { name: "mlp" }));
    insta::assert_snapshot!(error, @"block type `mlp` is already registered for another type; give the new one another `NAME`");
}

#[test]
fn towers_run_on_their_own_columns_alone() {
    let network = Mlp::new([6, 4]).with_last_linear();
    let spec = ModelSpec::new(TwoTower::new(Embeddings::new(8), network.clone(), network))
        .with_task(ItemRetrieval::new("movieId"));
    let model = spec.build(&movies(), &Device::default(), 3).unwrap();
    let whole = five_rows().with_lookups(&model.lookup_specs()).unwrap();
    let whole = model.forward(&whole, &Pass::evaluation()).unwrap();
    let mut whole = whole.body().clone().into_dict("test").unwrap();

    let tower = model.tower("candidate").unwrap();
    assert_eq!(
        tower.input_columns(),
        ["TE_movieId_rating", "genres", "movieId", "title"]
    );
    let columns = five_rows().into_columns().into_iter();
    let items = columns.filter(|(name, _)| tower.input_columns().contains(&&**name));
    let items = emrys_loader::Batch::new(items).unwrap();
    let items = items.with_lookups(&tower.lookup_specs()).unwrap();
    let vectors = numbers(tower.forward(&items).unwrap().into());
    assert_eq!(
        vectors,
        numbers(Value::Tensor(whole.remove("candidate").unwrap()))
    );

    let error = model.tower("item").unwrap_err();
    insta::assert_snapshot!(error, @"the model has no part `item` (there are: candidate, query)");
}

#[test]
fn a_block_can_serve_several_tasks_and_each_has_its_head() {
    let schema = movies().with_column(emrys_schema::ColumnSchema::new(
        "liked",
        emrys_schema::DType::Float32,
    ));
    let model = ModelSpec::new(MlpModel::new(Embeddings::new(4), Mlp::new([8])))
        .with_task(BinaryClassification::new("rating"))
        .with_task(BinaryClassification::new("liked"))
        .build(&schema, &Device::default(), 1)
        .unwrap();
    let batch = five_rows().with_lookups(&model.lookup_specs()).unwrap();
    let outputs = model.forward(&batch, &Pass::evaluation()).unwrap();
    assert_eq!(outputs.get("rating").to_string(), "a tensor [5, 1]");
    assert_ne!(
        numbers(outputs.get("rating").clone()),
        numbers(outputs.get("liked").clone())
    );
}
