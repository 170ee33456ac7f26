//! What can go wrong between parquet files and batches.

use std::path::PathBuf;

use arrow::datatypes::DataType;
use emrys_schema::{DType, Shape, name_candidates};

/// The result of loader operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between parquet files and batches.
///
/// The variants are in the order in which they can be met: settings, files, schema, values, lookups,
/// and last the loader's own faults.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that counts something is zero.
    #[error("`{setting}` is 0; it must be at least 1")]
    ZeroSetting {
        /// The name of the setting.
        setting: &'static str,
    },
    /// `drop_last` would drop the only batch there is.
    #[error(
        "drop_last leaves no batch: {rows} rows do not fill a batch of {batch_size}; lower batch_size or keep the last batch"
    )]
    NoFullBatch {
        /// The rows of the data set.
        rows: usize,
        /// The rows of a batch.
        batch_size: usize,
    },
    /// A chunk has more rows than can be permuted at once.
    #[error(
        "a chunk of {parts_per_chunk} row groups has {rows} rows, more than 2^32; lower parts_per_chunk"
    )]
    ChunkTooLarge {
        /// The row groups of a chunk.
        parts_per_chunk: usize,
        /// The rows of the chunk.
        rows: usize,
    },
    /// A saved state belongs to a loader with another order of rows.
    #[error(
        "the saved state has {setting} = {saved}, this loader has {current}; resume with the data and settings of the run that was saved"
    )]
    StateMismatch {
        /// The setting that differs.
        setting: &'static str,
        /// Its value in the state.
        saved: u64,
        /// Its value in the loader.
        current: u64,
    },

    /// Nothing to read at a path.
    #[error("no parquet file at `{}`; give a file, a directory or a glob such as `data/*.parquet`", .path.display())]
    NoFiles {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A glob pattern cannot be understood.
    #[error("`{pattern}` is not a valid glob pattern")]
    BadGlob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// A file or directory cannot be opened or listed.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file's footer is not that of a parquet file.
    #[error(
        "`{}` is not a whole parquet file; it may have been cut off while it was written or copied", .path.display()
    )]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// What the reader met.
        source: parquet::errors::ParquetError,
    },
    /// The footer of a file can be read, a row group of it cannot.
    #[error("row group {row_group} of `{}` is corrupt; write or copy the file again", .path.display())]
    CorruptRowGroup {
        /// The file.
        path: PathBuf,
        /// The row group, counted from 0.
        row_group: usize,
        /// What the reader met.
        source: parquet::errors::ParquetError,
    },
    /// A directory was not written to its end, or has changed since.
    #[error("`{}`: {problem}; write the data again", .path.display())]
    NotWhole {
        /// The directory.
        path: PathBuf,
        /// What shows it.
        problem: String,
    },
    /// A value in the name of a directory is not one of the column's type.
    #[error(
        "`{}`: its directory says `{value}` for column `{column}`, which is {expected}; correct the schema or the name", .path.display()
    )]
    BadFolderValue {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// The type.
        expected: DataType,
    },
    /// The files hold no rows.
    #[error("the data set has no rows ({files} files); was everything filtered out?")]
    NoRows {
        /// How many files there are.
        files: usize,
    },

    /// A schema file or a schema in a footer cannot be read.
    #[error("the schema in `{}` cannot be read", .path.display())]
    BadSchema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A name that the schema does not have, or has twice.
    #[error(transparent)]
    Schema(#[from] emrys_schema::Error),
    /// Two files of a data set disagree about a column.
    #[error(
        "`{}` and `{}` differ in column `{column}`: {} and {}; rewrite one of the files or leave it out",
        .first.display(), .second.display(), describe_type(.first_type.as_ref()), describe_type(.second_type.as_ref())
    )]
    FilesDiffer {
        /// The column.
        column: String,
        /// The file that the others are compared with.
        first: PathBuf,
        /// The column's type there.
        first_type: Option<DataType>,
        /// The file that differs.
        second: PathBuf,
        /// The column's type there.
        second_type: Option<DataType>,
    },
    /// Two files of a data set carry different schemas in their footers.
    #[error(
        "`{}` and `{}` carry different schemas of column `{column}`; transform them with the same workflow, or give the schema",
        .first.display(), .second.display()
    )]
    FooterSchemasDiffer {
        /// The first column that differs.
        column: String,
        /// The file that the others are compared with.
        first: PathBuf,
        /// The file that differs.
        second: PathBuf,
    },
    /// The schema has a column that the data does not have.
    #[error("column `{column}` of the schema is not in {place}{}", suggest(.column, .available))]
    NotInData {
        /// The column.
        column: String,
        /// The file, or the record batch.
        place: String,
        /// The columns that are there.
        available: Vec<String>,
    },
    /// The schema and the data disagree about the type of a column.
    #[error(
        "column `{column}` is {expected} in the schema but {found} in the data; cast it in the workflow or correct the schema"
    )]
    TypeMismatch {
        /// The column.
        column: String,
        /// The schema's type.
        expected: DType,
        /// The data's type.
        found: DataType,
    },
    /// The schema and the data disagree about lists.
    #[error(
        "column `{column}` is {} in the schema but {found} in the data; correct the schema's shape", describe_shape(.expected)
    )]
    ShapeMismatch {
        /// The column.
        column: String,
        /// The schema's shape of a row.
        expected: Shape,
        /// The data's type.
        found: DataType,
    },
    /// A column's type cannot be put into a batch.
    #[error("column `{column}` is {found}, which cannot be put into a batch; {}", remedy(.found))]
    UnsupportedType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// No column is left to load.
    #[error(
        "there is no numeric column to load (columns: {}); run Categorify on text columns, or name the columns to load",
        .available.join(", ")
    )]
    NoColumns {
        /// The columns of the schema.
        available: Vec<String>,
    },

    /// Where in the files another error was met.
    #[error("`{}`, row group {row_group}: {error}", .path.display())]
    InRowGroup {
        /// The file.
        path: PathBuf,
        /// The row group, counted from 0.
        row_group: usize,
        /// What was met there.
        error: Box<Error>,
    },
    /// An integer column has nulls.
    #[error(
        "integer column `{column}` has {count} nulls, the first at value {position}; run Categorify (null becomes id 1) or FillMissing first"
    )]
    NullInteger {
        /// The column.
        column: String,
        /// How many nulls it has.
        count: usize,
        /// Which value is the first null.
        position: usize,
    },
    /// A float column has nulls or NaNs.
    #[error(
        "float column `{column}` has {count} values that are null or NaN, the first at value {position}; run FillMissing first, or give the loader a value for them (`Missing::Fill`)"
    )]
    MissingFloat {
        /// The column.
        column: String,
        /// How many values are missing.
        count: usize,
        /// Which value is the first missing one.
        position: usize,
    },
    /// An unsigned value is too large for a signed integer of 64 bits.
    #[error(
        "column `{column}` has {value}, which does not fit int64; run Categorify or HashBucket first"
    )]
    IntegerOverflow {
        /// The column.
        column: String,
        /// The value.
        value: u64,
    },
    /// A list has not the length that the schema promises.
    #[error(
        "column `{column}` is a list of {expected} values in the schema but row {row} has {found}; run ListSlice with padding, or make the schema ragged"
    )]
    ListLength {
        /// The column.
        column: String,
        /// The row.
        row: usize,
        /// The length in the schema.
        expected: usize,
        /// The length of the row; a null list has none.
        found: usize,
    },
    /// A column holds more values than 32-bit offsets can address.
    #[error(
        "a list column has {values} values in one chunk, more than 2^31; lower parts_per_chunk or write smaller row groups"
    )]
    TooManyValues {
        /// How many values there are.
        values: usize,
    },
    /// The values of a fixed list column do not divide into rows.
    #[error("{values} values do not divide into rows of {width}")]
    Width {
        /// How many values there are.
        values: usize,
        /// The length of a row's list.
        width: usize,
    },
    /// The offsets of a ragged column do not describe its values.
    #[error("offsets must start at 0, never fall, and end at the number of values ({values})")]
    Offsets {
        /// How many values there are.
        values: usize,
    },
    /// The columns of a batch differ in length.
    #[error("column `{column}` has {found} rows but the batch has {expected}")]
    ColumnLength {
        /// The column.
        column: String,
        /// The rows of the first column.
        expected: usize,
        /// The rows of this one.
        found: usize,
    },
    /// A column was asked for that the batch does not have.
    #[error("column `{column}` is not in the batch{}", suggest(.column, .available))]
    NotInBatch {
        /// The column.
        column: String,
        /// The columns that are there.
        available: Vec<String>,
    },
    /// A column was asked for as another type than it has.
    #[error("column `{column}` is {found}, not {expected}")]
    WrongType {
        /// The column.
        column: String,
        /// The type that was asked for.
        expected: DType,
        /// The type it has.
        found: DType,
    },

    /// An id is not a row of its table.
    #[error(
        "column `{column}`, row {row} of the batch: id {id} is outside its table of {rows} rows (0 to {}); give the table as many rows as the workflow's vocabulary, or transform this data with the workflow that the model was built for",
        .rows.saturating_sub(1)
    )]
    IdOutOfTable {
        /// The column.
        column: String,
        /// The row of the batch.
        row: usize,
        /// The id.
        id: i64,
        /// The rows of the table.
        rows: u64,
    },
    /// A column that is looked up does not hold integers.
    #[error("column `{column}` cannot be looked up: its ids are {found}; run Categorify first")]
    IdsNotInteger {
        /// The column.
        column: String,
        /// The type of its values.
        found: DType,
    },
    /// The tables of a group have too many rows in all.
    #[error(
        "lookup group `{group}` has {rows} rows, more than 2^32; divide its tables into several groups"
    )]
    GroupTooLarge {
        /// The group.
        group: String,
        /// The rows of its tables.
        rows: u64,
    },
    /// A group was asked for that the batch has no plan of.
    #[error("the batch has no lookup plan of group `{group}`{}", suggest_groups(.group, .available))]
    NoPlan {
        /// The group.
        group: String,
        /// The groups that there are.
        available: Vec<String>,
    },
    /// A feature was asked for that is not in a lookup plan.
    #[error("column `{column}` is not in lookup plan `{group}`{}", suggest(.column, .available))]
    NotInPlan {
        /// The column.
        column: String,
        /// The group.
        group: String,
        /// The columns of the plan.
        available: Vec<String>,
    },

    /// The system gives no more threads.
    #[error("cannot start a thread; lower the loader's threads or raise the system's limit")]
    Threads {
        /// The system's answer.
        source: std::io::Error,
    },
    /// A thread of the loader stopped without an answer.
    #[error(
        "a thread of the loader stopped without an answer; this is a fault of Emrys, please report it"
    )]
    ThreadLost,
}

/// `; did you mean ...? (columns: ...)`, listing at most ten names.
fn suggest(name: &str, available: &[String]) -> String {
    name_candidates(name, available, "columns")
}

fn suggest_groups(name: &str, available: &[String]) -> String {
    if available.is_empty() {
        return "; give the loader its lookups (`Loader::with_lookups`)".to_owned();
    }
    name_candidates(name, available, "groups")
}

fn describe_type(data_type: Option<&DataType>) -> String {
    data_type.map_or_else(|| "absent".to_owned(), DataType::to_string)
}

fn describe_shape(shape: &Shape) -> String {
    if shape.is_scalar() {
        "scalar".to_owned()
    } else {
        format!("a list {shape}")
    }
}

fn remedy(found: &DataType) -> &'static str {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            "run Categorify first, or leave the column out"
        }
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "cast it to float64 in the workflow",
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match item.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    "run Categorify first, or leave the column out"
                }
                _ => "flatten it to a list of numbers, or leave the column out",
            }
        }
        _ => "make numbers of it in the workflow, or leave the column out",
    }
}
