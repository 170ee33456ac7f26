//! How long a fitted workflow takes to be saved and loaded: one vocabulary of five million values.
//!
//! `cargo bench -p emrys -p emrys-etl --bench save_load` prints seconds for strings of 8 and of 16 to 30
//! bytes and for integers, the median of several runs, and closes with one line of JSON. Seconds of
//! the processor stand beside those of the clock, which other programs lengthen.

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use emrys_etl::hash::hash_bits;
use emrys_etl::ops::Categorify;
use emrys_etl::{Dataset, FittedWorkflow, Result, Workflow, cols};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VALUES: u64 = 5_000_000;
const RUNS: usize = 5;

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let numbers = || (0..VALUES).map(|i| hash_bits(i + 1));
    // Multiplication by an odd number keeps the lower 32 bits distinct.
    let hex = (0..VALUES as u32).map(|i| format!("{:08x}", i.wrapping_mul(0x9E37_79B1)));
    let long = numbers().map(|n| format!("{n:016x}{}", &"abcdefghijklmn"[..(n % 15) as usize]));
    let columns: [(&str, ArrayRef); 3] = [
        ("hex8", Arc::new(StringArray::from_iter_values(hex))),
        ("text16to30", Arc::new(StringArray::from_iter_values(long))),
        (
            "int64",
            Arc::new(Int64Array::from_iter_values(numbers().map(|n| n as i64))),
        ),
    ];
    println!(
        "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "values", "fit s", "save s", "load s", "cpu s", "MB"
    );
    let mut figures = serde_json::Map::new();
    for (name, values) in columns {
        let batch = RecordBatch::try_from_iter([("key", values)]).expect("one column");
        let data = Dataset::from_batches(batch.schema(), vec![batch])?;
        let started = Instant::now();
        let workflow = Workflow::new(cols(["key"]) >> Categorify::default()).fit(&data)?;
        let fit = started.elapsed().as_secs_f64();
        let path = folder.path().join(name);
        let (save, _) = median(|| workflow.save(&path))?;
        let (load, cpu) = median(|| FittedWorkflow::load(&path).map(drop))?;
        let loaded = FittedWorkflow::load(&path)?;
        assert_eq!(loaded.output_schema(), workflow.output_schema());
        let size = bytes(&path) as f64 / 1e6;
        println!("{name:<12} {fit:>8.2} {save:>8.2} {load:>8.2} {cpu:>8.2} {size:>8.1}");
        figures.insert(
            name.to_owned(),
            json!({"save_s": save, "load_s": load, "load_cpu_s": cpu, "mb": size}),
        );
    }
    println!(
        "{}",
        json!({"values": VALUES, "runs": RUNS, "keys": figures})
    );
    Ok(())
}

/// Seconds of the clock and of the processor.
fn median(mut run: impl FnMut() -> Result<()>) -> Result<(f64, f64)> {
    let mut times = Vec::with_capacity(RUNS);
    let mut cpu_times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let (started, cpu_started) = (Instant::now(), cpu_seconds());
        run()?;
        times.push(started.elapsed().as_secs_f64());
        cpu_times.push(cpu_seconds() - cpu_started);
    }
    times.sort_by(f64::total_cmp);
    cpu_times.sort_by(f64::total_cmp);
    Ok((times[RUNS / 2], cpu_times[RUNS / 2]))
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a time that lives longer than the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
