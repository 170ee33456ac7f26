//! What is asked for on the command line.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::floor::Encoder;

const HELP: &str = "\
cargo bench --bench etl_criteo -- [options]

  --full               rows 2000000,10000000
  --rows N,N           rows of the data sets (2000000)
  --keys K,K           string, integer (both)
  --thresholds N,N     freq_threshold of Categorify (0,15)
  --runs N             interleaved runs, of which the median counts (5)
  --nvtabular-runs N   NVTabular takes minutes (1)
  --only T,T           tools: emrys, floor, own-floor, polars, polars-join, duckdb,
                       nvtabular
  --threads N          threads of every tool (all cores)
  --batch-rows N       rows of a batch of Emrys and of the floors (32768)
  --data FOLDER        where data sets are, or are generated; it also holds the outputs
  --peers FOLDER       the environments of the peers, made by peers/install.sh (or EMRYS_PEERS)
  --operators          each operator alone, in rows per second
  --markdown           with --operators: the table as a page";

/// The whole command line.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) rows: Vec<usize>,
    pub(crate) keys: Vec<Keys>,
    pub(crate) thresholds: Vec<u64>,
    pub(crate) runs: usize,
    pub(crate) nvtabular_runs: usize,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) threads: usize,
    pub(crate) batch_rows: usize,
    /// Whether the table of operators is a page.
    pub(crate) markdown: bool,
    pub(crate) data: PathBuf,
    pub(crate) peers: Option<PathBuf>,
}

/// What this process does; all but the first two are asked for by the benchmark itself.
#[derive(Debug)]
pub(crate) enum Command {
    Compare,
    Operators,
    Generate {
        rows: usize,
        keys: Keys,
        folder: PathBuf,
    },
    Emrys(Job),
    Floor(Job, Encoder),
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) data: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) threshold: u64,
    pub(crate) threads: usize,
    pub(crate) batch_rows: usize,
}

/// The type of the categorical columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Eight hexadecimal digits.
    String,
    /// `int64`.
    Integer,
}

impl Keys {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Keys::String => "string",
            Keys::Integer => "integer",
        }
    }

    fn parse(name: &str) -> Result<Keys> {
        match name {
            "string" => Ok(Keys::String),
            "integer" => Ok(Keys::Integer),
            other => Err(format!("keys are string or integer, not {other}").into()),
        }
    }
}

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut parsed = Arguments {
            command: Command::Compare,
            rows: vec![2_000_000],
            keys: vec![Keys::String, Keys::Integer],
            thresholds: vec![0, 15],
            runs: 5,
            nvtabular_runs: 1,
            only: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            batch_rows: 32_768,
            markdown: false,
            data: Path::new(env!("CARGO_TARGET_TMPDIR")).join("etl_criteo"),
            peers: std::env::var_os("EMRYS_PEERS").map(PathBuf::from),
        };
        let mut child = None;
        let mut out = PathBuf::new();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--full" => parsed.rows = vec![2_000_000, 10_000_000],
                "--markdown" => parsed.markdown = true,
                "--operators" => parsed.command = Command::Operators,
                "--rows" => parsed.rows = list(&value()?, |text| Ok(text.parse()?))?,
                "--keys" => parsed.keys = list(&value()?, Keys::parse)?,
                "--thresholds" => parsed.thresholds = list(&value()?, |text| Ok(text.parse()?))?,
                "--runs" => parsed.runs = value()?.parse()?,
                "--nvtabular-runs" => parsed.nvtabular_runs = value()?.parse()?,
                "--only" => parsed.only = Some(list(&value()?, |text| Ok(text.to_owned()))?),
                "--threads" => parsed.threads = value()?.parse()?,
                "--batch-rows" => parsed.batch_rows = value()?.parse()?,
                "--data" => parsed.data = PathBuf::from(value()?),
                "--peers" => parsed.peers = Some(PathBuf::from(value()?)),
                "--child" => child = Some(value()?),
                "--out" => out = PathBuf::from(value()?),
                _ => return Err(format!("{argument}?\n{HELP}").into()),
            }
        }
        if let Some(child) = child {
            parsed.command = parsed.child(&child, out)?;
        }
        Ok(parsed)
    }

    /// The command of a process that the benchmark starts.
    fn child(&self, name: &str, out: PathBuf) -> Result<Command> {
        let (rows, keys) = (self.rows[0], self.keys[0]);
        let job = Job {
            data: self.data.clone(),
            out,
            keys,
            threshold: self.thresholds[0],
            threads: self.threads,
            batch_rows: self.batch_rows,
        };
        match name {
            "generate" => Ok(Command::Generate {
                rows,
                keys,
                folder: job.out,
            }),
            "emrys" => Ok(Command::Emrys(job)),
            "floor" => Ok(Command::Floor(job, Encoder::Library)),
            "own-floor" => Ok(Command::Floor(job, Encoder::Emrys)),
            other => Err(format!("there is no child {other}").into()),
        }
    }
}

impl Job {
    /// The arguments of the child process that does the job.
    pub(crate) fn arguments(&self, child: &str) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("--child", child.to_owned()),
            ("--data", path(&self.data)),
            ("--out", path(&self.out)),
            ("--keys", self.keys.name().to_owned()),
            ("--thresholds", self.threshold.to_string()),
            ("--threads", self.threads.to_string()),
            ("--batch-rows", self.batch_rows.to_string()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    text.split(',').map(|item| parse(item.trim())).collect()
}
