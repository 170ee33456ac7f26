//! Settings of the loader, and values that cannot be put into batches.

use std::fs;
use std::path::Path;

use arrow::array::ArrayRef;
use emrys::loader::{Loader, LoaderConfig, LookupFeature, LookupSpec};
use emrys::schema::{ColumnSchema, DType, Schema, Tag};

use crate::table::{
    Outcome, case, check, click_columns, doubles, floats, integers, longs, texts, write,
};

/// One epoch over a file of these columns.
fn load(dir: &Path, columns: Vec<(&str, ArrayRef)>, config: LoaderConfig) -> Outcome {
    write(dir.join("a.parquet"), columns);
    for batch in Loader::open(dir, config)?.epoch(0)? {
        batch?;
    }
    Ok(())
}

/// One epoch with the lookup of `item` in a table of 5 rows.
fn look_up(dir: &Path, item: ArrayRef) -> Outcome {
    write(dir.join("a.parquet"), vec![("item", item)]);
    let table = LookupSpec::new("dim8", [LookupFeature::new("item", 0, 5)]);
    for batch in Loader::open(dir, LoaderConfig::new(2))?
        .with_lookups([table])?
        .epoch(0)?
    {
        batch?;
    }
    Ok(())
}

fn numbers() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("item", longs([1, 2, 3])),
        ("price", floats([1.0, 2.0, 3.0])),
    ]
}

#[test]
fn settings() {
    check(&[
        case(
            "batches of no rows",
            |dir| load(dir, numbers(), LoaderConfig::new(0)),
            "`batch_size` is 0; it must be at least 1",
        ),
        case(
            "no threads",
            |dir| load(dir, numbers(), LoaderConfig::new(2).with_threads(0)),
            "`threads` is 0; it must be at least 1",
        ),
        case(
            "all rows dropped",
            |dir| load(dir, numbers(), LoaderConfig::new(4).with_drop_last(true)),
            "drop_last leaves no batch: 3 rows do not fill a batch of 4; lower batch_size or keep the last batch",
        ),
        case(
            "a column that is not there",
            |dir| load(dir, numbers(), LoaderConfig::new(2).with_columns(["itm"])),
            "column `itm` is not in the schema; did you mean `item`? (columns: item, price)",
        ),
        case(
            "a column asked for twice",
            |dir| {
                load(
                    dir,
                    numbers(),
                    LoaderConfig::new(2).with_columns(["item", "item"]),
                )
            },
            "column `item` occurs twice; rename one of the two",
        ),
        case(
            "a state of another data set",
            |dir| {
                write(dir.join("a.parquet"), numbers());
                let state = Loader::open(dir, LoaderConfig::new(2))?.epoch(0)?.state();
                write(dir.join("a.parquet"), vec![("item", longs([1]))]);
                Loader::open(dir, LoaderConfig::new(2))?.epoch_from(&state)?;
                Ok(())
            },
            "the saved state has num_rows = 3, this loader has 1; resume with the data and settings of the run that was saved",
        ),
    ]);
}

#[test]
fn files() {
    check(&[
        case(
            "nothing at the path",
            |dir| {
                Loader::open(dir.join("train"), LoaderConfig::new(2))?;
                Ok(())
            },
            "cannot read `[dir]/train`: No such file or directory (os error 2)",
        ),
        case(
            "a folder without files",
            |dir| {
                Loader::open(dir, LoaderConfig::new(2))?;
                Ok(())
            },
            "no parquet file at `[dir]`; give a file, a directory or a glob such as `data/*.parquet`",
        ),
        case(
            "no rows",
            |dir| load(dir, vec![("item", longs([]))], LoaderConfig::new(2)),
            "the data set has no rows (1 files); was everything filtered out?",
        ),
        case(
            "a file that was cut off",
            |dir| {
                let path = write(dir.join("a.parquet"), click_columns());
                let bytes = fs::read(&path)?;
                fs::write(&path, &bytes[..bytes.len() / 2])?;
                Loader::open(dir, LoaderConfig::new(2))?;
                Ok(())
            },
            "`[dir]/a.parquet` is not a whole parquet file; it may have been cut off while it was written or copied: Parquet error: Invalid Parquet file. Corrupt footer",
        ),
        case(
            "files of different types",
            |dir| {
                write(dir.join("b.parquet"), vec![("item", texts(["1"]))]);
                load(dir, vec![("item", longs([1]))], LoaderConfig::new(2))
            },
            "`[dir]/a.parquet` and `[dir]/b.parquet` differ in column `item`: Int64 and Utf8; rewrite one of the files or leave it out",
        ),
        case(
            "a broken schema beside the files",
            |dir| {
                fs::write(dir.join("schema.json"), "{\n  \"columns\": [}\n")?;
                load(dir, numbers(), LoaderConfig::new(2))
            },
            "the schema in `[dir]` cannot be read: `[dir]/schema.json`, line 2, column 15: expected value",
        ),
    ]);
}

#[test]
fn values() {
    check(&[
        case(
            "a null among ids",
            |dir| {
                let items: arrow::array::Int64Array = [Some(1), None].into_iter().collect();
                load(
                    dir,
                    vec![("item", std::sync::Arc::new(items))],
                    LoaderConfig::new(2),
                )
            },
            "`[dir]/a.parquet`, row group 0: integer column `item` has 1 nulls, the first at value 1; run Categorify (null becomes id 1) or FillMissing first",
        ),
        case(
            "NaN and null among features",
            |dir| {
                load(
                    dir,
                    vec![("price", doubles([Some(1.0), Some(f64::NAN), None]))],
                    LoaderConfig::new(2),
                )
            },
            "`[dir]/a.parquet`, row group 0: float column `price` has 2 values that are null or NaN, the first at value 1; run FillMissing first, or give the loader a value for them (`Missing::Fill`)",
        ),
        case(
            "a column of text",
            |dir| {
                load(
                    dir,
                    click_columns(),
                    LoaderConfig::new(2).with_columns(["user"]),
                )
            },
            "column `user` is Utf8, which cannot be put into a batch; run Categorify first, or leave the column out",
        ),
        case(
            "nothing but text",
            |dir| load(dir, vec![("user", texts(["ada"]))], LoaderConfig::new(2)),
            "there is no numeric column to load (columns: user); run Categorify on text columns, or name the columns to load",
        ),
        case(
            "a text column that is tagged",
            |dir| {
                let path = write(dir.join("a.parquet"), click_columns());
                let user = ColumnSchema::new("user", DType::String).with_tags([Tag::Categorical]);
                Loader::open_with_schema(path, Schema::new([user])?, LoaderConfig::new(2))?;
                Ok(())
            },
            "column `user` is Utf8, which cannot be put into a batch; run Categorify first, or leave the column out",
        ),
        case(
            "a type that the schema does not say",
            |dir| {
                let path = write(dir.join("a.parquet"), numbers());
                let schema = Schema::new([ColumnSchema::new("price", DType::Int32)])?;
                Loader::open_with_schema(path, schema, LoaderConfig::new(2))?;
                Ok(())
            },
            "column `price` is int32 in the schema but Float32 in the data; cast it in the workflow or correct the schema",
        ),
        case(
            "an id beyond its table",
            |dir| look_up(dir, longs([1, 4, 5])),
            "column `item`, row 0 of the batch: id 5 is outside its table of 5 rows (0 to 4); give the table as many rows as the workflow's vocabulary, or transform this data with the workflow that the model was built for",
        ),
        case(
            "an id below 0",
            |dir| look_up(dir, integers([1, -1])),
            "column `item`, row 1 of the batch: id -1 is outside its table of 5 rows (0 to 4); give the table as many rows as the workflow's vocabulary, or transform this data with the workflow that the model was built for",
        ),
        case(
            "ids that are no integers",
            |dir| look_up(dir, floats([1.0])),
            "column `item` cannot be looked up: its ids are float32; run Categorify first",
        ),
    ]);
}
