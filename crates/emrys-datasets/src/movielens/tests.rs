use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Float32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::*;

/// "Les Misérables" as MovieLens has it: é is one byte, 0xE9.
const MOVIES: &[u8] =
    b"1::Toy Story (1995)::Animation|Children's|Comedy\r\n73::Mis\xe9rables, Les (1995)::Drama|Musical\n";
const USERS: &str = "1::F::1::10::48067\n5::M::25::20::55455-1234\n";
const RATINGS: &str = "1::73::5::978300760\n5::1::3::978302109";

fn folder(users: &str, movies: &[u8], ratings: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users.dat"), users).unwrap();
    fs::write(folder.path().join("movies.dat"), movies).unwrap();
    fs::write(folder.path().join("ratings.dat"), ratings).unwrap();
    folder
}

fn parquet_folder(columns: Vec<(&str, ArrayRef)>) -> TempDir {
    let folder = folder(USERS, MOVIES, RATINGS);
    fs::remove_file(folder.path().join("ratings.dat")).unwrap();
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .unwrap();
    let file = File::create(folder.path().join("ratings.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

fn convert(folder: &TempDir) -> Result<MovieLensTables> {
    MovieLens1m::open(folder.path())?.write_parquet(folder.path().join("out"))
}

/// The error's text, without the temporary folder.
fn refusal(folder: &TempDir) -> String {
    let text = convert(folder).unwrap_err().to_string();
    text.replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), "DIR")
}

fn read(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
}

/// The ratings of [`RATINGS`], whatever file they came from.
fn check_ratings(ratings: &RecordBatch) {
    assert_eq!(
        ratings["userId"].as_primitive::<Int64Type>().values(),
        &[1, 5]
    );
    assert_eq!(
        ratings["movieId"].as_primitive::<Int64Type>().values(),
        &[73, 1]
    );
    assert_eq!(
        ratings["rating"].as_primitive::<Float32Type>().values(),
        &[5.0, 3.0]
    );
}

#[test]
fn published_files_become_tables() -> Result<(), Box<dyn std::error::Error>> {
    let folder = folder(USERS, MOVIES, RATINGS);
    let tables = convert(&folder)?;
    assert_eq!(
        (tables.rating_rows, tables.user_rows, tables.movie_rows),
        (2, 2, 2)
    );

    let ratings = read(&tables.ratings);
    check_ratings(&ratings);
    assert_eq!(
        ratings["timestamp"].as_primitive::<Int64Type>().values(),
        &[978_300_760, 978_302_109]
    );

    let users = read(&tables.users);
    assert_eq!(
        users["gender"].as_string::<i32>(),
        &StringArray::from(vec!["F", "M"])
    );
    assert_eq!(users["zipcode"].as_string::<i32>().value(1), "55455-1234");

    let movies = read(&tables.movies);
    assert_eq!(
        movies["title"].as_string::<i32>().value(1),
        "Misérables, Les (1995)"
    );
    let genres = movies["genres"].as_list::<i32>().value(0);
    assert_eq!(
        genres.as_string::<i32>(),
        &StringArray::from(vec!["Animation", "Children's", "Comedy"])
    );
    Ok(())
}

#[test]
fn parquet_ratings_give_the_same_columns_and_keep_null_times()
-> Result<(), Box<dyn std::error::Error>> {
    let folder = parquet_folder(vec![
        ("movie_id", Arc::new(Int32Array::from(vec![73, 1]))),
        ("user_id", Arc::new(Int32Array::from(vec![1, 5]))),
        (
            "timestamp",
            Arc::new(Int64Array::from(vec![None, Some(978_302_109)])),
        ),
        ("rating", Arc::new(Int32Array::from(vec![5, 3]))),
    ]);
    let ratings = read(&convert(&folder)?.ratings);
    check_ratings(&ratings);
    assert!(ratings["timestamp"].is_null(0) && ratings["timestamp"].is_valid(1));
    Ok(())
}

#[test]
fn a_failed_conversion_leaves_no_file() {
    let folder = folder(USERS, MOVIES, "1::73::5::978300760\n5::1::3\n");
    assert!(convert(&folder).is_err());
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);
}

#[test]
fn bad_lines_are_named_with_what_is_wrong() {
    let ratings = |text| refusal(&folder(USERS, MOVIES, text));
    insta::assert_snapshot!(
        ratings("1::73::5::978300760\n5::1::3\n"),
        @"`ratings.dat`, line 2: found 3 fields, expected 4: UserID::MovieID::Rating::Timestamp"
    );
    insta::assert_snapshot!(
        ratings("1::73::5::978300760\n5::1::6::978300760\n"),
        @"`ratings.dat`, line 2: Rating is `6`, expected a whole number of stars from 1 to 5"
    );
    insta::assert_snapshot!(
        ratings("one::73::5::978300760\n"),
        @"`ratings.dat`, line 1: UserID is `one`, expected an integer"
    );
    insta::assert_snapshot!(
        ratings(""),
        @"`ratings.dat` has no rows; the file may have been cut off when it was fetched"
    );
    insta::assert_snapshot!(
        refusal(&folder("1::F::1::10::48067\n1::M::25::20::55455\n", MOVIES, RATINGS)),
        @"`users.dat`, line 2: UserID 1 occurs already in line 1; remove one of the two, or a join would double its ratings"
    );
    insta::assert_snapshot!(
        refusal(&folder("1::f::1::10::48067\n", MOVIES, RATINGS)),
        @"`users.dat`, line 1: Gender is `f`, expected `F` or `M`"
    );
    insta::assert_snapshot!(
        refusal(&folder(USERS, b"1::Toy Story (1995)::Comedy||Drama\n", RATINGS)),
        @"`movies.dat`, line 1: Genres is `Comedy||Drama`, expected names separated by single bars"
    );
}

#[test]
fn bad_parquet_ratings_are_named_with_what_is_wrong() {
    let ids = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 5])) };
    let ratings = |rating: ArrayRef| {
        vec![
            ("user_id", ids()),
            ("movie_id", ids()),
            ("rating", rating),
            ("timestamp", ids()),
        ]
    };
    insta::assert_snapshot!(
        refusal(&parquet_folder(ratings(Arc::new(Float64Array::from(vec![Some(3.0), None]))))),
        @"`ratings.parquet`, row 2: `rating` is null, expected a value"
    );
    insta::assert_snapshot!(
        refusal(&parquet_folder(ratings(Arc::new(Float64Array::from(vec![3.0, 3.5]))))),
        @"`ratings.parquet`, row 2: `rating` is 3.5, expected a whole number of stars from 1 to 5"
    );
    insta::assert_snapshot!(
        refusal(&parquet_folder(ratings(Arc::new(StringArray::from(vec!["3", "4"]))))),
        @"`ratings.parquet`: column `rating` is Utf8, expected a number"
    );
    insta::assert_snapshot!(
        refusal(&parquet_folder(vec![("userId", ids()), ("movie_id", ids())])),
        @"`ratings.parquet` has no column `user_id` (columns: userId, movie_id)"
    );
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder(USERS, MOVIES, RATINGS);
    fs::remove_file(folder.path().join("ratings.dat")).unwrap();
    insta::assert_snapshot!(
        refusal(&folder),
        @"`DIR` has no `ratings.dat` or `ratings.parquet`; give the folder of the unpacked data set"
    );
}
