//! The operators, one file each, and the one list of them: [`registry`].

mod add_metadata;
mod aggregates;
mod bucketize;
mod cast;
mod categorify;
mod clip;
mod column_similarity;
mod columns;
mod data_stats;
mod difference_lag;
mod distributions;
mod drop_low_cardinality;
mod dropna;
mod fill_median;
mod fill_missing;
mod filter;
mod groupby;
mod hash_bucket;
mod hashed_cross;
mod join_external;
mod join_groupby;
mod keyed_statistics;
mod lambda;
mod leaf_statistics;
mod list_aggregate;
mod list_slice;
mod log_op;
mod normalize;
mod normalize_min_max;
mod one_or_many;
mod per_column;
mod reduce_dtype_size;
mod registry;
mod rename;
mod select;
mod tag_as;
mod target_encoding;
mod text_vocabulary;
mod time_parts;
mod to_list;
mod tokenize_text;
mod value_count;

#[cfg(test)]
mod refit_tests;
#[cfg(test)]
mod storage_tests;

use std::sync::Arc;

use serde_json::Value;

use crate::Result;
use crate::operator::DynOperator;
pub(crate) use registry::entry;

pub use crate::functions::Aggregate;
pub use add_metadata::AddMetadata;
pub use bucketize::Bucketize;
pub use cast::Cast;
pub use categorify::{
    Categorify, EmbeddingRule, EncodeType, GivenVocabulary, IdType, Observed, Vocabularies,
    Vocabulary,
};
pub use clip::Clip;
pub use column_similarity::{ColumnSimilarity, Metric};
pub use data_stats::{ColumnStatistics, DataStats};
pub use difference_lag::DifferenceLag;
pub use drop_low_cardinality::DropLowCardinality;
pub use dropna::Dropna;
pub use fill_median::FillMedian;
pub use fill_missing::{FillMissing, FillValue};
pub use filter::Filter;
pub(crate) use groupby::GroupTable;
pub use groupby::Groupby;
pub use hash_bucket::HashBucket;
pub use hashed_cross::HashedCross;
pub use join_external::{ExternalTable, JoinExternal, JoinKind};
pub use join_groupby::{GroupStatistics, JoinGroupby, Stat};
pub use lambda::Lambda;
pub use list_aggregate::ListAggregate;
pub use list_slice::{ListSlice, PadSide};
pub use log_op::LogOp;
pub use normalize::Normalize;
pub use normalize_min_max::NormalizeMinMax;
pub use per_column::PerColumn;
pub use reduce_dtype_size::ReduceDtypeSize;
pub use registry::{Entry, Registry};
pub use rename::Rename;
pub use select::Select;
pub use tag_as::TagAs;
pub use target_encoding::{Encodings, Folds, TargetEncoding};
pub use text_vocabulary::{TextLimit, TextVocabulary, Words};
pub use time_parts::{TimePart, TimeParts};
pub use to_list::ToList;
pub use tokenize_text::{TextSplit, TokenizeText};
pub use value_count::{Lengths, ValueCount};

/// Every operator of Emrys: the list from which [`Registry::default`] is made.
pub fn registry() -> Vec<Entry> {
    vec![
        entry::<AddMetadata>(),
        entry::<Bucketize>(),
        entry::<Cast>(),
        entry::<Categorify>(),
        entry::<Clip>(),
        entry::<ColumnSimilarity>(),
        entry::<DataStats>(),
        entry::<DifferenceLag>(),
        entry::<DropLowCardinality>(),
        entry::<Dropna>(),
        entry::<FillMedian>(),
        entry::<FillMissing>(),
        entry::<Filter>(),
        entry::<Groupby>(),
        entry::<HashBucket>(),
        entry::<HashedCross>(),
        entry::<JoinExternal>(),
        entry::<JoinGroupby>(),
        entry::<Lambda>(),
        entry::<ListAggregate>(),
        entry::<ListSlice>(),
        entry::<LogOp>(),
        entry::<Normalize>(),
        entry::<NormalizeMinMax>(),
        entry::<ReduceDtypeSize>(),
        entry::<Rename>(),
        entry::<Select>(),
        entry::<TagAs>(),
        entry::<TargetEncoding>(),
        entry::<TextVocabulary>(),
        entry::<TimeParts>(),
        entry::<ToList>(),
        entry::<TokenizeText>(),
        entry::<ValueCount>(),
    ]
}

/// Makes an operator of Emrys from its name and its configuration as JSON.
///
/// # Errors
/// As [`Registry::build`].
pub fn build(name: &str, config: Value) -> Result<Arc<dyn DynOperator>> {
    Registry::default().build(name, config)
}
