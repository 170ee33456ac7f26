//! The tools that are compared, and how a run of each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::allocator;
use crate::arguments::Job;

/// A tool, as the table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Emrys,
    Floor,
    OwnFloor,
    Polars,
    PolarsJoin,
    DuckDb,
    NvTabular,
}

impl Tool {
    /// In the order in which they run; the floors read what Emrys wrote.
    pub(crate) const ALL: [Tool; 7] = [
        Tool::Emrys,
        Tool::Floor,
        Tool::OwnFloor,
        Tool::Polars,
        Tool::PolarsJoin,
        Tool::DuckDb,
        Tool::NvTabular,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Emrys => "emrys",
            Tool::Floor => "floor",
            Tool::OwnFloor => "own-floor",
            Tool::Polars => "polars",
            Tool::PolarsJoin => "polars-join",
            Tool::DuckDb => "duckdb",
            Tool::NvTabular => "nvtabular",
        }
    }

    /// Whether it does nothing but decode and encode.
    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Tool::Floor | Tool::OwnFloor)
    }

    /// The Python environment, the script and its further arguments.
    fn script(self) -> Option<(&'static str, &'static str, &'static [&'static str])> {
        match self {
            Tool::Emrys | Tool::Floor | Tool::OwnFloor => None,
            Tool::Polars => Some(("columnar", "run_polars.py", &["--way", "replace"])),
            Tool::PolarsJoin => Some(("columnar", "run_polars.py", &["--way", "join"])),
            Tool::DuckDb => Some(("columnar", "run_duckdb.py", &[])),
            Tool::NvTabular => Some(("nvtabular", "run_nvtabular.py", &[])),
        }
    }

    /// Why the tool cannot run here, if it cannot.
    pub(crate) fn missing(self, peers: Option<&Path>) -> Option<String> {
        let (environment, _, _) = self.script()?;
        let Some(peers) = peers else {
            return Some(
                "no folder of environments is given; see --peers and peers/install.sh".into(),
            );
        };
        let python = python(peers, environment);
        (!python.exists()).then(|| format!("there is no {}", python.display()))
    }

    /// The command of a run; outputs go to a folder of the tool's own, except the floors'.
    pub(crate) fn command(self, job: &Job, peers: Option<&Path>) -> Result<Command> {
        let Some((environment, script, further)) = self.script() else {
            let mut command = Command::new(std::env::current_exe()?);
            allocator::keep_freed_memory(&mut command);
            command.args(job.arguments(self.name()));
            return Ok(command);
        };
        let peers = peers.ok_or("no folder of environments is given")?;
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/etl_criteo/peers");
        let mut command = Command::new(python(peers, environment));
        command
            .arg(scripts.join(script))
            .arg("--data")
            .arg(&job.data)
            .arg("--out")
            .arg(&job.out)
            .args(["--threshold", &job.threshold.to_string()])
            .args(["--threads", &job.threads.to_string()])
            .args(further)
            // The scripts share a module; its compiled form is not kept.
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }
}

fn python(peers: &Path, environment: &str) -> PathBuf {
    peers.join(environment).join("bin/python")
}
