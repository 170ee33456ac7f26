//! Runs as processes of their own: their result, and the memory they needed at most.

use std::io::Read;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Result;

/// What a run prints on its last line, after [`MARK`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunResult {
    pub(crate) fit_s: f64,
    pub(crate) transform_s: f64,
    /// Processor seconds of user and system, of all threads, of the timed part.
    pub(crate) cpu_s: f64,
    /// The number of ids of all columns, which all tools must agree on.
    pub(crate) ids: u64,
}

impl RunResult {
    pub(crate) fn total_s(&self) -> f64 {
        self.fit_s + self.transform_s
    }
}

const MARK: &str = "RESULT ";

/// A run that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) result: RunResult,
    pub(crate) peak_mib: f64,
    /// The share of the machine's processor time that other processes took meanwhile.
    pub(crate) others: f64,
}

/// Hands the result of this process to the one that started it.
pub(crate) fn report_result(result: &RunResult) -> Result<()> {
    println!("{MARK}{}", serde_json::to_string(result)?);
    Ok(())
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<Run> {
    let before = MachineTime::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut output = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut output)?;
    }
    let usage = wait(child.id())?;
    let after = MachineTime::now();
    let line = output
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(MARK));
    let line = line.ok_or_else(|| format!("{command:?} gave no result"))?;
    let processor_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    Ok(Run {
        result: serde_json::from_str(line)?,
        // Linux counts kibibytes.
        peak_mib: usage.ru_maxrss as f64 / 1024.0,
        others: after.others_since(&before, processor_s),
    })
}

/// Measures the work of one thread, but for the parts that do not count.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
}

impl Spent {
    /// The time of this thread so far.
    pub(crate) fn now() -> Spent {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the pointer is valid; should the call fail, the time stays zero.
        unsafe {
            libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
        }
        Spent {
            wall_s: START.elapsed().as_secs_f64(),
            cpu_s: time.tv_sec as f64 + time.tv_nsec as f64 / 1e9,
        }
    }

    /// What was spent since a time of the same thread.
    pub(crate) fn since(start: Spent) -> Spent {
        let mut spent = Spent::now();
        spent.subtract(start);
        spent
    }

    pub(crate) fn subtract(&mut self, other: Spent) {
        self.wall_s -= other.wall_s;
        self.cpu_s -= other.cpu_s;
    }

    pub(crate) fn add(&mut self, other: Spent) {
        self.wall_s += other.wall_s;
        self.cpu_s += other.cpu_s;
    }

    /// Adds the work of another thread at the same time.
    pub(crate) fn join(&mut self, other: Spent) {
        self.wall_s = self.wall_s.max(other.wall_s);
        self.cpu_s += other.cpu_s;
    }
}

/// Processor seconds of this process so far.
pub(crate) fn processor_seconds() -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid, and zeros are a valid value should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Waits for a child and tells what it used.
fn wait(id: u32) -> Result<libc::rusage> {
    let id = libc::pid_t::try_from(id)?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are valid, and zeros are a valid value should the call fail.
    let (waited, usage) = unsafe {
        let waited = libc::wait4(id, &raw mut status, 0, usage.as_mut_ptr());
        (waited, usage.assume_init())
    };
    if waited != id || status != 0 {
        return Err(format!("a run ended with status {status}").into());
    }
    Ok(usage)
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// The processor time of the whole machine, in ticks of a hundredth of a second.
struct MachineTime {
    all: f64,
    busy: f64,
}

impl MachineTime {
    fn now() -> MachineTime {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks: Vec<f64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|number| number.parse().ok())
            .collect();
        let all: f64 = ticks.iter().sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        MachineTime {
            all,
            busy: all - idle,
        }
    }

    fn others_since(&self, before: &MachineTime, own_s: f64) -> f64 {
        let all = (self.all - before.all).max(1.0);
        ((self.busy - before.busy - own_s * 100.0) / all).clamp(0.0, 1.0)
    }
}
