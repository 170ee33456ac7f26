mod atomic;
mod hive;
mod modes;
mod parquet_file;
mod remote;
mod shuffle;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use insta::assert_snapshot;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rstest::rstest;

use super::encoding::Encoding;
use super::parquet_file::ParquetFile;
use super::*;
use crate::io::MANIFEST_FILE;
use crate::io::testing::{TestResult, batch, frame, integers, numbered, session, write_parquet};
use crate::{Dataset, ReadOptions, Session};

fn schema_of(batch: &RecordBatch) -> Schema {
    Schema::from_arrow(&batch.schema()).unwrap()
}

/// Streams of the given batches; the last may end in an error.
fn streams(partitions: Vec<Vec<Result<RecordBatch>>>) -> Vec<SendableRecordBatchStream> {
    let schema = numbered(0..0).schema();
    let stream = |batches: Vec<Result<RecordBatch>>| {
        let batches = batches
            .into_iter()
            .map(|batch| batch.map_err(DataFusionError::from));
        let stream = futures::stream::iter(batches.collect::<Vec<_>>());
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream))
            as SendableRecordBatchStream
    };
    partitions.into_iter().map(stream).collect()
}

/// Writes the rows of a data set, read in the partitions of the session.
fn copy(
    session: &Session,
    input: &Dataset,
    out: &Path,
    options: &WriteOptions,
) -> Result<Manifest> {
    session.block_on(async {
        let frame = frame(session, input, ReadOptions::default());
        let streams = frame
            .execute_stream_partitioned()
            .await
            .map_err(Error::query("planning"))?;
        write_partitions(streams, input.schema(), out, options).await
    })
}

/// Writes one batch.
fn write_all(data: &RecordBatch, out: &Path, options: &WriteOptions) -> Result<Manifest> {
    let rows = [Ok(data.clone())];
    write_batches(rows, &data.schema(), &schema_of(data), out, options)
}

fn ids_of(session: &Session, dataset: &Dataset) -> Vec<i64> {
    let frame = frame(session, dataset, ReadOptions::default());
    let batches = session.block_on(async {
        let streams = frame.execute_stream_partitioned().await.unwrap();
        let mut all = Vec::new();
        for stream in streams {
            all.extend(
                futures::TryStreamExt::try_collect::<Vec<_>>(stream)
                    .await
                    .unwrap(),
            );
        }
        all
    });
    integers(&batches, "id")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[rstest]
#[case::per_partition(FileLayout::PerPartition, 4, vec![25, 25, 25, 25])]
#[case::two_files(FileLayout::Files(2), 4, vec![50, 50])]
#[case::three_files(FileLayout::Files(3), 4, vec![25, 25, 50])]
#[case::many_files(FileLayout::Files(9), 2, vec![50, 50])]
#[case::by_rows(FileLayout::RowsPerFile(20), 2, vec![20, 20, 10, 20, 20, 10])]
#[case::by_exact_rows(FileLayout::RowsPerFile(50), 2, vec![50, 50])]
fn rows_keep_their_order(
    #[case] layout: FileLayout,
    #[case] partitions: usize,
    #[case] expected: Vec<u64>,
) -> TestResult {
    let folder = tempfile::tempdir()?;
    write_parquet(folder.path().join("in.parquet"), &numbered(0..100), 25);
    let input = Dataset::open(folder.path().join("in.parquet"))?;
    let out = folder.path().join("deeper/out");
    let session = session(partitions);
    let options = WriteOptions::new()
        .with_layout(layout)
        .with_row_group_rows(15);
    let manifest = copy(&session, &input, &out, &options)?;
    assert_eq!(
        manifest
            .files
            .iter()
            .map(|file| file.rows)
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(manifest.rows, 100);
    let output = Dataset::open(&out)?;
    assert_eq!(ids_of(&session, &output), (0..100).collect::<Vec<_>>());
    assert!(
        output
            .files()
            .iter()
            .flat_map(|file| &file.row_groups)
            .all(|rows| *rows <= 15)
    );
    assert_eq!(names(folder.path()), ["deeper", "in.parquet"]);
    assert_eq!(names(out.parent().unwrap()), ["out"]);
    Ok(())
}

#[test]
fn the_folder_describes_itself() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = numbered(0..5);
    let schema = schema_of(&data);
    let written = write_batches(
        [Ok(data.clone())],
        &data.schema(),
        &schema,
        &out,
        &WriteOptions::new(),
    )?;
    assert_eq!(
        names(&out),
        [
            "_emrys.json",
            "part_00000.parquet",
            "schema.json",
            "schema.pbtxt"
        ]
    );
    assert_eq!(Manifest::read(&out)?, Some(written.clone()));
    written.verify(&out)?;
    assert_eq!(Schema::read(&out)?, schema);
    fs::remove_file(out.join("schema.json"))?;
    fs::remove_file(out.join("schema.pbtxt"))?;
    assert_eq!(
        *Dataset::open(&out)?.schema(),
        schema,
        "the footer has it too"
    );
    Ok(())
}

#[test]
fn values_of_every_kind_come_back() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let as_type = |to: &DataType| arrow::compute::cast(&words, to).unwrap();
    let word_lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let to_words = DataType::List(Arc::new(arrow::datatypes::Field::new_list_field(
        DataType::Utf8View,
        true,
    )));
    let data = batch([
        ("plain", Arc::clone(&words)),
        ("large", as_type(&DataType::LargeUtf8)),
        ("view", as_type(&DataType::Utf8View)),
        (
            "dictionary",
            as_type(&DataType::Dictionary(
                Box::new(DataType::UInt8),
                Box::new(DataType::Utf8),
            )),
        ),
        (
            "number",
            Arc::new(Float32Array::from(vec![Some(0.5), None, Some(f32::NAN)])),
        ),
        ("list", Arc::new(word_lists.clone())),
        ("words", arrow::compute::cast(&word_lists, &to_words)?),
        (
            "bits",
            arrow::compute::cast(&Int32Array::from(vec![0, 1, 1]), &DataType::Boolean)?,
        ),
    ]);
    let mut shown = Vec::new();
    for compression in [
        Compression::None,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd(1),
        Compression::Gzip(1),
        Compression::Brotli(1),
    ] {
        let options = WriteOptions::new()
            .with_compression(compression)
            .with_overwrite(true);
        write_batches(
            [Ok(data.clone())],
            &data.schema(),
            &schema_of(&data),
            &out,
            &options,
        )?;
        let session = session(1);
        let frame = Dataset::open(&out)?.to_dataframe(session.context(), None)?;
        let found = session.block_on(frame.collect())?;
        shown.push(arrow::util::pretty::pretty_format_batches(&found)?.to_string());
    }
    assert!(shown.iter().all(|other| *other == shown[0]));
    assert_snapshot!(shown[0], @r"
    +-------+-------+------+------------+--------+-------+-------+-------+
    | plain | large | view | dictionary | number | list  | words | bits  |
    +-------+-------+------+------------+--------+-------+-------+-------+
    | a     | a     | a    | a          | 0.5    | [1, ] | [1, ] | false |
    |       |       |      |            |        |       |       | true  |
    | b     | b     | b    | b          | NaN    | []    | []    | true  |
    +-------+-------+------+------------+--------+-------+-------+-------+
    ");
    // Other readers see plain types, whatever the encoding in memory was.
    let file = fs::File::open(out.join("part_00000.parquet"))?;
    let stored = Arc::clone(ParquetRecordBatchReaderBuilder::try_new(file)?.schema());
    assert!(
        stored
            .fields()
            .iter()
            .take(4)
            .all(|field| *field.data_type() == DataType::Utf8),
        "{stored}"
    );
    Ok(())
}

#[test]
fn no_rows_still_make_one_file_with_the_columns() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let session = session(2);
    let schema = schema_of(&numbered(0..0));
    let empty = streams(vec![vec![], vec![Ok(numbered(0..0))]]);
    let options = WriteOptions::new();
    let manifest = session.block_on(write_partitions(empty, &schema, &out, &options))?;
    assert_eq!((manifest.rows, manifest.files.len()), (0, 1));
    let output = Dataset::open(&out)?;
    assert_eq!(
        (output.num_rows(), output.schema().names()),
        (0, vec!["id", "text"])
    );
    assert_eq!(ids_of(&session, &output), Vec::<i64>::new());
    Ok(())
}

#[test]
fn partitions_without_rows_make_no_files() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let session = session(2);
    let schema = schema_of(&numbered(0..0));
    let some = streams(vec![
        vec![],
        vec![Ok(numbered(0..3))],
        vec![],
        vec![Ok(numbered(3..5))],
    ]);
    let options = WriteOptions::new();
    let manifest = session.block_on(write_partitions(some, &schema, &out, &options))?;
    let files: Vec<_> = manifest
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.rows))
        .collect();
    assert_eq!(
        files,
        [("part_00000.parquet", 3), ("part_00001.parquet", 2)]
    );
    Ok(())
}

#[test]
fn large_domains_are_written_without_a_dictionary() -> TestResult {
    let folder = tempfile::tempdir()?;
    let id = |name: &str, max| {
        emrys_schema::ColumnSchema::new(name, emrys_schema::DType::Int32)
            .with_domain(emrys_schema::Domain::int(0, max))
    };
    let schema = Schema::new([id("few", 9), id("many", 1 << 20)])?;
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 2]));
    let data = batch([("few", Arc::clone(&ids)), ("many", ids)]);
    let out = folder.path().join("out");
    write_batches(
        [Ok(data.clone())],
        &data.schema(),
        &schema,
        &out,
        &WriteOptions::new(),
    )?;
    let file = fs::File::open(out.join("part_00000.parquet"))?;
    let metadata = ParquetRecordBatchReaderBuilder::try_new(file)?
        .metadata()
        .clone();
    let columns = metadata.row_group(0).columns();
    assert!(columns[0].dictionary_page_offset().is_some());
    assert!(columns[1].dictionary_page_offset().is_none());
    Ok(())
}

#[test]
fn a_folder_that_does_not_agree_with_its_manifest_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = numbered(0..10);
    let options = WriteOptions::new().with_layout(FileLayout::RowsPerFile(5));
    let manifest = write_all(&data, &out, &options)?;
    let open = || {
        Dataset::open(&out)
            .unwrap_err()
            .to_string()
            .replace(&*out.to_string_lossy(), "out")
    };

    fs::write(out.join("_incomplete"), "")?;
    assert_snapshot!(open(), @"read `out`: it is the unfinished output of an interrupted run; run it again");
    fs::remove_file(out.join("_incomplete"))?;

    write_parquet(out.join("part_00009.parquet"), &numbered(0..1), 10);
    assert_snapshot!(open(), @"load `out`: `part_00009.parquet` is not in the manifest `_emrys.json`; move it elsewhere, or delete the manifest to read all files");
    fs::remove_file(out.join("part_00009.parquet"))?;

    let second = out.join("part_00001.parquet");
    let bytes = fs::read(&second)?;
    fs::remove_file(&second)?;
    assert_snapshot!(open(), @"load `out`: `part_00001.parquet` is missing, which the manifest `_emrys.json` lists; write the data again");

    write_parquet(&second, &numbered(0..4), 10);
    let size = fs::metadata(&second)?.len().to_string();
    let original = manifest.files[1].bytes.to_string();
    assert_snapshot!(open().replace(&size, "SIZE").replace(&original, "ORIGINAL"), @"load `out`: `part_00001.parquet` has 4 rows and SIZE bytes, but the manifest `_emrys.json` says 5 rows and ORIGINAL bytes; write the data again");

    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    fs::write(&second, damaged)?;
    Dataset::open(&out)?;
    let error = manifest.verify(&out).unwrap_err().to_string();
    assert!(
        error.contains("part_00001.parquet`: its checksum is"),
        "{error}"
    );
    fs::write(&second, bytes)?;
    manifest.verify(&out)?;

    fs::write(out.join(MANIFEST_FILE), r#"{"version": 9, "parts": []}"#)?;
    assert_snapshot!(open(), @"load `out/_emrys.json`: format version 9 is newer than 1, the newest this version reads; update emrys");
    fs::write(out.join(MANIFEST_FILE), "half")?;
    assert_snapshot!(open(), @"load `out/_emrys.json`: it is not a manifest (expected value at line 1 column 1); write the data again");
    Ok(())
}

#[test]
fn options_and_columns_are_checked_before_anything_is_written() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = numbered(0..1);
    let write = |schema: &Schema, options: &WriteOptions| {
        let error =
            write_batches([Ok(data.clone())], &data.schema(), schema, &out, options).unwrap_err();
        error.to_string()
    };
    let schema = schema_of(&data);
    let options = WriteOptions::new();
    assert_snapshot!(write(&schema, &options.clone().with_row_group_rows(0)), @"write: `row_group_rows` is 0, but at least 1 is needed");
    assert_snapshot!(write(&schema, &options.clone().with_layout(FileLayout::Files(0))), @"write: `layout` is Files(0), but at least 1 file is needed");
    assert_snapshot!(write(&schema, &options.clone().with_compression(Compression::Zstd(99))), @"write: `compression` is Zstd(99), but levels are 1 to 22");
    assert_snapshot!(write(&schema, &options.clone().with_compression(Compression::Gzip(10))), @"write: `compression` is Gzip(10), but levels are 0 to 9");
    assert_snapshot!(write(&schema, &options.clone().with_layout(FileLayout::BytesPerFile(0))), @"write: `layout` is BytesPerFile(0), but at least 1 byte is needed");
    assert_snapshot!(write(&schema, &options.clone().with_open_files(0)), @"write: `open_files` is 0, but at least 1 is needed");
    let no_window = Shuffle::PerPartition {
        seed: 1,
        window_rows: 0,
    };
    assert_snapshot!(write(&schema, &options.clone().with_shuffle(no_window)), @"write: `window_rows` is 0, but at least 1 row is needed");
    assert_snapshot!(write(&schema.select(["id"])?, &options), @r#"write: the data have the columns ["id", "text"], but the schema has ["id"]; let the schema name the columns in their order"#);
    assert_eq!(names(folder.path()), Vec::<String>::new());
    Ok(())
}

/// The rows of all files of an output as texts, with the columns that name folders.
fn rows_of(out: &Path) -> Vec<String> {
    let manifest = Manifest::read(out).unwrap().unwrap();
    let mut rows = Vec::new();
    for file in &manifest.files {
        let reader = fs::File::open(out.join(&file.name)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(reader).unwrap();
        let folders: String = PathBuf::from(&file.name)
            .parent()
            .into_iter()
            .flat_map(|parent| parent.iter().map(|part| format!(", {}", part.display())))
            .collect();
        let mut in_file = 0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let options = arrow::util::display::FormatOptions::new().with_null("null");
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| {
                    arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options)
                        .unwrap()
                })
                .collect();
            for row in 0..batch.num_rows() {
                let values: Vec<String> = columns
                    .iter()
                    .map(|column| column.value(row).to_string())
                    .collect();
                rows.push(values.join(", ") + &folders);
            }
            in_file += batch.num_rows() as u64;
        }
        assert_eq!(in_file, file.rows, "{}", file.name);
    }
    manifest.verify(out).unwrap();
    rows
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}
