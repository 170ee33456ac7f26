//! The operators, one file each, and the one list of them: [`registry`].

mod add_metadata;
mod bucketize;
mod categorify;
mod clip;
mod columns;
mod fill_missing;
mod filter;
mod join_external;
mod lambda;
mod log_op;
mod normalize;
mod per_column;
mod registry;
mod rename;
mod tag_as;
mod target_encoding;

use std::sync::Arc;

use serde_json::Value;

use crate::Result;
use crate::operator::DynOperator;
use registry::entry;

pub use add_metadata::AddMetadata;
pub use bucketize::Bucketize;
pub use categorify::{
    Categorify, EmbeddingRule, EncodeType, GivenVocabulary, IdType, Observed, Vocabularies,
    Vocabulary,
};
pub use clip::Clip;
pub use fill_missing::FillMissing;
pub use filter::Filter;
pub use join_external::{ExternalTable, JoinExternal, JoinKind};
pub use lambda::Lambda;
pub use log_op::LogOp;
pub use normalize::Normalize;
pub use per_column::PerColumn;
pub use registry::{Entry, Registry};
pub use rename::Rename;
pub use tag_as::TagAs;
pub use target_encoding::{Encodings, Folds, TargetEncoding};

/// Every operator of Emrys: the list from which [`Registry::default`] is made.
pub fn registry() -> Vec<Entry> {
    vec![
        entry::<AddMetadata>(),
        entry::<Bucketize>(),
        entry::<Categorify>(),
        entry::<Clip>(),
        entry::<FillMissing>(),
        entry::<Filter>(),
        entry::<JoinExternal>(),
        entry::<Lambda>(),
        entry::<LogOp>(),
        entry::<Normalize>(),
        entry::<Rename>(),
        entry::<TagAs>(),
        entry::<TargetEncoding>(),
    ]
}

/// Makes an operator of Emrys from its name and its configuration as JSON.
///
/// # Errors
/// As [`Registry::build`].
pub fn build(name: &str, config: Value) -> Result<Arc<dyn DynOperator>> {
    Registry::default().build(name, config)
}
