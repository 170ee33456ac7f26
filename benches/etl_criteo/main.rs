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
//! | decoding, once for fitting and once for the transform | 30 % | numbers of dictionary entries 10, nulls 3, Snappy 3, zeroed memory 2 |
//! | encoding and compressing the output | 17 % | numbering ids and floats 6, Snappy 4 |
//! | looking ids up | 13 % | the tables 8, at 2 ns each |
//! | counting | 13 % | the tables 9, at 3 ns each |
//! | reading and writing files | 8 % | copies from and to the system's cache, first touches of memory |
//! | making the vocabularies | 7 % | sorting 2.5 |
//! | filling, clipping, logarithms, scaling | 5 % | twice over, as fitting needs them too |
//! | plans, footers, starting threads | 5 % | |
//! | mean and variance | 1 % | sums in twice the precision, eight side by side |
//!
//! A tenth of it, spread over all parts, are first touches of memory pages.
//!
//! What brought it here, by gain: counts in the slots of shared tables instead of group-by queries;
//! look-ups whose cache misses overlap; encoders of ids and floats that know what they encode (a
//! fourth of the runs of integers); memory that is kept instead of given back; tables in huge pages,
//! which are not touched page by page (a tenth); integers of 32 bits in slots of 64 (a twelfth);
//! keys that are looked for by the block, all in the same steps, with hashes by vector instructions
//! (a fifteenth); batches that are computed while others are encoded (a twentieth, by idle threads);
//! counting 65,536 rows of a column at a time, while its table is in the caches (a thirtieth); sums
//! in lanes (a thirtieth); nulls that are counted and numbered as what they were to be filled with
//! (a fiftieth); logarithms of eight numbers at a time (a fiftieth).
//!
//! The next gains, by size: a decoder of flat columns of numbers, the counterpart of the encoders,
//! which would neither zero memory nor move values apart for nulls, about a tenth; strings of
//! columns that are stored as dictionaries throughout (the footers tell) could be read as
//! dictionaries and counted and looked up once per entry, about a tenth of the string runs (the
//! counting tables take dictionaries already); filling, clipping, logarithms and scaling in one
//! pass, a fiftieth; a radix sort of the counted values, a fiftieth.
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
