//! Whether fitting obeys a limit of memory: Categorify, `TargetEncoding` and `JoinGroupby` over an id
//! column of millions of values, generated while it is read.
//!
//! `cargo bench -p emrys-etl --bench memory_limit -- [--rows N] [--values N] [--memory MIB]
//! [--spill FOLDER] [--hold] [--transform N] [--threads N]` fits, transforms some rows, prints time
//! and peak resident memory, and closes with one line of JSON. Fitting may take one and a half times
//! the limit, and with `--hold` the vocabularies and tables that are then kept in memory. The
//! default is five million rows with two million values under 256 MiB; the case to be obeyed is
//! `--rows 50000000 --values 20000000 --memory 1024`. With `--load N` it only times how long a stored
//! vocabulary of N texts takes to load.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use emrys_etl::hash::hash_bits;
use emrys_etl::io::RowGenerator;
use emrys_etl::ops::{Categorify, IdType, JoinGroupby, Stat, TargetEncoding, Vocabulary};
use emrys_etl::{Dataset, Error, Result, SessionOptions, StateStorage, Workflow, cols};

const MIB: f64 = 1_048_576.0;

/// What is held for each value in memory: value, count and look-up table of the vocabulary, and
/// value, look-up table and record of each of the two tables by key.
const HELD_PER_VALUE: u64 = (8 + 8 + 32) + (8 + 32 + 9 * 8) + (8 + 32 + 6 * 8);

struct Arguments {
    rows: u64,
    values: u64,
    memory: usize,
    spill: PathBuf,
    hold: bool,
    transform: u64,
    threads: usize,
    load: Option<u64>,
}

impl Arguments {
    fn parse() -> Result<Arguments, String> {
        let mut parsed = Arguments {
            rows: 5_000_000,
            values: 2_000_000,
            memory: 256,
            spill: std::env::temp_dir().join("emrys_memory_limit"),
            hold: false,
            transform: 1_000_000,
            threads: SessionOptions::new().threads(),
            load: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            if name == "--hold" {
                parsed.hold = true;
                continue;
            }
            // Cargo says that this is a benchmark.
            if name == "--bench" {
                continue;
            }
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            let number = || {
                let number = value.parse::<u64>();
                number.map_err(|_| format!("{name}: `{value}` is no number"))
            };
            match name.as_str() {
                "--rows" => parsed.rows = number()?,
                "--values" => parsed.values = number()?.max(1),
                "--memory" => parsed.memory = number()? as usize,
                "--spill" => parsed.spill = PathBuf::from(value),
                "--transform" => parsed.transform = number()?,
                "--load" => parsed.load = Some(number()?),
                "--threads" => parsed.threads = number()? as usize,
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(parsed)
    }

    fn options(&self) -> SessionOptions {
        let storage = match self.hold {
            true => StateStorage::Memory,
            false => StateStorage::Auto,
        };
        SessionOptions::new()
            .with_threads(self.threads)
            .with_memory_limit(self.memory << 20)
            .with_spill_dir(&self.spill)
            .with_state_storage(storage)
    }
}

/// Clicks of users: an id that is scattered over 64 bits, each of which occurs, a price and whether
/// it was clicked.
#[derive(Debug, Clone, Copy)]
struct Clicks {
    rows: u64,
    values: u64,
}

impl Clicks {
    fn number(&self, row: u64) -> u64 {
        // The first rows have each value once, the others at random.
        if row < self.values {
            row
        } else {
            hash_bits(row) % self.values
        }
    }
}

impl RowGenerator for Clicks {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("user", DataType::Int64, false),
            Field::new("price", DataType::Float64, false),
            Field::new("click", DataType::Int32, false),
        ]))
    }

    fn num_rows(&self) -> u64 {
        self.rows
    }

    fn fingerprint(&self) -> u64 {
        hash_bits(self.rows ^ hash_bits(self.values))
    }

    fn rows(&self, range: Range<u64>, columns: &[usize]) -> Result<RecordBatch> {
        let column = |at: &usize| -> ArrayRef {
            match at {
                0 => Arc::new(Int64Array::from_iter_values(
                    range
                        .clone()
                        .map(|row| hash_bits(self.number(row)).cast_signed()),
                )),
                1 => Arc::new(Float64Array::from_iter_values(
                    range
                        .clone()
                        .map(|row| (hash_bits(row ^ 1) % 10_000) as f64 / 100.0),
                )),
                _ => Arc::new(Int32Array::from_iter_values(
                    range
                        .clone()
                        .map(|row| i32::from(hash_bits(row ^ 2).is_multiple_of(10))),
                )),
            }
        };
        let schema = self.schema().project(columns);
        let schema = Arc::new(schema.expect("the engine asks for columns of the schema"));
        let arrays = columns.iter().map(column).collect();
        let options = arrow::array::RecordBatchOptions::new()
            .with_row_count(Some((range.end - range.start) as usize));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)
            .expect("the columns have the types of the schema"))
    }
}

fn main() -> ExitCode {
    let outcome = Arguments::parse().and_then(|arguments| {
        run(&arguments).map_err(|error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text += &format!(": {inner}");
                cause = inner.source();
            }
            text
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("memory_limit: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// How long a stored vocabulary takes to load.
fn time_load(values: u64) -> Result<bool> {
    let texts = (0..values).map(|value| format!("user_{:x}", hash_bits(value) >> 16));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let vocabulary = Vocabulary::from_values("user", &texts, 1)?;
    let folder = tempfile::tempdir().map_err(Error::io("create", "a temporary folder"))?;
    let path = folder.path().join("unique.user.parquet");
    let started = Instant::now();
    vocabulary.write_unique(&path)?;
    let save_s = started.elapsed().as_secs_f64();
    let columns = ["user".to_owned()];
    let started = Instant::now();
    let loaded = Vocabulary::read("user", &columns, None, &path, None)?;
    let load_s = started.elapsed().as_secs_f64();
    println!("{{\"values\": {values}, \"save_s\": {save_s:.2}, \"load_s\": {load_s:.2}}}");
    Ok(loaded.len() == vocabulary.len())
}

fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(values) = arguments.load {
        return time_load(values);
    }
    let clicks = Clicks {
        rows: arguments.rows,
        values: arguments.values,
    };
    let data = Dataset::generated(clicks)?;
    let ids = cols(["user"]) >> Categorify::new().with_id_type(IdType::Int32);
    let encoded = cols(["user"]) >> TargetEncoding::new("click").with_kfold(3);
    let stats = [Stat::Count, Stat::Mean, Stat::Std];
    let joined = cols(["user"]) >> JoinGroupby::of(["price"]).with_stats(stats);
    let workflow = Workflow::new(ids + encoded + joined).with_options(arguments.options());
    println!(
        "{} rows, {} values, limit {} MiB, {} threads, spilling to {}",
        arguments.rows,
        arguments.values,
        arguments.memory,
        arguments.threads,
        arguments.spill.display()
    );
    let before = peak_mib();
    let started = Instant::now();
    let fitted = workflow.fit(&data)?;
    let fit_s = started.elapsed().as_secs_f64();
    let peak = peak_mib();
    let held = match arguments.hold {
        true => (arguments.values * HELD_PER_VALUE) as f64 / MIB,
        false => 0.0,
    };
    let allowed = 1.5 * arguments.memory as f64 + held;
    println!("fit       {fit_s:8.1} s, peak {peak:7.0} MiB of {allowed:.0} (before {before:.0})");

    let sample = Clicks {
        rows: arguments.transform,
        values: arguments.values,
    };
    let started = Instant::now();
    let rows: usize = fitted
        .transform(&Dataset::generated(sample)?)?
        .collect()?
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    let transform_s = started.elapsed().as_secs_f64();
    let after = peak_mib();
    println!(
        "transform {transform_s:8.1} s for {rows} rows, peak {after:7.0} MiB with mapped pages"
    );
    println!(
        "{{\"rows\": {}, \"values\": {}, \"limit_mib\": {}, \"vocabulary_mib\": {held:.0}, \
         \"peak_mib\": {peak:.0}, \"allowed_mib\": {allowed:.0}, \"over_limit\": {:.3}, \
         \"fit_s\": {fit_s:.1}, \"transform_s\": {transform_s:.1}, \"obeyed\": {}}}",
        arguments.rows,
        arguments.values,
        arguments.memory,
        (peak - held) / arguments.memory as f64,
        peak <= allowed,
    );
    Ok(peak <= allowed)
}

/// The greatest resident memory of this process so far.
fn peak_mib() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(
        unsafe_code,
        reason = "the system fills a structure of its own type, which is zero otherwise"
    )]
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    // Linux counts in KiB.
    usage.ru_maxrss as f64 / 1024.0
}
