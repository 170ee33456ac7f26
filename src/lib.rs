//! Recommender-system data and training: from raw files to trained models under one schema.
//!
//! | crate | what it holds |
//! |---|---|
//! | [`schema`] | columns, tags, domains, and their file formats |
//! | [`etl`] | graphs of operators that fit and transform data of any size |
//! | [`loader`] | shuffled batches from parquet |
//! | [`models`] | blocks, sparse embeddings, tasks and the trainer |
//! | [`datasets`] | readers of public data sets, and synthetic data |
//!
//! [`prelude`] has what most programs use.

pub use emrys_datasets as datasets;
pub use emrys_etl as etl;
pub use emrys_loader as loader;
pub use emrys_models as models;
pub use emrys_schema as schema;

/// What most programs use.
pub mod prelude {
    pub use emrys_etl::ops::{
        AddMetadata, Bucketize, Cast, Categorify, Clip, ColumnSimilarity, DataStats, DifferenceLag,
        DropLowCardinality, Dropna, FillMedian, FillMissing, Filter, Groupby, HashBucket,
        HashedCross, JoinExternal, JoinGroupby, Lambda, ListAggregate, ListSlice, LogOp, Normalize,
        NormalizeMinMax, ReduceDtypeSize, Rename, Select, TagAs, TargetEncoding, TextVocabulary,
        TimeParts, ToList, TokenizeText, ValueCount,
    };
    pub use emrys_etl::{
        Dataset, FittedWorkflow, NewIds, OpenOptions, Workflow, WriteOptions, all_columns, cols,
        group, tagged,
    };
    pub use emrys_loader::{Loader, LoaderConfig};
    pub use emrys_models::blocks::{Embeddings, Mlp};
    pub use emrys_models::models::{Dlrm, TwoTower};
    pub use emrys_models::tasks::{BinaryClassification, ItemRetrieval, Regression};
    pub use emrys_models::trainer::Trainer;
    pub use emrys_models::{Device, Model, ModelSpec};
    pub use emrys_schema::{ColumnSchema, DType, Schema, Tag};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/adding_an_operator.md")]
struct AddingAnOperator;
