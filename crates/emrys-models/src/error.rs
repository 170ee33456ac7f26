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
    #[error("{block}: expected {expected}, found {found}; call the block with the kind of value it was built for")]
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
    #[error("block type `{name}` is already registered for another type; give the new one another `NAME`")]
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
    /// A schema operation failed.
    #[error(transparent)]
    Schema(#[from] emrys_schema::Error),
}

/// `; did you mean ...? (known: ...)`, listing at most ten names.
pub(crate) fn candidates(name: &str, available: &[String]) -> String {
    let mut text = String::new();
    if let Some(closest) = emrys_schema::closest_name(name, available.iter().map(String::as_str)) {
        text += &format!("; did you mean `{closest}`?");
    }
    if available.is_empty() {
        return text + " (there are none)";
    }
    let shown = available.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if available.len() > 10 {
        format!(" and {} more", available.len() - 10)
    } else {
        String::new()
    };
    text + &format!(" (there are: {shown}{more})")
}
