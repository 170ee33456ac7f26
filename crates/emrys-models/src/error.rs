//! What can go wrong with a model.

use std::path::PathBuf;

use crate::Problems;

/// The result of model operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The parts of a model do not fit together, or do not fit the schema.
    #[error("{problems}")]
    Build {
        /// Every mismatch that was found, with the path of its block.
        problems: Problems,
    },
    /// A block got a value of another kind or shape than it was built for.
    #[error(
        "{block}: expected {expected}, found {found}; call the block with the kind of value it was built for"
    )]
    UnexpectedValue {
        /// The block's type.
        block: &'static str,
        /// What the block takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A batch lacks a column that the model reads.
    #[error("{reader}: column `{column}` is not in the batch{}", crate::error::candidates(.column, .available))]
    MissingColumn {
        /// The block or task that reads it.
        reader: String,
        /// The name of the column.
        column: String,
        /// The columns of the batch.
        available: Vec<String>,
    },
    /// A dictionary of tensors lacks an entry that a block needs.
    #[error("{block}: `{name}` is not among the inputs{}", crate::error::candidates(.name, .available))]
    MissingEntry {
        /// The block's type.
        block: &'static str,
        /// The name of the entry.
        name: String,
        /// The names that there are.
        available: Vec<String>,
    },
    /// A column of a batch has another type or shape than the model was built for.
    #[error("column `{column}`: expected {expected}, found {found}")]
    UnexpectedColumn {
        /// The name of the column.
        column: String,
        /// What the model reads.
        expected: String,
        /// What the batch holds.
        found: String,
    },
    /// A block's type is not known to this program.
    #[error(
        "block type `{name}` is not registered{}; register the type with `register_block` before the model is loaded",
        crate::error::candidates(.name, .known)
    )]
    UnknownBlock {
        /// The serialised name.
        name: String,
        /// The names that are registered.
        known: Vec<String>,
    },
    /// Two different block types have one serialised name.
    #[error(
        "block type `{name}` is already registered for another type; give the new one another `NAME`"
    )]
    DuplicateBlock {
        /// The serialised name.
        name: &'static str,
    },
    /// A model has no part of that name.
    #[error("the model has no part `{name}`{}", crate::error::candidates(.name, .available))]
    UnknownPart {
        /// The name.
        name: String,
        /// The names that there are.
        available: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, `rename`...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A saved model's description cannot be understood.
    #[error("`{}` is not a model description that this program can read", .path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: serde_json::Error,
    },
    /// A saved model was written by a newer version.
    #[error(
        "`{}` has format version {found}, this program reads up to {supported}; upgrade emrys to load it",
        .path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// A weight file does not hold what the model needs.
    #[error("weights in `{}`: {problem}", .path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The output of saving is already there.
    #[error("`{}` already exists; choose another folder or remove it", .path.display())]
    AlreadyExists {
        /// The folder.
        path: PathBuf,
    },
    /// Embedding tables cannot do what was asked.
    #[error(transparent)]
    Embeddings(#[from] crate::embeddings::EmbeddingError),
    /// The state of a dense optimizer cannot be written or read.
    #[error("optimizer state in `{}`: {problem}", .path.display())]
    OptimizerState {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A label or a weight that its task cannot use.
    #[error(
        "column `{column}`: {value} in row {row} of the batch, expected {expected}; filter such \
         rows or fill the column in the workflow"
    )]
    InvalidLabel {
        /// The name of the column.
        column: String,
        /// The row in its batch.
        row: usize,
        /// What it holds.
        value: f32,
        /// What the task takes.
        expected: &'static str,
    },
    /// A ranking metric that does not exist.
    #[error(
        "metric `{name}` does not exist; write recall, precision, map, ndcg or mrr with the number \
         of places it looks at, such as `recall_at_10`"
    )]
    UnknownMetric {
        /// What was asked for.
        name: String,
    },
    /// More of the best candidates were asked for than there are.
    #[error("cannot rank the best {k} of {candidates} candidates; ask for 1 to {candidates}")]
    InvalidK {
        /// How many were asked for.
        k: usize,
        /// How many there are.
        candidates: usize,
    },
    /// A catalogue has not one vector for each id.
    #[error("the catalogue has {ids} ids but {vectors} vectors; give one vector for each id")]
    CatalogueLength {
        /// How many ids.
        ids: usize,
        /// How many vectors.
        vectors: usize,
    },
    /// An item is twice in a catalogue.
    #[error("the catalogue has item {id} twice; give each item once")]
    DuplicateItem {
        /// The item.
        id: i64,
    },
    /// Queries and items cannot be compared.
    #[error("queries have {query} numbers but items {item}; take both from one model")]
    QueryWidth {
        /// The width of the queries.
        query: usize,
        /// The width of the items.
        item: usize,
    },
    /// There is not one list of exclusions for each query.
    #[error(
        "{queries} queries but {lists} lists of excluded items; give one for each query, or none"
    )]
    ExclusionLists {
        /// How many queries.
        queries: usize,
        /// How many lists.
        lists: usize,
    },
    /// No user is left to measure recommendations for.
    #[error(
        "no user has an item to be found: all held-out items are excluded for their users; hold out others"
    )]
    NothingHeldOut,
    /// A model has nothing to be trained for.
    #[error("the model has no task; give it one with `ModelSpec::with_task`")]
    NoTask,
    /// Training left the numbers that a model can compute with.
    #[error(
        "the loss became {loss} in epoch {epoch}, batch {batch}; lower the learning rate or look \
         for extreme inputs"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// The epoch, from 1.
        epoch: u64,
        /// The batch of the epoch, from 1.
        batch: usize,
    },
    /// A checkpoint is of another training than the one that wants to go on.
    #[error(
        "checkpoint `{}` was made with another {part}; train with the same one, or choose another \
         folder for checkpoints",
        .path.display()
    )]
    OtherTraining {
        /// The checkpoint.
        path: PathBuf,
        /// What differs: `model`, `optimizer`, `seed`...
        part: &'static str,
    },
    /// A checkpoint cannot be read.
    #[error("checkpoint `{}` is damaged: {problem}; remove it to go on without it", .path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A parquet file cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: parquet::errors::ParquetError,
    },
    /// A CSV file cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: csv::Error,
    },
    /// Loading a batch failed.
    #[error(transparent)]
    Loader(#[from] emrys_loader::Error),
    /// A schema operation failed.
    #[error(transparent)]
    Schema(#[from] emrys_schema::Error),
}

/// `; did you mean ...? (there are: ...)`, listing at most ten names.
pub(crate) fn candidates(name: &str, available: &[String]) -> String {
    if available.is_empty() {
        return " (there are none)".to_owned();
    }
    emrys_schema::name_candidates(name, available, "there are")
}
