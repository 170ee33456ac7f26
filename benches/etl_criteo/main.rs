//! The Criteo workload, side by side with Polars, DuckDB and NVTabular, and against the floor.
//!
//! 26 columns of keys are filled and numbered by frequency, 13 columns of numbers filled, clipped,
//! logarithmised and normalised; everything is fitted on the training files, then the training
//! files and the validation file are transformed and written. All tools read the same files and
//! write the same columns (64-bit ids, 32-bit floats, Snappy). Each run is a process of its own, so
//! that its peak memory is its own; the tools take turns, so that a busy machine slows all of them
//! alike; medians are shown. Times leave out the start of the process and its imports.
//!
//! The floor is the time to decode the input once and to encode the output that Emrys wrote, by the
//! same writer, with nothing between.
//!
//! ```sh
//! cargo bench --bench etl_criteo                    # 2 million rows, string and integer keys
//! cargo bench --bench etl_criteo -- --full          # 10 million rows as well
//! cargo bench --bench etl_criteo -- --operators     # each operator alone, in rows per second
//! benches/etl_criteo/peers/install.sh FOLDER        # the peers' environments; then EMRYS_PEERS=FOLDER
//! ```
//!
//! Peers whose environment is not there are left out with a word. The last line is JSON; its ratios
//! are those of the worst configuration that was run.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

mod arguments;
mod data;
mod floor;
mod operators;
mod peers;
mod process;
mod report;
mod rounds;
mod workload;

use arguments::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    match &arguments.command {
        Command::Compare => rounds::compare(&arguments),
        Command::Operators => operators::measure(&arguments),
        Command::Generate { rows, keys, folder } => data::generate(*rows, *keys, folder),
        Command::Emrys(job) => process::report_result(&workload::run(job)?),
        Command::Floor(job) => process::report_result(&floor::run(job)?),
    }
}
