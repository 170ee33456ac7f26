//! A folder with data and a workflow, and runs of the command in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use emrys_etl::io::{Manifest, WriteOptions, write_batches};
use emrys_schema::Schema;
use serde_json::Value;
use tempfile::TempDir;

/// Uses every part of a workflow file but the settings.
pub const WORKFLOW: &str = r#"
outputs = ["@ids", "@scaled", "@encoded"]

[nodes.ids]
inputs = ["user", "city"]
op = "Categorify"

[nodes.scaled]
inputs = ["@filled"]
op = "Normalize"

[nodes.filled]
inputs = ["price"]
op = "FillMissing"
params = { fill_val = 2.5 }

[nodes.encoded]
inputs = ["city"]
op = "TargetEncoding"
params = { target = "click", kfold = 2, p_smooth = 1 }
"#;

/// A folder with `train`, `valid` and `workflow.toml`.
pub struct Project {
    folder: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new() -> Project {
        let project = Project {
            folder: tempfile::tempdir().unwrap(),
        };
        project.write_data("train", &batch(60));
        project.write_data("valid", &batch(7));
        project.write("workflow.toml", WORKFLOW);
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn write_data(&self, name: &str, batch: &RecordBatch) {
        let schema = Schema::from_arrow(&batch.schema()).unwrap();
        let (batches, columns) = ([Ok(batch.clone())], batch.schema());
        let path = self.path(name);
        write_batches(batches, &columns, &schema, &path, &WriteOptions::new()).unwrap();
    }

    pub fn manifest(&self, name: &str) -> Manifest {
        Manifest::read(self.path(name)).unwrap().unwrap()
    }

    /// The names in the folder, also hidden ones.
    pub fn entries(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The command with arguments that are divided by spaces, to be run in the folder.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emrys"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env("COLUMNS", "100")
            .env_remove("RUST_BACKTRACE");
        command
    }

    pub fn run(&self, arguments: &str) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// The stdout of a run that must succeed.
    pub fn output(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments}: {}", ended.stderr);
        ended.stdout
    }

    /// The one line of JSON of a run that must succeed.
    pub fn json(&self, arguments: &str) -> Value {
        let output = self.output(arguments);
        assert_eq!(output.lines().count(), 1, "{output}");
        serde_json::from_str(&output).unwrap()
    }
}

impl Ended {
    pub fn of(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn batch(rows: i64) -> RecordBatch {
    let texts = |of: fn(i64) -> Option<String>| -> ArrayRef {
        Arc::new((0..rows).map(of).collect::<StringArray>())
    };
    let user = texts(|row| Some(format!("u{}", row * row % 7)));
    let city =
        texts(|row| (row % 5 != 3).then(|| ["rome", "oslo", "bern"][row as usize % 3].into()));
    let price: Float64Array = (0..rows)
        .map(|row| (row % 4 != 1).then_some(row as f64 / 4.0))
        .collect();
    let click: Int64Array = (0..rows).map(|row| Some(row % 2)).collect();
    let genres = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|row| (row % 6 != 5).then(|| vec![Some(1); row as usize % 3])),
    );
    RecordBatch::try_from_iter([
        ("user", user),
        ("city", city),
        ("price", Arc::new(price) as ArrayRef),
        ("click", Arc::new(click) as ArrayRef),
        ("genres", Arc::new(genres) as ArrayRef),
    ])
    .unwrap()
}
