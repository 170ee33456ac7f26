//! Each operator alone: how many rows and values it takes in a second.
//!
//! The rows are in memory, so that nothing is decoded or encoded. For operators that learn, fitting
//! is shown apart.

use std::fs::File;
use std::time::Instant;

use arrow::array::RecordBatch;
use emrys::etl::ops::{
    AddMetadata, Bucketize, Categorify, Clip, FillMissing, Filter, IdType, Lambda, LogOp,
    Normalize, Rename, TagAs, TargetEncoding,
};
use emrys::etl::{Dataset, Node, SessionOptions, Workflow, cols};
use emrys::schema::Tag;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::Result;
use crate::arguments::{Arguments, Keys};
use crate::data::files;
use crate::rounds::data;
use crate::workload::{CATEGORIES, NUMBERS, category_names, number_names};

const ROWS: usize = 500_000;
const REPEATS: usize = 3;

/// An operator in use: its name, how many columns it works on, and the graph.
type Case = (&'static str, usize, Node);

fn cases() -> Vec<Case> {
    let numbers = || cols(number_names());
    let categories = || cols(category_names());
    let deciles = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    vec![
        ("read only", NUMBERS, numbers()),
        ("AddMetadata", NUMBERS, numbers() >> AddMetadata::default()),
        ("Bucketize", NUMBERS, numbers() >> Bucketize::new(deciles)),
        ("Categorify", CATEGORIES, categories() >> Categorify::new()),
        (
            "Categorify int32",
            CATEGORIES,
            categories() >> Categorify::new().id_type(IdType::Int32),
        ),
        (
            "Categorify buckets",
            CATEGORIES,
            categories() >> Categorify::new().freq_threshold(15).num_buckets(100),
        ),
        ("Clip", NUMBERS, numbers() >> Clip::between(0, 100)),
        ("FillMissing", NUMBERS, numbers() >> FillMissing::with(0)),
        (
            "FillMissing text",
            CATEGORIES,
            categories() >> FillMissing::with(""),
        ),
        ("Filter", NUMBERS, numbers() >> Filter::new("\"I1\" > 1")),
        ("Lambda", NUMBERS, numbers() >> Lambda::new("x * 2 + 1")),
        ("LogOp", NUMBERS, numbers() >> Clip::at_least(0) >> LogOp),
        ("Normalize", NUMBERS, numbers() >> Normalize::default()),
        ("Rename", NUMBERS, numbers() >> Rename::postfix("_raw")),
        ("TagAs", NUMBERS, numbers() >> TagAs::new([Tag::Item])),
        (
            "TargetEncoding",
            CATEGORIES,
            categories() >> TargetEncoding::new("label"),
        ),
    ]
}

/// Measures all operators.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    let dataset = in_memory(arguments)?;
    println!("{ROWS} rows in memory, {} threads", arguments.threads);
    println!(
        "{:<20} {:>7} {:>8} {:>12} {:>11} {:>12} {:>11}",
        "", "columns", "fit s", "rows/s", "transform s", "rows/s", "values/s"
    );
    let mut figures = serde_json::Map::new();
    for (name, columns, node) in cases() {
        let options = SessionOptions::new().with_threads(arguments.threads);
        let workflow = Workflow::new(node).with_options(options);
        let (fit_s, fitted) = least(|| Ok(workflow.fit(&dataset)?))?;
        let (transform_s, _) = least(|| Ok(fitted.transform(&dataset)?.collect()?))?;
        let per_second = |seconds: f64| ROWS as f64 / seconds;
        println!(
            "{name:<20} {columns:>7} {fit_s:>8.3} {:>12.0} {transform_s:>11.3} {:>12.0} {:>11.3e}",
            per_second(fit_s),
            per_second(transform_s),
            per_second(transform_s) * columns as f64
        );
        figures.insert(
            name.to_owned(),
            json!([per_second(fit_s).round(), per_second(transform_s).round()]),
        );
    }
    println!(
        "{}",
        json!({"benchmark": "etl_criteo operators", "rows": ROWS, "threads": arguments.threads,
               "fit_and_transform_rows_per_s": figures})
    );
    Ok(())
}

/// The shortest of several runs, in seconds, and the result of the last.
fn least<T>(mut run: impl FnMut() -> Result<T>) -> Result<(f64, T)> {
    let mut timed = || {
        let start = Instant::now();
        let result = run()?;
        Ok::<_, crate::Error>((start.elapsed().as_secs_f64(), result))
    };
    let (mut least, mut result) = timed()?;
    for _ in 1..REPEATS {
        let (seconds, next) = timed()?;
        (least, result) = (least.min(seconds), next);
    }
    Ok((least, result))
}

fn in_memory(arguments: &Arguments) -> Result<Dataset> {
    let folder = data(arguments, 2_000_000, Keys::String)?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut missing = ROWS;
    for path in files(&folder)? {
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
            let batch = batch?;
            batches.push(batch.slice(0, missing.min(batch.num_rows())));
            missing -= missing.min(batch.num_rows());
            if missing == 0 {
                return Ok(Dataset::from_batches(batch.schema(), batches)?);
            }
        }
    }
    Err("the data set is too small".into())
}
