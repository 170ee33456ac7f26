//! Reference pipelines: from raw public data to trained and measured models, one module each.
//!
//! ```text
//! cargo run --release -p emrys-workflows -- movielens --data DIR --out DIR --seed 42
//! ```
//!
//! Every workflow prints what it does and what it writes, and ends with one line of JSON that holds
//! its figures.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

mod movielens;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The default allocator gives the memory of every step's tensors back to the system and takes it
// anew: page faults made a training step take almost twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Reference pipelines, from raw public data to trained models.
#[derive(Parser)]
#[command(name = "emrys-workflows", version)]
struct Cli {
    #[command(subcommand)]
    workflow: Workflow,
}

#[derive(Subcommand)]
enum Workflow {
    Movielens(movielens::Args),
}

fn main() -> ExitCode {
    let Cli { workflow } = Cli::parse();
    let result = match workflow {
        Workflow::Movielens(args) => movielens::run(&args),
    };
    match result {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error and what caused it.
fn report(error: &dyn Error) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
