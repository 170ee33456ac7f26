//! Rows per second of a shuffled epoch over Criteo-like columns, against decoding them only.
//!
//! 26 columns of ids (Zipf-like over 1.6 million rows of tables), 13 floats and a label, in 8 files
//! of 2 row groups each. `cargo bench --bench loader` writes the files into a temporary folder (the
//! same each time), takes the median of 5 epochs per line and ends with one line of JSON.
//! `-- ROWS` changes the number of rows. Processor time per row, where the system tells it, is less
//! disturbed by other programs than rows per second.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "numbers are small, and printing is what a benchmark is for"
)]

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
use emrys_loader::{Loader, LoaderConfig, LookupFeature, LookupSpec};
use mimalloc::MiMalloc;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const FILES: usize = 8;
const EPOCHS: u64 = 5;
/// Rows of the tables, about those of Criteo's columns divided by 3.
const CARDINALITIES: [u32; 26] = [
    490, 200, 340_000, 100_000, 105, 10, 4_200, 210, 3, 31_000, 1_900, 340_000, 1_100, 12, 5_000,
    240_000, 8, 1_600, 700, 5, 300_000, 9, 8, 47_000, 40, 24_000,
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let rows = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(500_000);
    let folder = tempfile::tempdir()?;
    write_files(folder.path(), rows)?;

    let (floor, cpu) = measure(|_| decode_only(folder.path()))?;
    println!(
        "{:>10}  {:>8}  {:>12}  {:>9}  {:>11}",
        "batch", "lookups", "rows/s", "of floor", "cpu ns/row"
    );
    println!(
        "{:>10}  {:>8}  {:>10.0} k  {:>9}  {cpu:>11.0}",
        "decode",
        "-",
        floor / 1000.0,
        "1.00"
    );
    let mut figures = vec![format!("\"decode_rows_per_s\":{floor:.0}")];
    for batch_size in [4096, 65_536] {
        for with_lookups in [false, true] {
            let config = LoaderConfig::new(batch_size)
                .with_shuffle(true)
                .with_seed(1);
            let mut loader = Loader::open(folder.path(), config)?;
            if with_lookups {
                loader = loader.with_lookups([lookups()])?;
            }
            let (rate, cpu) = measure(|epoch| {
                let mut rows = 0;
                for batch in loader.epoch(epoch)? {
                    rows += batch?.num_rows();
                }
                Ok(rows)
            })?;
            let shown = if with_lookups { "planned" } else { "none" };
            let of_floor = rate / floor;
            println!(
                "{batch_size:>10}  {shown:>8}  {:>10.0} k  {of_floor:>9.2}  {cpu:>11.0}",
                rate / 1000.0
            );
            figures.push(format!(
                "\"batch_{batch_size}_{shown}_rows_per_s\":{rate:.0}"
            ));
        }
    }
    println!(
        "{{\"bench\":\"loader\",\"rows\":{rows},{}}}",
        figures.join(",")
    );
    Ok(())
}

/// Median rows per second over the epochs, and nanoseconds of processor time per row.
fn measure(mut epoch: impl FnMut(u64) -> Result<usize>) -> Result<(f64, f64)> {
    let mut rates = Vec::new();
    let mut all_rows = 0;
    let cpu = cpu_seconds();
    for number in 0..EPOCHS {
        let start = Instant::now();
        let rows = epoch(number)?;
        rates.push(rows as f64 / start.elapsed().as_secs_f64());
        all_rows += rows;
    }
    rates.sort_by(f64::total_cmp);
    Ok((
        rates[rates.len() / 2],
        (cpu_seconds() - cpu) * 1e9 / all_rows as f64,
    ))
}

/// Processor time of this program so far; NaN where the system does not tell it as Linux does.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 are user and system time, in hundredths of a second; the second ends with `)`.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let times: Vec<f64> = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    if times.is_empty() {
        f64::NAN
    } else {
        times.iter().sum::<f64>() / 100.0
    }
}

/// All tables stacked into one group.
fn lookups() -> LookupSpec {
    let mut row_offset = 0;
    let features = CARDINALITIES.iter().enumerate().map(|(column, rows)| {
        let feature = LookupFeature::new(format!("C{}", column + 1), row_offset, u64::from(*rows));
        row_offset += u64::from(*rows);
        feature
    });
    LookupSpec::new("dim16", features)
}

fn write_files(folder: &Path, rows: usize) -> Result<()> {
    for file in 0..FILES {
        let mut generator = ChaCha8Rng::seed_from_u64(file as u64);
        let rows = rows * (file + 1) / FILES - rows * file / FILES;
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (column, cardinality) in CARDINALITIES.iter().enumerate() {
            // A power of a uniform number has a long tail.
            let id = |uniform: f64| (f64::from(*cardinality) * uniform.powi(4)) as i32;
            let ids = (0..rows).map(|_| id(generator.random::<f64>()));
            columns.push((
                format!("C{}", column + 1),
                Arc::new(Int32Array::from_iter_values(ids)),
            ));
        }
        for column in 0..13 {
            let values = (0..rows).map(|_| generator.random::<f32>());
            columns.push((
                format!("I{}", column + 1),
                Arc::new(Float32Array::from_iter_values(values)),
            ));
        }
        let labels = (0..rows).map(|_| i32::from(generator.random::<f32>() < 0.25));
        columns.push((
            "label".to_owned(),
            Arc::new(Int32Array::from_iter_values(labels)),
        ));
        let records = RecordBatch::try_from_iter(columns)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(rows.div_ceil(2).max(1)))
            .build();
        let path = folder.join(format!("part_{file}.parquet"));
        let mut writer =
            ArrowWriter::try_new(File::create(path)?, records.schema(), Some(properties))?;
        writer.write(&records)?;
        writer.close()?;
    }
    Ok(())
}

/// Decodes all row groups on all cores and does nothing with them.
fn decode_only(folder: &Path) -> Result<usize> {
    let parts: Vec<(usize, usize)> = (0..FILES).flat_map(|file| [(file, 0), (file, 1)]).collect();
    let next = AtomicUsize::new(0);
    let decode = || -> parquet::errors::Result<usize> {
        let mut rows = 0;
        while let Some((file, row_group)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let reader = File::open(folder.join(format!("part_{file}.parquet")))?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(reader)?
                .with_row_groups(vec![*row_group])
                .with_batch_size(1 << 20)
                .build()?;
            for records in reader {
                rows += records?.num_rows();
            }
        }
        Ok(rows)
    };
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(decode)).collect();
        let rows = threads
            .into_iter()
            .map(|thread| thread.join().expect("decoding does not panic"));
        rows.map(|rows| Ok(rows?)).sum()
    })
}
