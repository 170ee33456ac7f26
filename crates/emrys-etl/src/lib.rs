//! Graphs of feature-engineering operators that fit and transform data of any size.

#![cfg_attr(
    test,
    allow(
        clippy::clone_on_ref_ptr,
        clippy::cloned_ref_to_slice_refs,
        reason = "tests are read for what they compare"
    )
)]

mod batch_of;
mod column_stats;
mod compact;
pub mod declaration;
mod error;
mod expression;
mod fit;
mod functions;
mod graph;
pub mod hash;
mod inverse;
pub mod io;
mod lookup;
mod online;
pub mod operator;
pub mod ops;
mod parts;
mod plan;
mod progress;
mod saved;
mod selector;
pub mod session;
mod step;
mod storage;
pub mod testing;
mod workflow;

pub use column_stats::{ColumnStats, Lengths, Quantiles};
pub use error::{Error, Result};
pub use graph::{Node, all_columns, cols, group, group_of, select, tagged};
pub use inverse::Inverse;
pub use io::{Dataset, FileLayout, Manifest, OpenOptions, ReadOptions, WriteOptions};
pub use operator::NewIds;
pub use plan::explain::{DataSize, Explanation, QueryPlan, Reads, Round, TransformPlan};
pub use plan::picture::Picture;
pub use progress::{Progress, ProgressSnapshot, Stage};
pub use selector::{Selected, Selector};
pub use session::{Session, SessionOptions};
pub use storage::StateStorage;
pub use workflow::{FittedWorkflow, LoadOptions, Transformed, Workflow};
