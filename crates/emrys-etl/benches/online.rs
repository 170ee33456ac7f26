//! How long one request takes: a single row, and small batches, through a workflow of 40 columns.
//!
//! `cargo bench -p emrys -p emrys-etl --bench online` fits the workflow of the Criteo data (13 numbers
//! filled, clipped, logged and normalised, 26 categories, a label) and transforms batches one by
//! one on one thread. It prints percentiles in microseconds, and closes with one line of JSON.

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use emrys_etl::hash::hash_bits;
use emrys_etl::ops::{Categorify, Clip, FillMissing, IdType, LogOp, Normalize};
use emrys_etl::{Dataset, Result, Workflow, cols};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUMBERS: usize = 13;
const CATEGORIES: usize = 26;
const TRAIN_ROWS: usize = 100_000;
const REQUESTS: usize = 20_000;

fn main() -> Result<()> {
    let rows = rows(TRAIN_ROWS);
    let data = Dataset::from_batches(rows.schema(), vec![rows.clone()])?;
    let numbers: Vec<String> = (1..=NUMBERS).map(|i| format!("I{i}")).collect();
    let categories: Vec<String> = (1..=CATEGORIES).map(|i| format!("C{i}")).collect();
    let numbers = cols(numbers)
        >> FillMissing::with(0)
        >> Clip::between(0, 1_000_000)
        >> LogOp
        >> Normalize::default();
    let ids = cols(categories) >> Categorify::new().with_id_type(IdType::Int32);
    let workflow = Workflow::new(numbers + ids + "label").fit(&data)?;
    let started = Instant::now();
    workflow.transform_batch(&rows.slice(0, 1))?;
    let first = started.elapsed().as_secs_f64() * 1e6;
    assert!(workflow.is_row_wise()?, "requests are not planned");
    println!("first request, with compilation: {first:.0} us");
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "rows", "p50 us", "p90 us", "p99 us", "max us", "rows/s"
    );
    let mut figures = serde_json::Map::new();
    for size in [1, 16, 256, 4096] {
        let requests = (REQUESTS / size).max(200);
        let mut times = Vec::with_capacity(requests);
        for request in 0..requests {
            let start = hash_bits(request as u64) as usize % (TRAIN_ROWS - size);
            let batch = rows.slice(start, size);
            let started = Instant::now();
            black_box(workflow.transform_batch(&batch)?);
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        let percentile = |p: usize| times[(times.len() * p / 100).min(times.len() - 1)];
        let (p50, p90, p99, max) = (
            percentile(50),
            percentile(90),
            percentile(99),
            percentile(100),
        );
        let rate = size as f64 / p50 * 1e6;
        println!("{size:>6} {p50:>10.1} {p90:>10.1} {p99:>10.1} {max:>10.1} {rate:>12.0}");
        figures.insert(
            size.to_string(),
            json!({"p50_us": p50, "p90_us": p90, "p99_us": p99}),
        );
    }
    println!(
        "{}",
        json!({"columns": 1 + NUMBERS + CATEGORIES, "compile_us": first, "rows": figures})
    );
    Ok(())
}

/// Rows like Criteo's: long-tailed numbers with nulls, hexadecimal categories.
fn rows(rows: usize) -> RecordBatch {
    let draw = |column: usize, row: usize| hash_bits((column * rows + row) as u64 + 1);
    let uniform = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let labels = (0..rows).map(|row| i64::from(draw(0, row) % 4 == 0));
    columns.push((
        "label".to_owned(),
        Arc::new(Int64Array::from_iter_values(labels)),
    ));
    for i in 1..=NUMBERS {
        let values = (0..rows).map(|row| {
            let bits = draw(i, row);
            (bits % 10 > 0).then(|| (uniform(bits).powi(-2) as i64).min(10_000_000) - 1)
        });
        columns.push((format!("I{i}"), Arc::new(values.collect::<Int64Array>())));
    }
    for i in 1..=CATEGORIES {
        let cardinality = 10_f64.powf(1.0 + 3.5 * i as f64 / CATEGORIES as f64);
        let values = (0..rows).map(|row| {
            let bits = draw(NUMBERS + i, row);
            let value = (uniform(bits).powi(3) * cardinality) as u64;
            (bits % 20 > 0).then(|| format!("{:08x}", hash_bits(value + 1) as u32))
        });
        columns.push((format!("C{i}"), Arc::new(values.collect::<StringArray>())));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .expect("columns of one length")
}
