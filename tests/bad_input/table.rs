//! Cases with the text they must give, and small data sets for them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use emrys::etl::{Dataset, FittedWorkflow, Node, Workflow};
use parquet::arrow::ArrowWriter;

/// What a case does: the error it gets, or nothing.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// One kind of bad input.
pub(crate) struct Case {
    name: &'static str,
    run: fn(&Path) -> Outcome,
    expected: &'static str,
}

/// A case of that name, run in an empty folder of its own, which its message calls `[dir]`.
pub(crate) fn case(name: &'static str, run: fn(&Path) -> Outcome, expected: &'static str) -> Case {
    Case {
        name,
        run,
        expected,
    }
}

/// Runs all cases and shows every message that is not the expected one, written as in the tables.
pub(crate) fn check(cases: &[Case]) {
    let mut differences = String::new();
    let mut wrong = 0;
    for case in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let found = match catch_unwind(AssertUnwindSafe(|| (case.run)(folder.path()))) {
            Ok(Ok(())) => "no error".to_owned(),
            Ok(Err(error)) => with_causes(&*error),
            Err(_) => "a panic".to_owned(),
        };
        let found = found.replace(&folder.path().display().to_string(), "[dir]");
        if found != case.expected {
            wrong += 1;
            let _ = writeln!(
                differences,
                "\n{}\n  expected: {:?}\n  found:    {found:?}",
                case.name, case.expected
            );
        }
    }
    assert!(
        wrong == 0,
        "{wrong} of {} messages differ:\n{differences}",
        cases.len()
    );
}

/// The message and those of its causes: `a: b: c`. A cause that the message before already ends
/// with is not repeated.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    text
}

pub(crate) fn integers(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

pub(crate) fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub(crate) fn floats(values: impl IntoIterator<Item = f32>) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(values))
}

pub(crate) fn doubles(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(values))
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns
        .into_iter()
        .map(|(name, values)| (name, values, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

pub(crate) fn dataset(columns: Vec<(&str, ArrayRef)>) -> Dataset {
    let batch = batch(columns);
    Dataset::from_batches(batch.schema(), vec![batch]).expect("a batch of its own schema")
}

/// Writes a parquet file.
pub(crate) fn write(path: impl AsRef<Path>, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = batch(columns);
    let file = File::create(&path).expect("a new file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("plain columns");
    writer.write(&batch).expect("space for a small file");
    writer.close().expect("space for a small file");
    path.as_ref().to_owned()
}

/// The columns of a few clicks.
pub(crate) fn click_columns() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("user", texts(["ada", "bob", "ada", "eve"])),
        ("item", longs([10, 20, 20, 30])),
        ("price", doubles([Some(1.5), None, Some(2.0), Some(8.0)])),
        ("clicked", integers([0, 1, 1, 0])),
    ]
}

/// A few clicks in memory.
pub(crate) fn clicks() -> Dataset {
    dataset(click_columns())
}

/// A graph fitted on the clicks.
pub(crate) fn fitted(node: Node) -> Result<FittedWorkflow, Box<dyn Error>> {
    Ok(Workflow::new(node).fit(&clicks())?)
}

/// Fits a graph on the clicks, and no more.
pub(crate) fn fit(node: Node) -> Outcome {
    fitted(node).map(|_| ())
}

/// Fits a graph on the clicks and transforms them.
pub(crate) fn transform(node: Node) -> Outcome {
    fitted(node)?.transform(&clicks())?.collect()?;
    Ok(())
}
