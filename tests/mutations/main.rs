//! Damaged input gives an error or a result, never a panic.
//!
//! Files and texts that are read from outside are mutated at random, byte by byte and piece by
//! piece, from a fixed seed. Each target runs for `EMRYS_FUZZ_SECONDS` (by default one second):
//!
//! ```sh
//! EMRYS_FUZZ_SECONDS=600 cargo test --release --workspace --test mutations
//! ```
//!
//! `EMRYS_FUZZ_TRACE` names a folder in which each target keeps the input that it runs: what ran
//! when memory ran out, or for ever.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell where they were"
)]

mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use emrys::etl::ops::{Categorify, FillMissing, Normalize, TargetEncoding, registry};
use emrys::etl::testing::batch_from_json;
use emrys::etl::{
    Dataset, Error, FittedWorkflow, SessionOptions, StateStorage, Workflow, WriteOptions, cols,
};
use emrys::schema::{ColumnSchema, DType, Domain, Schema, Tag};
use serde_json::json;

use mutate::Mutator;

/// Feeds mutations of the seeds to a target, which is told whose mutation it gets; stops at the
/// first panic.
fn feed<S: AsRef<[u8]>>(target: &str, seeds: &[S], mut run: impl FnMut(usize, &[u8])) {
    let seconds = std::env::var("EMRYS_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut mutator = Mutator::new(target);
    let places: Vec<usize> = (0..seeds.len()).collect();
    let trace = std::env::var_os("EMRYS_FUZZ_TRACE");
    let mut runs = 0_u64;
    while Instant::now() < end {
        let seed = *mutator.choose(&places);
        let input = mutator.mutate(seeds[seed].as_ref());
        runs += 1;
        if let Some(folder) = &trace {
            fs::write(Path::new(folder).join(target), &input).unwrap();
        }
        assert!(
            catch_unwind(AssertUnwindSafe(|| run(seed, &input))).is_ok(),
            "{target}, run {runs}: panicked on a mutation of seed {seed}: {:?}",
            String::from_utf8_lossy(&input)
        );
    }
    eprintln!("{target}: {runs} runs without a panic");
}

fn schema() -> Schema {
    Schema::new([
        ColumnSchema::new("user", DType::String).with_tags([Tag::UserId, Tag::Categorical]),
        ColumnSchema::new("price", DType::Float64).with_domain(Domain::float(-0.5, 1e9)),
        ColumnSchema::new("click", DType::Int64)
            .with_domain(Domain::int(0, 1).named("click"))
            .with_property("nested", json!({"a": [1, null, "größe"]})),
    ])
    .unwrap()
}

fn dataset() -> Dataset {
    let batch = batch_from_json(&json!({
        "user": ["ann", "bob", null, "ann", "eve"],
        "price": [1.5, null, 3.0, -2.0, 0.0],
        "click": [1, 0, 0, 1, 1],
    }))
    .unwrap();
    Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
}

fn workflow() -> Workflow {
    let ids = cols(["user"]) >> Categorify::new();
    let prices = cols(["price"]) >> FillMissing::with(0.0) >> Normalize::default();
    let rates = cols(["user"]) >> TargetEncoding::new("click");
    Workflow::new(ids + prices + rates).with_options(one_thread())
}

/// Opens a data set and reads all of it.
fn read_all(path: &Path) -> Result<(), Error> {
    let data = Dataset::open(path)?;
    let fitted = Workflow::new(emrys::etl::all_columns()).fit(&data)?;
    fitted.transform(&data)?.collect().map(drop)
}

/// Panics of the engine's threads come as errors; they count as well.
fn no_panic(what: &str, result: Result<(), Error>) {
    if let Err(error) = result {
        assert!(
            !matches!(error, Error::Panicked { .. } | Error::Internal(_)),
            "{what}: {error}"
        );
    }
}

/// Mutations of one file of a folder.
fn feed_file(target: &str, file: &Path, run: impl Fn()) {
    let whole = fs::read(file).unwrap();
    feed(target, &[whole], |_, bytes| {
        fs::write(file, bytes).unwrap();
        run();
    });
}

/// An example of an operator, with what it learned.
struct Saved {
    name: String,
    data: Dataset,
    workflow: Workflow,
    folder: PathBuf,
}

impl Saved {
    /// The examples of all operators, saved under a folder.
    fn all(folder: &Path) -> Vec<Saved> {
        let mut saved = Vec::new();
        for entry in registry() {
            for example in (entry.examples)() {
                let operator = entry.build(example.config.clone()).unwrap();
                let batch = batch_from_json(&example.input).unwrap();
                let data = Dataset::from_batches(batch.schema(), vec![batch]).unwrap();
                let workflow =
                    Workflow::new(example.inputs().apply(operator)).with_options(one_thread());
                let folder = folder.join(saved.len().to_string());
                workflow.fit(&data).unwrap().save(&folder).unwrap();
                saved.push(Saved {
                    name: format!("{}, {}", entry.name, example.title),
                    data,
                    workflow,
                    folder,
                });
            }
        }
        saved
    }

    /// Loads it and transforms the rows of the example.
    fn load(&self, storage: StateStorage) {
        let options = one_thread().with_state_storage(storage);
        let loaded = FittedWorkflow::load_with(&self.folder, options);
        let transformed = loaded.and_then(|loaded| loaded.transform(&self.data)?.collect());
        no_panic(&self.name, transformed.map(drop));
    }
}

/// What a folder holds, if there is one.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn one_thread() -> SessionOptions {
    SessionOptions::new().with_threads(1)
}

#[test]
fn schema_texts() {
    let schema = schema();
    let texts = [
        schema.to_json().unwrap(),
        schema.to_footer_json().unwrap(),
        schema.to_pbtxt().unwrap(),
        schema.to_merlin_json().unwrap(),
    ];
    feed("schema", &texts, |_, bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = Schema::from_json(text);
            let _ = Schema::from_pbtxt(text);
            let _ = Schema::from_merlin_json(text);
        }
    });
}

#[test]
fn declared_workflows() {
    let text = r#"{"nodes": [
        {"id": "f", "inputs": ["price"], "op": "FillMissing", "params": {"fill_val": 1}},
        {"id": "n", "inputs": ["@f"], "op": "Normalize"},
        {"id": "l", "inputs": ["price"], "op": "LambdaOp", "params": {"expr": "x * 2 + click"}},
        {"id": "r", "inputs": ["@l"], "op": "Rename", "params": {"postfix": "_l"}},
        {"id": "c", "inputs": [["user", "click"]], "op": "Categorify",
         "params": {"encode_type": "combo", "freq_threshold": {"user": 2}}}
    ], "outputs": ["@n", "@r", "@c", "click"]}"#;
    let (schema, data) = (schema(), dataset());
    feed("workflow", &[text], |_, bytes| {
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(workflow) = Workflow::from_json(text, &schema, ".")
        {
            let fitted = workflow.with_options(one_thread()).fit(&data);
            let transformed = fitted.and_then(|fitted| fitted.transform(&data)?.collect());
            no_panic("declared", transformed.map(drop));
        }
    });
}

#[test]
fn saved_workflows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow");
    let data = dataset();
    workflow().fit(&data).unwrap().save(&path).unwrap();
    let load = || {
        let loaded = FittedWorkflow::load_with(&path, one_thread());
        let transformed = loaded.and_then(|loaded| loaded.transform(&data)?.collect());
        no_panic("saved", transformed.map(drop));
    };
    feed_file("workflow.json", &path.join("workflow.json"), load);
}

/// Every operator, declared.
#[test]
fn declared_operators() {
    let folder = tempfile::tempdir().unwrap();
    let saved = Saved::all(folder.path());
    let texts: Vec<String> = saved
        .iter()
        .map(|s| s.workflow.to_json().unwrap())
        .collect();
    feed("operators", &texts, |seed, bytes| {
        let Saved { name, data, .. } = &saved[seed];
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(workflow) = Workflow::from_json(text, data.schema(), folder.path())
        {
            let fitted = workflow.with_options(one_thread()).fit(data);
            let transformed = fitted.and_then(|fitted| fitted.transform(data)?.collect());
            no_panic(name, transformed.map(drop));
        }
    });
}

/// What every operator learned, in the workflow's file.
#[test]
fn saved_operators() {
    let folder = tempfile::tempdir().unwrap();
    let saved = Saved::all(folder.path());
    let file = |saved: &Saved| saved.folder.join("workflow.json");
    let texts: Vec<Vec<u8>> = saved.iter().map(|s| fs::read(file(s)).unwrap()).collect();
    feed("states", &texts, |seed, bytes| {
        fs::write(file(&saved[seed]), bytes).unwrap();
        saved[seed].load(StateStorage::Memory);
    });
}

/// What every operator learned, in its tables.
#[test]
fn saved_tables() {
    let folder = tempfile::tempdir().unwrap();
    let saved = Saved::all(folder.path());
    let mut tables: Vec<(&Saved, PathBuf)> = Vec::new();
    for saved in &saved {
        let folders = files(&saved.folder.join("artifacts")).into_iter();
        let files = folders.flat_map(|folder| files(&folder));
        tables.extend(files.map(|table| (saved, table)));
    }
    let seeds: Vec<Vec<u8>> = tables.iter().map(|(_, t)| fs::read(t).unwrap()).collect();
    assert!(!seeds.is_empty());
    feed("tables", &seeds, |seed, bytes| {
        let (saved, table) = &tables[seed];
        fs::write(table, bytes).unwrap();
        saved.load(StateStorage::Memory);
        saved.load(StateStorage::Disk);
        // The next mutation may be of another of its tables.
        fs::write(table, &seeds[seed]).unwrap();
    });
}

#[test]
fn data_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset();
    let fitted = workflow().fit(&data).unwrap();
    let path = folder.path().join("data");
    fitted
        .transform(&data)
        .unwrap()
        .write(&path, &WriteOptions::new())
        .unwrap();
    let part = path.join("part_00000.parquet");
    let alone = folder.path().join("alone.parquet");
    fs::copy(part, &alone).unwrap();
    // The decoder may panic on damaged pages; the engine makes an error of it.
    feed_file("parquet", &alone, || drop(read_all(&alone)));
}

#[test]
fn text_files() {
    let folder = tempfile::tempdir().unwrap();
    let text = "user,price,click\nann,1.5,1\n\"bo,b\",,0\n,3.0,0\nann,-2,1\n\"e\"\"ve\",0.0,1\n";
    let csv = folder.path().join("data.csv");
    fs::write(&csv, text).unwrap();
    feed_file("csv", &csv, || no_panic("csv", read_all(&csv)));

    let lines = "{\"user\": \"ann\", \"price\": 1.5}\n{\"user\": null, \"price\": -2}\n";
    let json = folder.path().join("data.jsonl");
    fs::write(&json, lines).unwrap();
    feed_file("json lines", &json, || {
        no_panic("json lines", read_all(&json));
    });
}
