//! Blocks, their composition, what their specs refuse, and saved models.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod build_errors;
mod composition;
mod gradients;
mod layers;
mod saving;

use burn::tensor::{Device, Tensor, TensorData};
use emrys_loader::{Batch, Column};
use emrys_models::{BoxedBlock, Pass, RowShape, Signature, Spec, Value, build};
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Shape, Tag};

/// `[B, D]` from nested arrays.
fn tensor<const B: usize, const D: usize>(rows: [[f32; D]; B]) -> Tensor<2> {
    Tensor::from_data(TensorData::from(rows), &Device::default())
}

/// The numbers of a value that is one tensor, row after row.
fn numbers(value: Value) -> Vec<f32> {
    match value {
        Value::Tensor(tensor) => match tensor.row_shape() {
            RowShape::Vector(_) => tensor.rank2().unwrap().into_data().try_to_vec().unwrap(),
            RowShape::Matrix(..) => tensor.rank3().unwrap().into_data().try_to_vec().unwrap(),
        },
        other => panic!("{other}"),
    }
}

fn vector(width: usize) -> Signature {
    Signature::Tensor(RowShape::Vector(width))
}

/// A block with starting parameters, ready for evaluation.
fn block(spec: impl Into<Spec>, input: &Signature) -> BoxedBlock {
    build(spec, input, &Device::default(), 42).unwrap().block
}

fn evaluate(spec: impl Into<Spec>, input: &Signature, value: impl Into<Value>) -> Value {
    block(spec, input)
        .forward(value, &Pass::evaluation())
        .unwrap()
}

/// Users and movies as in the MovieLens tutorial.
fn movies() -> Schema {
    let id = |name: &str, max| {
        ColumnSchema::new(name, DType::Int64)
            .with_tags([Tag::Categorical])
            .with_domain(Domain::int(0, max).named(name))
    };
    Schema::new([
        id("userId", 12).with_tags([Tag::UserId]),
        id("movieId", 9).with_tags([Tag::ItemId]),
        id("title", 7).with_tags([Tag::Item]),
        id("gender", 2).with_tags([Tag::User]),
        id("genres", 5)
            .with_tags([Tag::Item])
            .with_shape(Shape::ragged(0, None)),
        ColumnSchema::new("TE_zipcode_rating", DType::Float32)
            .with_tags([Tag::Continuous, Tag::User]),
        ColumnSchema::new("TE_movieId_rating", DType::Float32)
            .with_tags([Tag::Continuous, Tag::Item]),
        ColumnSchema::new("rating", DType::Float32).with_tags([Tag::Target]),
    ])
    .unwrap()
}

/// Five rows of [`movies`].
fn five_rows() -> Batch {
    Batch::new([
        ("userId", Column::from(vec![1_i64, 12, 3, 3, 7])),
        ("movieId", vec![9_i64, 2, 2, 4, 1].into()),
        ("title", vec![7_i64, 1, 1, 5, 2].into()),
        ("gender", vec![1_i64, 2, 1, 1, 2].into()),
        (
            "genres",
            Column::lists([vec![1_i64, 2], vec![], vec![5], vec![3, 3, 4], vec![1]]),
        ),
        (
            "TE_zipcode_rating",
            vec![0.5_f32, -1.0, 0.0, 2.0, 0.25].into(),
        ),
        (
            "TE_movieId_rating",
            vec![0.1_f32, 0.2, -0.3, 0.4, 1.5].into(),
        ),
        ("rating", vec![1.0_f32, 0.0, 1.0, 1.0, 0.0].into()),
    ])
    .unwrap()
}
