//! Ctrl-C in the middle of a run.

#![cfg(unix)]

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Float64Array, RecordBatch};

use crate::fixtures::{Ended, Project};

/// Numbers that do not compress, so that compressing them as well as possible takes long.
fn noise(rows: usize) -> RecordBatch {
    let mut state = 1_u64;
    let numbers: Float64Array = (0..rows)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Some((state >> 11) as f64)
        })
        .collect();
    RecordBatch::try_from_iter([("x", Arc::new(numbers) as _)]).unwrap()
}

#[test]
fn an_interrupted_transform_leaves_nothing() {
    let project = Project::new();
    project.write_data("noise", &noise(4_000_000));
    project.write(
        "scale.toml",
        "outputs = ['@scaled']\nnodes.scaled = { inputs = ['x'], op = 'Normalize' }",
    );
    project.output("fit noise -w scale.toml -o fitted");
    let before = project.entries();

    let run =
        "transform noise -w fitted -o out --threads 1 --compression zstd:22 --spill-dir spill";
    let mut command = project.command(run);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let is_writing = || {
        project
            .entries()
            .iter()
            .any(|name| name.starts_with(".out.tmp-"))
    };
    while !is_writing() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "nothing is written"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let ended = Ended::of(child.wait_with_output().unwrap());

    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert_eq!(
        ended.stderr,
        "interrupted: stopping; once more to stop at once\n\
         error: interrupted; no output was written\n"
    );
    assert_eq!(fs::read_dir(project.path("spill")).unwrap().count(), 0);
    fs::remove_dir(project.path("spill")).unwrap();
    assert_eq!(project.entries(), before);
}
