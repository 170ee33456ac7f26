//! Compares blocks, models, losses, metrics, optimizers and retrieval with what the peers compute.
//!
//! The cases lie in the folder that `EMRYS_GOLDEN_MODELS` names, by default
//! `../shared/golden/models` beside the repository; without it the test says so and passes. An
//! argument runs only the cases whose id contains it:
//!
//! ```text
//! cargo test --release -p emrys --test golden_models -- model_dlrm
//! ```
//!
//! One file here per kind of case. Each offers `run`, which returns `None` for cases that are not
//! its own.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod blocks;
mod case;
mod compare;
mod embeddings;
mod losses;
mod metrics;
mod models;
mod network;
mod optimizers;
mod retrieval;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use case::{Case, Outcome, Stop};

/// Asked in this order; the first that knows a case decides.
const RUNNERS: [fn(&Case) -> Option<Outcome>; 7] = [
    blocks::run,
    embeddings::run,
    models::run,
    optimizers::run,
    losses::run,
    metrics::run,
    retrieval::run,
];

fn main() -> ExitCode {
    let folder = std::env::var_os("EMRYS_GOLDEN_MODELS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../shared/golden/models"
            ))
        },
        PathBuf::from,
    );
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!(
            "golden_models: no folder `{}`, nothing to compare with",
            folder.display()
        );
        return ExitCode::SUCCESS;
    };
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("case.json").is_file())
        .filter(|path| path.to_string_lossy().contains(&filter))
        .collect();
    folders.sort();

    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    for folder in folders {
        let case = Case::read(&folder);
        match run(&case) {
            Ok(()) => passed += 1,
            Err(Stop::Skip(reason)) => {
                skipped += 1;
                println!("skipped {}: {reason}", case.id);
            }
            Err(Stop::Fail(reason)) => {
                failed += 1;
                println!("FAILED {}: {reason}", case.id);
            }
        }
    }
    println!("golden_models: {passed} passed, {skipped} skipped, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(case: &Case) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        RUNNERS.iter().find_map(|run| run(case))
    }));
    match outcome {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Stop::Skip(format!(
            "there is no {} `{}` in Emrys yet",
            case.kind, case.name
        ))),
        Err(_) => Err(Stop::Fail("it panicked, see above".to_owned())),
    }
}
