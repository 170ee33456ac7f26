use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use emrys_schema::{ColumnSchema, DType, Tag};
use insta::assert_snapshot;

use super::*;
use crate::io::testing::{
    TestResult, batch, integers, numbered, session, without_folder as text, write_parquet,
};

fn ids(dataset: &Dataset) -> Vec<i64> {
    let session = session(1);
    let frame = dataset
        .to_dataframe(session.context(), Some(&["id"]))
        .unwrap();
    integers(&session.block_on(frame.collect()).unwrap(), "id")
}

#[test]
fn a_folder_is_read_in_natural_order_without_hidden_files() -> TestResult {
    let folder = tempfile::tempdir()?;
    write_parquet(
        folder.path().join("part_10.parquet"),
        &numbered(20..30),
        100,
    );
    write_parquet(folder.path().join("part_2.parquet"), &numbered(10..20), 100);
    write_parquet(folder.path().join("part_1.PARQUET"), &numbered(0..10), 3);
    std::fs::write(folder.path().join(".part_0.parquet"), "not parquet")?;
    std::fs::write(folder.path().join("_metadata.parquet"), "not parquet")?;
    std::fs::write(folder.path().join("notes.txt"), "not parquet")?;
    std::fs::create_dir(folder.path().join("deeper.parquet"))?;
    let dataset = Dataset::open(folder.path())?;
    assert_eq!(ids(&dataset), (0..30).collect::<Vec<_>>());
    assert_eq!(dataset.num_rows(), 30);
    assert_eq!(dataset.files()[0].row_groups, [3, 3, 3, 1]);
    Ok(())
}

#[test]
fn globs_and_lists_name_files() -> TestResult {
    let folder = tempfile::tempdir()?;
    let day = |n: i64| folder.path().join(format!("day_{n}.parquet"));
    for n in [1, 2, 10] {
        write_parquet(day(n), &numbered(n..n + 1), 100);
    }
    write_parquet(folder.path().join("week.parquet"), &numbered(7..8), 100);
    assert_eq!(
        ids(&Dataset::open(folder.path().join("day_*.parquet"))?),
        [1, 2, 10]
    );
    assert_eq!(ids(&Dataset::from_paths([day(10), day(1)])?), [10, 1]);
    assert_eq!(ids(&Dataset::open(day(2))?), [2]);
    Ok(())
}

#[test]
fn names_with_special_characters_are_read() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a b%20c#ü[1]*.parquet");
    write_parquet(&path, &numbered(0..3), 100);
    assert_eq!(ids(&Dataset::open(&path)?), [0, 1, 2]);
    Ok(())
}

#[test]
fn sources_without_files_say_so() -> TestResult {
    let folder = tempfile::tempdir()?;
    let open = |path: &str| {
        text(
            &Dataset::open(folder.path().join(path)).unwrap_err(),
            folder.path(),
        )
    };
    let error = Dataset::open(folder.path()).unwrap_err();
    assert_snapshot!(text(&error, folder.path()), @"folder `FOLDER`: it holds no data file, such as `*.parquet`, `*.csv`, `*.jsonl` or `*.arrow` (subfolders other than `key=value` and names that begin with `.` or `_` are not read); name the files or another folder, or give their format");
    assert_snapshot!(open("day_*.parquet"), @"pattern `day_*.parquet`: no file matches it");
    assert_snapshot!(open("day_1.parquet"), @"read `day_1.parquet`: there is no such file or folder");
    let error = Dataset::open("day_**.parquet").unwrap_err();
    assert_snapshot!(error, @"read `day_**.parquet`: not a valid pattern at character 3: recursive wildcards must form a single path component");
    let error = Dataset::from_paths(Vec::<PathBuf>::new()).unwrap_err();
    assert_snapshot!(error, @"data set: the list of files is empty; name at least one");
    let error = Dataset::from_paths([folder.path()]).unwrap_err();
    assert_snapshot!(text(&error, folder.path()), @"read `FOLDER`: it is a folder; a list of files is expected here");
    Ok(())
}

#[test]
fn damaged_files_are_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.parquet");
    write_parquet(&path, &numbered(0..100), 100);
    let whole = std::fs::read(&path)?;
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Dataset::open(&path).unwrap_err();
        (text(&error, folder.path()), error)
    };
    assert_snapshot!(open(b"").0, @"read `x.parquet`: the file is empty (0 bytes); write it again or leave it out");
    assert_snapshot!(open(b"PAR1").0, @"read `x.parquet`: it is not a parquet file (too short to be one)");
    assert_snapshot!(open(&whole[..whole.len() / 2]).0, @"read `x.parquet`: it is not a parquet file, or it is cut off (its last bytes are not `PAR1`)");
    let mut long_footer = whole.clone();
    long_footer[whole.len() - 5] = 0x7f;
    assert_snapshot!(open(&long_footer).0, @"read `x.parquet`: it is corrupt: its footer is longer than the file; write it again");
    let mut bad_footer = whole.clone();
    bad_footer[whole.len() - 60..whole.len() - 8].fill(0xff);
    let (text, error) = open(&bad_footer);
    assert_snapshot!(text, @"read `x.parquet`: it is corrupt or no parquet file; write or copy it again");
    assert!(matches!(error, Error::Parquet { .. }), "{error:?}");
    Ok(())
}

#[test]
fn files_with_other_columns_are_refused_with_both_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (a, b) = (
        folder.path().join("a.parquet"),
        folder.path().join("b.parquet"),
    );
    let price: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let word: ArrayRef = Arc::new(StringArray::from(vec!["one"]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let open = |left: &[(&str, &ArrayRef)], right: &[(&str, &ArrayRef)]| {
        for (path, columns) in [(&a, left), (&b, right)] {
            write_parquet(
                path,
                &batch(
                    columns
                        .iter()
                        .map(|(name, column)| (*name, Arc::clone(column))),
                ),
                10,
            );
        }
        Dataset::open(folder.path()).map_err(|error| text(&error, folder.path()))
    };
    assert_snapshot!(open(&[("price", &price)], &[("price", &word)]).unwrap_err(), @"files of one data set differ: column `price` is float64 in `a.parquet` but string in `b.parquet`; cast it, or leave one of the files out");
    assert_snapshot!(open(&[("id", &id), ("price", &price)], &[("id", &id)]).unwrap_err(), @"files of one data set differ: column `price` is float64 in `a.parquet` but missing in `b.parquet`; cast it, or leave one of the files out");
    assert_snapshot!(open(&[("id", &id)], &[("price", &price), ("id", &id)]).unwrap_err(), @"files of one data set differ: column `price` is missing in `a.parquet` but float64 in `b.parquet`; cast it, or leave one of the files out");
    assert!(
        open(
            &[("id", &id), ("price", &price)],
            &[("price", &price), ("id", &id)]
        )
        .is_ok()
    );
    Ok(())
}

#[test]
fn columns_are_found_by_name_whatever_their_order_nullability_and_encoding() -> TestResult {
    let folder = tempfile::tempdir()?;
    let ids = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let as_type = |name: &str| {
        use arrow::datatypes::DataType::{Dictionary, Int8, LargeUtf8, Utf8, Utf8View};
        let to = match name {
            "large" => LargeUtf8,
            "view" => Utf8View,
            "dictionary" => Dictionary(Box::new(Int8), Box::new(Utf8)),
            _ => Utf8,
        };
        arrow::compute::cast(&words, &to).unwrap()
    };
    let path = |name: &str| folder.path().join(format!("{name}.parquet"));
    write_parquet(
        path("1"),
        &batch([("id", ids(vec![Some(1), Some(2)])), ("w", as_type("plain"))]),
        10,
    );
    write_parquet(
        path("2"),
        &batch([("w", as_type("large")), ("id", ids(vec![Some(3), None]))]),
        10,
    );
    write_parquet(
        path("3"),
        &batch([("w", as_type("view")), ("id", ids(vec![Some(5), Some(6)]))]),
        10,
    );
    write_parquet(
        path("4"),
        &batch([
            ("w", as_type("dictionary")),
            ("id", ids(vec![Some(7), Some(8)])),
        ]),
        10,
    );
    let dataset = Dataset::open(folder.path())?;
    assert!(dataset.arrow_schema().field(0).is_nullable());
    let session = session(1);
    let mut shown = Vec::new();
    for dictionary_strings in [false, true] {
        let table = dataset.table(ReadOptions {
            dictionary_strings,
            ..Default::default()
        })?;
        let declared = table.schema();
        let batches =
            session.block_on(async { session.context().read_table(table)?.collect().await })?;
        assert!(batches.iter().all(|batch| batch.schema() == declared));
        shown.push(arrow::util::pretty::pretty_format_batches(&batches)?.to_string());
    }
    assert_eq!(shown[0], shown[1]);
    assert_snapshot!(shown[0], @r"
    +----+---+
    | id | w |
    +----+---+
    | 1  | a |
    | 2  | b |
    | 3  | a |
    |    | b |
    | 5  | a |
    | 6  | b |
    | 7  | a |
    | 8  | b |
    +----+---+
    ");
    Ok(())
}

#[test]
fn lists_with_differently_named_elements_are_the_same() -> TestResult {
    use arrow::array::ListArray;
    use arrow::datatypes::{DataType, Field};
    let folder = tempfile::tempdir()?;
    let lists = |name: &str| {
        let field = Arc::new(Field::new(name, DataType::Int64, true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 1]);
        let values = Arc::new(Int64Array::from(vec![1, 2, 3]));
        Arc::new(ListArray::new(field, offsets, values, None)) as ArrayRef
    };
    write_parquet(
        folder.path().join("1.parquet"),
        &batch([("l", lists("item"))]),
        10,
    );
    write_parquet(
        folder.path().join("2.parquet"),
        &batch([("l", lists("element"))]),
        10,
    );
    let dataset = Dataset::open(folder.path())?;
    let session = session(1);
    let frame = dataset.to_dataframe(session.context(), None)?;
    let batches = session.block_on(frame.collect())?;
    assert_snapshot!(arrow::util::pretty::pretty_format_batches(&batches)?, @r"
    +--------+
    | l      |
    +--------+
    | [1, 2] |
    | []     |
    | [3]    |
    | [1, 2] |
    | []     |
    | [3]    |
    +--------+
    ");
    Ok(())
}

#[test]
fn the_schema_is_the_given_else_of_the_folder_else_of_the_footer_else_inferred() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.parquet");
    let tagged = |tag: Tag| {
        Schema::new([
            ColumnSchema::new("id", DType::Unknown).with_tags([tag]),
            ColumnSchema::new("absent", DType::Bool),
        ])
    };
    write_parquet(&path, &numbered(0..3), 10);
    let dataset = Dataset::open(&path)?;
    assert_eq!(dataset.schema().names(), ["id", "text"]);
    assert_eq!(
        dataset.schema().get("id"),
        Some(&ColumnSchema::new("id", DType::Int64))
    );

    let footer = tagged(Tag::Item)?;
    let embedded = numbered(0..3).with_schema(Arc::new(
        footer.embed_in(numbered(0..3).schema().as_ref().clone())?,
    ))?;
    write_parquet(&path, &embedded, 10);
    assert!(
        Dataset::open(&path)?
            .schema()
            .get("id")
            .unwrap()
            .has_tag(Tag::Item)
    );

    tagged(Tag::User)?.write_dir(folder.path())?;
    let dataset = Dataset::open(&path)?;
    assert!(dataset.schema().get("id").unwrap().has_tag(Tag::User));
    assert_eq!(dataset.schema().names(), ["id", "text"]);
    assert_eq!(dataset.schema().get("id").unwrap().dtype(), DType::Int64);

    let error = dataset
        .clone()
        .with_schema(&tagged(Tag::Time)?)
        .unwrap_err();
    assert_snapshot!(error, @"schema of the data set: column `absent` is not in the input (input: id, text)");
    let wrong = Schema::new([ColumnSchema::new("id", DType::String)])?;
    assert_snapshot!(dataset.clone().with_schema(&wrong).unwrap_err(), @"schema of the data set: column `id` is int64 in the data, but the given schema says string; cast the data or correct the schema");
    let given = tagged(Tag::Time)?.select(["id"])?;
    let dataset = dataset.with_schema(&given)?;
    assert!(dataset.schema().get("id").unwrap().has_tag(Tag::Time));
    assert_eq!(dataset.schema().names(), ["id", "text"]);
    Ok(())
}

#[test]
fn a_changed_file_is_noticed_when_it_is_read() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.parquet");
    write_parquet(&path, &numbered(0..3), 10);
    let dataset = Dataset::open(&path)?;
    write_parquet(&path, &numbered(0..300), 10);
    let session = session(1);
    let frame = dataset.to_dataframe(session.context(), None)?;
    let error = session
        .block_on(frame.collect())
        .map_err(Error::query("reading"))
        .unwrap_err();
    assert_snapshot!(text(&error, folder.path()), @"read `x.parquet`: the file has changed since the data set was opened; open it again");
    Ok(())
}

#[test]
fn the_fingerprint_depends_on_the_data_and_not_on_the_place() -> TestResult {
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    write_parquet(here.path().join("a.parquet"), &numbered(0..100), 10);
    std::fs::copy(
        here.path().join("a.parquet"),
        there.path().join("b.parquet"),
    )?;
    let fingerprint = Dataset::open(here.path())?.fingerprint()?;
    assert_eq!(fingerprint, Dataset::open(there.path())?.fingerprint()?);
    write_parquet(there.path().join("b.parquet"), &numbered(1..101), 10);
    assert_ne!(fingerprint, Dataset::open(there.path())?.fingerprint()?);

    let memory =
        |batch: RecordBatch| Dataset::from_batches(batch.schema(), vec![batch])?.fingerprint();
    let fingerprint = memory(numbered(5..10))?;
    assert_eq!(fingerprint, memory(numbered(0..10).slice(5, 5))?);
    assert_ne!(fingerprint, memory(numbered(6..11))?);
    Ok(())
}

#[test]
fn batches_must_have_the_declared_columns() {
    let other = batch([("id", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]);
    let error =
        Dataset::from_batches(numbered(0..1).schema(), vec![numbered(0..1), other]).unwrap_err();
    assert_snapshot!(error, @"data set: batch 1 has the columns id int32, but the declared ones are id int64, text string; let all batches have the declared ones");
}

#[test]
fn an_unknown_column_of_a_frame_is_refused() -> TestResult {
    let dataset = Dataset::from_batches(numbered(0..1).schema(), vec![])?;
    let error = dataset
        .to_dataframe(session(1).context(), Some(&["idd"]))
        .unwrap_err();
    assert_snapshot!(error, @"data set: column `idd` is not in the input; did you mean `id`? (input: id, text)");
    Ok(())
}

/// `day=<n>/<file>` below a folder, with ids that tell the day.
fn hive_tree(folder: &Path, days: &[&str]) {
    for (number, day) in days.iter().enumerate() {
        let part = folder.join(format!("day={day}"));
        std::fs::create_dir_all(&part).unwrap();
        let first = number as i64 * 100;
        write_parquet(part.join("x.parquet"), &numbered(first..first + 30), 10);
    }
}

#[test]
fn hive_folders_are_columns_in_natural_order() -> TestResult {
    let folder = tempfile::tempdir()?;
    hive_tree(
        folder.path(),
        &["1", "2", "10", "__HIVE_DEFAULT_PARTITION__"],
    );
    std::fs::create_dir(folder.path().join("other"))?;
    std::fs::write(folder.path().join("other/x.parquet"), "not read")?;
    let dataset = Dataset::open(folder.path())?;
    assert_eq!(dataset.schema().names(), ["id", "text", "day"]);
    assert_eq!(dataset.schema().get("day").unwrap().dtype(), DType::Int64);
    for threads in [1, 3] {
        let session = session(threads);
        let frame = dataset.to_dataframe(session.context(), None)?;
        let batches = session.block_on(frame.collect_partitioned())?.concat();
        let ids = integers(&batches, "id");
        assert_eq!(ids[..3], [0, 1, 2]);
        let days: Vec<Option<i64>> = batches
            .iter()
            .flat_map(|batch| {
                let days = batch.column_by_name("day").unwrap();
                days.as_any()
                    .downcast_ref::<Int64Array>()
                    .unwrap()
                    .iter()
                    .collect::<Vec<_>>()
            })
            .collect();
        let expected = ids
            .iter()
            .map(|id| [Some(1), Some(2), Some(10), None][*id as usize / 100]);
        assert_eq!(days, expected.collect::<Vec<_>>());
    }
    let tags = Schema::new([ColumnSchema::new("day", DType::Int64).with_tags([Tag::Time])])?;
    tags.write_dir(folder.path())?;
    let tagged = Dataset::open(folder.path())?;
    assert!(tagged.schema().get("day").unwrap().has_tag(Tag::Time));
    let plain = Dataset::open_with(folder.path(), &OpenOptions::new().with_hive(false));
    assert!(
        matches!(plain, Err(Error::EmptyDataset { .. })),
        "{plain:?}"
    );
    Ok(())
}

#[test]
fn filters_over_hive_columns_leave_files_out_and_keep_row_ids() -> TestResult {
    use crate::io::ROW_ID;
    use crate::io::testing::{collect_partitions, column, frame};
    use datafusion::prelude::lit;
    let folder = tempfile::tempdir()?;
    hive_tree(folder.path(), &["a%2Fb", "b", "c"]);
    let dataset = Dataset::open(folder.path())?;
    assert_eq!(dataset.schema().get("day").unwrap().dtype(), DType::String);
    // Files that are not needed are not touched.
    std::fs::remove_file(folder.path().join("day=b/x.parquet"))?;
    let session = session(2);
    for dictionary_strings in [false, true] {
        let options = ReadOptions {
            row_id: true,
            dictionary_strings,
        };
        let day =
            || datafusion::logical_expr::cast(column("day"), arrow::datatypes::DataType::Utf8);
        let frame = frame(&session, &dataset, options)
            .filter(day().eq(lit("c")).or(day().eq(lit("a/b"))))?
            .filter(column("id").not_eq(lit(7i64)))?
            .select_columns(&[ROW_ID, "id", "day"])?;
        let found = collect_partitions(&session, frame);
        let expected: Vec<i64> = (0..30).chain(200..230).filter(|id| *id != 7).collect();
        assert_eq!(integers(found.iter().flatten(), "id"), expected);
        let rows = expected.iter().map(|id| id % 100 + id / 200 * 60);
        assert_eq!(
            integers(found.iter().flatten(), ROW_ID),
            rows.collect::<Vec<_>>()
        );
    }
    Ok(())
}

#[test]
fn hive_folders_that_do_not_agree_are_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    hive_tree(folder.path(), &["1"]);
    let error = |options: &OpenOptions| {
        let error = Dataset::open_with(folder.path(), options).unwrap_err();
        text(&error, folder.path())
    };
    let given = OpenOptions::new().with_hive_type("day", DType::Bool);
    Dataset::open_with(folder.path(), &given)?;
    let given = OpenOptions::new().with_hive_type("day", DType::Date);
    assert_snapshot!(error(&given), @"read `day=1/x.parquet`: its folder says that `day` is `1`, which is not of the type that was given");
    let given = OpenOptions::new().with_hive_type("dya", DType::Date);
    assert_snapshot!(error(&given), @"hive types: column `dya` is not in the input; did you mean `day`? (input: day)");
    write_parquet(folder.path().join("y.parquet"), &numbered(0..1), 1);
    assert_snapshot!(error(&OpenOptions::new()), @"read `y.parquet`: it is in no folders, but `day=1/x.parquet` is in day=..; let all files be in folders of the same keys");
    std::fs::remove_file(folder.path().join("y.parquet"))?;
    std::fs::create_dir(folder.path().join("id=2"))?;
    std::fs::remove_dir_all(folder.path().join("day=1"))?;
    write_parquet(folder.path().join("id=2/y.parquet"), &numbered(0..1), 1);
    assert_snapshot!(error(&OpenOptions::new()), @"read `id=2/y.parquet`, in whose folders and columns: two columns are called `id`; rename one of them");
    Ok(())
}

#[test]
fn files_of_different_formats_are_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    write_parquet(folder.path().join("a.parquet"), &numbered(0..1), 1);
    std::fs::write(folder.path().join("b.csv"), "id,text\n1,x\n")?;
    let error = Dataset::open(folder.path()).unwrap_err();
    assert_snapshot!(text(&error, folder.path()), @"read `b.csv`: its name tells another format than that of `a.parquet`; give the format, or name files of one format");
    let csv = OpenOptions::new().with_format(crate::io::CsvFormat::new());
    assert_eq!(ids(&Dataset::open_with(folder.path(), &csv)?), [1]);
    let mixed = Dataset::from_paths([
        folder.path().join("a.parquet"),
        "s3://bucket/b.parquet".into(),
    ]);
    assert_snapshot!(mixed.unwrap_err(), @"read `s3://bucket/b.parquet`: it is in another store than the files before, or has another signature; let all files of a list be in one bucket, or local");
    Ok(())
}
