//! The arguments that several subcommands share.

use std::path::PathBuf;

use clap::{Args, Parser};
use emrys_etl::declaration::{SessionSettings, ShuffleSetting, WriteSettings, parse_bytes};
use emrys_etl::io::{Compression, CsvFormat, OpenOptions};

use crate::commands::Command;

/// Feature engineering for recommender systems: fit workflows on tables, and transform tables
/// with them.
///
/// A workflow is declared in a file such as `workflow.toml`, fitted on data, saved in a folder, and
/// then transforms any data. Results go to stdout, messages and progress to stderr.
#[derive(Debug, Parser)]
#[command(
    name = "emrys",
    version,
    arg_required_else_help = true,
    after_help = EXIT_CODES,
    after_long_help = concat!(
        "Examples:\n",
        "  emrys stats train/\n",
        "  emrys fit train/ --workflow workflow.toml --out fitted\n",
        "  emrys transform 'valid/*.parquet' --workflow fitted --out valid_encoded\n",
        "  emrys ops Categorify\n\n",
        "Exit codes:\n",
        "  0    success\n",
        "  1    the data cannot be read, written or computed with\n",
        "  2    the arguments are wrong\n",
        "  3    the workflow or a schema is wrong, or does not fit the data\n",
        "  4    the output exists already\n",
        "  5    the memory limit or the disk does not suffice\n",
        "  70   a bug of emrys; please report it\n",
        "  130  interrupted (Ctrl-C); no output was written",
    ),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const EXIT_CODES: &str = "`emrys --help` also shows examples and the exit codes.";

/// What every subcommand understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print results, and errors, as one JSON document on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show neither progress nor messages, except errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The data that are read.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Files, folders of them, and globs such as 'day_*.parquet'; also s3://, gs://, az:// and https://
    ///
    /// Parquet, CSV, JSON lines and Arrow files are told by their names. Several paths are read one
    /// after the other as one table. Without any, the paths in the section
    /// [source] of the workflow file are read.
    #[arg(value_name = "PATHS")]
    pub(crate) paths: Vec<PathBuf>,
    /// A schema file or folder: tags and domains of the data, where they do not carry them
    #[arg(long, value_name = "PATH")]
    pub(crate) schema: Option<PathBuf>,
    /// Read CSV with this between the fields: one or several characters, such as '|' or '::'
    #[arg(long, value_name = "TEXT")]
    delimiter: Option<String>,
    /// Read CSV without a line of headings: the names of its columns
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// Read CSV in another encoding than UTF-8, such as latin-1
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
}

impl DataArgs {
    /// How files are to be read; nothing if their names say it.
    pub(crate) fn options(&self) -> Option<OpenOptions> {
        if self.delimiter.is_none() && self.names.is_empty() && self.encoding.is_none() {
            return None;
        }
        let mut format = CsvFormat::new();
        if let Some(delimiter) = &self.delimiter {
            format = format.with_delimiter(delimiter);
        }
        if !self.names.is_empty() {
            format = format.with_names(&self.names);
        }
        if let Some(encoding) = &self.encoding {
            format = format.with_encoding(encoding);
        }
        Some(OpenOptions::new().with_format(format))
    }
}

/// Threads and memory.
#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    /// The memory that queries may hold before they spill to disk, such as 512MiB or 1GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<usize>,
    /// The number of threads; all cores by default
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// Where queries spill; by default the system's temporary folder
    #[arg(long, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
}

impl SessionArgs {
    /// The settings of a workflow file, with those given as arguments instead.
    pub(crate) fn over(&self, settings: &SessionSettings) -> SessionSettings {
        let mut settings = settings.clone();
        settings.memory = self.memory.or(settings.memory);
        settings.threads = self.threads.or(settings.threads);
        settings.spill_dir = self.spill_dir.clone().or(settings.spill_dir);
        settings
    }
}

/// How rows are written.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// The most rows of a row group [default: 131072]
    #[arg(long, value_name = "ROWS", value_parser = positive)]
    row_group_rows: Option<usize>,
    /// Write at most so many files; by default one per thread
    #[arg(long, value_name = "N", value_parser = positive)]
    files: Option<usize>,
    /// Write so many rows into each file
    #[arg(long, value_name = "ROWS", value_parser = positive, conflicts_with = "files")]
    rows_per_file: Option<usize>,
    /// Close a file when it has about so many bytes, such as 256MiB
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with_all = ["files", "rows_per_file"])]
    file_size: Option<usize>,
    /// Write the rows in another order: `full`, or `partition` for windows of neighbouring rows
    #[arg(long, value_name = "HOW")]
    shuffle: Option<ShuffleSetting>,
    /// The seed of the shuffle [default: 42]
    #[arg(long, value_name = "SEED", requires = "shuffle")]
    seed: Option<u64>,
    /// Divide the rows into folders by the values of these columns, as Hive does
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    partition_on: Vec<String>,
    /// none, snappy, lz4, zstd:LEVEL, gzip:LEVEL or brotli:LEVEL [default: snappy]
    #[arg(long, value_name = "CODEC", value_parser = compression)]
    compression: Option<Compression>,
}

impl WriteArgs {
    /// The settings of a workflow file, with those given as arguments instead.
    pub(crate) fn over(&self, settings: &WriteSettings) -> WriteSettings {
        let mut settings = settings.clone();
        settings.row_group_rows = self.row_group_rows.or(settings.row_group_rows);
        if self.files.is_some() || self.rows_per_file.is_some() || self.file_size.is_some() {
            settings.files = self.files;
            settings.rows_per_file = self.rows_per_file;
            settings.file_size = self.file_size;
        }
        settings.shuffle = self.shuffle.or(settings.shuffle);
        settings.seed = self.seed.or(settings.seed);
        if !self.partition_on.is_empty() {
            settings.partition_on.clone_from(&self.partition_on);
        }
        settings.compression = self.compression.or(settings.compression);
        settings
    }
}

fn size(text: &str) -> Result<usize, String> {
    match parse_bytes(text) {
        Some(0) => Err("at least one byte is needed".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("write a number of bytes or a size such as 512MiB".to_owned()),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    WriteSettings::parse_compression(text).ok_or_else(|| {
        "write none, snappy, lz4, zstd:1 to 22, gzip:0 to 9 or brotli:0 to 11".to_owned()
    })
}
