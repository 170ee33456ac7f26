//! A process that is killed at any moment leaves nothing that could be taken for a whole result,
//! and the next one finds no obstacle.
//!
//! The test binary starts itself as the process that is killed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they saw"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use emrys_etl::io::{FileLayout, Shuffle, Split, write_batches};
use emrys_etl::ops::{Categorify, FillMissing, Normalize};
use emrys_etl::{
    Dataset, FittedWorkflow, Manifest, Session, SessionOptions, Workflow, WriteOptions, cols,
};
use emrys_schema::Schema;
use rand::{Rng, SeedableRng, rngs::StdRng};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const KILLS: u32 = 50;
/// Some processes are done before they are killed.
const TRIES: u32 = 120;
const ROWS: i64 = 20_000;

/// The folder in which a child process works; without it the test of the child does nothing.
const FOLDER: &str = "EMRYS_CRASH_FOLDER";

/// What a run leaves in its folder.
const RESULTS: [&str; 4] = ["shuffled", "split", "transformed", "workflow"];

#[test]
fn the_child_does_its_work() -> TestResult {
    match std::env::var_os(FOLDER) {
        None => Ok(()),
        Some(folder) => work(Path::new(&folder)),
    }
}

/// Fits, saves, loads, and writes in three ways, each time replacing what is there.
fn work(folder: &Path) -> TestResult {
    let threads = SessionOptions::new().with_threads(2);
    let options = WriteOptions::new().with_overwrite(true);
    let data = Dataset::open(folder.join("input"))?;
    let features = (cols(["user"]) >> Categorify::default())
        + (cols(["price"]) >> FillMissing::with(0.0) >> Normalize::default());
    let fitted = Workflow::new(features)
        .with_options(threads.clone())
        .fit(&data)?;
    fitted.save(folder.join("workflow"))?;
    let loaded = FittedWorkflow::load_with(folder.join("workflow"), threads.clone())?;
    loaded.transform(&data)?.write(
        folder.join("transformed"),
        &options
            .clone()
            .with_layout(FileLayout::RowsPerFile(ROWS as usize / 6)),
    )?;
    loaded.transform(&data)?.write(
        folder.join("shuffled"),
        &options
            .clone()
            .with_shuffle(Shuffle::Full { seed: 1 })
            .with_buffer_bytes(1 << 20),
    )?;
    let session = Session::new(threads)?;
    Split::random(0.2, 1).write(&data, &session, folder.join("split"), &options)?;
    Ok(())
}

fn write_input(folder: &Path) -> TestResult {
    let mut random = StdRng::seed_from_u64(1);
    let users = (0..ROWS).map(|_| format!("user {}", random.random_range(0..20_000)));
    let users: ArrayRef = Arc::new(StringArray::from_iter_values(users));
    let prices = (0..ROWS).map(|_| random.random_bool(0.9).then(|| random.random::<f64>()));
    let prices: ArrayRef = Arc::new(prices.collect::<Float64Array>());
    let batch = RecordBatch::try_from_iter([("user", users), ("price", prices)])?;
    let schema = Schema::from_arrow(&batch.schema())?;
    let options = WriteOptions::new().with_row_group_rows(10_000);
    write_batches(
        [Ok(batch.clone())],
        &batch.schema(),
        &schema,
        &folder.join("input"),
        &options,
    )?;
    Ok(())
}

/// All files below a folder.
fn contents(folder: &Path) -> TestResult<BTreeMap<String, Vec<u8>>> {
    fn collect(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) -> TestResult {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                collect(&entry.path(), &format!("{name}/"), found)?;
            } else {
                found.insert(name, fs::read(entry.path())?);
            }
        }
        Ok(())
    }
    let mut found = BTreeMap::new();
    collect(folder, "", &mut found)?;
    Ok(found)
}

fn assert_same(found: &Path, expected: &Path) -> TestResult {
    let (found, expected) = (contents(found)?, contents(expected)?);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &found {
        assert!(expected[name] == *bytes, "`{name}` has other bytes");
    }
    Ok(())
}

fn names(folder: &Path) -> TestResult<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Nothing in the folder is read without an error unless it is what a whole run writes.
fn check_nothing_is_half_readable(folder: &Path, whole: &Path) -> TestResult {
    let mut found = Vec::new();
    for name in names(folder)? {
        found.push(name.clone());
        for part in ["train", "valid"] {
            found.push(format!("{name}/{part}"));
        }
    }
    for name in found.iter().filter(|name| !name.starts_with("input")) {
        let path = folder.join(name);
        // A folder that is being made, or replaced, is named after its target.
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        let target = first
            .strip_prefix('.')
            .and_then(|name| name.split('.').next())
            .unwrap_or(first);
        let target = whole.join(target).join(rest);
        if let Ok(dataset) = Dataset::open(&path) {
            let manifest = Manifest::read(&path)?
                .ok_or_else(|| format!("`{name}` is read as a data set without a manifest"))?;
            assert_eq!(Some(&manifest), Manifest::read(&target)?.as_ref(), "{name}");
            assert_eq!(dataset.num_rows(), manifest.rows, "{name}");
            manifest.verify(&path)?;
        }
        if FittedWorkflow::load(&path).is_ok() {
            assert_same(&path, &target)?;
        }
    }
    // What stands under its own name is whole.
    for name in RESULTS {
        let path = folder.join(name);
        if path.exists() {
            assert_same(&path, &whole.join(name))?;
        }
    }
    Ok(())
}

/// Starts the work in a process of its own, and kills it after some time; whether it was alive
/// then.
fn start_and_kill(folder: &Path, after: Duration) -> TestResult<bool> {
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "the_child_does_its_work"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(after.saturating_sub(start.elapsed()));
    // SIGKILL: the process cannot tidy up.
    child.kill()?;
    let status = child.wait()?;
    Ok(status.code().is_none())
}

fn whole_run(folder: &Path) -> TestResult<Duration> {
    let start = Instant::now();
    let status = Command::new(std::env::current_exe()?)
        .args(["--exact", "the_child_does_its_work"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .status()?;
    assert!(status.success(), "a run that nobody kills fails");
    Ok(start.elapsed())
}

#[test]
fn a_killed_process_leaves_nothing_that_is_half_readable() -> TestResult {
    if std::env::var_os(FOLDER).is_some() {
        return Ok(());
    }
    let whole = tempfile::tempdir()?;
    write_input(whole.path())?;
    let first = whole_run(whole.path())?;
    // Some more, so that the end of a run is met as well.
    let mut duration = first.max(whole_run(whole.path())?).mul_f64(1.2);

    let folder = tempfile::tempdir()?;
    write_input(folder.path())?;
    let mut random = StdRng::seed_from_u64(2);
    let mut killed = 0;
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for kill in 0..TRIES {
        if killed == KILLS {
            break;
        }
        if kill % 2 == 0 {
            // Every other process replaces results, whole ones or what was left of them.
            for name in names(folder.path())? {
                if name != "input" {
                    fs::remove_dir_all(folder.path().join(name))?;
                }
            }
        }
        let moment: f64 = random.random();
        let alive = start_and_kill(folder.path(), duration.mul_f64(moment))?;
        killed += u32::from(alive);
        if !alive {
            // Other work has slowed the measured runs down more than this one.
            duration = duration.mul_f64(0.95);
        }
        for name in names(folder.path())? {
            let kind = match name.split_once('-') {
                Some((kind, _)) => format!("{kind}-*"),
                None => name,
            };
            *seen.entry(kind).or_default() += 1;
        }
        eprintln!("kill {kill} after {moment:.2} of a run, alive: {alive}");
        check_nothing_is_half_readable(folder.path(), whole.path())
            .map_err(|error| format!("kill {kill} after {moment:.2} of a run: {error}"))?;

        work(folder.path()).map_err(|error| format!("the run after kill {kill}: {error}"))?;
        assert_same(folder.path(), whole.path())?;
    }
    eprintln!("{killed} of {KILLS} processes were killed within {duration:?}; they left {seen:?}");
    assert_eq!(killed, KILLS, "too few processes were killed at work");
    assert!(
        seen.keys().any(|name| name.contains(".tmp-")),
        "no process was killed while it wrote"
    );
    Ok(())
}

/// The folder in which a child process holds a spill folder until it is killed.
const SPILL: &str = "EMRYS_CRASH_SPILL";

fn spilling(folder: &Path) -> emrys_etl::Result<Session> {
    let options = SessionOptions::new().with_threads(1);
    Session::new(options.with_spill_dir(folder))
}

#[test]
fn the_child_waits_to_be_killed() -> TestResult {
    let Some(folder) = std::env::var_os(SPILL) else {
        return Ok(());
    };
    let _session = spilling(Path::new(&folder))?;
    std::thread::sleep(Duration::from_mins(1));
    Ok(())
}

#[test]
fn what_a_killed_process_has_spilled_is_deleted_by_the_next() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "the_child_waits_to_be_killed"])
        .env(SPILL, folder.path())
        .stdout(Stdio::null())
        .spawn()?;
    let spilled = |name: &String| -> TestResult<bool> {
        // The engine's own folder is there when the other one is locked.
        Ok(!names(&folder.path().join(name))?.is_empty())
    };
    let held = loop {
        let found = names(folder.path())?;
        match found.first() {
            Some(name) if spilled(name)? => break name.clone(),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(held.starts_with("emrys-spill-"), "{held}");
    drop(spilling(folder.path())?);
    assert_eq!(names(folder.path())?, [held.as_str()], "its owner lives");
    child.kill()?;
    child.wait()?;
    assert_eq!(names(folder.path())?, [held.as_str()]);
    let session = spilling(folder.path())?;
    let now = names(folder.path())?;
    assert!(now.len() == 1 && now != [held], "{now:?}");
    drop(session);
    assert_eq!(names(folder.path())?, Vec::<String>::new());
    Ok(())
}
