//! The published files of MovieLens, each edition in its own text format, from raw rows to batches.
//!
//! The sets are not passed on with the project: the tests read them from the folder in `EMRYS_DATA`
//! (by default `../shared/data` beside the workspace), and say so if they are not there.

#![allow(clippy::print_stderr, reason = "tests tell what they skip")]

use std::error::Error;
use std::path::{Path, PathBuf};

use emrys::etl::io::{CsvFormat, Split};
use emrys::etl::ops::{
    Categorify, JoinExternal, ListSlice, Normalize, TagAs, TargetEncoding, TimePart, TimeParts,
    TokenizeText,
};
use emrys::etl::{
    Dataset, Node, OpenOptions, Session, SessionOptions, Workflow, WriteOptions, cols,
};
use emrys::loader::{Loader, LoaderConfig};
use emrys::schema::{Tag, TimeUnit};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folder of an edition; says what is skipped if it is not there.
fn edition(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("EMRYS_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let folder = data.join(name);
    if !folder.is_dir() {
        eprintln!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

fn csv(path: impl AsRef<Path>, format: CsvFormat) -> Result<Dataset> {
    let options = OpenOptions::new().with_format(format);
    Ok(Dataset::open_with(path, &options)?)
}

/// Ids, encodings and parts of the time, for ratings of any edition.
fn features(user: &str, movie: &str) -> Node {
    let ids = (cols([user]) >> Categorify::new() >> TagAs::USER_ID)
        + (cols([movie]) >> Categorify::new() >> TagAs::ITEM_ID);
    let rates = cols([user, movie]) >> TargetEncoding::new("rating") >> Normalize::default();
    let parts = TimeParts::new([TimePart::Hour, TimePart::Weekday]).with_unit(TimeUnit::Second);
    let hours = cols(["timestamp"]) >> parts;
    let target = cols(["rating"]) >> TagAs::REGRESSION_TARGET;
    ids + rates + hours + target
}

/// Splits by time, fits on the earlier ratings, writes both parts, and counts what a loader reads.
fn to_batches(ratings: &Dataset, graph: Node) -> Result<(u64, u64, usize)> {
    let folder = tempfile::tempdir()?;
    let session = Session::new(SessionOptions::new())?;
    let raw = folder.path().join("raw");
    let written =
        Split::latest("timestamp", 0.2).write(ratings, &session, &raw, &WriteOptions::new())?;
    assert_eq!(written.train.rows + written.valid.rows, ratings.num_rows());

    let train = Dataset::open(raw.join("train"))?;
    let fitted = Workflow::new(graph).fit(&train)?;
    let mut rows = Vec::new();
    for part in ["train", "valid"] {
        let out = folder.path().join(part);
        let data = Dataset::open(raw.join(part))?;
        fitted.transform(&data)?.write(&out, &WriteOptions::new())?;
        let loader = Loader::open(&out, LoaderConfig::new(4096).with_shuffle(true))?;
        let mut read = 0;
        for batch in loader.epoch(0)? {
            read += batch?.num_rows() as u64;
        }
        assert_eq!(read, data.num_rows());
        rows.push(read);
    }
    let users = fitted.output_schema().iter().find_map(|column| {
        column
            .tags()
            .iter()
            .any(|tag| *tag == Tag::User)
            .then(|| column.cardinality())
            .flatten()
    });
    Ok((
        rows[0],
        rows[1],
        usize::try_from(users.ok_or("no ids of users")?)?,
    ))
}

#[test]
fn edition_100k_has_tabs_and_pipes_and_no_headers() -> Result<()> {
    let Some(folder) = edition("ml-100k") else {
        return Ok(());
    };
    let names = ["user_id", "item_id", "rating", "timestamp"];
    let ratings = csv(
        folder.join("u.data"),
        CsvFormat::new().with_delimiter("\t").with_names(names),
    )?;
    assert_eq!(ratings.num_rows(), 100_000);
    let names = ["user_id", "age", "gender", "occupation", "zip_code"];
    let users = csv(
        folder.join("u.user"),
        CsvFormat::new().with_delimiter("|").with_names(names),
    )?;
    assert_eq!(users.num_rows(), 943);

    let (train, valid, users) = to_batches(&ratings, features("user_id", "item_id"))?;
    // Ratings of the same second are not divided.
    assert!((19_000..=21_000).contains(&valid), "{valid}");
    assert_eq!(train + valid, 100_000);
    // Some users came later; three ids are reserved.
    assert!((600..=946).contains(&users), "{users}");
    Ok(())
}

#[test]
fn edition_1m_has_double_colons_and_latin_1() -> Result<()> {
    let Some(folder) = edition("ml-1m") else {
        return Ok(());
    };
    let format = |names: &[&str]| {
        CsvFormat::new()
            .with_delimiter("::")
            .with_quote(None)
            .with_encoding("latin-1")
            .with_names(names.iter().copied())
    };
    let users = csv(
        folder.join("users.dat"),
        format(&["userId", "gender", "age", "occupation", "zipcode"]),
    )?;
    assert_eq!(users.num_rows(), 6_040);
    let movies = csv(
        folder.join("movies.dat"),
        format(&["movieId", "title", "genres"]),
    )?;
    assert_eq!(movies.num_rows(), 3_883);

    let text = cols(["title"]) >> TokenizeText::default();
    let words = text >> Categorify::new().with_max_size(500) >> ListSlice::first(8).with_padding(0);
    let ids = cols(["movieId"]) >> Categorify::new() >> TagAs::ITEM_ID;
    let fitted = Workflow::new(ids + words).fit(&movies)?;
    let rows = fitted.transform(&movies)?.collect()?;
    assert_eq!(
        rows.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        3_883
    );
    assert_eq!(
        fitted.output_schema().column("movieId")?.cardinality(),
        Some(3_886)
    );
    Ok(())
}

#[test]
fn edition_latest_small_has_headers_and_quotes() -> Result<()> {
    let Some(folder) = edition("ml-latest-small") else {
        return Ok(());
    };
    let ratings = Dataset::open(folder.join("ratings.csv"))?;
    assert_eq!(ratings.num_rows(), 100_836);
    let movies = Dataset::open(folder.join("movies.csv"))?;
    assert_eq!(movies.num_rows(), 9_742);

    // The join reads parquet, as everything after the first step does.
    let out = tempfile::tempdir()?;
    let path = out.path().join("movies");
    let copied = Workflow::new(cols(["movieId", "genres"])).fit(&movies)?;
    copied
        .transform(&movies)?
        .write(&path, &WriteOptions::new())?;
    let part = path.join("part_00000.parquet");
    let joined = cols(["movieId"]) >> JoinExternal::parquet(part, ["movieId"]);
    let genres = joined.subset(["genres"]) >> Categorify::new();
    let (train, valid, users) = to_batches(&ratings, features("userId", "movieId") + genres)?;
    assert_eq!(train + valid, 100_836);
    assert!((400..=613).contains(&users), "{users}");
    Ok(())
}
