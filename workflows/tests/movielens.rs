//! The MovieLens workflow as a user runs it.
//!
//! On a small set in the published layout, and on the real one where the folder in `EMRYS_DATA` (by
//! default `../shared/data` beside the workspace) holds `ml-1m`.

#![allow(clippy::print_stdout, reason = "tests tell what they skip")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn run(data: &Path, out: &Path, more: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_emrys-workflows"))
        .args(["movielens", "--seed", "7", "--data"])
        .arg(data)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()?)
}

/// The line of JSON that ends the output, without the time.
fn figures(output: &Output) -> Result<Value> {
    let stdout = String::from_utf8(output.stdout.clone())?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{stdout}\n{stderr}").into());
    }
    let mut figures: Value = serde_json::from_str(stdout.lines().last().ok_or("no output")?)?;
    let seconds = figures.as_object_mut().and_then(|f| f.remove("seconds"));
    assert!(seconds.is_some_and(|seconds| seconds.is_f64()));
    Ok(figures)
}

fn number(figures: &Value, name: &str) -> Result<f64> {
    let number = figures[name].as_f64().filter(|number| number.is_finite());
    Ok(number.ok_or_else(|| format!("no `{name}` in {figures}"))?)
}

/// Users and films of two tastes; those of one taste like each other.
fn write_small_set(folder: &Path) -> Result<()> {
    let (users, films) = (150_u64, 90_u64);
    let mut text = String::new();
    for user in 1..=users {
        let gender = if user % 2 == 0 { "F" } else { "M" };
        writeln!(
            text,
            "{user}::{gender}::25::{}::{:05}",
            user % 21,
            user % 30
        )?;
    }
    fs::write(folder.join("users.dat"), &text)?;
    text.clear();
    for film in 1..=films {
        let genre = if film % 2 == 0 {
            "Drama"
        } else {
            "Comedy|Horror"
        };
        writeln!(text, "{film}::Film {film} (1999)::{genre}")?;
    }
    fs::write(folder.join("movies.dat"), &text)?;
    text.clear();
    for user in 1..=users {
        for film in 1..=films {
            // A fixed scatter of pairs, of which one in seven goes against the taste.
            let draw = (user * 7_919 + film * 104_729) % 1_009;
            if draw % 3 == 0 {
                continue;
            }
            let likes = (user % 2 == film % 2) != (draw % 7 == 0);
            let stars = if likes { 4 + draw % 2 } else { 1 + draw % 3 };
            writeln!(text, "{user}::{film}::{stars}::{}", 978_300_000 + draw)?;
        }
    }
    Ok(fs::write(folder.join("ratings.dat"), text)?)
}

#[test]
fn raw_files_become_models_and_the_same_seed_the_same_figures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, out) = (folder.path().join("raw"), folder.path().join("out"));
    fs::create_dir(&data)?;
    write_small_set(&data)?;

    let first = figures(&run(&data, &out, &[])?)?;
    // The set is small, and the ranking model sees it once.
    assert!(number(&first, "valid_auc")? > 0.55, "{first}");
    assert!(number(&first, "valid_log_loss")? < 0.7, "{first}");
    let popularity = number(&first, "popularity_recall_at_10")?;
    assert!(number(&first, "recall_at_10")? > popularity, "{first}");
    for written in ["dlrm", "two_tower", "dlrm.csv"] {
        assert!(out.join(written).exists(), "{written} was not written");
    }

    let refused = run(&data, &out, &[])?;
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("exists"), "{message}");

    assert_eq!(figures(&run(&data, &out, &["--overwrite"])?)?, first);
    Ok(())
}

#[test]
fn the_real_ratings_are_learned() -> Result<()> {
    let data = std::env::var_os("EMRYS_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let data = data.join("ml-1m");
    if !data.is_dir() {
        println!("skipped: there is no folder {}", data.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let found = figures(&run(&data, &folder.path().join("out"), &[])?)?;
    println!("{found}");
    assert!(number(&found, "valid_log_loss")? <= 0.54, "{found}");
    assert!(number(&found, "valid_auc")? >= 0.79, "{found}");
    let popularity = number(&found, "popularity_recall_at_10")?;
    assert!(
        number(&found, "recall_at_10")? >= 1.5 * popularity,
        "{found}"
    );
    Ok(())
}
