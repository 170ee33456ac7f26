//! Gradients of all parameters and inputs against finite differences.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Gradients, Tensor, TensorData};
use emrys_models::blocks::{
    Activation, Concat, CosineSimilarity, DotProductInteraction, ElementwiseProduct, Filter,
    L2Norm, Mlp, Parallel,
};
use emrys_models::{BoxedBlock, Compose, Pass, Spec, Value, build};

use super::vector;

const WIDTH: usize = 4;

/// The sum over all outputs, each weighted by its position so that no two are alike.
fn loss(block: &BoxedBlock, x: &Tensor<2>) -> Tensor<1> {
    let output = block.forward(x.clone(), &Pass::evaluation()).unwrap();
    let output = output.into_rank2("test").unwrap();
    let [rows, width] = output.dims();
    let weights: Vec<f32> = (0..rows * width)
        .map(|i| 0.3 + (i % 7) as f32 * 0.1)
        .collect();
    let weights = Tensor::from_data(TensorData::new(weights, [rows, width]), &output.device());
    (output * weights).sum()
}

fn value(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}

/// Adds `by` to the element `at` of all parameters in order.
struct Nudge {
    at: usize,
    by: f32,
    seen: usize,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let first = self.seen;
        self.seen += param.val().shape().num_elements();
        if !(first..self.seen).contains(&self.at) {
            return param;
        }
        let (at, by) = (self.at - first, self.by);
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let mut numbers: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
            numbers[at] += by;
            Tensor::from_data(TensorData::new(numbers, shape), &device).require_grad()
        })
    }
}

struct Collect<'a> {
    gradients: &'a Gradients,
    found: Vec<f32>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param
            .val()
            .grad(self.gradients)
            .expect("every parameter has a gradient");
        self.found
            .extend(gradient.into_data().try_to_vec::<f32>().unwrap());
    }
}

fn check(name: &str, spec: impl Into<Spec>) {
    const STEP: f32 = 2e-3;
    let device = Device::default().autodiff();
    let block = build(spec, &vector(WIDTH), &device, 7).unwrap().block;
    let numbers: Vec<f32> = (0..3 * WIDTH)
        .map(|i| ((i * 37 % 19) as f32 - 9.0) / 8.0)
        .collect();
    let input = |numbers: &[f32]| {
        Tensor::<2>::from_data(TensorData::new(numbers.to_vec(), [3, WIDTH]), &device)
    };
    let x = input(&numbers).require_grad();
    let gradients = loss(&block, &x).backward();

    let near = |what: &str, index: usize, analytic: f32, high: f64, low: f64| {
        let numeric = (high - low) / (2.0 * f64::from(STEP));
        let error = (f64::from(analytic) - numeric).abs();
        assert!(
            error < 5e-3 * (1.0 + numeric.abs()),
            "{name}: gradient {index} of {what} is {analytic}, the difference quotient {numeric}"
        );
    };
    let analytic: Vec<f32> = x
        .grad(&gradients)
        .unwrap()
        .into_data()
        .try_to_vec()
        .unwrap();
    for (index, analytic) in analytic.into_iter().enumerate() {
        let at = |by: f32| {
            let mut moved = numbers.clone();
            moved[index] += by;
            value(&loss(&block, &input(&moved)))
        };
        near("the input", index, analytic, at(STEP), at(-STEP));
    }
    let mut collect = Collect {
        gradients: &gradients,
        found: Vec::new(),
    };
    block.visit(&mut collect);
    assert_eq!(collect.found.len(), block.num_params(), "{name}");
    for (index, analytic) in collect.found.into_iter().enumerate() {
        let at = |by: f32| {
            let moved = block.clone().map(&mut Nudge {
                at: index,
                by,
                seen: 0,
            });
            value(&loss(&moved, &x))
        };
        near("the parameters", index, analytic, at(STEP), at(-STEP));
    }
}

/// Layers without kinks, which difference quotients would stumble over.
fn smooth(units: &[usize]) -> Mlp {
    Mlp::new(units).with_activation(Activation::Tanh)
}

#[test]
fn gradients_are_those_of_difference_quotients() {
    check("mlp", smooth(&[5, 3]));
    check("mlp without bias", smooth(&[3]).without_bias());
    for activation in [
        Activation::Sigmoid,
        Activation::Gelu,
        Activation::Silu,
        Activation::Softplus,
    ] {
        check("activation", Mlp::new([3]).with_activation(activation));
    }
    check(
        "residual",
        smooth(&[4]).connect_with_residual(smooth(&[4]), Activation::Tanh),
    );
    check("l2 norm", smooth(&[4]).connect(L2Norm::new()));
    let two = || Parallel::new([smooth(&[3]), smooth(&[3])]);
    check("branches", two().connect(Concat::new()));
    check("product", two().connect(ElementwiseProduct::new()));
    check("cosine", two().connect(CosineSimilarity::new()));
    let three = Parallel::new([smooth(&[3]), smooth(&[3]), smooth(&[3])]);
    check("interaction", three.connect(DotProductInteraction::new()));
    let shortcut =
        two().connect_with_shortcut(DotProductInteraction::new(), Filter::names(["mlp"]));
    check("shortcut", shortcut.connect(Concat::new()));
}

#[test]
fn batches_of_one_row_work() {
    let device = Device::default().autodiff();
    let block = build(smooth(&[3, 1]), &vector(WIDTH), &device, 7)
        .unwrap()
        .block;
    let x = Tensor::<2>::random([1, WIDTH], Distribution::Default, &device);
    let output = block.forward(x, &Pass::training(1)).unwrap();
    assert!(matches!(&output, Value::Tensor(tensor) if tensor.batch_size() == 1));
}
