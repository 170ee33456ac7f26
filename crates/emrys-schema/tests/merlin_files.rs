//! Schema files that Merlin wrote: those it ships with its data sets, and those of golden workflows.
//!
//! The folders are named by `EMRYS_MERLIN_SCHEMAS` and `EMRYS_GOLDEN_ETL`.

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

use std::fs;
use std::path::{Path, PathBuf};

use emrys_schema::Schema;
use serde_json::Value;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// The folder, or `None` with a line that says so.
fn folder(variable: &str, default: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../../shared")
                .join(default)
        },
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!("skipped: no folder `{}`; set {variable}", folder.display());
        return None;
    }
    Some(folder)
}

/// All files below a folder that pass the filter, sorted.
fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, wanted)?);
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_schema(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "schema.json" || name == "schema.pbtxt")
}

/// The schema of the file, which must survive every format.
fn survivor(file: &Path) -> Result<Schema, Box<dyn std::error::Error>> {
    let schema = Schema::read(file)?;
    assert!(!schema.is_empty(), "{}", file.display());
    assert_eq!(
        Schema::from_json(&schema.to_json()?)?,
        schema,
        "{}",
        file.display()
    );
    assert_eq!(
        Schema::from_footer_json(&schema.to_footer_json()?)?,
        schema,
        "{}",
        file.display()
    );
    assert_eq!(
        Schema::from_pbtxt(&schema.to_pbtxt()?)?,
        schema,
        "{}",
        file.display()
    );
    assert_eq!(
        Schema::from_merlin_json(&schema.to_merlin_json()?)?,
        schema,
        "{}",
        file.display()
    );
    Ok(schema)
}

/// What two spellings of the same JSON may differ in: 7 is 7.0, and an unset name is no name.
fn normalized(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(values) => values.into_iter().map(normalized).collect(),
        Value::Object(map) => map
            .into_iter()
            .filter(|(key, value)| key != "name" || !value.is_null())
            .map(|(key, value)| (key, normalized(value)))
            .collect(),
        other => other,
    }
}

#[test]
fn every_schema_that_merlin_ships_is_read_and_survives_every_format() -> TestResult {
    let Some(folder) = folder("EMRYS_MERLIN_SCHEMAS", "data/merlin-schemas") else {
        return Ok(());
    };
    let files = files(&folder, &is_schema)?;
    assert!(!files.is_empty(), "no schemas in `{}`", folder.display());
    for file in &files {
        survivor(file)?;
    }
    Ok(())
}

#[test]
fn the_two_files_of_a_golden_case_are_equal_and_written_again_to_the_byte() -> TestResult {
    let Some(folder) = folder("EMRYS_GOLDEN_ETL", "golden/etl") else {
        return Ok(());
    };
    let texts = files(&folder, &|path| path.ends_with("expected/schema.pbtxt"))?;
    assert!(
        !texts.is_empty(),
        "no expected schemas in `{}`",
        folder.display()
    );
    for text in &texts {
        let json = text.with_extension("json");
        let schema = survivor(text)?;
        assert_eq!(survivor(&json)?, schema, "{}", json.display());

        assert_eq!(
            schema.to_pbtxt()?,
            fs::read_to_string(text)?,
            "{}",
            text.display()
        );
        let expected: Value = serde_json::from_str(&fs::read_to_string(&json)?)?;
        let written: Value = serde_json::from_str(&schema.to_merlin_json()?)?;
        assert_eq!(
            normalized(written),
            normalized(expected),
            "{}",
            json.display()
        );
    }
    Ok(())
}

#[test]
fn a_shipped_schema_has_the_expected_meaning() -> TestResult {
    let Some(folder) = folder("EMRYS_MERLIN_SCHEMAS", "data/merlin-schemas") else {
        return Ok(());
    };
    let schema = Schema::read(folder.join("entertainment/movielens/1m"))?;
    insta::assert_snapshot!(schema.select(["userId", "movieId", "genres", "rating"])?, @r#"
    name     dtype       tags                   domain             embedding   properties
    -------  ----------  ---------------------  -----------------  ----------  -------------------------------------------------------------
    userId   int32       categorical, user, id  userId [0, 6040]   6040 x 210  num_buckets: null, freq_threshold: 0, max_size: 0, start_ind…
    movieId  int32       categorical, item, id  movieId [0, 3684]  3684 x 159  cat_path: ".//categories/unique.movieId.parquet", num_bucket…
    genres   int32[1..]  categorical, item      genres [0, 18]     18 x 16     num_buckets: null, start_index: 0, cat_path: ".//categories/…
    rating   float32     target, regression
    "#);
    Ok(())
}
