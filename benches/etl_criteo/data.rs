//! Data of the kind of Criteo's click logs: the same numbers of values, gaps and long tails.

use std::f64::consts::TAU;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use emrys::etl::hash::hash_bits;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::arguments::Keys;
use crate::workload::{category_names, number_names};

const FILES: usize = 8;
const ROW_GROUP: usize = 250_000;

/// A column of numbers: whole parts of `exp(mean + spread * normal)`.
struct Number {
    missing: f64,
    mean: f64,
    spread: f64,
}

/// A column of categories: so many values, the k-th most frequent as often as `k^-exponent`.
struct Category {
    values: u32,
    exponent: f64,
    missing: f64,
}

const fn number(missing: f64, mean: f64, spread: f64) -> Number {
    Number {
        missing,
        mean,
        spread,
    }
}

const fn category(values: u32, exponent: f64, missing: f64) -> Category {
    Category {
        values,
        exponent,
        missing,
    }
}

/// Shares of missing values as in Criteo's display advertising challenge.
const NUMBERS: [Number; crate::workload::NUMBERS] = [
    number(0.45, 0.6, 1.3),
    number(0.0, 1.8, 2.0),
    number(0.21, 1.9, 1.5),
    number(0.22, 1.6, 1.1),
    number(0.026, 7.5, 2.3),
    number(0.22, 3.8, 1.6),
    number(0.043, 1.9, 1.6),
    number(0.0005, 2.2, 1.1),
    number(0.043, 3.9, 1.1),
    number(0.45, 0.2, 0.6),
    number(0.043, 0.8, 1.0),
    number(0.77, 0.1, 1.0),
    number(0.22, 1.7, 1.1),
];

const CATEGORIES: [Category; crate::workload::CATEGORIES] = [
    category(1_460, 1.10, 0.0),
    category(580, 1.05, 0.0),
    category(1_000_000, 1.02, 0.034),
    category(300_000, 1.04, 0.034),
    category(305, 1.20, 0.0),
    category(20, 1.30, 0.12),
    category(12_500, 1.02, 0.0),
    category(630, 1.20, 0.0),
    category(3, 1.50, 0.0),
    category(93_000, 1.05, 0.0),
    category(5_600, 1.02, 0.0),
    category(1_000_000, 1.02, 0.034),
    category(3_200, 1.02, 0.0),
    category(27, 1.10, 0.0),
    category(14_900, 1.05, 0.0),
    category(700_000, 1.02, 0.034),
    category(10, 1.20, 0.0),
    category(4_650, 1.05, 0.0),
    category(2_100, 1.20, 0.44),
    category(4, 1.10, 0.44),
    category(900_000, 1.02, 0.034),
    category(17, 1.40, 0.76),
    category(15, 1.30, 0.0),
    category(140_000, 1.05, 0.034),
    category(105, 1.20, 0.44),
    category(70_000, 1.08, 0.44),
];

/// The parquet files of a folder, in order of their names.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "parquet"));
    files.sort();
    Ok(files)
}

/// All files of a data set but the last, which are fitted on, and the last.
pub(crate) fn split_files(folder: &Path) -> Result<(Vec<PathBuf>, PathBuf)> {
    let mut files = files(folder)?;
    match files.pop() {
        Some(last) if !files.is_empty() => Ok((files, last)),
        _ => Err(format!("{} does not hold two parquet files", folder.display()).into()),
    }
}

/// Writes a data set, under another name until it is whole.
pub(crate) fn generate(rows: usize, keys: Keys, folder: &Path) -> Result<()> {
    let unfinished = folder.with_extension("unfinished");
    std::fs::create_dir_all(&unfinished)?;
    let seeds: Vec<u64> = (0..FILES as u64).collect();
    std::thread::scope(|scope| {
        let writers: Vec<_> = seeds
            .into_iter()
            .map(|number| {
                let path = unfinished.join(format!("part_{number:02}.parquet"));
                scope.spawn(move || write_file(&path, number, rows / FILES, keys))
            })
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| "a thread panicked")?)
    })?;
    std::fs::rename(&unfinished, folder)?;
    Ok(())
}

fn write_file(path: &Path, seed: u64, rows: usize, keys: Keys) -> Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let mut writer = None;
    for start in (0..rows).step_by(ROW_GROUP) {
        let batch = batch(&mut random, ROW_GROUP.min(rows - start), keys)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(ArrowWriter::try_new(
                File::create(path)?,
                batch.schema(),
                Some(properties.clone()),
            )?),
        };
        writer.write(&batch)?;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}

fn batch(random: &mut ChaCha8Rng, rows: usize, keys: Keys) -> Result<RecordBatch> {
    let label =
        Int32Array::from_iter_values((0..rows).map(|_| i32::from(random.random_bool(0.25))));
    let mut columns: Vec<(String, ArrayRef)> = vec![("label".to_owned(), Arc::new(label))];
    for (name, column) in number_names().zip(&NUMBERS) {
        let lowest = if name == "I2" { 2.0 } else { 0.0 };
        let values = (0..rows).map(|_| {
            let value = (column.mean + column.spread * normal(random)).exp().floor() - lowest;
            let present = random.random::<f64>() >= column.missing;
            present.then_some(value.min(1e7) as f32)
        });
        columns.push((name, Arc::new(values.collect::<Float32Array>())));
    }
    for (number, (name, column)) in category_names().zip(&CATEGORIES).enumerate() {
        let codes: Vec<Option<u32>> = (0..rows)
            .map(|_| {
                let rank = rank(random.random(), column);
                let present = random.random::<f64>() >= column.missing;
                // The upper half of a bijection's result: nearly always another one.
                let code = hash_bits(u64::from(rank) + ((number as u64 + 1) << 40)) >> 32;
                present.then_some(code as u32)
            })
            .collect();
        let values: ArrayRef = match keys {
            Keys::Integer => Arc::new(
                codes
                    .iter()
                    .map(|code| code.map(i64::from))
                    .collect::<Int64Array>(),
            ),
            Keys::String => Arc::new(
                codes
                    .iter()
                    .map(|code| code.map(|code| format!("{code:08x}")))
                    .collect::<StringArray>(),
            ),
        };
        columns.push((name, values));
    }
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )?)
}

/// The rank of a value of a long-tailed column at a point of its distribution, from 0.
fn rank(point: f64, column: &Category) -> u32 {
    let power = 1.0 - column.exponent;
    let most = f64::from(column.values) + 1.0;
    let rank = (1.0 + point * (most.powf(power) - 1.0)).powf(1.0 / power);
    (rank as u32).clamp(1, column.values) - 1
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    // The logarithm of zero is not wanted.
    let radius: f64 = 1.0 - random.random::<f64>();
    (-2.0 * radius.ln()).sqrt() * (TAU * random.random::<f64>()).cos()
}
