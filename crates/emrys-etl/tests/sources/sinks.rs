//! Outputs in an object store.

use std::path::Path;
use std::time::Duration;

use arrow::array::RecordBatch;
use emrys_etl::io::{FileLayout, Manifest, RemoteOptions, Shuffle, WriteOptions, write_batches};
use emrys_etl::ops::Categorify;
use emrys_etl::{Dataset, Error, Workflow, cols};
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use rstest::rstest;

use crate::data::{clicks, everything, rows, write_parquet};
use crate::faults::Fault;
use crate::s3_server::SERVER;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Few retries without long pauses.
fn options(retries: usize) -> WriteOptions {
    WriteOptions::new().with_remote(
        RemoteOptions::new()
            .with_retries(retries)
            .with_pause(Duration::from_millis(5))
            .with_timeout(Duration::from_millis(1500)),
    )
}

fn schema() -> Schema {
    Schema::new([
        ColumnSchema::new("id", DType::Int64).with_tags([Tag::UserId]),
        ColumnSchema::new("word", DType::String),
        ColumnSchema::new("price", DType::Float64),
        ColumnSchema::new("noise", DType::String),
    ])
    .unwrap()
}

fn write(url: &str, batch: &RecordBatch, options: &WriteOptions) -> Result<Manifest, Error> {
    let batches = (0..batch.num_rows())
        .step_by(500)
        .map(|start| Ok(batch.slice(start, 500.min(batch.num_rows() - start))));
    write_batches(batches, &batch.schema(), &schema(), Path::new(url), options)
}

/// The names in a bucket's folder, but for what the server keeps for itself.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_again() -> TestResult {
    let folder = SERVER.bucket("sink");
    let batch = clicks(0..5000);
    let rows_per_file = options(2).with_layout(FileLayout::RowsPerFile(2000));
    let manifest = write("s3://sink/out/", &batch, &rows_per_file)?;
    assert_eq!((manifest.rows, manifest.files.len()), (5000, 3));
    let remote = Dataset::open("s3://sink/out")?;
    assert!(remote.schema().get("id").unwrap().has_tag(Tag::UserId));
    manifest.verify(folder.join("out"))?;
    let local = folder.join("local");
    write(local.to_str().unwrap(), &batch, &WriteOptions::new())?;
    assert_eq!(
        everything(&remote, 2),
        everything(&Dataset::open(&local)?, 1)
    );

    // It stays as it is unless it may be replaced.
    let refused = write("s3://sink/out", &batch, &options(2)).unwrap_err();
    assert!(matches!(refused, Error::OutputExists { .. }), "{refused}");
    write(
        "s3://sink/out",
        &clicks(0..70),
        &options(2).with_overwrite(true),
    )?;
    assert_eq!(Dataset::open("s3://sink/out")?.num_rows(), 70);
    assert_eq!(
        names(&folder.join("out")),
        [
            "_emrys.json",
            "part_00000_00000.parquet",
            "schema.json",
            "schema.pbtxt"
        ]
    );
    Ok(())
}

#[test]
fn a_workflow_writes_shuffled_folders_by_value() -> TestResult {
    SERVER.bucket("sink-modes");
    let folder = SERVER.bucket("sink-input");
    write_parquet(folder.join("x.parquet"), &clicks(0..3000));
    let data = Dataset::open("s3://sink-input")?;
    let node = (cols(["word"]) >> Categorify::default()) + cols(["id"]);
    let fitted = Workflow::new(node).fit(&data)?;
    let options = options(2)
        .with_shuffle(Shuffle::Full { seed: 3 })
        .with_partition_on(["word"]);
    fitted
        .transform(&data)?
        .write("s3://sink-modes/out", &options)?;
    let remote = Dataset::open("s3://sink-modes/out")?;
    assert_eq!(remote.schema().names(), ["id", "word"]);
    assert_eq!(rows(&remote, &["id"], 2)?.num_rows(), 3000);
    Ok(())
}

#[rstest]
#[case(Fault::InternalError)]
#[case(Fault::SlowDown)]
#[case(Fault::Stall)]
#[case(Fault::StallWithin)]
#[case(Fault::Cut)]
#[case(Fault::Short)]
fn a_fault_that_passes_is_survived_or_told(#[case] fault: Fault) -> TestResult {
    let bucket = format!("sink-{fault:?}").to_lowercase();
    let folder = SERVER.bucket(&bucket);
    let (url, path) = (format!("s3://{bucket}/out"), format!("/{bucket}"));
    let batch = clicks(0..5000);
    let layout = options(3).with_layout(FileLayout::RowsPerFile(3000));
    // Each of the requests fails once: the marker's, those of the uploads, the manifest's and the
    // last, which takes the marker away.
    for request in 0.. {
        let out = format!("{url}/{request}");
        SERVER.script.order_writes(&path, request, fault, 1);
        let outcome = write(&out, &batch, &layout);
        if SERVER.script.left(&path) > 0 {
            // There are not so many requests.
            SERVER.script.clear(&path);
            assert!(
                outcome.is_ok() && request > 8,
                "{request} requests: {outcome:?}"
            );
            break;
        }
        match outcome {
            Ok(_) => {
                let dataset = Dataset::open(&out)?;
                assert_eq!(
                    everything(&dataset, 2).num_rows(),
                    5000,
                    "request {request}"
                );
            }
            // A request that was carried out, without an answer, cannot always be sent again.
            Err(error) => {
                let loses_answers = [Fault::StallWithin, Fault::Short].contains(&fault);
                assert!(loses_answers, "request {request}: {error}");
                assert!(error.to_string().contains(&out), "{error}");
                let left = names(&folder.join("out").join(request.to_string()));
                assert_eq!(left, Vec::<String>::new(), "request {request}: {error}");
            }
        }
    }
    Ok(())
}

#[rstest]
#[case(Fault::InternalError, "_incomplete")]
#[case(Fault::InternalError, "part_00000_00001.parquet")]
#[case(Fault::Stall, "part_00000_00000.parquet")]
#[case(Fault::Cut, "part_00000_00000.parquet")]
#[case(Fault::InternalError, "schema.json")]
#[case(Fault::Cut, "_emrys.json")]
fn a_fault_that_stays_is_told_and_leaves_no_folder(
    #[case] fault: Fault,
    #[case] name: &str,
) -> TestResult {
    let bucket = format!("sink-stays-{fault:?}-{}", name.replace(['_', '.'], "-")).to_lowercase();
    let folder = SERVER.bucket(&bucket);
    let url = format!("s3://{bucket}/out");
    let path = format!("/{bucket}/out/{name}");
    let batch = clicks(0..5000);
    let layout = options(1).with_layout(FileLayout::RowsPerFile(2500));
    // There is one before, which a failed overwriting does not make look whole.
    write(&url, &clicks(0..10), &layout)?;
    SERVER.script.order_writes(&path, 0, fault, usize::MAX);
    let overwrite = layout.clone().with_overwrite(true);
    let error = write(&url, &batch, &overwrite).unwrap_err();
    SERVER.script.clear(&path);
    let told = format!("write `{url}/{name}`");
    assert!(error.to_string().starts_with(&told), "{error}");
    match name {
        // Nothing was touched.
        "_incomplete" => assert_eq!(Dataset::open(&url)?.num_rows(), 10),
        _ => assert_eq!(names(&folder.join("out")), Vec::<String>::new()),
    }
    write(&url, &batch, &overwrite)?;
    assert_eq!(Dataset::open(&url)?.num_rows(), 5000);
    Ok(())
}

#[test]
fn a_folder_that_cannot_even_be_tidied_up_is_not_opened() -> TestResult {
    let folder = SERVER.bucket("sink-down");
    let url = "s3://sink-down/out";
    let batch = clicks(0..5000);
    let layout = options(0).with_layout(FileLayout::RowsPerFile(2500));
    // From the manifest on, nothing comes through: no deletion either.
    let before = SERVER.script.seen("/sink-down");
    assert!(before.is_empty());
    write("s3://sink-down/other", &batch, &layout)?;
    let seen = SERVER.script.seen("/sink-down");
    let writes = seen.iter().filter(|seen| seen.is_write());
    let until_manifest = writes.take_while(|seen| !seen.path.contains("_emrys.json"));
    let after = until_manifest.count();
    SERVER
        .script
        .order_writes("/sink-down", after, Fault::InternalError, usize::MAX);
    let error = write(url, &batch, &layout).unwrap_err().to_string();
    assert!(
        error.starts_with("write `s3://sink-down/out/_emrys.json`"),
        "{error}"
    );
    SERVER.script.clear("/sink-down");
    let left = names(&folder.join("out"));
    assert!(
        left.contains(&"_incomplete".to_owned()) && left.len() == 5,
        "{left:?}"
    );
    let error = Dataset::open(url).unwrap_err().to_string();
    assert_eq!(
        error,
        "read `s3://sink-down/out`: it is the unfinished output of an interrupted run; run it again"
    );
    write(url, &batch, &layout)?;
    assert_eq!(Dataset::open(url)?.num_rows(), 5000);
    Ok(())
}

#[test]
fn an_unfinished_folder_is_refused() -> TestResult {
    let folder = SERVER.bucket("sink-unfinished");
    write("s3://sink-unfinished/out", &clicks(0..10), &options(1))?;
    std::fs::write(folder.join("out/_incomplete"), "")?;
    for url in ["s3://sink-unfinished/out", "s3://sink-unfinished/out/"] {
        let error = Dataset::open(url).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "read `{url}`: it is the unfinished output of an interrupted run; run it again"
            )
        );
    }
    std::fs::write(folder.join("_incomplete"), "")?;
    assert!(Dataset::open("s3://sink-unfinished").is_err());
    Ok(())
}

#[test]
fn damaged_pages_are_blamed_on_their_file() -> TestResult {
    let folder = SERVER.bucket("damaged-pages");
    for name in ["a", "b", "c"] {
        write_parquet(folder.join(format!("{name}.parquet")), &clicks(0..5000));
    }
    let path = folder.join("b.parquet");
    let mut bytes = std::fs::read(&path)?;
    let size = bytes.len();
    // Texts of the second row group, which are the most of it; the footer stays whole.
    bytes[size * 3 / 5..size * 3 / 5 + 2000].fill(0xa5);
    std::fs::write(&path, bytes)?;
    let local = rows(&Dataset::open(&folder)?, &["id", "noise"], 2).unwrap_err();
    let remote = Dataset::open("s3://damaged-pages")?;
    let error = rows(&remote, &["id", "noise"], 2).unwrap_err().to_string();
    assert!(
        error.starts_with("read `s3://damaged-pages/b.parquet`: row group 1 is damaged ("),
        "{error}"
    );
    assert_eq!(
        error.split_once("row group").map(|(_, what)| what),
        local
            .to_string()
            .split_once("row group")
            .map(|(_, what)| what),
    );
    Ok(())
}
