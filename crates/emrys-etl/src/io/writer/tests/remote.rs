//! Folders in object stores.

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;
use crate::io::writer::output::Begun;

fn write(
    store: &Arc<InMemory>,
    partitions: Vec<Vec<Result<RecordBatch>>>,
    options: &WriteOptions,
) -> Result<Manifest> {
    let url = Path::new("memory://bucket/data/out");
    let session = session(2);
    session.block_on(async {
        let streams = streams(partitions);
        let arrow = common_schema(&streams)?;
        let schema = schema_of(&numbered(0..0));
        let begun = Begun::new(&arrow, &schema, options)?;
        let store = Arc::clone(store) as Arc<dyn ObjectStore>;
        let prefix = object_store::path::Path::from("data/out");
        let output = Output::create_remote(begun, store, prefix, url).await?;
        write_output(streams, url, output).await
    })
}

fn objects(store: &InMemory) -> Vec<String> {
    let listed = store
        .list(None)
        .map_ok(|object| object.location.to_string());
    let mut names: Vec<String> = futures::executor::block_on(listed.try_collect()).unwrap();
    names.sort();
    names
}

fn get(store: &InMemory, name: &str) -> Vec<u8> {
    let location = object_store::path::Path::parse(format!("data/out/{name}")).unwrap();
    let bytes = async { store.get(&location).await?.bytes().await };
    futures::executor::block_on(bytes).unwrap().to_vec()
}

/// Copies the output to a local folder, where its readers are.
fn download(store: &InMemory, folder: &Path) {
    for name in objects(store) {
        let name = name.strip_prefix("data/out/").unwrap();
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, get(store, name)).unwrap();
    }
}

fn two_partitions() -> Vec<Vec<Result<RecordBatch>>> {
    vec![vec![Ok(numbered(0..3))], vec![Ok(numbered(3..5))]]
}

#[test]
fn a_remote_folder_is_a_folder_like_any_other() -> TestResult {
    let store = Arc::new(InMemory::new());
    let manifest = write(&store, two_partitions(), &WriteOptions::new())?;
    assert_eq!(
        objects(&store),
        [
            "data/out/_emrys.json",
            "data/out/part_00000_00000.parquet",
            "data/out/part_00001_00000.parquet",
            "data/out/schema.json",
            "data/out/schema.pbtxt",
        ]
    );
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("out");
    download(&store, &local);
    assert_eq!(Manifest::read(&local)?, Some(manifest));
    rows_of(&local);
    assert_eq!(
        ids_of(&session(1), &Dataset::open(&local)?),
        [0, 1, 2, 3, 4]
    );
    Ok(())
}

#[test]
fn every_mode_writes_remote_folders() -> TestResult {
    for (shuffle, columns) in [
        (Shuffle::Full { seed: 1 }, vec![]),
        (Shuffle::Full { seed: 1 }, vec!["text"]),
        (
            Shuffle::PerPartition {
                seed: 1,
                window_rows: 3,
            },
            vec!["text"],
        ),
    ] {
        let store = Arc::new(InMemory::new());
        let options = WriteOptions::new()
            .with_shuffle(shuffle)
            .with_partition_on(columns)
            .with_layout(FileLayout::RowsPerFile(2))
            .with_open_files(2);
        let partitions = vec![vec![Ok(numbered(0..33))], vec![Ok(numbered(33..50))]];
        let manifest = write(&store, partitions, &options)?;
        assert_eq!(manifest.rows, 50);
        let folder = tempfile::tempdir()?;
        download(&store, folder.path());
        assert_eq!(rows_of(folder.path()).len(), 50);
        assert!(
            objects(&store)
                .iter()
                .all(|name| !name.contains("_incomplete"))
        );
    }
    Ok(())
}

#[test]
fn a_large_file_is_uploaded_in_pieces() -> TestResult {
    let store = Arc::new(InMemory::new());
    let noise = |rows: std::ops::Range<i64>| {
        let ids = rows.map(|row| crate::hash::hash_bits(row.cast_unsigned()).cast_signed());
        let column: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(ids));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"; column.len()]));
        Ok(batch([("id", column), ("text", texts)]))
    };
    let batches = (0..30).map(|i| noise(i * 100_000..(i + 1) * 100_000));
    let manifest = write(&store, vec![batches.collect()], &WriteOptions::new())?;
    assert!(manifest.bytes() > 20 << 20);
    let folder = tempfile::tempdir()?;
    download(&store, folder.path());
    manifest.verify(folder.path())?;
    Ok(())
}

#[test]
fn a_failed_output_leaves_no_objects() -> TestResult {
    let store = Arc::new(InMemory::new());
    let error = || Error::Data {
        operator: "clip".into(),
        problem: "it broke".into(),
    };
    let failing = vec![
        vec![Ok(numbered(0..1000))],
        vec![Ok(numbered(0..1000)), Err(error())],
    ];
    let options = WriteOptions::new().with_layout(FileLayout::RowsPerFile(100));
    let told = write(&store, failing, &options).unwrap_err();
    assert_snapshot!(told, @"clip: it broke");
    assert_eq!(objects(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_remote_folder_is_replaced_only_on_request_and_only_if_it_is_ours() -> TestResult {
    let store = Arc::new(InMemory::new());
    let write = |options: &WriteOptions| write(&store, two_partitions(), options);
    write(&WriteOptions::new().with_layout(FileLayout::RowsPerFile(1)))?;
    let refused = write(&WriteOptions::new()).unwrap_err();
    assert_snapshot!(refused, @"write `memory://bucket/data/out`: it exists already; choose another folder or allow overwriting");
    let overwrite = WriteOptions::new().with_overwrite(true);
    write(&overwrite)?;
    assert_eq!(objects(&store).len(), 5);

    let location = |name: &str| object_store::path::Path::parse(format!("data/out/{name}"));
    futures::executor::block_on(store.delete(&location("_emrys.json")?))?;
    assert_snapshot!(write(&overwrite).unwrap_err(), @"overwrite `memory://bucket/data/out`: there are objects but no `_emrys.json`, so it was not written by emrys; choose another place or delete them yourself");

    // What a killed writer has left is no reason to refuse.
    futures::executor::block_on(store.put(&location("_incomplete")?, "".into()))?;
    futures::executor::block_on(store.put(&location("part_00077_00000.parquet")?, "x".into()))?;
    write(&WriteOptions::new())?;
    assert_eq!(objects(&store).len(), 5);
    Ok(())
}

#[test]
fn an_unfinished_remote_folder_is_not_read_as_whole() -> TestResult {
    let store = Arc::new(InMemory::new());
    let session = session(2);
    let schema = schema_of(&numbered(0..0));
    let options = WriteOptions::new();
    session.block_on(async {
        let first = futures::stream::iter([Ok(numbered(0..10))]);
        let stalled = StreamExt::chain(first, futures::stream::pending());
        let stalled = RecordBatchStreamAdapter::new(numbered(0..0).schema(), stalled);
        let streams: Vec<SendableRecordBatchStream> = vec![Box::pin(stalled)];
        let begun = Begun::new(&numbered(0..0).schema(), &schema, &options)?;
        let prefix = object_store::path::Path::from("data/out");
        let url = Path::new("memory://bucket/data/out");
        let shared = Arc::clone(&store) as Arc<dyn ObjectStore>;
        let output = Output::create_remote(begun, shared, prefix, url).await?;
        let write = write_output(streams, url, output);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(100), write).await;
        assert!(waited.is_err());
        Ok::<_, Error>(())
    })?;
    // As after a killed process: the marker is there, and the manifest is not.
    assert_eq!(objects(&store), ["data/out/_incomplete"]);
    let folder = tempfile::tempdir()?;
    download(&store, folder.path());
    let error = Dataset::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("it is the unfinished output of an interrupted run"),
        "{error}"
    );
    Ok(())
}
