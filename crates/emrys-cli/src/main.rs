//! The `emrys` command: fits, transforms, inspects and explains workflows.
//!
//! Each subcommand is a file of `commands`. What they share: the arguments ([`arguments`]), exit
//! codes ([`failure`]), progress bars ([`bars`]), the end by Ctrl-C ([`interrupt`]), and what goes
//! to stdout and stderr ([`console`]).

mod arguments;
mod bars;
mod commands;
mod console;
mod failure;
mod input;
mod interrupt;
mod run;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong arguments end here, with exit code 2.
    let Cli { command, global } = Cli::parse();
    interrupt::listen();
    match command.run(&global) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(global.json),
    }
}
