//! Runs all tools in turns, for each configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::arguments::{Arguments, Job, Keys};
use crate::floor;
use crate::peers::Tool;
use crate::process::{Run, run};
use crate::report::{Summary, print_configuration, print_json};

/// Which data, and which of the values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) rows: usize,
    pub(crate) keys: Keys,
    pub(crate) threshold: u64,
}

/// The whole comparison.
pub(crate) fn compare(arguments: &Arguments) -> Result<()> {
    let mut tools = Vec::new();
    for tool in Tool::ALL {
        if matches!(&arguments.only, Some(only) if !only.iter().any(|name| name == tool.name())) {
            continue;
        }
        match tool.missing(arguments.peers.as_deref()) {
            None => tools.push(tool),
            Some(why) => println!("{} is skipped: {why}", tool.name()),
        }
    }
    let mut done = Vec::new();
    for &keys in &arguments.keys {
        for &rows in &arguments.rows {
            let data = data(arguments, rows, keys)?;
            for &threshold in &arguments.thresholds {
                let configuration = Configuration {
                    rows,
                    keys,
                    threshold,
                };
                let job = Job {
                    data: data.clone(),
                    out: PathBuf::new(),
                    keys,
                    threshold,
                    threads: arguments.threads,
                    batch_rows: arguments.batch_rows,
                };
                let summaries = take_turns(arguments, &tools, &job)?;
                print_configuration(&configuration, &summaries);
                done.push((configuration, summaries));
            }
        }
    }
    print_json(&done, arguments)
}

/// The folder of a data set, which is generated unless it is there.
pub(crate) fn data(arguments: &Arguments, rows: usize, keys: Keys) -> Result<PathBuf> {
    let folder = arguments.data.join(format!("{}_{rows}", keys.name()));
    if !folder.exists() {
        println!("generating {}", folder.display());
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--child", "generate", "--keys", keys.name()])
            .args(["--rows", &rows.to_string(), "--out"])
            .arg(&folder);
        if !command.status()?.success() {
            return Err(format!("{} cannot be generated", folder.display()).into());
        }
    }
    Ok(folder)
}

/// Removes what an earlier run of a tool wrote, and waits until the system has written what all of
/// them did, so that a run pays for nothing but its own work.
fn clear(tool: Tool, out: &Path) -> Result<()> {
    let entries = match out.exists() {
        true => std::fs::read_dir(out)?.collect::<std::io::Result<Vec<_>>>()?,
        false => Vec::new(),
    };
    for entry in entries {
        let is_of_floor = entry
            .file_name()
            .to_string_lossy()
            .starts_with(floor::PREFIX);
        // The floors read what Emrys wrote.
        if tool.is_floor() && !is_of_floor {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    // SAFETY: the call takes nothing and changes no memory.
    unsafe { libc::sync() };
    Ok(())
}

fn take_turns(arguments: &Arguments, tools: &[Tool], job: &Job) -> Result<Vec<Summary>> {
    let mut runs: Vec<(Tool, Vec<Run>)> = tools.iter().map(|tool| (*tool, Vec::new())).collect();
    for turn in 0..arguments.runs {
        for (tool, runs) in &mut runs {
            let tool = *tool;
            if tool == Tool::NvTabular && turn >= arguments.nvtabular_runs {
                continue;
            }
            // The floors encode what Emrys wrote.
            let owner = if tool.is_floor() { Tool::Emrys } else { tool };
            let job = Job {
                out: arguments.data.join("outputs").join(owner.name()),
                ..job.clone()
            };
            clear(tool, &job.out)?;
            runs.push(run(&mut tool.command(&job, arguments.peers.as_deref())?)?);
        }
    }
    Ok(runs
        .iter()
        .filter_map(|(tool, runs)| Summary::of(*tool, runs))
        .collect())
}
