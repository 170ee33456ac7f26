//! Single blocks against numbers worked out by hand.

use burn::tensor::Tensor;
use emrys_models::blocks::{
    Activation, Concat, CosineSimilarity, DotProductInteraction, ElementwiseProduct,
    ElementwiseSum, Filter, L2Norm, LogitsTemperature, Mlp, Stack,
};
use emrys_models::{Initializer, Pass, RowShape, Signature, Value};

use super::{block, evaluate, numbers, tensor, vector};

fn two() -> (Signature, Value) {
    let signature = Signature::dict([("b", RowShape::Vector(2)), ("a", RowShape::Vector(2))]);
    let value = Value::dict([("b", tensor([[3.0, 4.0]])), ("a", tensor([[1.0, 2.0]]))]);
    (signature, value)
}

#[test]
fn dictionaries_are_ordered_by_code_point() {
    let names = ["f2", "f10", "_x", "TE_age", "deep"];
    let signature = Signature::dict(names.map(|name| (name, RowShape::Vector(1))));
    let value = Value::dict(
        names
            .iter()
            .zip(1_u8..)
            .map(|(name, number)| (*name, tensor([[f32::from(number)]]))),
    );
    // TE_age, _x, deep, f10, f2
    assert_eq!(
        numbers(evaluate(Concat::new(), &signature, value)),
        [4.0, 3.0, 5.0, 2.0, 1.0]
    );
}

#[test]
fn aggregations_of_two_vectors() {
    let (signature, value) = two();
    let run = |spec: emrys_models::Spec| numbers(evaluate(spec, &signature, value.clone()));
    assert_eq!(run(Concat::new().into()), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run(Stack::new().into()), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run(ElementwiseSum::new().into()), [4.0, 6.0]);
    assert_eq!(run(ElementwiseProduct::new().into()), [3.0, 8.0]);
    let cosine = run(CosineSimilarity::new().into())[0];
    assert!(
        (cosine - 11.0 / (5.0_f32.sqrt() * 5.0)).abs() < 1e-6,
        "{cosine}"
    );
    assert_eq!(run(Filter::names(["b"]).into_concat()), [3.0, 4.0]);
    assert_eq!(
        run(Filter::names(["b"]).excluded().into_concat()),
        [1.0, 2.0]
    );
}

/// A filter whose result can be looked at as one tensor.
trait IntoConcat {
    fn into_concat(self) -> emrys_models::Spec;
}

impl IntoConcat for Filter {
    fn into_concat(self) -> emrys_models::Spec {
        emrys_models::Compose::connect(self, Concat::new()).into()
    }
}

#[test]
fn pairs_follow_the_upper_triangle() {
    let fields = Tensor::<3>::from_data(
        [[[1.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 1.0]]],
        &burn::tensor::Device::default(),
    );
    let input = Signature::Tensor(RowShape::Matrix(4, 2));
    let products = numbers(evaluate(DotProductInteraction::new(), &input, fields));
    // (0,1) (0,2) (0,3) (1,2) (1,3) (2,3)
    assert_eq!(products, [0.0, 2.0, 1.0, 3.0, 1.0, 5.0]);
}

#[test]
fn norm_leaves_zero_vectors_alone() {
    let out = evaluate(L2Norm::new(), &vector(2), tensor([[3.0, 4.0], [0.0, 0.0]]));
    let out = numbers(out);
    assert!((out[0] - 0.6).abs() < 1e-6 && (out[1] - 0.8).abs() < 1e-6);
    assert_eq!(out[2..], [0.0, 0.0]);
}

#[test]
fn temperature_divides() {
    let out = evaluate(LogitsTemperature::new(2.0), &vector(1), tensor([[3.0]]));
    assert_eq!(numbers(out), [1.5]);
}

#[test]
fn mlp_applies_layers_to_each_position_of_a_list() {
    let spec = Mlp::new([2, 1])
        .with_kernel_initializer(Initializer::Constant { value: 0.5 })
        .with_activations([Activation::Relu, Activation::Linear]);
    let input = Signature::Tensor(RowShape::Matrix(2, 2));
    let list = Tensor::<3>::from_data(
        [[[1.0, 3.0], [-1.0, -3.0]]],
        &burn::tensor::Device::default(),
    );
    // (1 + 3) / 2 = 2 in both units, then (2 + 2) / 2; the second position is cut off at 0.
    assert_eq!(numbers(evaluate(spec, &input, list)), [2.0, 0.0]);
}

#[test]
fn dropout_acts_in_training_only_and_not_behind_a_last_linear_layer() {
    let ones = || tensor([[1.0; 50]]);
    let constant = Initializer::Constant { value: 1.0 };
    let dropping = Mlp::new([40])
        .with_kernel_initializer(constant)
        .with_dropout(0.5);
    let all = block(dropping.clone(), &vector(50));
    let last_linear = block(dropping.with_last_linear(), &vector(50));

    assert_eq!(
        numbers(all.forward(ones(), &Pass::evaluation()).unwrap()),
        [50.0; 40]
    );
    let trained = numbers(all.forward(ones(), &Pass::training(1)).unwrap());
    let dropped = trained.iter().filter(|unit| **unit == 0.0).count();
    assert!((8..=32).contains(&dropped), "{dropped} of 40 dropped");
    assert!(trained.iter().all(|unit| *unit == 0.0 || *unit == 100.0));
    assert_eq!(
        numbers(last_linear.forward(ones(), &Pass::training(1)).unwrap()),
        [50.0; 40]
    );
}

#[test]
fn the_same_seed_gives_the_same_parameters_wherever_else_blocks_are_added() {
    use emrys_models::blocks::Parallel;
    let x = || tensor([[1.0, -2.0, 0.5]]);
    let alone = Parallel::new([("deep", Mlp::new([4]))]);
    let beside = Parallel::new([("aside", Mlp::new([7])), ("deep", Mlp::new([4]))]);
    let deep = |spec: Parallel| {
        let mut entries = evaluate(spec.clone(), &vector(3), x())
            .into_dict("test")
            .unwrap();
        numbers(Value::Tensor(entries.remove("deep").unwrap()))
    };
    assert_eq!(deep(alone.clone()), deep(beside));
    assert_eq!(deep(alone.clone()), deep(alone));
}
