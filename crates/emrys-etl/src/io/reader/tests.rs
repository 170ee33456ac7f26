use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::{DataFrame, Expr, lit};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use crate::functions::by_entry;
use crate::io::testing::{TestResult, batch, collect_partitions, column, frame, session};
use crate::io::{Dataset, ROW_ID, ReadOptions};
use crate::{Session, SessionOptions};

const WITH_ROW_ID: ReadOptions = ReadOptions {
    row_id: true,
    dictionary_strings: false,
};

/// Rows of every kind of column; most have a value several times, and nulls.
fn rows(from: u64, count: usize) -> RecordBatch {
    let number = |row: usize, kinds: u64| {
        let bits = crate::hash::hash_bits(from + row as u64);
        (!bits.is_multiple_of(7)).then_some(bits / 7 % kinds)
    };
    let keys = (0..count).map(|row| number(row, 9).map(|key| key as i64 - 3));
    let scores = (0..count).map(|row| number(row, 20).map(|score| score as f32 / 4.0));
    let texts = (0..count)
        .map(|row| number(row, 5).map(|kind| format!("{}é{kind}", "long ".repeat(kind as usize))));
    let lists = (0..count).map(|row| Some(vec![number(row, 4).map(|value| value as i64)]));
    batch([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                (0..count).map(|row| row as i64),
            )) as ArrayRef,
        ),
        ("key", Arc::new(keys.collect::<Int64Array>())),
        ("score", Arc::new(scores.collect::<Float32Array>())),
        ("text", Arc::new(texts.collect::<StringArray>())),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
        ),
    ])
}

fn write(path: &Path, batch: &RecordBatch, row_group: usize, plain: &[&str]) {
    let mut properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .set_data_page_row_count_limit(7)
        .set_write_batch_size(3);
    for name in plain {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*name), false);
    }
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn all_rows(session: &Session, frame: DataFrame) -> RecordBatch {
    let schema = Arc::clone(frame.schema().inner());
    let found = collect_partitions(session, frame);
    concat_batches(&schema, found.iter().flatten()).unwrap()
}

/// Expressions over one column, over several, and none at all.
fn selected() -> Vec<Expr> {
    use datafusion::functions::expr_fn::{coalesce, upper};

    vec![
        column("id"),
        (column("key") + lit(1_i64)).alias("more"),
        coalesce(vec![column("key"), lit(7_i64)]).alias("filled"),
        (column("key") + column("id")).alias("sum"),
        (column("score") * lit(2.0_f32)).alias("double"),
        column("score").is_null().alias("missing"),
        upper(column("text")).alias("upper"),
        column("text"),
        by_entry(column("key")).alias("entries"),
        by_entry(column("text")).alias("texts"),
        column("list"),
        column(ROW_ID),
        lit(5_i64).alias("five"),
    ]
}

/// With dictionaries as their values.
fn plain(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let values = match column.data_type() {
                DataType::Dictionary(_, values) => cast(column, values).unwrap(),
                _ => Arc::clone(column),
            };
            (field.name().clone(), values)
        });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn files_yield_what_batches_in_memory_do(
        counts in prop::collection::vec(1_usize..120, 1..4),
        row_group in prop_oneof![1_usize..10, 30_usize..200],
        partitions in 1_usize..5,
        batch_rows in prop_oneof![Just(3_usize), Just(16), Just(8192)],
        columns in prop::sample::subsequence(vec!["id", "key", "score", "text"], 0..4),
        selection in prop::sample::subsequence((0..selected().len()).collect::<Vec<_>>(), 1..13),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut batches = Vec::new();
        for (file, count) in counts.iter().enumerate() {
            let rows = rows(file as u64 * 1_000, *count);
            let path = folder.path().join(format!("part_{file}.parquet"));
            write(&path, &rows, row_group, &columns);
            batches.push(rows);
        }
        let options = SessionOptions::new()
            .with_threads(partitions)
            .with_batch_size(batch_rows);
        let session = Session::new(options).unwrap();
        let found = |dataset: &Dataset| {
            let all = selected();
            let selected = selection.iter().map(|place| all[*place].clone());
            let frame = frame(&session, dataset, WITH_ROW_ID);
            let frame = frame.select(selected.collect::<Vec<_>>()).unwrap();
            plain(&all_rows(&session, frame))
        };
        let in_memory = Dataset::from_batches(batches[0].schema(), batches).unwrap();
        prop_assert_eq!(found(&Dataset::open(folder.path()).unwrap()), found(&in_memory));
    }
}

/// A function that counts the rows it sees, and refuses 13.
fn watched(seen: &Arc<AtomicUsize>) -> impl Fn(Expr) -> Expr + use<> {
    let seen = Arc::clone(seen);
    let function = create_udf(
        "watched",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(move |args: &[ColumnarValue]| {
            let values = ColumnarValue::values_to_arrays(args)?.remove(0);
            seen.fetch_add(values.len(), Ordering::Relaxed);
            let has_13 = values
                .as_primitive::<Int64Type>()
                .iter()
                .flatten()
                .any(|v| v == 13);
            match has_13 {
                true => datafusion::common::exec_err!("13 is refused"),
                false => Ok(ColumnarValue::Array(values)),
            }
        }),
    );
    move |operand| function.call(vec![operand])
}

fn one_row_group(folder: &Path, keys: Int64Array) -> Dataset {
    let path = folder.join("a.parquet");
    write(
        &path,
        &batch([("key", Arc::new(keys) as ArrayRef)]),
        1_000,
        &[],
    );
    Dataset::open(path).unwrap()
}

#[test]
fn expressions_over_a_column_see_each_entry_once() -> TestResult {
    let folder = tempfile::tempdir()?;
    let dataset = one_row_group(folder.path(), (0..500).map(|row| Some(row % 5)).collect());
    let session = session(1);
    let seen = Arc::new(AtomicUsize::new(0));
    let watched = watched(&seen);
    let over = |exprs: Vec<Expr>| {
        seen.store(0, Ordering::Relaxed);
        let frame = frame(&session, &dataset, ReadOptions::default()).select(exprs)?;
        let rows = all_rows(&session, frame);
        assert_eq!(rows.num_rows(), 500);
        assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(7), 2);
        Ok::<_, Box<dyn std::error::Error>>(seen.load(Ordering::Relaxed))
    };
    assert_eq!(over(vec![watched(column("key"))])?, 5);
    // The rows are there anyway.
    assert_eq!(
        over(vec![watched(column("key")), column("key").alias("same")])?,
        500
    );
    Ok(())
}

#[test]
fn only_values_of_the_rows_are_to_blame() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = (0..100).map(|row| Some(if row == 3 { 13 } else { row % 4 }));
    let dataset = one_row_group(folder.path(), keys.collect());
    let session = session(5);
    let watched = watched(&Arc::default());
    let frame = frame(&session, &dataset, ReadOptions::default());
    let frame = frame.select(vec![watched(column("key"))])?;
    let streams = session.block_on(frame.execute_stream_partitioned())?;
    assert_eq!(streams.len(), 5);
    for (partition, stream) in streams.into_iter().enumerate() {
        let rows = session.block_on(stream.try_collect::<Vec<_>>());
        match partition {
            0 => assert!(rows.unwrap_err().to_string().contains("13 is refused")),
            _ => assert!(rows?.iter().map(RecordBatch::num_rows).sum::<usize>() > 10),
        }
    }
    Ok(())
}

#[test]
fn volatile_functions_are_evaluated_for_each_row() -> TestResult {
    let folder = tempfile::tempdir()?;
    let dataset = one_row_group(folder.path(), (0..100).map(|row| Some(row % 2)).collect());
    let session = session(1);
    let frame = frame(&session, &dataset, ReadOptions::default());
    let random = cast_to_float(column("key")) + datafusion::functions::expr_fn::random();
    let rows = all_rows(&session, frame.select(vec![random.alias("random")])?);
    let values = rows.column(0).as_primitive::<Float64Type>().values();
    let mut distinct: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 90, "{}", distinct.len());
    Ok(())
}

fn cast_to_float(expr: Expr) -> Expr {
    datafusion::logical_expr::cast(expr, DataType::Float64)
}

#[test]
fn a_dictionary_is_that_of_the_file_and_shared_by_batches() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = (0..100).map(|row| (row != 50).then_some(row % 4));
    let dataset = one_row_group(folder.path(), keys.collect());
    let session = session(1);
    let frame = frame(&session, &dataset, ReadOptions::default());
    let found = collect_partitions(&session, frame.select(vec![by_entry(column("key"))])?);
    let dictionaries: Vec<&ArrayRef> = found
        .iter()
        .flatten()
        .map(|batch| batch.column(0).as_dictionary::<Int32Type>().values())
        .collect();
    assert!(dictionaries.len() > 1);
    assert_eq!(dictionaries[0].len(), 5, "four values, and null");
    for dictionary in &dictionaries {
        assert!(Arc::ptr_eq(dictionary, dictionaries[0]));
    }
    Ok(())
}

#[test]
fn only_the_needed_parts_of_structures_are_read() -> TestResult {
    use datafusion::functions::core::expr_ext::FieldAccessor;

    let folder = tempfile::tempdir()?;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200));
    let texts = (0..200).map(|row| format!("{:x}", crate::hash::hash_bits(row)).repeat(9));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let field =
        |name, values: &ArrayRef| Arc::new(Field::new(name, values.data_type().clone(), true));
    let pairs = StructArray::from(vec![
        (field("a", &numbers), Arc::clone(&numbers)),
        (field("b", &texts), texts),
    ]);
    let path = folder.path().join("a.parquet");
    let columns = [
        ("id", Arc::clone(&numbers)),
        ("pair", Arc::new(pairs) as ArrayRef),
    ];
    write(&path, &batch(columns), 1_000, &[]);
    let dataset = Dataset::open(path)?;
    let session = session(1);
    let read = |pair: Expr| {
        let frame = frame(&session, &dataset, ReadOptions::default());
        let frame = frame.select(vec![column("id"), pair.alias("pair")])?;
        let plan = session.block_on(frame.create_physical_plan())?;
        let context = session.context().task_ctx();
        let rows = datafusion::physical_plan::collect(Arc::clone(&plan), context);
        let rows = session.block_on(rows)?;
        let scan = plan
            .metrics()
            .and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
        let bytes = scan.map_or(0, |bytes| bytes.as_usize());
        Ok::<_, Box<dyn std::error::Error>>((concat_batches(&rows[0].schema(), &rows)?, bytes))
    };
    let (part, bytes_of_part) = read(column("pair").field("a"))?;
    let (_, bytes) = read(column("pair"))?;
    assert_eq!(part.columns(), [Arc::clone(&numbers), numbers]);
    assert!(
        0 < bytes_of_part && 4 * bytes_of_part < bytes,
        "{bytes_of_part} of {bytes}"
    );
    Ok(())
}
