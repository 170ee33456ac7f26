//! Data on a web server.

use emrys_etl::Dataset;
use emrys_schema::{ColumnSchema, DType, Schema, Tag};

use crate::data::{clicks, everything, impatient, rows, write_csv, write_parquet};
use crate::faults::Fault;
use crate::web_server::WebServer;

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[test]
fn files_are_read_by_ranges() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a b.parquet");
    write_parquet(&path, &clicks(0..60_000));
    write_csv(folder.path().join("x.csv"), &clicks(0..9000));
    let schema = Schema::new([ColumnSchema::new("id", DType::Int64).with_tags([Tag::ItemId])])?;
    schema.write_dir(folder.path())?;
    let server = WebServer::start(folder.path(), true);

    let remote = Dataset::open(format!("{}/a%20b.parquet", server.url))?;
    assert!(remote.schema().get("id").unwrap().has_tag(Tag::ItemId));
    let local = Dataset::open(&path)?;
    assert_eq!(rows(&remote, &["price"], 2)?, rows(&local, &["price"], 1)?);
    let fetched: u64 = server
        .script
        .seen("parquet")
        .iter()
        .filter_map(|seen| seen.bytes)
        .sum();
    assert!(
        fetched > 0 && fetched < std::fs::metadata(&path)?.len() / 2,
        "{fetched}"
    );
    assert_eq!(everything(&remote, 3), everything(&local, 1));

    let csv = format!("{}/x.csv", server.url);
    for fault in Fault::ALL {
        server.script.order("x.csv", fault, 1);
        let remote = Dataset::open_with(&csv, &impatient(3))?;
        server.script.order("x.csv", fault, 2);
        let local = Dataset::open(folder.path().join("x.csv"))?;
        assert_eq!(everything(&remote, 2), everything(&local, 1), "{fault:?}");
    }
    Ok(())
}

#[test]
fn a_server_without_ranges_or_without_the_file_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    write_csv(folder.path().join("x.csv"), &clicks(0..10));
    let server = WebServer::start(folder.path(), false);
    let url = format!("{}/x.csv", server.url);
    let error = Dataset::open_with(&url, &impatient(0))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("read `{url}`: the request failed (")) && error.contains("ange"),
        "{error}"
    );
    let url = format!("{}/y.csv", server.url);
    let error = Dataset::open_with(&url, &impatient(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("read `{url}`: there is no such object")
    );
    Ok(())
}

#[test]
fn addresses_with_a_signature_are_read_and_not_told() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a b.parquet");
    write_parquet(&path, &clicks(0..9000));
    write_csv(folder.path().join("x.csv"), &clicks(0..100));
    let signature = "X-Amz-Date=20260101T000000Z&X-Amz-Signature=5f%2Fe1";
    let server = WebServer::start_signed(folder.path(), signature);
    let address = |name: &str| format!("{}/{name}?{signature}", server.url);

    let remote = Dataset::open(address("a%20b.parquet"))?;
    assert_eq!(
        everything(&remote, 2),
        everything(&Dataset::open(&path)?, 1)
    );
    let text = Dataset::open(address("x.csv"))?;
    assert_eq!(rows(&text, &["id"], 2)?.num_rows(), 100);
    let both = Dataset::from_paths([address("a%20b.parquet"), address("a%20b.parquet")])?;
    assert_eq!(rows(&both, &["id"], 2)?.num_rows(), 18_000);

    let other = format!("{}/a%20b.parquet?X-Amz-Signature=secret", server.url);
    let error = Dataset::open_with(&other, &impatient(0))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("access was denied") && !error.contains("secret"),
        "{error}"
    );
    let error = Dataset::from_paths([address("a%20b.parquet"), other]).unwrap_err();
    assert!(
        error.to_string().contains("has another signature"),
        "{error}"
    );
    let gone = address("y.csv");
    let error = Dataset::open_with(&gone, &impatient(0))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!("read `{}/y.csv`: there is no such object", server.url)
    );
    Ok(())
}
