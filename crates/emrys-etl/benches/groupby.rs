//! How many rows a second Groupby and the operators on sequences take.
//!
//! `cargo bench -p emrys-etl --bench groupby` prints millions of rows per second, the best of three
//! runs, and closes with one line of JSON. The data lie in memory; `copy` only passes them through.

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use emrys_etl::hash::hash_bits;
use emrys_etl::ops::{
    Aggregate, DifferenceLag, Groupby, ListAggregate, ListSlice, TextVocabulary, TokenizeText,
};
use emrys_etl::{Dataset, Error, Node, Result, SessionOptions, Workflow, cols};

const ROWS: u64 = 4_000_000;
const USERS: u64 = 200_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let data = events()?;
    let sessions = || Groupby::new(["user"]).with_sort_cols(["ts"]);
    let lists = cols(["item"]) >> sessions();
    let statistics = [
        Aggregate::Count,
        Aggregate::Nunique,
        Aggregate::Mean,
        Aggregate::Std,
        Aggregate::Max,
    ];
    let words = cols(["title"]) >> TokenizeText::words();
    let cases = [
        ("copy", cols(["user", "ts", "item"])),
        ("groupby/list", lists.clone()),
        (
            "groupby/last 20",
            cols(["item"]) >> sessions().with_max_length(20),
        ),
        (
            "groupby/statistics",
            cols(["item"]) >> sessions().with_aggs(statistics),
        ),
        (
            "groupby/list, slice and pad",
            lists.clone() >> ListSlice::last(20).with_padding(0),
        ),
        (
            "groupby/list, mean of each",
            lists >> ListAggregate::new([Aggregate::Mean]),
        ),
        (
            "difference_lag",
            cols(["ts"]) >> DifferenceLag::new(["user"]),
        ),
        ("tokenize_text", words.clone()),
        (
            "text_vocabulary (with fit)",
            words >> TextVocabulary::default(),
        ),
    ];
    let mut json = String::new();
    for (name, node) in cases {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            best = best.min(time(&node, &data)?);
        }
        let speed = ROWS as f64 / best.as_secs_f64() / 1e6;
        println!("{name:<30} {speed:>8.2} M rows/s");
        let _ = write!(json, "\"{name}\": {speed:.3}, ");
    }
    println!(
        "{{\"million_rows_per_second\": {{{}}}}}",
        json.trim_end_matches(", ")
    );
    Ok(())
}

fn time(node: &Node, data: &Dataset) -> Result<Duration> {
    let workflow = Workflow::new(node.clone()).with_options(SessionOptions::new());
    let started = Instant::now();
    let rows = workflow.fit(data)?.transform(data)?.collect()?;
    let elapsed = started.elapsed();
    assert!(rows.iter().any(|batch| batch.num_rows() > 0));
    Ok(elapsed)
}

/// Events in the order of time, of users in no order.
fn events() -> Result<Dataset> {
    let column = |value: &dyn Fn(u64) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            (0..ROWS).map(|row| value(row) as i64),
        ))
    };
    let titles = (0..ROWS).map(|row| {
        let word = |i: u64| hash_bits(row * 4 + i) % 5_000;
        format!("Word{} word{} and word{}", word(0), word(1), word(2))
    });
    let batch = RecordBatch::try_from_iter([
        ("user", column(&|row| hash_bits(row) % USERS)),
        ("ts", column(&|row| 1_700_000_000 + row / 3)),
        ("item", column(&|row| hash_bits(row ^ 0x5555) % 50_000)),
        (
            "title",
            Arc::new(StringArray::from_iter_values(titles)) as ArrayRef,
        ),
    ])
    .map_err(|error| Error::Internal(error.to_string()))?;
    let parts = (0..batch.num_rows()).step_by(65_536).map(|at| {
        let rows = batch.num_rows() - at;
        batch.slice(at, rows.min(65_536))
    });
    Dataset::from_batches(batch.schema(), parts.collect())
}
