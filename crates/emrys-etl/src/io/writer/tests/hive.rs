//! Folders by the values of columns.

use super::*;

fn columns() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int32Array::from_iter_values(0..8));
    let day: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![
        Some(0),
        Some(1),
        None,
        Some(1),
        Some(0),
        Some(0),
        None,
        Some(1),
    ]));
    let word: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a/b"),
        Some("x=1"),
        Some("__HIVE_DEFAULT_PARTITION__"),
        None,
        Some(""),
        Some("a/b"),
        Some("50%"),
        Some("è"),
    ]));
    batch([("day", day), ("id", id), ("word", word)])
}

fn write(data: &RecordBatch, out: &Path, options: &WriteOptions) -> Result<Manifest> {
    let halves = [data.slice(0, 5), data.slice(5, data.num_rows() - 5)];
    write_batches(
        halves.map(Ok),
        &data.schema(),
        &schema_of(data),
        out,
        options,
    )
}

#[test]
fn values_become_folders() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let options = WriteOptions::new().with_partition_on(["day", "word"]);
    let manifest = write(&columns(), &out, &options)?;
    assert_eq!(manifest.partition_on, ["day", "word"]);
    let rows = manifest.files.iter().map(|file| (&*file.name, file.rows));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            ("day=1970-01-01/word=/part_00000.parquet", 1),
            ("day=1970-01-01/word=a%2Fb/part_00000.parquet", 2),
            (
                "day=1970-01-02/word=__HIVE_DEFAULT_PARTITION__/part_00000.parquet",
                1
            ),
            ("day=1970-01-02/word=x%3D1/part_00000.parquet", 1),
            ("day=1970-01-02/word=è/part_00000.parquet", 1),
            (
                "day=__HIVE_DEFAULT_PARTITION__/word=%5F_HIVE_DEFAULT_PARTITION__/part_00000.parquet",
                1
            ),
            (
                "day=__HIVE_DEFAULT_PARTITION__/word=50%25/part_00000.parquet",
                1
            ),
        ]
    );
    assert_eq!(rows_of(&out).len(), 8);
    // The columns of folders come last, where their readers put them.
    assert_eq!(Schema::read(&out)?.names(), ["id", "day", "word"]);
    let file = fs::File::open(out.join(&manifest.files[0].name))?;
    let stored = ParquetRecordBatchReaderBuilder::try_new(file)?;
    assert_eq!(stored.schema().fields().len(), 1);
    assert_eq!(
        Schema::embedded_in(stored.schema())?.map(|schema| schema.len()),
        Some(1)
    );
    Ok(())
}

#[test]
fn few_open_files_make_more_files_and_the_same_rows() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = numbered(0..200);
    let write = |open_files, name: &str| {
        let out = folder.path().join(name);
        let options = WriteOptions::new()
            .with_partition_on(["text"])
            .with_open_files(open_files);
        let batches = (0..20).map(|i| Ok(data.slice(i * 10, 10)));
        write_batches(batches, &data.schema(), &schema_of(&data), &out, &options)
            .map(|manifest| (manifest.files.len(), rows_of(&out)))
    };
    let (files, rows) = write(10, "ten")?;
    assert_eq!((files, rows.len()), (10, 200));
    let (more, same) = write(3, "three")?;
    assert!(more > 10, "{more}");
    assert_eq!(sorted(same), sorted(rows.clone()));
    // In one folder, the rows keep their order over its files.
    let (_, one) = write(1, "one")?;
    assert_eq!(one, rows);
    Ok(())
}

#[test]
fn little_memory_makes_small_row_groups() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = numbered(0..1000);
    let options = WriteOptions::new()
        .with_partition_on(["text"])
        .with_buffer_bytes(1);
    let batches = (0..10).map(|i| Ok(data.slice(i * 100, 100)));
    let manifest = write_batches(batches, &data.schema(), &schema_of(&data), &out, &options)?;
    let file = fs::File::open(out.join(&manifest.files[0].name))?;
    let stored = ParquetRecordBatchReaderBuilder::try_new(file)?;
    assert_eq!(stored.metadata().num_row_groups(), 10);
    assert_eq!(rows_of(&out).len(), 1000);
    Ok(())
}

#[test]
fn no_rows_make_a_folder_of_nulls() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = numbered(0..0);
    let options = WriteOptions::new().with_partition_on(["text"]);
    let batches = [Ok(data.clone())];
    let manifest = write_batches(batches, &data.schema(), &schema_of(&data), &out, &options)?;
    let names: Vec<_> = manifest.files.iter().map(|file| &file.name).collect();
    assert_eq!(
        names,
        ["text=__HIVE_DEFAULT_PARTITION__/part_00000.parquet"]
    );
    assert_eq!(rows_of(&out).len(), 0);
    Ok(())
}

#[test]
fn columns_that_cannot_name_folders_are_refused_at_once() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let price: ArrayRef = Arc::new(Float32Array::from(vec![0.5]));
    let word: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(300)]));
    let data = batch([("price", price), ("word", word)]);
    let write = |columns: &[&str]| {
        let options = WriteOptions::new().with_partition_on(columns.iter().copied());
        let batches = [Ok(data.clone())];
        write_batches(batches, &data.schema(), &schema_of(&data), &out, &options)
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(write(&["price"]), @"write: column `price` is Float32, but folders are named by integers, booleans, texts, dates or timestamps; cast it, or put it into buckets first");
    assert_snapshot!(write(&["wort"]), @"write: column `wort` is not in the input; did you mean `word`? (input: price, word)");
    assert_snapshot!(write(&["word", "word"]), @"write with folders by value: two columns are called `word`; rename one of them");
    assert_snapshot!(write(&["word"]), @"write: `word` has a value of 300 bytes, too long for the name of a folder (it begins `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`); hash it, or put it into buckets first");
    let texts = numbered(0..1);
    let options = WriteOptions::new().with_partition_on(["id", "text"]);
    let batches = [Ok(texts.clone())];
    let error = write_batches(batches, &texts.schema(), &schema_of(&texts), &out, &options);
    assert_snapshot!(error.unwrap_err(), @r#"write: `partition_on` is ["id", "text"], but a column must be left for the files; name fewer"#);
    assert_eq!(names(folder.path()), Vec::<String>::new());
    Ok(())
}
