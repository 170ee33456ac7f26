//! What can go wrong in a workflow.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use emrys_schema::name_candidates;

/// The result of workflow operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a workflow, by who must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option of an operator, a writer or a session has a value that makes no sense.
    #[error("{operator}: `{option}` is {value}, but {expected}")]
    InvalidOption {
        /// The operator, in lower case.
        operator: String,
        /// The option.
        option: String,
        /// The value given.
        value: String,
        /// What was expected, and what to do.
        expected: String,
    },
    /// A column is not in the input of an operator.
    #[error("{operator}: column `{column}` is not in the input{}", name_candidates(.column, .available, "input"))]
    UnknownColumn {
        /// The operator that asked for it.
        operator: String,
        /// The column.
        column: String,
        /// The columns that there are.
        available: Vec<String>,
    },
    /// A column has a type that the operator cannot work on.
    #[error("{operator}: column `{column}` is {found}, but {expected}")]
    UnsupportedType {
        /// The operator.
        operator: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What the operator needs, and what to do.
        expected: String,
    },
    /// Two columns of the same name would stand side by side.
    #[error("{operator}: two columns are called `{column}`; rename one of them")]
    DuplicateColumn {
        /// Where they meet.
        operator: String,
        /// The name.
        column: String,
    },
    /// Columns of different rows would stand side by side.
    #[error(
        "{operator}: `{left}` has the rows of {left_rows}, but `{right}` has the rows of {right_rows}; \
         let both come from the same operator"
    )]
    RowsDiffer {
        /// Where they meet.
        operator: String,
        /// A column of one side.
        left: String,
        /// What defines its rows.
        left_rows: String,
        /// A column of the other side.
        right: String,
        /// What defines its rows.
        right_rows: String,
    },
    /// Several errors found at once, while the graph was checked.
    #[error("{} errors in the workflow:{}", .0.len(), .0.iter().map(|e| format!("\n- {e}")).collect::<String>())]
    Several(Vec<Error>),
    /// The data do not allow what was asked.
    #[error("{operator}: {problem}")]
    Data {
        /// The operator, or `fit`, `transform`, `write`.
        operator: String,
        /// What is wrong with which column, and what to do.
        problem: String,
    },
    /// A data set without files or rows.
    #[error("{source_name}: {problem}")]
    EmptyDataset {
        /// The path, list or glob.
        source_name: String,
        /// What is missing, and what to do.
        problem: String,
    },
    /// A file or folder cannot be used.
    #[error("{action} `{}`: {problem}", path.display())]
    File {
        /// What was being done, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Two files of a data set have different columns or types.
    #[error(
        "files of one data set differ: column `{column}` is {left_type} in `{}` but {right_type} in `{}`; \
         cast it, or leave one of the files out",
        left.display(),
        right.display()
    )]
    FilesDiffer {
        /// The column.
        column: String,
        /// One file.
        left: PathBuf,
        /// The column's type there, or `missing`.
        left_type: String,
        /// Another file.
        right: PathBuf,
        /// The column's type there, or `missing`.
        right_type: String,
    },
    /// The operating system refused.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was being done, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A parquet file cannot be read or written.
    #[error(
        "{action} `{}`{}",
        path.display(),
        if *action == "read" { ": it is corrupt or no parquet file; write or copy it again" } else { "" }
    )]
    Parquet {
        /// What was being done, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: parquet::errors::ParquetError,
    },
    /// The place of an output is taken.
    #[error("write `{}`: it exists already; choose another folder or allow overwriting", path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// No space is left.
    #[error("{action} `{}`: the disk is full; free some space or choose another disk", path.display())]
    DiskFull {
        /// What was being done, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// A saved workflow, manifest or configuration is not what it should be.
    #[error("load `{}`: {problem}", path.display())]
    Saved {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A stored format is newer than this version understands.
    #[error(
        "load `{}`: format version {found} is newer than {supported}, the newest this version reads; \
         update emrys",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// A declarative graph is not well formed.
    #[error("{place}: {problem}")]
    Declaration {
        /// Where in the text, such as `node cats`.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An error at one operator of the graph.
    #[error("{node}: {source}")]
    At {
        /// The operator and its place in the graph.
        node: String,
        /// What went wrong there.
        source: Box<Error>,
    },
    /// A schema is not what it should be.
    #[error(transparent)]
    Schema(#[from] emrys_schema::Error),
    /// The run was stopped from outside.
    #[error("interrupted; no output was written")]
    Interrupted,
    /// The memory limit does not suffice.
    #[error(
        "out of memory while {activity}: raise the memory limit (`memory_limit`), or let batches have \
         fewer rows (`batch_size`)"
    )]
    OutOfMemory {
        /// What was being done.
        activity: String,
        /// What the engine said.
        source: DataFusionError,
    },
    /// The query engine failed.
    #[error("query failed while {activity}")]
    Query {
        /// What was being done.
        activity: String,
        /// What the engine said.
        source: DataFusionError,
    },
    /// A computation broke off, because of a bug or a damaged file.
    #[error("{activity} panicked: {message}; if all input files are sound, please report it")]
    Panicked {
        /// What was being done.
        activity: String,
        /// What the panic said.
        message: String,
    },
    /// A bug of Emrys; please report it.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// Wraps an error of the operating system.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Error {
        move |source| {
            let path = path.into();
            match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Error::DiskFull { action, path }
                }
                _ => Error::Io {
                    action,
                    path,
                    source,
                },
            }
        }
    }

    /// Wraps an error of the parquet library; what the operating system said comes out again.
    pub fn parquet(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
        move |source| {
            let path = path.into();
            match source {
                parquet::errors::ParquetError::External(inner) => {
                    match inner.downcast::<std::io::Error>() {
                        Ok(inner) => Error::io(action, path)(*inner),
                        Err(inner) => Error::Parquet {
                            action,
                            path,
                            source: parquet::errors::ParquetError::External(inner),
                        },
                    }
                }
                source => Error::Parquet {
                    action,
                    path,
                    source,
                },
            }
        }
    }

    /// Wraps an error of the engine; an error of ours that travelled through it comes out again.
    pub fn query(activity: impl Into<String>) -> impl FnOnce(DataFusionError) -> Error {
        move |error| Error::from_engine(activity.into(), error)
    }

    /// Describes a panic, which is the content of an error of `join`.
    pub(crate) fn panicked(
        activity: impl Into<String>,
        panic: &(dyn std::any::Any + Send),
    ) -> Error {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Error::Panicked {
            activity: activity.into(),
            message: text.unwrap_or("it did not say why").to_owned(),
        }
    }

    fn from_engine(activity: String, error: DataFusionError) -> Error {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(inner) => Error::Query {
                    activity,
                    source: DataFusionError::External(inner),
                },
            },
            DataFusionError::Context(_, inner) if carries_our_error(&inner) => {
                Error::from_engine(activity, *inner)
            }
            DataFusionError::ArrowError(inner, backtrace) => match *inner {
                arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
                    Ok(ours) => *ours,
                    Err(inner) => match inner.downcast::<DataFusionError>() {
                        Ok(inner) => Error::from_engine(activity, *inner),
                        Err(inner) => Error::Query {
                            activity,
                            source: DataFusionError::External(inner),
                        },
                    },
                },
                inner => Error::of_query(
                    activity,
                    DataFusionError::ArrowError(Box::new(inner), backtrace),
                ),
            },
            error if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
                Error::OutOfMemory {
                    activity,
                    source: error,
                }
            }
            error => Error::of_query(activity, error),
        }
    }

    fn of_query(activity: String, error: DataFusionError) -> Error {
        match problem_of_values(&error) {
            Some(problem) => Error::Data {
                operator: activity,
                problem,
            },
            None => Error::Query {
                activity,
                source: error,
            },
        }
    }

    /// The same error with the place in the graph where it arose. Errors that name an operator
    /// name the place instead, so that it is not said twice.
    pub(crate) fn at(mut self, node: impl Into<String>) -> Error {
        match &mut self {
            Error::InvalidOption { operator, .. }
            | Error::UnknownColumn { operator, .. }
            | Error::UnsupportedType { operator, .. }
            | Error::DuplicateColumn { operator, .. }
            | Error::RowsDiffer { operator, .. }
            | Error::Data { operator, .. } => {
                *operator = node.into();
                self
            }
            _ => Error::At {
                node: node.into(),
                source: Box::new(self),
            },
        }
    }

    /// One error for several; `Ok` if there is none.
    pub(crate) fn collect(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several(errors)),
        }
    }

    /// Whether the user can mend it by changing the workflow, its options or the data.
    pub fn is_user(&self) -> bool {
        match self {
            Error::At { source, .. } => source.is_user(),
            Error::Several(errors) => errors.iter().all(Error::is_user),
            Error::Query { .. } | Error::Panicked { .. } | Error::Internal(_) => false,
            _ => true,
        }
    }
}

/// What is wrong with a value that an expression met, and what to do.
fn problem_of_values(error: &DataFusionError) -> Option<String> {
    use arrow::error::ArrowError;
    let DataFusionError::ArrowError(error, _) = error.find_root() else {
        return None;
    };
    match &**error {
        ArrowError::CastError(problem) => Some(format!(
            "{problem}; use `try_cast` in the expression, which gives null"
        )),
        ArrowError::DivideByZero => Some(
            "an expression divides by zero; divide by `nullif(x, 0)`, which gives null".to_owned(),
        ),
        ArrowError::ArithmeticOverflow(problem) => {
            Some(format!("{problem}; cast to a wider type in the expression"))
        }
        _ => None,
    }
}

fn carries_our_error(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::External(inner) => inner.is::<Error>(),
        DataFusionError::Context(_, inner) => carries_our_error(inner),
        DataFusionError::ArrowError(inner, _) => {
            matches!(&**inner, arrow::error::ArrowError::ExternalError(_))
        }
        _ => false,
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}
