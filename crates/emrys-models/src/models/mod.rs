//! Whole architectures, as blocks that take a raw batch.

mod dlrm;
mod mlp_model;
mod two_tower;

pub use dlrm::Dlrm;
pub use mlp_model::MlpModel;
pub use two_tower::TwoTower;
