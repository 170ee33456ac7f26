//! From the raw files to what models read.

use std::error::Error;
use std::path::{Path, PathBuf};

use emrys_datasets::movielens::{MovieLens1m, MovieLensTables};
use emrys_datasets::split::RandomSplit;
use emrys_etl::io::{Dataset, WriteOptions};
use emrys_etl::ops::{
    Categorify, Filter, IdType, JoinExternal, Lambda, Normalize, Rename, TagAs, TargetEncoding,
};
use emrys_etl::{FittedWorkflow, Node, Workflow, all_columns, cols};
use emrys_schema::{DType, Schema};

use super::{Args, wrote};

/// The folders of the features.
pub(super) struct Features {
    /// Every column, with tags and domains.
    pub(super) schema: Schema,
    pub(super) train: PathBuf,
    pub(super) valid: PathBuf,
    /// The rows of `train` whose film was liked.
    pub(super) train_liked: PathBuf,
    /// The rows of `valid` whose film was liked.
    pub(super) valid_liked: PathBuf,
}

/// The share of the ratings that is held out.
const VALID_FRACTION: f64 = 0.2;

/// Reads the raw files, divides the ratings, and writes the features of both parts. Everything is
/// fitted on the training ratings alone.
pub(super) fn write(args: &Args) -> Result<Features, Box<dyn Error>> {
    println!("1. features");
    let folder = args.out.join("tables");
    let tables = MovieLens1m::open(&args.data)?.write_parquet(&folder)?;
    let MovieLensTables {
        rating_rows,
        user_rows,
        movie_rows,
        ..
    } = &tables;
    wrote(
        &folder,
        format!("{rating_rows} ratings, {user_rows} users, {movie_rows} films"),
    );

    let (train, valid) = (
        folder.join("ratings_train.parquet"),
        folder.join("ratings_valid.parquet"),
    );
    let rows =
        RandomSplit::new(VALID_FRACTION, args.seed)?.write(&tables.ratings, &train, &valid)?;
    wrote(
        &folder,
        format!(
            "{} ratings to train, {} held out",
            rows.train_rows, rows.valid_rows
        ),
    );

    let (train, valid) = (Dataset::open(train)?, Dataset::open(valid)?);
    let workflow = Workflow::new(graph(&tables, args.seed)).fit(&train)?;
    let saved = args.out.join("workflow");
    workflow.save(&saved)?;
    wrote(&saved, "the fitted workflow");

    let features = Features {
        schema: workflow.output_schema().clone(),
        train: args.out.join("train"),
        valid: args.out.join("valid"),
        train_liked: args.out.join("train_liked"),
        valid_liked: args.out.join("valid_liked"),
    };
    let options = WriteOptions::new().with_overwrite(args.overwrite);
    transform(&workflow, &train, &features.train, &options)?;
    transform(&workflow, &valid, &features.valid, &options)?;

    let train = Dataset::open(&features.train)?;
    let liked = Workflow::new(all_columns() >> Filter::new("rating_binary = 1")).fit(&train)?;
    transform(&liked, &train, &features.train_liked, &options)?;
    transform(
        &liked,
        &Dataset::open(&features.valid)?,
        &features.valid_liked,
        &options,
    )?;
    Ok(features)
}

fn transform(
    workflow: &FittedWorkflow,
    data: &Dataset,
    path: &Path,
    options: &WriteOptions,
) -> Result<(), Box<dyn Error>> {
    let manifest = workflow.transform(data)?.write(path, options)?;
    wrote(path, format!("{} rows", manifest.rows));
    Ok(())
}

/// The features of a rating, as in Merlin's `get_movielens`, but with the tags `user` and `item` on
/// every column that describes one.
fn graph(tables: &MovieLensTables, seed: u64) -> Node {
    let joined = cols(["userId", "movieId", "rating"])
        >> JoinExternal::parquet(&tables.movies, ["movieId"])
        >> JoinExternal::parquet(&tables.users, ["userId"]);

    let categories = [
        "userId",
        "movieId",
        "title",
        "genres",
        "gender",
        "age",
        "occupation",
        "zipcode",
    ];
    let ids = joined.clone().subset(categories) >> Categorify::new().with_id_type(IdType::Int32);
    let ids = (ids.clone().subset("userId") >> TagAs::USER_ID)
        + (ids.clone().subset("movieId") >> TagAs::ITEM_ID)
        + (ids.clone().subset(["title", "genres"]) >> TagAs::ITEM_FEATURES)
        + (ids.subset(["gender", "age", "occupation", "zipcode"]) >> TagAs::USER_FEATURES);

    // How well the films of a year, the users of a city... are rated on average, without the rating
    // of the row itself.
    let rating = joined.clone().subset("rating");
    let of_users = ["age", "gender", "occupation", "zipcode", "userId"];
    let of_films = ["movieId"];
    let encoding = TargetEncoding::new("rating")
        .with_kfold(5)
        .with_p_smooth(20.0)
        .with_fold_seed(seed);
    let encoded = |columns: Node, tag: TagAs| {
        (columns >> encoding.clone()).depends_on(rating.clone()) >> Normalize::default() >> tag
    };
    let encodings = encoded(joined.clone().subset(of_users), TagAs::USER_FEATURES)
        + encoded(joined.subset(of_films), TagAs::ITEM_FEATURES);

    let liked = rating.clone() >> Lambda::new("x > 3").with_dtype(DType::Int32);
    ids + encodings
        + (liked >> Rename::to("rating_binary") >> TagAs::BINARY_TARGET)
        + (rating >> TagAs::REGRESSION_TARGET)
}
