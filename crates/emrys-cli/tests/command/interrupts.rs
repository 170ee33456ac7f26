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

/// A run that is interrupted as soon as something is there.
fn interrupted(project: &Project, arguments: &str, when: impl Fn() -> bool) -> Ended {
    let mut command = project.command(arguments);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !when() {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "nothing happens"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut kill = Command::new("kill");
    let sent = kill
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    Ended::of(child.wait_with_output().unwrap())
}

fn names(project: &Project, folder: &str) -> usize {
    fs::read_dir(project.path(folder)).map_or(0, Iterator::count)
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let project = Project::new();
    project.write_data("noise", &noise(4_000_000));
    let node = |op: &str| format!("outputs = ['@a']\nnodes.a = {{ inputs = ['x'], op = '{op}' }}");
    project.write("scale.toml", &node("Normalize"));
    project.write("ids.toml", &node("Categorify"));
    fs::create_dir(project.path("spill")).unwrap();
    project.output("fit noise -w scale.toml -o fitted");
    let before = project.entries();
    let told = "interrupted: stopping; once more to stop at once\n\
                error: interrupted; no output was written\n";

    // Four million values that are all different are not counted in a moment.
    let fit = "fit noise -w ids.toml -o ids --threads 1 --spill-dir spill";
    let ended = interrupted(&project, fit, || names(&project, "spill") > 0);
    assert_eq!((ended.code, ended.stderr.as_str()), (130, told));
    assert_eq!(names(&project, "spill"), 0);
    assert_eq!(project.entries(), before);

    // Numbers without a pattern are not compressed in a moment either.
    let transform =
        "transform noise -w fitted -o out --threads 1 --compression zstd:22 --spill-dir spill";
    let is_writing = || {
        let names = project.entries();
        names.iter().any(|name| name.starts_with(".out.tmp-"))
    };
    let ended = interrupted(&project, transform, is_writing);
    assert_eq!((ended.code, ended.stderr.as_str()), (130, told));
    assert_eq!(names(&project, "spill"), 0);
    assert_eq!(project.entries(), before);
}
