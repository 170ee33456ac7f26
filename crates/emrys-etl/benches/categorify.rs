//! How long Categorify takes for a look-up, beside a hash map of owned keys.
//!
//! `cargo bench -p emrys-etl --bench categorify` prints nanoseconds per row, the least of several
//! runs, and closes with one line of JSON. Rows come in batches of 8192, as the engine gives them;
//! the map is looked up in the same rows.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use emrys_etl::Result;
use emrys_etl::hash::hash_bits;
use emrys_etl::ops::{IdType, Vocabulary};
use hashbrown::HashMap;

const ROWS: usize = 1 << 20;
const BATCH: usize = 8192;

fn main() -> Result<()> {
    println!(
        "{:<18} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "keys", "values", "drawn", "build", "ids", "views", "map"
    );
    let mut figures = Vec::new();
    for keys in [Keys::Hex8, Keys::Text16To30, Keys::Int64] {
        for cardinality in [1_000, 100_000, 1_000_000] {
            let values = keys.values(cardinality);
            let vocabulary = Vocabulary::from_values("key", &values, 1)?;
            let build = nanoseconds(cardinality, || {
                black_box(Vocabulary::from_values("key", &values, 1)).is_ok()
            });
            for drawn in [Drawn::Uniform, Drawn::Zipf] {
                let rows = drawn.rows(cardinality);
                let data = keys.rows(&values, &rows);
                let ids = time_ids(&vocabulary, &data);
                let views = match keys {
                    Keys::Int64 => ids,
                    _ => time_ids(
                        &vocabulary,
                        &cast(&data, &DataType::Utf8View).expect("strings are views"),
                    ),
                };
                let map = keys.time_map(&values, &data);
                println!(
                    "{:<18} {cardinality:>9} {:>8} {build:>8.1} {ids:>8.1} {views:>8.1} {map:>8.1}",
                    format!("{keys:?}"),
                    format!("{drawn:?}"),
                );
                figures.push((format!("{keys:?}/{cardinality}/{drawn:?}"), ids, map));
            }
        }
    }
    let mut json = String::new();
    for (name, ids, map) in figures {
        let _ = write!(json, "\"{name}\": [{ids:.1}, {map:.1}], ");
    }
    println!(
        "{{\"ns_per_row_and_of_map\": {{{}}}}}",
        json.trim_end_matches(", ")
    );
    Ok(())
}

fn time_ids(vocabulary: &Vocabulary, data: &ArrayRef) -> f64 {
    let batches: Vec<[ArrayRef; 1]> = (0..ROWS)
        .step_by(BATCH)
        .map(|at| [data.slice(at, BATCH)])
        .collect();
    nanoseconds(ROWS, || {
        batches
            .iter()
            .all(|batch| black_box(vocabulary.ids(batch, IdType::Int32)).is_ok())
    })
}

/// The least time of a run for each of `items`; runs go on for a while, and at least three times.
fn nanoseconds(items: usize, mut run: impl FnMut() -> bool) -> f64 {
    let started = Instant::now();
    let mut least = Duration::MAX;
    for runs in 0.. {
        if runs >= 3 && started.elapsed() > Duration::from_millis(300) {
            break;
        }
        let run_started = Instant::now();
        assert!(run(), "every value is known");
        least = least.min(run_started.elapsed());
    }
    least.as_nanos() as f64 / items as f64
}

#[derive(Debug, Clone, Copy)]
enum Keys {
    /// Eight hexadecimal digits, as in Criteo's data.
    Hex8,
    Text16To30,
    Int64,
}

impl Keys {
    fn values(self, cardinality: usize) -> ArrayRef {
        let numbers = (1..=cardinality as u64).map(hash_bits);
        match self {
            // Multiplication by an odd number keeps the lower 32 bits distinct.
            Keys::Hex8 => Arc::new(StringArray::from_iter_values(
                (0..cardinality as u32).map(|i| format!("{:08x}", i.wrapping_mul(0x9E37_79B1))),
            )),
            Keys::Text16To30 => {
                Arc::new(StringArray::from_iter_values(numbers.map(|n| {
                    format!("{n:016x}{}", &"abcdefghijklmn"[..(n % 15) as usize])
                })))
            }
            Keys::Int64 => Arc::new(Int64Array::from_iter_values(numbers.map(|n| n as i64))),
        }
    }

    fn rows(self, values: &ArrayRef, rows: &[usize]) -> ArrayRef {
        match self {
            Keys::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                Arc::new(Int64Array::from_iter_values(
                    rows.iter().map(|row| values.value(*row)),
                ))
            }
            Keys::Hex8 | Keys::Text16To30 => {
                let values = values.as_string::<i32>();
                Arc::new(StringArray::from_iter_values(
                    rows.iter().map(|row| values.value(*row)),
                ))
            }
        }
    }

    fn time_map(self, values: &ArrayRef, data: &ArrayRef) -> f64 {
        let ids = 3..;
        let rows = (0..ROWS).step_by(BATCH);
        match self {
            Keys::Int64 => {
                let (values, data) = (
                    values.as_primitive::<Int64Type>(),
                    data.as_primitive::<Int64Type>(),
                );
                let map: HashMap<i64, i32> = values.values().iter().copied().zip(ids).collect();
                nanoseconds(ROWS, || {
                    rows.clone().all(|at| {
                        let batch = at..at + BATCH;
                        let ids = batch.map(|row| map.get(&data.value(row)).copied().unwrap_or(2));
                        !black_box(ids.collect::<Vec<i32>>()).is_empty()
                    })
                })
            }
            Keys::Hex8 | Keys::Text16To30 => {
                let (values, data) = (values.as_string::<i32>(), data.as_string::<i32>());
                let keys = values.iter().flatten().map(|value| value.as_bytes().into());
                let map: HashMap<Box<[u8]>, i32> = keys.zip(ids).collect();
                nanoseconds(ROWS, || {
                    rows.clone().all(|at| {
                        let batch = at..at + BATCH;
                        let ids = batch
                            .map(|row| map.get(data.value(row).as_bytes()).copied().unwrap_or(2));
                        !black_box(ids.collect::<Vec<i32>>()).is_empty()
                    })
                })
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Drawn {
    Uniform,
    /// The k-th value as often as `k^-1.1`.
    Zipf,
}

impl Drawn {
    fn rows(self, cardinality: usize) -> Vec<usize> {
        let uniform = (1..=ROWS as u64).map(|i| (hash_bits(i) >> 11) as f64 / (1_u64 << 53) as f64);
        let n = cardinality as f64;
        let value = |u: f64| match self {
            Drawn::Uniform => u * n,
            // The inverse of the distribution's integral.
            Drawn::Zipf => ((n.powf(-0.1) - 1.0) * u + 1.0).powf(-10.0) - 1.0,
        };
        uniform
            .map(|u| (value(u) as usize).min(cardinality - 1))
            .collect()
    }
}
