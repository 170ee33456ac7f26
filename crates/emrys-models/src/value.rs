//! What flows between blocks: [`Value`], and its shape before any data is seen: [`Signature`].

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;
use emrys_schema::Schema;

use crate::{Error, Features, Result};

/// A float tensor whose first axis is the batch.
#[derive(Debug, Clone)]
pub enum AnyTensor {
    /// One vector per row: `[B, D]`.
    Rank2(Tensor<2>),
    /// One list of vectors per row: `[B, T, D]`.
    Rank3(Tensor<3>),
}

/// What a block takes and gives.
///
/// Dictionaries are ordered by name (by code point), whatever the order of insertion: blocks that
/// put several tensors together do it in this order.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "a value is made a few times per step"
)]
pub enum Value {
    /// A raw batch: what the first block of a model gets.
    Features(Features),
    /// One tensor.
    Tensor(AnyTensor),
    /// Named tensors, ordered by name.
    Dict(BTreeMap<String, AnyTensor>),
}

/// The shape of one row of an [`AnyTensor`]; the batch axis is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowShape {
    /// A vector of that width.
    Vector(usize),
    /// A list of that length, of vectors of that width.
    Matrix(usize, usize),
}

/// The kind and shapes of a [`Value`], known before any data is seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Signature {
    /// A raw batch with these columns.
    Features(Schema),
    /// One tensor.
    Tensor(RowShape),
    /// Named tensors, ordered by name.
    Dict(BTreeMap<String, RowShape>),
}

impl RowShape {
    /// The size of the last axis.
    pub fn width(self) -> usize {
        match self {
            RowShape::Vector(width) | RowShape::Matrix(_, width) => width,
        }
    }

    /// The same shape with another size of the last axis.
    #[must_use]
    pub fn with_width(self, width: usize) -> RowShape {
        match self {
            RowShape::Vector(_) => RowShape::Vector(width),
            RowShape::Matrix(length, _) => RowShape::Matrix(length, width),
        }
    }
}

impl fmt::Display for RowShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowShape::Vector(width) => write!(f, "[B, {width}]"),
            RowShape::Matrix(length, width) => write!(f, "[B, {length}, {width}]"),
        }
    }
}

impl AnyTensor {
    /// The number of rows.
    pub fn batch_size(&self) -> usize {
        match self {
            AnyTensor::Rank2(tensor) => tensor.dims()[0],
            AnyTensor::Rank3(tensor) => tensor.dims()[0],
        }
    }

    /// The shape of one row.
    pub fn row_shape(&self) -> RowShape {
        match self {
            AnyTensor::Rank2(tensor) => RowShape::Vector(tensor.dims()[1]),
            AnyTensor::Rank3(tensor) => {
                let [_, length, width] = tensor.dims();
                RowShape::Matrix(length, width)
            }
        }
    }

    /// The tensor of rank 2, or `None` for one of rank 3.
    pub fn rank2(self) -> Option<Tensor<2>> {
        match self {
            AnyTensor::Rank2(tensor) => Some(tensor),
            AnyTensor::Rank3(_) => None,
        }
    }

    /// The tensor of rank 3, or `None` for one of rank 2.
    pub fn rank3(self) -> Option<Tensor<3>> {
        match self {
            AnyTensor::Rank2(_) => None,
            AnyTensor::Rank3(tensor) => Some(tensor),
        }
    }
}

impl From<Tensor<2>> for AnyTensor {
    fn from(tensor: Tensor<2>) -> AnyTensor {
        AnyTensor::Rank2(tensor)
    }
}

impl From<Tensor<3>> for AnyTensor {
    fn from(tensor: Tensor<3>) -> AnyTensor {
        AnyTensor::Rank3(tensor)
    }
}

impl From<Tensor<2>> for Value {
    fn from(tensor: Tensor<2>) -> Value {
        Value::Tensor(tensor.into())
    }
}

impl From<Tensor<3>> for Value {
    fn from(tensor: Tensor<3>) -> Value {
        Value::Tensor(tensor.into())
    }
}

impl From<BTreeMap<String, AnyTensor>> for Value {
    fn from(entries: BTreeMap<String, AnyTensor>) -> Value {
        Value::Dict(entries)
    }
}

impl From<Features> for Value {
    fn from(features: Features) -> Value {
        Value::Features(features)
    }
}

impl Value {
    /// Named tensors.
    pub fn dict<N: Into<String>, T: Into<AnyTensor>>(
        entries: impl IntoIterator<Item = (N, T)>,
    ) -> Value {
        Value::Dict(
            entries
                .into_iter()
                .map(|(name, tensor)| (name.into(), tensor.into()))
                .collect(),
        )
    }

    /// The one tensor of rank 2, `[B, D]`.
    ///
    /// # Errors
    /// [`Error::UnexpectedValue`] in the name of `block` for any other value.
    pub fn into_rank2(self, block: &'static str) -> Result<Tensor<2>> {
        match self {
            Value::Tensor(AnyTensor::Rank2(tensor)) => Ok(tensor),
            other => Err(other.unexpected(block, "a tensor [B, D]")),
        }
    }

    /// The one tensor of rank 3, `[B, T, D]`.
    ///
    /// # Errors
    /// [`Error::UnexpectedValue`] in the name of `block` for any other value.
    pub fn into_rank3(self, block: &'static str) -> Result<Tensor<3>> {
        match self {
            Value::Tensor(AnyTensor::Rank3(tensor)) => Ok(tensor),
            other => Err(other.unexpected(block, "a tensor [B, T, D]")),
        }
    }

    /// The named tensors.
    ///
    /// # Errors
    /// [`Error::UnexpectedValue`] in the name of `block` for any other value.
    pub fn into_dict(self, block: &'static str) -> Result<BTreeMap<String, AnyTensor>> {
        match self {
            Value::Dict(entries) => Ok(entries),
            other => Err(other.unexpected(block, "named tensors")),
        }
    }

    /// The raw batch.
    ///
    /// # Errors
    /// [`Error::UnexpectedValue`] in the name of `block` for any other value.
    pub fn into_features(self, block: &'static str) -> Result<Features> {
        match self {
            Value::Features(features) => Ok(features),
            other => Err(other.unexpected(block, "a raw batch")),
        }
    }

    /// The error that `block` returns when it cannot take this value.
    pub fn unexpected(&self, block: &'static str, expected: impl Into<String>) -> Error {
        Error::UnexpectedValue {
            block,
            expected: expected.into(),
            found: self.to_string(),
        }
    }
}

impl fmt::Display for Value {
    /// The kind and the shapes: `[5, 64]`, or one line per name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Features(features) => write!(f, "{features}"),
            Value::Tensor(tensor) => write!(f, "a tensor {tensor}"),
            Value::Dict(entries) => {
                write!(f, "named tensors {{")?;
                for (index, (name, tensor)) in entries.iter().enumerate() {
                    write!(f, "{}{name}: {tensor}", if index == 0 { "" } else { ", " })?;
                }
                write!(f, "}}")
            }
        }
    }
}

impl fmt::Display for AnyTensor {
    /// The shape, such as `[5, 64]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnyTensor::Rank2(tensor) => write!(f, "{:?}", tensor.dims()),
            AnyTensor::Rank3(tensor) => write!(f, "{:?}", tensor.dims()),
        }
    }
}

impl Signature {
    /// Named tensors of these shapes.
    pub fn dict<N: Into<String>>(entries: impl IntoIterator<Item = (N, RowShape)>) -> Signature {
        Signature::Dict(
            entries
                .into_iter()
                .map(|(name, shape)| (name.into(), shape))
                .collect(),
        )
    }

    /// The shapes of named tensors; none for anything else.
    pub(crate) fn shapes(&self) -> BTreeMap<String, RowShape> {
        match self {
            Signature::Dict(entries) => entries.clone(),
            Signature::Features(_) | Signature::Tensor(_) => BTreeMap::new(),
        }
    }

    /// The width of a tensor's last axis, or the sum of those of named tensors; 0 for a raw batch.
    pub fn width(&self) -> usize {
        match self {
            Signature::Features(_) => 0,
            Signature::Tensor(shape) => shape.width(),
            Signature::Dict(entries) => entries.values().map(|shape| shape.width()).sum(),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signature::Features(schema) => {
                write!(f, "a raw batch of columns {}", schema.names().join(", "))
            }
            Signature::Tensor(shape) => write!(f, "a tensor {shape}"),
            Signature::Dict(entries) => {
                write!(f, "named tensors {{")?;
                for (index, (name, shape)) in entries.iter().enumerate() {
                    write!(f, "{}{name}: {shape}", if index == 0 { "" } else { ", " })?;
                }
                write!(f, "}}")
            }
        }
    }
}
