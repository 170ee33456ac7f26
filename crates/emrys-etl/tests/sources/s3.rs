//! Data in an object store.

use emrys_etl::io::{CsvFormat, OpenOptions, WriteOptions, write_batches};
use emrys_etl::{Dataset, Error};
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use hyper::Method;
use rstest::rstest;

use crate::data::{
    clicks, everything, impatient, rows, transformed, write_arrow, write_csv, write_json,
    write_parquet,
};
use crate::faults::Fault;
use crate::s3_server::SERVER;

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[test]
fn data_come_out_the_same_as_from_local_files() -> TestResult {
    let folder = SERVER.bucket("same");
    for (name, range) in [("1", 0..3000), ("2", 3000..3001), ("10", 3001..9000)] {
        write_parquet(folder.join(format!("part_{name}.parquet")), &clicks(range));
    }
    let local = Dataset::open(&folder)?;
    let remote = Dataset::open("s3://same")?;
    assert_eq!(remote.num_rows(), 9000);
    assert_eq!(remote.fingerprint()?, local.fingerprint()?);
    assert_eq!(remote.schema(), local.schema());
    assert_eq!(transformed(&remote)?, transformed(&local)?);
    for threads in [1, 2, 5] {
        assert_eq!(everything(&remote, threads), everything(&local, 1));
    }
    assert_eq!(
        everything(&Dataset::open("s3://same/part_*0.parquet")?, 2).num_rows(),
        5999
    );
    let listed = Dataset::from_paths(["s3://same/part_10.parquet", "s3://same/part_2.parquet"])?;
    assert_eq!(listed.num_rows(), 6000);
    Ok(())
}

#[rstest]
#[case("csv")]
#[case("jsonl")]
#[case("arrow")]
fn other_formats_come_out_the_same(#[case] extension: &str) -> TestResult {
    let bucket = format!("same-{extension}");
    let folder = SERVER.bucket(&bucket);
    let path = folder.join(format!("x.{extension}"));
    let batch = clicks(0..30_000);
    match extension {
        "csv" => write_csv(&path, &batch),
        "jsonl" => write_json(&path, &batch),
        _ => write_arrow(&path, &batch),
    }
    let local = Dataset::open(&path)?;
    let url = format!("s3://{bucket}/x.{extension}");
    let remote = Dataset::open_with(&url, &impatient(3))?;
    assert_eq!(remote.fingerprint()?, local.fingerprint()?);
    assert_eq!(everything(&remote, 3), everything(&local, 1));
    for fault in Fault::ALL {
        SERVER.script.order(&format!("/{bucket}/"), fault, 1);
        let remote = Dataset::open_with(&url, &impatient(3))?;
        SERVER.script.order(&format!("/{bucket}/"), fault, 2);
        assert_eq!(everything(&remote, 3), everything(&local, 1), "{fault:?}");
    }
    Ok(())
}

#[rstest]
#[case(Fault::InternalError)]
#[case(Fault::SlowDown)]
#[case(Fault::Stall)]
#[case(Fault::StallWithin)]
#[case(Fault::Cut)]
#[case(Fault::Short)]
fn a_fault_that_passes_is_survived(#[case] fault: Fault) -> TestResult {
    let bucket = format!("passes-{fault:?}").to_lowercase();
    let folder = SERVER.bucket(&bucket);
    let path = format!("/{bucket}/");
    write_parquet(folder.join("x.parquet"), &clicks(0..5000));
    let local = Dataset::open(&folder)?;
    let before = SERVER.script.seen(&path).len();

    SERVER.script.order(&path, fault, 2);
    let remote = Dataset::open_with(format!("s3://{bucket}"), &impatient(4))?;
    SERVER.script.order(&path, fault, 2);
    assert_eq!(transformed(&remote)?, transformed(&local)?);
    // All orders were carried out.
    SERVER.script.order(&path, fault, 0);
    assert!(SERVER.script.seen(&path).len() > before + 4);
    Ok(())
}

#[rstest]
#[case(Fault::InternalError)]
#[case(Fault::SlowDown)]
#[case(Fault::Stall)]
#[case(Fault::StallWithin)]
#[case(Fault::Cut)]
#[case(Fault::Short)]
fn a_fault_that_stays_is_an_error_that_names_the_object(#[case] fault: Fault) -> TestResult {
    let bucket = format!("stays-{fault:?}").to_lowercase();
    let folder = SERVER.bucket(&bucket);
    let path = format!("/{bucket}/");
    write_parquet(folder.join("a.parquet"), &clicks(0..5000));
    write_csv(folder.join("b.csv"), &clicks(0..5000));
    let parquet = format!("s3://{bucket}/a.parquet");
    let csv = format!("s3://{bucket}/b.csv");
    let opened = [
        (&parquet, Dataset::open_with(&parquet, &impatient(1))?),
        (&csv, Dataset::open_with(&csv, &impatient(1))?),
    ];

    SERVER.script.order(&path, fault, usize::MAX);
    for (url, dataset) in &opened {
        let opening = Dataset::open_with(url, &impatient(1)).unwrap_err();
        let fitting = transformed(dataset).unwrap_err();
        let reading = rows(dataset, &["id", "noise"], 2).unwrap_err();
        for error in [opening, fitting, reading] {
            let text = error.to_string();
            assert!(
                matches!(error, Error::File { .. }) && text.starts_with(&format!("read `{url}`: ")),
                "{text}"
            );
            let not_whole = "did not arrive whole in 2 tries";
            let told: &[&str] = match fault {
                Fault::InternalError => &["500 Internal Server Error"],
                Fault::SlowDown => &["SlowDown"],
                Fault::Stall => &["timed out"],
                // Whether the answer's head still comes through is up to the network.
                Fault::Cut => &["the request failed", not_whole],
                Fault::StallWithin | Fault::Short => &[not_whole],
            };
            let is_told = told.iter().any(|told| text.contains(told));
            assert!(is_told, "{fault:?}: {text}");
        }
    }
    SERVER.script.clear(&path);
    for (_, dataset) in &opened {
        assert_eq!(rows(dataset, &["id"], 2)?.num_rows(), 5000);
    }
    Ok(())
}

#[test]
fn only_footers_and_needed_columns_are_fetched() -> TestResult {
    let folder = SERVER.bucket("needed");
    let path = folder.join("x.parquet");
    write_parquet(&path, &clicks(0..60_000));
    let size = std::fs::metadata(&path)?.len();
    let fetched = || -> u64 {
        let seen = SERVER.script.seen("/needed/");
        // Without a range a request would be for the whole object.
        assert!(seen.iter().all(|seen| seen.method != Method::GET
            || seen.bytes.is_some()
            || !seen.path.contains("parquet")));
        seen.iter().filter_map(|seen| seen.bytes).sum()
    };
    let dataset = Dataset::open("s3://needed/x.parquet")?;
    assert!(size > 2_000_000, "{size}");
    assert!(
        fetched() <= 64 << 10,
        "{} of {size} bytes to open",
        fetched()
    );
    let before = fetched();
    assert_eq!(rows(&dataset, &["price"], 2)?.num_rows(), 60_000);
    let read = fetched() - before;
    assert!(
        read < size / 2,
        "{read} of {size} bytes for one of four columns"
    );
    Ok(())
}

#[test]
fn schemas_and_manifests_beside_the_data_are_found() -> TestResult {
    let folder = SERVER.bucket("written");
    let batch = clicks(0..100);
    let schema = Schema::new([
        ColumnSchema::new("id", DType::Int64).with_tags([Tag::UserId]),
        ColumnSchema::new("word", DType::String),
        ColumnSchema::new("price", DType::Float64),
        ColumnSchema::new("noise", DType::String),
    ])?;
    let out = folder.join("out");
    let arrow = batch.schema();
    write_batches([Ok(batch)], &arrow, &schema, &out, &WriteOptions::new())?;
    let remote = Dataset::open("s3://written/out")?;
    assert!(remote.schema().get("id").unwrap().has_tag(Tag::UserId));
    assert_eq!(remote.schema(), Dataset::open(&out)?.schema());

    let part = std::fs::read_dir(&out)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "parquet")
        })
        .unwrap();
    std::fs::remove_file(&part)?;
    write_csv(out.join("x.csv"), &clicks(0..1));
    let error = Dataset::open("s3://written/out").unwrap_err();
    assert!(
        error.to_string().contains("is not in the manifest"),
        "{error}"
    );

    std::fs::write(out.join("schema.json"), "{")?;
    std::fs::remove_file(out.join("_emrys.json"))?;
    let error = Dataset::open("s3://written/out").unwrap_err().to_string();
    assert!(
        error.starts_with("read `s3://written/out/schema.json`: it is no sound schema ("),
        "{error}"
    );
    Ok(())
}

#[test]
fn hive_partitions_are_columns() -> TestResult {
    let folder = SERVER.bucket("hive");
    for day in [1, 2, 10] {
        let part = folder.join(format!("clicks/day={day}/shop=a%20b"));
        std::fs::create_dir_all(&part)?;
        write_csv(part.join("x.csv"), &clicks(day * 10..day * 10 + 5));
    }
    let remote = Dataset::open("s3://hive/clicks")?;
    let local = Dataset::open(folder.join("clicks"))?;
    assert_eq!(
        remote.schema().names(),
        ["id", "word", "price", "noise", "day", "shop"]
    );
    assert_eq!(everything(&remote, 2), everything(&local, 3));
    let glob = Dataset::open("s3://hive/clicks/day=1*/*/x.csv")?;
    assert_eq!(glob.num_rows(), 10);
    assert_eq!(glob.schema().names(), remote.schema().names());
    Ok(())
}

#[test]
fn what_is_not_there_is_named() -> TestResult {
    SERVER.bucket("empty");
    let open = |url: &str| {
        Dataset::open_with(url, &impatient(0))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        open("s3://empty/x.parquet"),
        "read `s3://empty/x.parquet`: there is no such object"
    );
    assert_eq!(
        open("s3://empty/*.parquet"),
        "pattern `s3://empty/*.parquet`: no object matches it"
    );
    let error = open("s3://empty/folder/");
    assert!(
        error.starts_with("folder `s3://empty/folder/`: it holds no data file"),
        "{error}"
    );
    let error = open("s3://no-such-bucket/x.parquet");
    assert!(error.starts_with("read `s3://no-such-bucket/"), "{error}");
    Ok(())
}

#[test]
fn an_object_that_changes_is_noticed() -> TestResult {
    let folder = SERVER.bucket("changes");
    let batch = clicks(0..100);
    let format = OpenOptions::new().with_format(CsvFormat::new().with_type("id", DType::Int32));
    write_parquet(folder.join("a.parquet"), &batch);
    write_csv(folder.join("b.csv"), &batch);
    let opened = [
        Dataset::open("s3://changes/a.parquet")?,
        Dataset::open_with("s3://changes/b.csv", &format)?,
    ];
    let other = clicks(100..190);
    write_parquet(folder.join("a.parquet"), &other);
    write_csv(folder.join("b.csv"), &other);
    for (dataset, name) in opened.iter().zip(["a.parquet", "b.csv"]) {
        let error = rows(dataset, &["id"], 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "read `s3://changes/{name}`: the object has changed since the data set was opened; \
                 open it again"
            )
        );
    }
    Ok(())
}
