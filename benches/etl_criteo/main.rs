//! The Criteo workload, side by side with Polars, `DuckDB` and NVTabular, and against the floor.
//!
//! 26 columns of keys are filled and numbered by frequency, 13 columns of numbers filled, clipped,
//! logarithmised and normalised; everything is fitted on the training files, then the training
//! files and the validation file are transformed and written. All tools read the same files and
//! write the same columns (64-bit ids, 32-bit floats, Snappy); the counts of values below the
//! threshold, which Emrys would keep for learning from more data, are not kept, as by no peer. Each
//! run is a process of its own, so that its peak memory is its own; the tools take turns, so that a
//! busy machine slows all of them alike; medians are shown. Times leave out the start of the process
//! and its imports.
//!
//! The floor is the time to decode the input once and to encode the output that Emrys wrote, with
//! the parquet library and the settings of that output, with nothing between. Emrys encodes ids and
//! floats faster than the library; the own floor has its encoder in the library's place.
//!
//! ```sh
//! cargo bench --bench etl_criteo                    # 2 million rows, string and integer keys
//! cargo bench --bench etl_criteo -- --full          # 10 million rows as well
//! cargo bench --bench etl_criteo -- --operators     # each operator alone, in rows per second
//! benches/etl_criteo/peers/install.sh FOLDER        # the peers' environments; then EMRYS_PEERS=FOLDER
//! ```
//!
//! # Where the time goes
//!
//! Shares of the processor time of the 2 million rows of integer keys, threshold 0, by a sampling
//! profiler:
//!
//! | part | share | of which |
//! |---|---|---|
//! | encoding and compressing the output | 21 % | numbering ids and floats 6, Snappy 5 |
//! | decoding, once for fitting and once for the transform | 17 % | unpacking places 3, Snappy 3, nulls 2 |
//! | first touches of memory | 10 % | |
//! | counting | 9 % | the entries of dictionaries 5, their rows 3 |
//! | looking ids up, once for each entry | 7 % | |
//! | from entries to rows | 7 % | |
//! | reading and writing files | 6 % | copies from and to the system's cache |
//! | making the vocabularies | 4 % | sorting 2.5 |
//! | filling, clipping, logarithms, scaling, mean and variance | 2 % | |
//! | plans, footers, starting and switching threads | 15 % | |
//!
//! What brought it here, by gain: counts in the slots of shared tables instead of group-by queries;
//! look-ups whose cache misses overlap; decoders that keep to the dictionaries of the files, so that
//! values are counted, looked up and scaled once for each entry of a row group (a fourth of the runs
//! of integers, a third of those of texts); encoders of ids and floats that know what they encode (a
//! fourth of the runs of integers); memory that is kept instead of given back; tables in huge pages,
//! which are not touched page by page (a tenth); integers of 32 bits in slots of 64 (a twelfth);
//! keys that are looked for by the block, all in the same steps, with hashes by vector instructions
//! (a fifteenth); batches that are computed while others are encoded (a twentieth, by idle threads);
//! sums in lanes (a thirtieth); nulls that are counted and numbered as what they were to be filled
//! with (a fiftieth).
//!
//! The next gains, by size: encoders that take the places of the decoders, with the ids of the
//! entries, which would neither write out ids nor number them again, about a tenth; reading into
//! memory that is not zeroed before, a fiftieth; a radix sort of the counted values, a fiftieth.
//!
//! Peers whose environment is not there are left out with a word. The last line is JSON; its ratios
//! are those of the worst configuration that was run.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

mod allocator;
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
    if let Command::Emrys(_) | Command::Floor(..) = &arguments.command {
        allocator::allow_huge_pages();
    }
    match &arguments.command {
        Command::Compare => rounds::compare(&arguments),
        Command::Operators => operators::measure(&arguments),
        Command::Generate { rows, keys, folder } => data::generate(*rows, *keys, folder),
        Command::Emrys(job) => process::report_result(&workload::run(job)?),
        Command::Floor(job, encoder) => process::report_result(&floor::run(job, *encoder)?),
    }
}
