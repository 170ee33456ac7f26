//! The floor: decoding the input once, and encoding an output like that of Emrys, with nothing
//! between. It is encoded by the parquet library, with the settings that Emrys' files show; Emrys'
//! own encoder is a second, lower floor.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use emrys::etl::io::write_batches;
use emrys::etl::{Error as EtlError, WriteOptions};
use emrys::schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Encoding, Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::Result;
use crate::arguments::Job;
use crate::data::{files, split_files};
use crate::process::{RunResult, Spent};

/// How the names of the folders begin that the floor writes.
pub(crate) const PREFIX: &str = "floor_";

/// A row group of a file.
type Group = (PathBuf, usize);

/// Who encodes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Encoder {
    /// The parquet library.
    Library,
    Emrys,
}

/// Decodes the data set, then encodes the output that `job.out` holds; in the result, `fit_s` is
/// the time of decoding and `transform_s` that of encoding.
pub(crate) fn run(job: &Job, encoder: Encoder) -> Result<RunResult> {
    let (mut input, valid) = split_files(&job.data)?;
    input.push(valid);
    let decoding = dealt_out(job.threads, &groups(&input)?, |_, groups| {
        let start = Spent::now();
        for group in groups {
            for batch in reader(group, job.batch_rows)? {
                std::hint::black_box(batch?);
            }
        }
        Ok(Spent::since(start))
    })?;

    let mut encoding = Spent::default();
    for part in ["train", "valid"] {
        let folder = job.out.join(part);
        let groups = groups(&files(&folder)?)?;
        encoding.add(dealt_out(job.threads, &groups, |thread, groups| {
            let target = job.out.join(format!("{PREFIX}{part}_{thread}"));
            timed(groups, job.batch_rows, |batches| match encoder {
                Encoder::Library => encode(batches, &groups[0].0, &target),
                Encoder::Emrys => {
                    let schema = Schema::read(folder.join("schema.json"))?;
                    let arrow = reader(&groups[0], 1)?.schema();
                    let batches = batches.map(Ok::<_, EtlError>);
                    write_batches(batches, &arrow, &schema, &target, &WriteOptions::new())?;
                    Ok(())
                }
            })
        })?);
    }
    Ok(RunResult {
        fit_s: decoding.wall_s,
        transform_s: encoding.wall_s,
        cpu_s: decoding.cpu_s + encoding.cpu_s,
        ids: 0,
    })
}

fn groups(files: &[PathBuf]) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for path in files {
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let count = file.metadata().num_row_groups();
        groups.extend((0..count).map(|group| (path.clone(), group)));
    }
    Ok(groups)
}

fn reader((path, group): &Group, rows: usize) -> Result<ParquetRecordBatchReader> {
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    Ok(file
        .with_row_groups(vec![*group])
        .with_batch_size(rows)
        .build()?)
}

/// Deals row groups out to threads, neighbours to the same.
fn dealt_out(
    threads: usize,
    groups: &[Group],
    work: impl Fn(usize, &[Group]) -> Result<Spent> + Sync,
) -> Result<Spent> {
    let (threads, work) = (threads.min(groups.len()).max(1), &work);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let share = |thread: usize| thread * groups.len() / threads;
                let groups = &groups[share(thread)..share(thread + 1)];
                scope.spawn(move || work(thread, groups))
            })
            .collect();
        let mut spent = Spent::default();
        for thread in running {
            spent.join(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(spent)
    })
}

/// The time of work on the batches of row groups, each of which is in memory before its time counts.
fn timed(
    groups: &[Group],
    rows: usize,
    work: impl FnOnce(&mut dyn Iterator<Item = RecordBatch>) -> Result<()>,
) -> Result<Spent> {
    let mut reading = Spent::default();
    let mut failed = None;
    let start = Spent::now();
    let mut batches = groups.iter().flat_map(|group| {
        let start = Spent::now();
        let batches = in_memory(group, rows).unwrap_or_else(|error| {
            failed = Some(error);
            Vec::new()
        });
        reading.add(Spent::since(start));
        batches
    });
    work(&mut batches)?;
    let mut spent = Spent::since(start);
    spent.subtract(reading);
    match failed {
        Some(error) => Err(error),
        None => Ok(spent),
    }
}

/// Encodes batches with the settings that a file was written with.
fn encode(
    batches: &mut dyn Iterator<Item = RecordBatch>,
    like: &Path,
    target: &Path,
) -> Result<()> {
    let like = ParquetRecordBatchReaderBuilder::try_new(File::open(like)?)?;
    let first = like.metadata().row_group(0);
    let mut properties = WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(usize::try_from(first.num_rows())?));
    for column in first.columns() {
        let path = column.column_path().clone();
        // Emrys finds out whether floats repeat; the library is faster if it does not look.
        let is_float = matches!(column.column_type(), Type::FLOAT | Type::DOUBLE);
        properties = properties
            .set_column_compression(path.clone(), column.compression())
            .set_column_dictionary_enabled(
                path.clone(),
                !is_float && column.dictionary_page_offset().is_some(),
            );
        let differences = Encoding::DELTA_BINARY_PACKED;
        if column.encodings().any(|encoding| encoding == differences) {
            properties = properties.set_column_encoding(path, differences);
        }
    }
    let file = File::create(target)?;
    let schema = Arc::clone(like.schema());
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build()))?;
    for batch in batches {
        writer.write(&batch)?;
    }
    writer.close()?;
    Ok(())
}

fn in_memory(group: &Group, rows: usize) -> Result<Vec<RecordBatch>> {
    Ok(reader(group, rows)?.collect::<std::result::Result<_, _>>()?)
}
