//! The blocks, one file each.
//!
//! | kind | blocks |
//! |---|---|
//! | from a raw batch | [`Inputs`], [`ContinuousFeatures`], [`Embeddings`], [`Filter`] |
//! | layers | [`Mlp`], [`DotProductInteraction`], [`L2Norm`], [`LogitsTemperature`] |
//! | several tensors into one | [`Concat`], [`Stack`], [`ElementwiseSum`], [`ElementwiseProduct`], [`CosineSimilarity`] |
//! | composition | [`Sequential`], [`Parallel`], [`Shortcut`], [`Residual`] |

mod activation;
mod children;
mod concat;
mod continuous_features;
mod cosine_similarity;
mod dot_product_interaction;
mod dropout;
mod elementwise;
mod embeddings;
mod filter;
mod inputs;
mod l2_norm;
mod logits_temperature;
mod mlp;
mod parallel;
mod residual;
mod selection;
mod sequential;
mod shortcut;
mod stack;

pub use activation::Activation;
pub(crate) use children::Children;
pub use concat::Concat;
pub use continuous_features::ContinuousFeatures;
pub(crate) use continuous_features::input_schema;
pub use cosine_similarity::CosineSimilarity;
pub use dot_product_interaction::DotProductInteraction;
pub use elementwise::{ElementwiseProduct, ElementwiseSum};
pub use embeddings::{EmbeddingDim, Embeddings};
pub use filter::Filter;
pub use inputs::Inputs;
pub use l2_norm::L2Norm;
pub use logits_temperature::LogitsTemperature;
pub use mlp::Mlp;
pub use parallel::{Branch, Parallel};
pub use residual::Residual;
pub use selection::Selection;
pub use sequential::Sequential;
pub use shortcut::Shortcut;
pub use stack::Stack;
pub(crate) use stack::stack_shape;
