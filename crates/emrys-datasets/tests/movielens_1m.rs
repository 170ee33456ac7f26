//! The published MovieLens 1M, read from the folder in `EMRYS_MOVIELENS_1M` (default: the folder
//! `shared/data/ml-1m` beside the repository).

#![allow(
    unreachable_pub,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and tell what they skip"
)]

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Int64Type};
use emrys_datasets::movielens::MovieLens1m;
use emrys_datasets::split::RandomSplit;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("EMRYS_MOVIELENS_1M").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ml-1m"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: `{}` is not there; set EMRYS_MOVIELENS_1M",
        folder.display()
    );
    None
}

/// Counts of the ratings of a file: all, those above three stars, those of known time, and a sum
/// that no other assignment of films to users is likely to give.
fn counts(path: &Path) -> Result<(usize, usize, usize, i64), Box<dyn Error>> {
    let (mut rows, mut positives, mut timed, mut pairs) = (0, 0, 0, 0i64);
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        let batch = batch?;
        let users = batch["userId"].as_primitive::<Int64Type>().values();
        let movies = batch["movieId"].as_primitive::<Int64Type>().values();
        let ratings = batch["rating"].as_primitive::<Float32Type>().values();
        rows += batch.num_rows();
        positives += ratings.iter().filter(|rating| **rating > 3.0).count();
        timed += batch.num_rows() - batch["timestamp"].null_count();
        pairs += users
            .iter()
            .zip(movies)
            .map(|(user, movie)| user * movie)
            .sum::<i64>();
    }
    Ok((rows, positives, timed, pairs))
}

#[test]
fn the_published_set_has_the_published_counts() -> Result<(), Box<dyn Error>> {
    let Some(folder) = data() else { return Ok(()) };
    let out = tempfile::tempdir()?;
    let tables = MovieLens1m::open(folder)?.write_parquet(out.path())?;
    assert_eq!(
        (tables.rating_rows, tables.user_rows, tables.movie_rows),
        (1_000_209, 6_040, 3_883)
    );
    let (rows, positives, _, _) = counts(&tables.ratings)?;
    assert_eq!((rows, positives), (1_000_209, 575_281));
    Ok(())
}

#[test]
fn a_split_keeps_every_rating_once() -> Result<(), Box<dyn Error>> {
    let Some(folder) = data() else { return Ok(()) };
    let out = tempfile::tempdir()?;
    let tables = MovieLens1m::open(folder)?.write_parquet(out.path())?;
    let (train, valid) = (
        out.path().join("train.parquet"),
        out.path().join("valid.parquet"),
    );
    let rows = RandomSplit::new(0.2, 42)?.write(&tables.ratings, &train, &valid)?;
    assert_eq!((rows.train_rows, rows.valid_rows), (800_168, 200_041));

    let (all, train, valid) = (counts(&tables.ratings)?, counts(&train)?, counts(&valid)?);
    assert_eq!(
        all,
        (
            train.0 + valid.0,
            train.1 + valid.1,
            train.2 + valid.2,
            train.3 + valid.3
        )
    );
    Ok(())
}
