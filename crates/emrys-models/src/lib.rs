//! Recommender models on [Burn](https://docs.rs/burn).
//!
//! What a user composes is a *spec*: plain data such as [`Mlp::new([64, 32])`](blocks::Mlp), put
//! together with [`Compose`]. Building a spec against a [`Schema`](emrys_schema::Schema) checks
//! that everything fits and makes the *block*: a Burn module with parameters.

mod block;
pub mod blocks;
mod compose;
pub mod embeddings;
mod erased;
mod error;
mod features;
mod initializer;
mod loading;
pub mod losses;
pub mod metrics;
mod model;
pub mod models;
mod network;
pub mod optimizers;
mod parquet_file;
mod registry;
pub mod retrieval;
mod save;
mod scope;
mod spec;
pub mod tasks;
pub mod trainer;
mod value;

pub use block::{Block, BoxedBlock, Built, Pass};
pub use blocks::Activation;
pub use burn::tensor::Device;
pub use compose::Compose;
pub use error::{Error, Result};
pub use features::Features;
pub use initializer::Initializer;
pub use model::{Model, ModelSpec, Tower, inspect};
pub use network::{Network, Outputs};
pub use registry::{register_block, registered_blocks};
pub use scope::{Problem, Problems, Scope, build};
pub use spec::{BlockSpec, Spec};
pub use value::{AnyTensor, RowShape, Signature, Value};
