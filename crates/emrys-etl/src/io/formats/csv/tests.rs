use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use emrys_schema::DType;
use insta::assert_snapshot;
use proptest::prelude::*;
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::io::testing::{
    TestResult, batch, collect_partitions, frame, integers, session, without_folder,
};
use crate::io::{OpenOptions, ROW_ID};
use crate::{Dataset, ReadOptions};

/// A folder with a file of this name and content.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn options(format: CsvFormat) -> OpenOptions {
    OpenOptions::new().with_format(format)
}

/// All rows as one batch, read with two partitions.
fn rows(dataset: &Dataset) -> RecordBatch {
    let session = session(2);
    let frame = frame(&session, dataset, ReadOptions::default());
    let batches: Vec<_> = collect_partitions(&session, frame)
        .into_iter()
        .flatten()
        .collect();
    concat_batches(dataset.arrow_schema(), &batches).unwrap()
}

fn shown(dataset: &Dataset) -> String {
    arrow::util::pretty::pretty_format_batches(&[rows(dataset)])
        .unwrap()
        .to_string()
}

/// The error of opening or reading a file with this content.
fn error(content: impl AsRef<[u8]>, format: CsvFormat) -> String {
    let (folder, path) = file("x.csv", content);
    let read = || {
        let dataset = Dataset::open_with(&path, &options(format))?;
        let session = session(1);
        let frame = frame(&session, &dataset, ReadOptions::default());
        session
            .block_on(frame.collect())
            .map_err(Error::query("reading"))
            .map_err(|error| dataset.blame(error))
    };
    without_folder(&read().unwrap_err(), folder.path())
}

#[test]
fn types_are_guessed_and_quotes_removed() -> TestResult {
    let (_folder, path) = file(
        "x.csv",
        "\u{feff}id,name,price,day,seen\r\n\
         1,\"a, \"\"b\"\"\nc\",1.5,2020-01-31,true\r\n\
         \r\n\
         2,,2,,false\r\n\
         3,\"\",,1970-01-01,",
    );
    let dataset = Dataset::open(&path)?;
    let types = dataset.schema().iter().map(|column| column.dtype());
    assert_eq!(
        types.collect::<Vec<_>>(),
        [
            DType::Int64,
            DType::String,
            DType::Float64,
            DType::Date,
            DType::Bool
        ]
    );
    assert_snapshot!(shown(&dataset), @r#"
    +----+--------+-------+------------+-------+
    | id | name   | price | day        | seen  |
    +----+--------+-------+------------+-------+
    | 1  | a, "b" | 1.5   | 2020-01-31 | true  |
    |    | c      |       |            |       |
    | 2  |        | 2.0   |            | false |
    | 3  |        |       | 1970-01-01 |       |
    +----+--------+-------+------------+-------+
    "#);
    // An empty field is null, an empty quoted one is a text.
    assert_eq!(rows(&dataset).column(1).null_count(), 1);
    Ok(())
}

#[test]
fn delimiters_may_have_several_characters_and_texts_may_be_latin_1() -> TestResult {
    let (_folder, path) = file("movies.dat", b"1::Caf\xe9 \"M:\"::Drama\n2::\x80::\n");
    let format = CsvFormat::new()
        .with_delimiter("::")
        .with_names(["movie", "title", "genre"])
        .with_encoding("latin-1")
        .with_quote(None);
    let dataset = Dataset::open_with(&path, &options(format))?;
    let read = rows(&dataset);
    let titles: Vec<_> = read.column(1).as_string_view().iter().collect();
    assert_eq!(titles, [Some("Café \"M:\""), Some("\u{80}")]);
    let genres: Vec<_> = read.column(2).as_string_view().iter().collect();
    assert_eq!(genres, [Some("Drama"), None]);
    Ok(())
}

#[rstest]
#[case("utf-16le", encoding_rs::UTF_16LE)]
#[case("windows-1252", encoding_rs::WINDOWS_1252)]
#[case("shift_jis", encoding_rs::SHIFT_JIS)]
fn other_encodings_are_read(
    #[case] name: &str,
    #[case] encoding: &'static encoding_rs::Encoding,
) -> TestResult {
    let text = match name {
        "windows-1252" => "a,b\n1,€ ü\n2,“x”\n",
        _ => "a,b\n1,表 テ\n2,x\n",
    };
    let bytes: Vec<u8> = match name {
        // The library writes UTF-8 for it.
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => encoding.encode(text).0.into_owned(),
    };
    let (_folder, path) = file("x.csv", bytes);
    let read = Dataset::open_with(&path, &options(CsvFormat::new().with_encoding(name)))?;
    let (_folder, path) = file("x.csv", text);
    assert_eq!(rows(&read), rows(&Dataset::open(&path)?));
    Ok(())
}

#[test]
fn types_and_nulls_can_be_given() -> TestResult {
    let (_folder, path) = file("x.tsv", "a\tb\tc\n68fd1e64\t\\N\t007\nff\t\"\\N\"\tNA\n");
    let format = CsvFormat::new()
        .with_type("a", ColumnType::Hex)
        .with_type("b", DType::String)
        .with_type("c", DType::UInt8)
        .with_nulls(["\\N", "NA"]);
    let dataset = Dataset::open_with(&path, &options(format))?;
    assert_snapshot!(shown(&dataset), @r"
    +------------+----+---+
    | a          | b  | c |
    +------------+----+---+
    | 1761418852 |    | 7 |
    | 255        | \N |   |
    +------------+----+---+
    ");
    let wrong = CsvFormat::new().with_type("aa", DType::Int8);
    let refused = Dataset::open_with(&path, &options(wrong)).unwrap_err();
    assert_snapshot!(refused, @"csv types: column `aa` is not in the input (input: a, b, c)");
    Ok(())
}

#[test]
fn what_does_not_fit_is_named_with_its_line() {
    let plain = CsvFormat::new;
    let late = "a,b\n1,x\n2,\"y\n\"\n3.5,z\n";
    assert_snapshot!(error(late, plain().with_sample_rows(2)), @"read `x.csv`: line 5 holds `3.5` in column `a`, which is not int64, the type its first rows have; give the column's type or name it as a null text");
    assert_snapshot!(error("a\n1\nx\n", plain().with_type("a", DType::Float32)), @"read `x.csv`: line 3 holds `x` in column `a`, which is not float32, the type that was given; give another type or name it as a null text");
    assert_snapshot!(error("a,b\n1,2\n1,2,3\n", plain()), @"read `x.csv`: line 3 has 3 fields, but there are 2 columns; correct it, or the delimiter and quote");
    assert_snapshot!(error("a,b\n1,\"2\n3,4\n", plain()), @"read `x.csv`: line 2 begins a quote that is not closed; correct it, or read with another quote or none");
    assert_snapshot!(error("a,b\n1,\"2\"x\n", plain()), @"read `x.csv`: line 2 has text between a closing quote and the next delimiter; correct it, or read with another quote or none");
    assert_snapshot!(error(b"a,b\n1,\xe4\n", plain()), @"read `x.csv`: line 2 holds `�`, which is not UTF-8; give the encoding, such as `latin-1`");
    assert_snapshot!(error("a,a\n1,2\n", plain()), @"read `x.csv`: two columns are called `a`; rename one of them");
    assert_snapshot!(error("1,2\n", plain().with_names(["a"])), @"read `x.csv`: line 1 has 2 fields, but 1 names are given; correct the names or the delimiter");
    assert_snapshot!(error("", plain()), @"read `x.csv`: the file is empty (0 bytes); write it again or leave it out");
    assert_snapshot!(error("\n\n", plain()), @"read `x.csv`: it holds no record; write it again or leave it out");
    assert_snapshot!(error(b"\xff\xfea\0", plain()), @"read `x.csv`: it is UTF-16 and not UTF-8; give the encoding `utf-16le` or `utf-16be`");
    assert_snapshot!(error(b"a\n\x81\n", plain().with_encoding("shift_jis")), @"read `x.csv`: it is not Shift_JIS (its bytes `81` are no character); give its encoding");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let plain = CsvFormat::new;
    assert_snapshot!(error("a", plain().with_delimiter("")), @r#"csv: `delimiter` is "", but it must have a character, and neither line breaks nor the quote; give another one"#);
    assert_snapshot!(error("a", plain().with_quote('ä')), @"csv: `quote` is 'ä', but it must be an ASCII character and no line break; give another one");
    assert_snapshot!(error("a", plain().with_encoding("utf-9")), @"csv: `encoding` is `utf-9`, but there is no such encoding; use a name as `utf-8`, `latin-1`, `windows-1252` or `shift_jis`");
    assert_snapshot!(error("a", plain().with_type("a", DType::Unknown)), @"type of a column of texts: column `a` is unknown, but texts are read as bool, numbers, strings, dates, timestamps or hex; give one of these");
}

/// A text of several chunks whose records have between 5 and 600 bytes, some with line breaks.
fn long_text() -> String {
    let mut text = String::from("id,text\n");
    for id in 0..20_000 {
        let filler = "ü\n\"\"".repeat(id * 7 % 23 * 8 * usize::from(id % 3 == 0));
        text += &format!("{id},\"{filler}\"\n");
    }
    assert!(text.len() as u64 > 2 * crate::io::formats::text::CHUNK_BYTES);
    text
}

#[rstest]
#[case(CsvFormat::new())]
#[case(CsvFormat::new().with_encoding("windows-1252"))]
#[case(CsvFormat::new().with_encoding("latin-1"))]
fn partitions_are_contiguous_whatever_the_threads(#[case] format: CsvFormat) -> TestResult {
    let (_folder, path) = file("x.csv", long_text());
    let dataset = Dataset::open_with(&path, &options(format))?;
    assert!(dataset.files()[0].row_groups.len() > 2);
    let with_row_id = ReadOptions {
        row_id: true,
        ..ReadOptions::default()
    };
    let expected: Vec<i64> = (0..20_000).collect();
    let whole = rows(&dataset);
    for partitions in [1, 2, 5, 16] {
        let session = session(partitions);
        let found = collect_partitions(&session, frame(&session, &dataset, with_row_id));
        assert_eq!(found.len(), partitions);
        assert_eq!(integers(found.iter().flatten(), "id"), expected);
        assert_eq!(integers(found.iter().flatten(), ROW_ID), expected);
        let batches: Vec<_> = found.into_iter().flatten().collect();
        let joined = concat_batches(&batches[0].schema(), &batches)?;
        assert_eq!(joined.project(&[0, 1])?.columns(), whole.columns());
    }
    Ok(())
}

#[test]
fn rows_are_counted_and_numbered_without_decoding() -> TestResult {
    let (_folder, path) = file("x.csv", long_text());
    let dataset = Dataset::open(&path)?;
    let session = session(3);
    let with_row_id = ReadOptions {
        row_id: true,
        ..ReadOptions::default()
    };
    let numbers = frame(&session, &dataset, with_row_id).select_columns(&[ROW_ID])?;
    let found = collect_partitions(&session, numbers);
    let expected: Vec<i64> = (0..20_000).collect();
    assert_eq!(integers(found.iter().flatten(), ROW_ID), expected);
    let count = frame(&session, &dataset, ReadOptions::default()).count();
    assert_eq!(session.block_on(count)?, 20_000);
    Ok(())
}

#[test]
fn files_have_the_same_columns_in_any_order() -> TestResult {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("1.csv", "a,b\n1,x\n")?;
    write("2.csv", "b,a\ny,2.5\n")?;
    assert_snapshot!(shown(&Dataset::open(folder.path())?), @r"
    +-----+---+
    | a   | b |
    +-----+---+
    | 1.0 | x |
    | 2.5 | y |
    +-----+---+
    ");
    write("3.csv", "a,c\n1,2\n")?;
    let error = Dataset::open(folder.path()).unwrap_err();
    assert_snapshot!(without_folder(&error, folder.path()), @"files of one data set differ: column `b` is present in `1.csv` but missing in `3.csv`; cast it, or leave one of the files out");
    Ok(())
}

#[test]
fn the_fingerprint_depends_on_bytes_and_format() -> TestResult {
    let (_folder, path) = file("x.csv", "a,b\n1,2\n");
    let with = |format| Dataset::open_with(&path, &options(format))?.fingerprint();
    let first = with(CsvFormat::new())?;
    assert_eq!(first, Dataset::open(&path)?.fingerprint()?);
    assert_ne!(first, with(CsvFormat::new().with_nulls(["1"]))?);
    std::fs::write(&path, "a,b\n1,3\n")?;
    assert_ne!(first, with(CsvFormat::new())?);
    Ok(())
}

#[test]
fn a_changed_file_is_noticed() -> TestResult {
    let (folder, path) = file("x.csv", "a\n1\n");
    let dataset = Dataset::open(&path)?;
    std::fs::write(&path, "a\n1\n2\n")?;
    let session = session(1);
    let frame = frame(&session, &dataset, ReadOptions::default());
    let error = Error::query("reading")(session.block_on(frame.collect()).unwrap_err());
    assert_snapshot!(without_folder(&error, folder.path()), @"read `x.csv`: the file has changed since the data set was opened; open it again");
    Ok(())
}

/// A batch of columns of all guessed types.
fn batches() -> impl Strategy<Value = RecordBatch> {
    let row = (
        prop::option::of(any::<i64>()),
        prop::option::of(-1e300..1e300f64),
        prop::option::of(any::<bool>()),
        prop::option::of(-20_000..20_000i32),
        prop::option::of(-2_000_000_000_000_000..2_000_000_000_000_000i64),
        prop::option::of("[a-z,\"\n\r 0\\\\ü]{0,12}"),
    );
    prop::collection::vec(row, 1..20).prop_map(|rows| {
        macro_rules! column {
            ($place:tt, $array:ty) => {
                Arc::new(<$array>::from_iter(
                    rows.iter().map(|row| row.$place.clone()),
                )) as ArrayRef
            };
        }
        batch([
            ("int", column!(0, Int64Array)),
            ("float", column!(1, Float64Array)),
            ("bool", column!(2, BooleanArray)),
            ("date", column!(3, Date32Array)),
            ("time", column!(4, TimestampMicrosecondArray)),
            ("text", column!(5, StringArray)),
        ])
    })
}

fn write_csv(path: &Path, batch: &RecordBatch, delimiter: u8) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = arrow::csv::WriterBuilder::new()
        .with_null("\\N".into())
        .with_delimiter(delimiter)
        .build(file);
    writer.write(batch).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(batch in batches(), tabs in any::<bool>(), piece in 1usize..4) {
        let folder = tempfile::tempdir().unwrap();
        let (delimiter, byte) = if tabs { ("\t", b'\t') } else { (",", b',') };
        let rows_of_first = batch.num_rows().min(piece);
        write_csv(&folder.path().join("1.csv"), &batch.slice(0, rows_of_first), byte);
        let rest = batch.slice(rows_of_first, batch.num_rows() - rows_of_first);
        write_csv(&folder.path().join("2.csv"), &rest, byte);
        let types = [
            ("int", "int64"),
            ("float", "float64"),
            ("bool", "bool"),
            ("date", "date"),
            ("time", "timestamp[us]"),
            ("text", "string"),
        ];
        let format = types.into_iter().fold(
            CsvFormat::new().with_delimiter(delimiter).with_nulls(["\\N"]),
            |format, (name, dtype)| format.with_type(name, dtype.parse::<DType>().unwrap()),
        );
        // A slice without rows is written without a header.
        let files = if rest.num_rows() == 0 { vec!["1.csv"] } else { vec!["1.csv", "2.csv"] };
        let paths = files.iter().map(|name| folder.path().join(name));
        let dataset = Dataset::from_paths_with(paths, &options(format)).unwrap();
        let expected = crate::io::table::cast_batch(&batch, dataset.arrow_schema()).unwrap();
        let found = rows(&dataset);
        prop_assert_eq!(found.columns(), expected.columns());
    }

    #[test]
    fn damaged_bytes_never_panic(
        place in 0usize..4000,
        length in 0usize..5,
        bytes in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let mut text = b"\xef\xbb\xbfid,text,x\n".to_vec();
        for id in 0..200 {
            text.extend_from_slice(format!("{id},\"a\"\"{id}\r\n\",1.5\n").as_bytes());
        }
        let place = place.min(text.len());
        let end = (place + length).min(text.len());
        text.splice(place..end, bytes);
        let (_folder, path) = file("x.csv", text);
        if let Ok(dataset) = Dataset::open(&path) {
            let session = session(2);
            let frame = frame(&session, &dataset, ReadOptions::default());
            let collect = async { frame.collect().await.map_err(Error::query("reading")) };
            let read = session.run("reading", collect);
            let panicked = matches!(read, Err(Error::Panicked { .. }));
            prop_assert!(!panicked, "{:?}", read.err());
            if let Ok(batches) = read {
                let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
                prop_assert_eq!(found as u64, dataset.num_rows());
            }
        }
    }
}
