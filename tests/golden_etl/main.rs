//! Workflows against the outputs of the real NVTabular.
//!
//! Reads the cases in the folder `EMRYS_GOLDEN_ETL` (by default `../shared/golden/etl` beside the
//! workspace), builds each `case.json`, fits, transforms and compares. A case is skipped only if
//! it needs an operator that does not exist yet. `EMRYS_GOLDEN_CASE` runs the cases whose names
//! contain it.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

mod compare;
mod hashed;
mod schema;

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use emrys_etl::{Dataset, Error as EtlError, FittedWorkflow, Workflow};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

enum Outcome {
    Passed,
    Skipped(String),
}

fn main() -> ExitCode {
    let root = std::env::var_os("EMRYS_GOLDEN_ETL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/etl"),
        PathBuf::from,
    );
    let Ok(entries) = std::fs::read_dir(&root) else {
        println!("golden_etl: skipped, there is no folder {}", root.display());
        return ExitCode::SUCCESS;
    };
    let wanted = std::env::var("EMRYS_GOLDEN_CASE").unwrap_or_default();
    let mut cases: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.join("case.json").is_file())
        .collect();
    cases.retain(|case| case.to_string_lossy().contains(&wanted));
    cases.sort();
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    for case in &cases {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        match run(case) {
            Ok(Outcome::Passed) => passed += 1,
            Ok(Outcome::Skipped(reason)) => {
                skipped += 1;
                println!("skipped {name}: {reason}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {name}: {}", with_causes(&*error));
            }
        }
    }
    println!("golden_etl: {passed} passed, {skipped} skipped, {failed} failed");
    let ran_well = failed == 0 && (passed > 0 || !wanted.is_empty());
    if ran_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn run(folder: &Path) -> Result<Outcome> {
    let mut case: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("case.json"))?)?;
    let (train_files, valid_files) = (files(folder, &case, "train"), files(folder, &case, "valid"));
    let folds = folder.join("expected/folds_train.parquet");
    let train = if folds.is_file() {
        let folds = read(&folds)?;
        let fold = folds
            .column_by_name("__fold__")
            .ok_or("folds without `__fold__`")?;
        use_given_folds(&mut case);
        with_column(&read_all(&train_files)?, "__fold__", fold)?
    } else {
        Dataset::from_paths(&train_files)?
    };
    let workflow = match Workflow::from_json(&case.to_string(), train.schema(), folder) {
        Ok(workflow) => workflow,
        Err(error) if is_missing_operator(&error) => {
            return Ok(Outcome::Skipped(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let fitted = workflow.fit(&train)?;
    let problem = check(folder, "train", &fitted, &train, &case)?;
    if let Some(problem) = problem {
        return Err(format!("train: {problem}").into());
    }
    if !valid_files.is_empty() {
        let valid = Dataset::from_paths(&valid_files)?;
        if let Some(problem) = check(folder, "valid", &fitted, &valid, &case)? {
            return Err(format!("valid: {problem}").into());
        }
    }
    let expected = schema::expected(folder)?;
    let difference = expected.and_then(|s| schema::difference(&s, fitted.output_schema()));
    if let Some(problem) = difference {
        return Err(format!("schema: {problem}").into());
    }
    saved_and_loaded_gives_the_same(&fitted, &train)?;
    written_down_and_read_is_the_same(&workflow, &train, folder)?;
    Ok(Outcome::Passed)
}

/// The data files of a part of the case.
fn files(folder: &Path, case: &Value, part: &str) -> Vec<PathBuf> {
    let names = case[part].as_array().into_iter().flatten();
    let names = names.filter_map(Value::as_str);
    names.map(|name| folder.join(name)).collect()
}

/// The graph as TOML and as JSON stands for the same graph.
fn written_down_and_read_is_the_same(
    workflow: &Workflow,
    train: &Dataset,
    folder: &Path,
) -> Result<()> {
    let (toml, json) = (workflow.to_toml()?, workflow.to_json()?);
    let again = [
        Workflow::from_toml(&toml, train.schema(), folder)?,
        Workflow::from_json(&json, train.schema(), folder)?,
    ];
    for again in again {
        if (again.to_toml()?, again.to_json()?) != (toml.clone(), json.clone()) {
            return Err(format!("the declaration changes when it is read: {toml}").into());
        }
        if again.output_schema(train.schema())? != workflow.output_schema(train.schema())? {
            return Err(format!("the declaration has other outputs: {toml}").into());
        }
    }
    Ok(())
}

/// What is wrong with the transform of a part of the case, if anything.
fn check(
    folder: &Path,
    part: &str,
    fitted: &FittedWorkflow,
    dataset: &Dataset,
    case: &Value,
) -> Result<Option<String>> {
    let Some(expected) = expected_file(folder, &format!("{part}.parquet")) else {
        return Ok(None);
    };
    let found = collect(fitted, dataset)?;
    let input = read_all(&files(folder, case, part))?;
    compare::difference(&read(&expected)?, &found, &input, case)
}

/// The right answer: that of `expected_fixed` where the peer's is wrong.
fn expected_file(folder: &Path, name: &str) -> Option<PathBuf> {
    ["expected_fixed", "expected"]
        .map(|sub| folder.join(sub).join(name))
        .into_iter()
        .find(|path| path.is_file())
}

fn collect(fitted: &FittedWorkflow, dataset: &Dataset) -> Result<RecordBatch> {
    let batches = fitted.transform(dataset)?.collect()?;
    match batches.first() {
        Some(first) => Ok(concat_batches(&first.schema(), &batches)?),
        None => Ok(RecordBatch::new_empty(Arc::new(
            fitted.output_schema().to_arrow()?,
        ))),
    }
}

fn saved_and_loaded_gives_the_same(fitted: &FittedWorkflow, dataset: &Dataset) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("workflow");
    fitted.save(&path)?;
    let loaded = FittedWorkflow::load(&path)?;
    if collect(fitted, dataset)? != collect(&loaded, dataset)? {
        return Err("saved and loaded, it gives something else".into());
    }
    Ok(())
}

fn is_missing_operator(error: &EtlError) -> bool {
    error.to_string().contains("there is no such operator")
}

/// The peer draws folds at random; they are given with the case.
fn use_given_folds(case: &mut Value) {
    for node in case["nodes"].as_array_mut().into_iter().flatten() {
        if node["op"] == "TargetEncoding" {
            node["params"]["folds"] = json!({"column": "__fold__"});
        }
    }
}

fn read(path: &Path) -> Result<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let schema = Arc::clone(builder.schema());
    let batches: std::result::Result<Vec<_>, _> = builder.build()?.collect();
    Ok(concat_batches(&schema, &batches?)?)
}

fn read_all(paths: &[PathBuf]) -> Result<RecordBatch> {
    let batches: Result<Vec<RecordBatch>> = paths.iter().map(|path| read(path)).collect();
    let batches = batches?;
    Ok(concat_batches(
        &batches.first().ok_or("no files")?.schema(),
        &batches,
    )?)
}

fn with_column(batch: &RecordBatch, name: &str, column: &ArrayRef) -> Result<Dataset> {
    let fields = batch.schema();
    let named = fields
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .zip(batch.columns().to_vec());
    let all = named.chain([(name.to_owned(), Arc::clone(column))]);
    let batch = RecordBatch::try_from_iter_with_nullable(all.map(|(n, c)| (n, c, true)))?;
    Ok(Dataset::from_batches(batch.schema(), vec![batch])?)
}
