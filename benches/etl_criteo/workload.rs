//! The workload in Emrys.

use std::time::Instant;

use emrys::etl::ops::{Categorify, Clip, FillMissing, LogOp, Normalize, TagAs};
use emrys::etl::{Dataset, Node, SessionOptions, Workflow, WriteOptions, cols};
use emrys::schema::{DType, Tag};

use crate::Result;
use crate::arguments::{Job, Keys};
use crate::data::split_files;
use crate::process::{RunResult, processor_seconds};

/// How many columns of numbers and of categories there are.
pub(crate) const NUMBERS: usize = 13;
pub(crate) const CATEGORIES: usize = 26;

pub(crate) fn number_names() -> impl Iterator<Item = String> {
    (1..=NUMBERS).map(|i| format!("I{i}"))
}

pub(crate) fn category_names() -> impl Iterator<Item = String> {
    (1..=CATEGORIES).map(|i| format!("C{i}"))
}

/// The filled categories.
pub(crate) fn filled_categories(keys: Keys) -> Node {
    cols(category_names())
        >> match keys {
            Keys::String => FillMissing::with(""),
            Keys::Integer => FillMissing::with(0),
        }
}

/// The workflow.
pub(crate) fn workflow(keys: Keys, threshold: u64) -> Workflow {
    let label = cols(["label"]) >> TagAs::new([Tag::Target, Tag::BinaryClassification]);
    // No peer keeps the counts of rare values, which learning from more data would need.
    let categorify = Categorify::new()
        .with_freq_threshold(threshold)
        .with_kept_counts(false);
    let ids = filled_categories(keys) >> categorify;
    let numbers = cols(number_names())
        >> FillMissing::with(0)
        >> Clip::at_least(0)
        >> LogOp
        >> Normalize::default().with_dtype(DType::Float32);
    Workflow::new(label + ids + numbers)
}

/// Fits on the training files, then transforms and writes all.
pub(crate) fn run(job: &Job) -> Result<RunResult> {
    let (train, valid) = split_files(&job.data)?;
    let processor = processor_seconds();
    let start = Instant::now();
    let train = Dataset::from_paths(train)?;
    let options = SessionOptions::new()
        .with_threads(job.threads)
        .with_batch_size(job.batch_rows);
    let workflow = workflow(job.keys, job.threshold).with_options(options);
    let fitted = workflow.fit(&train)?;
    let fit_s = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let write = WriteOptions::new().with_overwrite(true);
    fitted
        .transform(&train)?
        .write(job.out.join("train"), &write)?;
    fitted
        .transform(&Dataset::from_paths([valid])?)?
        .write(job.out.join("valid"), &write)?;
    let transform_s = start.elapsed().as_secs_f64();

    let schema = fitted.output_schema();
    Ok(RunResult {
        fit_s,
        transform_s,
        cpu_s: processor_seconds() - processor,
        ids: category_names()
            .filter_map(|name| schema.get(&name)?.cardinality())
            .sum(),
    })
}
