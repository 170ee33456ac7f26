//! Outputs are there whole or not at all.

use super::*;

#[test]
fn a_failing_stream_leaves_nothing_and_its_error_comes_out() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let session = session(2);
    let failing = || {
        let error = Error::Data {
            operator: "clip".into(),
            problem: "it broke".into(),
        };
        streams(vec![
            vec![Ok(numbered(0..1000))],
            vec![Ok(numbered(0..1000)), Err(error)],
        ])
    };
    let schema = schema_of(&numbered(0..0));
    let options = WriteOptions::new().with_overwrite(true);
    let error = session
        .block_on(write_partitions(failing(), &schema, &out, &options))
        .unwrap_err();
    assert_snapshot!(error, @"clip: it broke");
    assert_eq!(names(folder.path()), Vec::<String>::new());

    let good = streams(vec![vec![Ok(numbered(0..7))]]);
    session.block_on(write_partitions(good, &schema, &out, &options))?;
    session
        .block_on(write_partitions(failing(), &schema, &out, &options))
        .unwrap_err();
    assert_eq!(names(folder.path()), ["out"]);
    assert_eq!(
        ids_of(&session, &Dataset::open(&out)?),
        (0..7).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn a_panic_in_a_stream_is_an_error_and_leaves_nothing() -> TestResult {
    let folder = tempfile::tempdir()?;
    let session = session(2);
    let schema = schema_of(&numbered(0..0));
    let options = WriteOptions::new();
    let stream = futures::stream::poll_fn(|_| panic!("a damaged page"));
    let stream = RecordBatchStreamAdapter::new(numbered(0..0).schema(), stream);
    let out = folder.path().join("out");
    let write = write_partitions(vec![Box::pin(stream)], &schema, &out, &options);
    let error = session.block_on(write).unwrap_err().to_string();
    assert!(
        error.contains("/out` panicked: a damaged page; if all"),
        "{error}"
    );
    assert_eq!(names(folder.path()), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_dropped_future_leaves_nothing() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let session = session(2);
    let schema = schema_of(&numbered(0..0));
    let options = WriteOptions::new();
    session.block_on(async {
        let first = futures::stream::iter([Ok(numbered(0..10))]);
        let stalled = futures::StreamExt::chain(first, futures::stream::pending());
        let stalled = RecordBatchStreamAdapter::new(numbered(0..0).schema(), stalled);
        let write = write_partitions(vec![Box::pin(stalled)], &schema, &out, &options);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(100), write).await;
        assert!(waited.is_err());
    });
    assert_eq!(names(folder.path()), Vec::<String>::new());
    Ok(())
}

#[test]
fn an_output_is_replaced_only_on_request() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let write = |ids: std::ops::Range<i64>, options: &WriteOptions| {
        let data = numbered(ids);
        write_batches(
            [Ok(data.clone())],
            &data.schema(),
            &schema_of(&data),
            &out,
            options,
        )
    };
    write(0..3, &WriteOptions::new())?;
    let error = write(0..5, &WriteOptions::new()).unwrap_err();
    assert!(matches!(&error, Error::OutputExists { path } if *path == out));
    assert_eq!(Dataset::open(&out)?.num_rows(), 3);
    write(0..5, &WriteOptions::new().with_overwrite(true))?;
    assert_eq!(Dataset::open(&out)?.num_rows(), 5);
    assert_eq!(names(folder.path()), ["out"]);
    Ok(())
}

#[test]
fn an_input_can_be_replaced_by_its_output() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = numbered(0..50);
    let options = WriteOptions::new().with_overwrite(true);
    write_all(&data, &out, &options)?;
    let input = Dataset::open(&out)?;
    let session = session(2);
    copy(&session, &input, &out, &options)?;
    assert_eq!(
        ids_of(&session, &Dataset::open(&out)?),
        (0..50).collect::<Vec<_>>()
    );
    Ok(())
}
