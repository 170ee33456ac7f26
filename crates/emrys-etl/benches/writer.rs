//! Reading a data set and writing it again in every order, into every number of files and
//! folders, against the floor: the parquet library alone.
//!
//! 40 columns in the manner of display advertising (a label, 13 measured values with gaps, 26 ids
//! of long-tailed popularity). `EMRYS_BENCH_ROWS` sets the number of rows, 500000 by default.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
use datafusion::prelude::{DataFrame, ParquetReadOptions};
use emrys_etl::io::{
    Compression, FileLayout, Shuffle, Split, WriteOptions, write_batches, write_partitions,
};
use emrys_etl::{Dataset, Error, ReadOptions, Session, SessionOptions};
use emrys_schema::Schema;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rand::{Rng, SeedableRng, rngs::StdRng};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 8192;
const REPEATS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows: usize = std::env::var("EMRYS_BENCH_ROWS").map_or(Ok(500_000), |text| text.parse())?;
    let session = Session::new(SessionOptions::new())?;
    let threads = session.options().threads();
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input");
    let batches = generate(rows);
    let memory_bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let schema = Schema::from_arrow(&batches[0].schema())?;
    write_batches(
        batches.iter().cloned().map(Ok),
        &batches[0].schema(),
        &schema,
        &input,
        &WriteOptions::new(),
    )?;
    let dataset = Dataset::open(&input)?;
    let table = |row_id| {
        let options = ReadOptions {
            row_id,
            ..ReadOptions::default()
        };
        session
            .context()
            .read_table(dataset.table(options)?)
            .map_err(Error::query("planning"))
    };

    println!(
        "{rows} rows, 40 columns, {:.1} MB in memory, {threads} threads",
        megabytes(memory_bytes as u64)
    );
    println!(
        "{:<44} {:>9} {:>12} {:>9} {:>10}",
        "", "seconds", "rows/s", "MB/s", "file MB"
    );
    let report = |what: &str, seconds: f64, file_bytes: Option<u64>| {
        let size = file_bytes.map_or(String::new(), |bytes| format!("{:.1}", megabytes(bytes)));
        println!(
            "{what:<44} {seconds:>9.3} {:>12.0} {:>9.0} {size:>10}",
            rows as f64 / seconds,
            megabytes(memory_bytes as u64) / seconds
        );
        seconds
    };

    let raw_decode = best(|| raw_copy(&dataset, threads, None));
    report("parquet library: decode", raw_decode, None);
    let engine_scan = best(|| {
        let path = input.join("part_00000.parquet");
        scan(
            &session,
            session.block_on(session.context().read_parquet(
                path.to_string_lossy().as_ref(),
                ParquetReadOptions::default(),
            ))?,
        )
    });
    report("engine's own listing: scan", engine_scan, None);
    let our_scan = best(|| scan(&session, table(false)?));
    report("data set: scan", our_scan, None);
    let our_scan_ids = best(|| scan(&session, table(true)?));
    report("data set: scan with row ids", our_scan_ids, None);
    let raw = best(|| raw_copy(&dataset, threads, Some(folder.path())));
    let floor = report("parquet library: decode + encode (floor)", raw, None);

    let out = folder.path().join("out");
    let write = |what: &str, options: WriteOptions| {
        let options = options.with_overwrite(true);
        let mut bytes = 0;
        let seconds = best(|| {
            let frame = table(false)?;
            bytes = session.block_on(async {
                let streams = frame.execute_stream_partitioned().await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                    write_partitions(streams, &schema, &out, &options)
                        .await?
                        .bytes(),
                )
            })?;
            Ok(())
        });
        report(&format!("scan + write, {what}"), seconds, Some(bytes))
    };
    let mut ours = f64::NAN;
    for compression in [
        Compression::None,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd(1),
        Compression::Gzip(1),
    ] {
        let options = WriteOptions::new().with_compression(compression);
        let seconds = write(&format!("{compression:?}"), options);
        if compression == Compression::default() {
            ours = seconds;
        }
    }
    let new = WriteOptions::new;
    let by_bytes = new().with_layout(FileLayout::BytesPerFile(8 << 20));
    let windows = new().with_shuffle(Shuffle::PerPartition {
        seed: 1,
        window_rows: 131_072,
    });
    let full = new().with_shuffle(Shuffle::Full { seed: 1 });
    let by_bytes = write("files of 8 MiB", by_bytes);
    let windows = write("shuffled in windows of 131072 rows", windows);
    let shuffled = write("shuffled fully", full.clone());
    // An eighth of the data at a time.
    let in_little_memory = write(
        "shuffled fully in little memory",
        full.with_buffer_bytes(memory_bytes / 8),
    );
    let into_few = write("into 2 folders", new().with_partition_on(["label"]));
    let into_many = write("into 8 to 10 folders", new().with_partition_on(["id_0"]));

    let mut split_number = 0;
    let mut split = |what: &str, split: Split| {
        let seconds = best(|| {
            split_number += 1;
            let out = folder.path().join(format!("split_{split_number}"));
            split.write(&dataset, &session, &out, &new())?;
            std::fs::remove_dir_all(out)?;
            Ok(())
        });
        report(&format!("split, {what}"), seconds, None)
    };
    let at_random = split("at random", Split::random(0.2, 1));
    let by_key = split("by key", Split::by_key(["id_20"], 0.2, 1));
    let last_per_key = split(
        "last of every key",
        Split::last_per_key(["id_20"], "dense_0", 1),
    );
    println!(
        "{}",
        serde_json::json!({
            "benchmark": "writer",
            "rows": rows,
            "threads": threads,
            "rows_per_second": (rows as f64 / ours).round(),
            "megabytes_per_second": (megabytes(memory_bytes as u64) / ours).round(),
            "seconds": ours,
            "floor_seconds": floor,
            "times_floor": ours / floor,
            "scan_times_engine_scan": our_scan / engine_scan,
            "bytes_per_file_seconds": by_bytes,
            "shuffle_windows_seconds": windows,
            "shuffle_full_seconds": shuffled,
            "shuffle_full_little_memory_seconds": in_little_memory,
            "shuffle_full_times_plain": shuffled / ours,
            "partition_on_2_seconds": into_few,
            "partition_on_10_seconds": into_many,
            "split_random_seconds": at_random,
            "split_by_key_seconds": by_key,
            "split_last_per_key_seconds": last_per_key,
        })
    );
    Ok(())
}

type AnyResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The shortest of several runs, in seconds.
fn best(mut run: impl FnMut() -> AnyResult<()>) -> f64 {
    let times = (0..REPEATS).map(|_| {
        let start = Instant::now();
        run().expect("the benchmark runs");
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn scan(session: &Session, frame: DataFrame) -> AnyResult<()> {
    session.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for mut stream in frame.execute_stream_partitioned().await? {
            tasks.spawn(async move {
                while let Some(batch) = stream.next().await {
                    std::hint::black_box(batch?);
                }
                Ok::<_, datafusion::error::DataFusionError>(())
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome??;
        }
        Ok(())
    })
}

/// Decodes the row groups with the parquet library, dealt out to threads, and encodes them again
/// if a folder is given.
fn raw_copy(dataset: &Dataset, threads: usize, out: Option<&Path>) -> AnyResult<()> {
    let file = &dataset.files()[0];
    let groups: Vec<usize> = (0..file.row_groups.len()).collect();
    let share = groups.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let tasks: Vec<_> = groups
            .chunks(share)
            .enumerate()
            .map(|(number, groups)| {
                scope.spawn(move || {
                    raw_copy_groups(
                        &file.path,
                        groups,
                        out.map(|out| out.join(format!("raw_{number}"))),
                    )
                })
            })
            .collect();
        tasks
            .into_iter()
            .try_for_each(|task| task.join().expect("the thread runs"))
    })
}

fn raw_copy_groups(
    path: &Path,
    groups: &[usize],
    out: Option<std::path::PathBuf>,
) -> AnyResult<()> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let schema = Arc::clone(reader.schema());
    let reader = reader
        .with_row_groups(groups.to_vec())
        .with_batch_size(BATCH)
        .build()?;
    let mut properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .set_max_row_group_row_count(Some(131_072))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in schema
        .fields()
        .iter()
        .filter(|field| field.data_type().is_floating())
    {
        properties =
            properties.set_column_dictionary_enabled(vec![field.name().clone()].into(), false);
    }
    let mut writer = match out {
        Some(out) => Some(ArrowWriter::try_new(
            File::create(out)?,
            schema,
            Some(properties.build()),
        )?),
        None => None,
    };
    for batch in reader {
        let batch = batch?;
        match &mut writer {
            Some(writer) => writer.write(&batch)?,
            None => drop(std::hint::black_box(batch)),
        }
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}

fn generate(rows: usize) -> Vec<RecordBatch> {
    let mut random = StdRng::seed_from_u64(7);
    (0..rows.div_ceil(BATCH))
        .map(|i| generate_batch(BATCH.min(rows - i * BATCH), &mut random))
        .collect()
}

fn generate_batch(rows: usize, random: &mut StdRng) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let label = (0..rows).map(|_| i32::from(random.random_bool(0.25)));
    columns.push((
        "label".into(),
        Arc::new(Int32Array::from_iter_values(label)),
    ));
    for i in 0..13 {
        let values =
            (0..rows).map(|_| random.random_bool(0.9).then(|| random.random::<f32>().ln()));
        columns.push((
            format!("dense_{i}"),
            Arc::new(values.collect::<Float32Array>()),
        ));
    }
    for i in 0..26 {
        let cardinality = 10f64.powf(1.0 + f64::from(i) / 5.0);
        let ids = (0..rows).map(|_| cardinality.powf(random.random::<f64>()) as i32 + 2);
        columns.push((
            format!("id_{i}"),
            Arc::new(Int32Array::from_iter_values(ids)),
        ));
    }
    RecordBatch::try_from_iter(columns).expect("the columns are of one length")
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
