use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use emrys_schema::{ColumnSchema, DType, Domain, Schema};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::basic::{Encoding as PageEncoding, PageType};
use parquet::file::properties::WriterPropertiesBuilder;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;

use super::*;
use crate::io::writer::encoding::{Encoder, Encoding};
use crate::io::writer::flat_column::tests::{
    assert_no_larger, assert_same_metadata, assert_size_is_told, by_library, metadata, page_kinds,
    pieces, read, with_offset_index, written,
};
use crate::io::writer::parquet_file::ParquetFile;
use crate::io::{Compression as Choice, WriteOptions};

/// The encoding of batches whose column `id` has ids below `cardinality`.
pub(in crate::io::writer) fn encoding(
    arrow: &ArrowSchema,
    cardinality: i64,
    options: &WriteOptions,
) -> Encoding {
    let id = ColumnSchema::new("id", DType::Int64).with_domain(Domain::int(0, cardinality - 1));
    let schema = Schema::new([id]).unwrap();
    Encoding::new(arrow, &schema, options).unwrap()
}

fn batch(ids: ArrayRef, is_nullable: bool) -> RecordBatch {
    let field = Field::new("id", ids.data_type().clone(), is_nullable);
    RecordBatch::try_new(Arc::new(ArrowSchema::new(vec![field])), vec![ids]).unwrap()
}

/// Writes the ids as both types, nullable and, where none is null, not; reads them, and compares
/// with the parquet library.
fn check(ids: &Int64Array, cardinality: i64, options: &WriteOptions) {
    check_with(ids, cardinality, options, |properties| properties);
}

fn check_with(
    ids: &Int64Array,
    cardinality: i64,
    options: &WriteOptions,
    change: impl Fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
) {
    for data_type in [DataType::Int32, DataType::Int64] {
        let ids = cast(ids, &data_type).unwrap();
        for is_nullable in [true, false] {
            if !is_nullable && ids.null_count() > 0 {
                continue;
            }
            let batch = batch(Arc::clone(&ids), is_nullable);
            let mut encoding = encoding(&batch.schema(), cardinality, options);
            let cardinality = cardinality as usize;
            assert_eq!(encoding.encoders, [Encoder::Ids { cardinality }]);
            encoding.properties = change(encoding.properties.into_builder()).build();
            let encoding = Arc::new(encoding);
            let batches = pieces(&batch, 3_000);
            let ours = written(&batches, &encoding);
            assert!(read(&ours) == batch, "{data_type}, nullable: {is_nullable}");
            assert_same_metadata(&ours, &by_library(&batches, &encoding));
        }
    }
}

/// Ids of long-tailed popularity: each power of two is as frequent as the next.
fn long_tailed(cardinality: i64, rows: usize, seed: u64) -> Int64Array {
    let mut random = StdRng::seed_from_u64(seed);
    let mut id = || (cardinality as f64).powf(random.random::<f64>()) as i64 - 1;
    (0..rows).map(|_| Some(id().min(cardinality - 1))).collect()
}

fn uniform(cardinality: i64, rows: usize) -> Int64Array {
    let mut random = StdRng::seed_from_u64(7);
    (0..rows)
        .map(|_| Some(random.random_range(0..cardinality)))
        .collect()
}

/// Rows that make more than one page, the last with an odd number of rows.
const ROWS: usize = 45_001;

#[rstest]
#[case::one_id(Int64Array::from(vec![0; ROWS]), 1)]
#[case::two_ids(uniform(2, ROWS), 2)]
#[case::a_few(uniform(5, 77), 5)]
#[case::one_row(Int64Array::from(vec![3]), 4)]
#[case::no_more_than_a_group(Int64Array::from(vec![3, 3, 3]), 4)]
#[case::long_tailed(long_tailed(5_000, ROWS, 1), 5_000)]
#[case::uniform(uniform(65_536, 3 * ROWS), 65_536)]
#[case::all_of_the_largest_domain(Int64Array::from_iter_values((0..65_536).rev()), 65_536)]
#[case::sorted(Int64Array::from_iter_values((0..ROWS as i64).map(|row| row / 100)), 1_000)]
#[case::runs_of_odd_lengths(
    Int64Array::from_iter_values((0..ROWS as i64).map(|row| row * row / 9_000 % 50)),
    50
)]
#[case::beyond_the_domain(uniform(300, ROWS), 10)]
#[case::negative(Int64Array::from_iter_values((0..ROWS as i64).map(|row| row % 7 - 3)), 7)]
#[case::far_beyond_the_domain(Int64Array::from_iter_values([i32::MIN, 0, i32::MAX].map(i64::from)), 7)]
#[case::all_distinct(Int64Array::from_iter_values((0..140_000).map(|id| id - 70_000)), 100)]
#[case::all_null(Int64Array::new_null(ROWS), 10)]
#[case::few_null(
    uniform(300, ROWS).iter().enumerate().map(|(row, id)| id.filter(|_| row != 30_000)).collect(),
    300
)]
#[case::many_null(uniform(300, ROWS).iter().map(|id| id.filter(|id| id % 3 > 0)).collect(), 300)]
#[case::runs_of_nulls(
    (0..ROWS as i64).map(|row| (row / 1_000 % 2 == 0).then_some(row % 10)).collect(),
    10
)]
#[case::large_domain(long_tailed(1_000_000, ROWS, 6), 1_000_000)]
#[case::large_and_uniform(uniform(2_000_000_000, ROWS), 2_000_000_000)]
#[case::large_and_sorted(Int64Array::from_iter_values((0..ROWS as i64).map(|row| 20 * row)), 1_000_000)]
#[case::large_and_one_row(Int64Array::from(vec![99_999]), 100_000)]
#[case::large_and_a_block(long_tailed(1_000_000, 257, 6), 1_000_000)]
#[case::large_and_all_null(Int64Array::new_null(300), 100_000)]
#[case::large_and_many_null(
    uniform(100_000, ROWS).iter().map(|id| id.filter(|id| id % 3 > 0)).collect(),
    100_000
)]
#[case::beyond_a_large_domain(
    [0, -1, 1, i32::MIN, 100_000, i32::MAX, -7, 0].map(|id| Some(i64::from(id))).into_iter().cycle().take(999).collect(),
    100_000
)]
fn what_is_written_is_read(#[case] ids: Int64Array, #[case] cardinality: i64) {
    check(&ids, cardinality, &WriteOptions::new());
    check(
        &ids.slice(1, ids.len() - 1),
        cardinality,
        &WriteOptions::new(),
    );
}

#[rstest]
#[case::none(Choice::None)]
#[case::snappy(Choice::Snappy)]
#[case::lz4(Choice::Lz4)]
#[case::zstd(Choice::Zstd(3))]
fn pages_are_compressed(#[case] compression: Choice) {
    let options = WriteOptions::new().with_compression(compression);
    check(&long_tailed(1_000, ROWS, 2), 1_000, &options);
}

#[test]
fn row_groups_have_dictionaries_of_their_own() {
    let options = WriteOptions::new().with_row_group_rows(10_007);
    check(&long_tailed(2_000, ROWS, 3), 2_000, &options);
}

#[test]
fn pages_do_without_a_dictionary_that_is_full() {
    let ids = uniform(500, ROWS);
    check_with(&ids, 500, &WriteOptions::new(), |properties| {
        properties
            .set_dictionary_page_size_limit(1_600)
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(50)
    });
    let batch = batch(Arc::new(ids), false);
    let mut encoding = encoding(&batch.schema(), 500, &WriteOptions::new());
    let properties = encoding.properties.into_builder();
    encoding.properties = properties
        .set_dictionary_page_size_limit(1_600)
        .set_data_page_row_count_limit(100)
        .build();
    let bytes = written(&[batch], &Arc::new(encoding));
    assert_eq!(
        page_kinds(&bytes, 0),
        [
            (PageType::DICTIONARY_PAGE, PageEncoding::PLAIN, 1),
            (PageType::DATA_PAGE, PageEncoding::RLE_DICTIONARY, 2),
            (PageType::DATA_PAGE, PageEncoding::DELTA_BINARY_PACKED, 449),
        ]
    );
}

#[test]
fn columns_that_begin_with_nulls_have_no_needless_dictionary() {
    let ids: Int64Array = (0..ROWS as i64)
        .map(|id| (id > 30_000).then_some(id))
        .collect();
    let batch = batch(Arc::new(ids), true);
    let encoding = encoding(&batch.schema(), 100_000, &WriteOptions::new());
    let bytes = written(&[batch], &Arc::new(encoding));
    assert_eq!(
        page_kinds(&bytes, 0),
        [(PageType::DATA_PAGE, PageEncoding::DELTA_BINARY_PACKED, 3)]
    );
}

#[test]
fn rows_are_found_by_the_offset_index() {
    let ids: Int64Array = (0..3 * ROWS as i64)
        .map(|row| (row % 13 > 0).then_some(row % 5_000))
        .collect();
    let batch = batch(Arc::new(ids), true);
    let encoding = Arc::new(encoding(&batch.schema(), 5_000, &WriteOptions::new()));
    let bytes = written(&pieces(&batch, 8_192), &encoding);
    let selection = RowSelection::from(vec![
        RowSelector::skip(50_001),
        RowSelector::select(10),
        RowSelector::skip(40_000),
        RowSelector::select(5),
    ]);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, with_offset_index())
        .unwrap()
        .with_row_groups(vec![0])
        .with_row_selection(selection)
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let found = concat_batches(&batches[0].schema(), &batches).unwrap();
    let expected = [batch.slice(50_001, 10), batch.slice(90_011, 5)];
    let expected = concat_batches(&batch.schema(), &expected).unwrap();
    assert_eq!(found.columns(), expected.columns());
}

#[rstest]
#[case::constant(Int64Array::from(vec![5; 131_072]), 10)]
#[case::skewed(Int64Array::from_iter_values((0..131_072).map(|row| i64::from(row % 20 == 0))), 2)]
#[case::long_tailed(long_tailed(5_000, 131_072, 4), 5_000)]
#[case::long_tail(long_tailed(65_536, 131_072, 4), 65_536)]
#[case::uniform(uniform(100, 131_072), 100)]
#[case::large(uniform(65_536, 131_072), 65_536)]
#[case::sorted(Int64Array::from_iter_values((0..131_072).map(|row| row / 50)), 5_000)]
#[case::nulls(uniform(100, 131_072).iter().map(|id| id.filter(|id| *id > 3)).collect(), 100)]
fn files_are_no_larger_than_those_of_the_library(
    #[case] ids: Int64Array,
    #[case] cardinality: i64,
    #[values(Choice::None, Choice::Snappy)] compression: Choice,
) {
    let batch = batch(Arc::new(ids), true);
    let options = WriteOptions::new().with_compression(compression);
    let encoding = encoding(&batch.schema(), cardinality, &options);
    assert_no_larger(&pieces(&batch, 8_192), encoding);
}

#[rstest]
#[case::long_tailed(long_tailed(1_000_000, 131_072, 4), 1_000_000)]
#[case::uniform(uniform(100_000, 131_072), 100_000)]
#[case::sorted(Int64Array::from_iter_values(0..131_072), 131_072)]
fn ids_of_large_domains_are_smaller_than_plain_ones(
    #[case] ids: Int64Array,
    #[case] cardinality: i64,
    #[values(Choice::None, Choice::Snappy, Choice::Lz4)] compression: Choice,
) {
    let batch = batch(Arc::new(ids), false);
    let options = WriteOptions::new().with_compression(compression);
    let encoding = |page_encoding| {
        let mut encoding = encoding(&batch.schema(), cardinality, &options);
        let properties = encoding.properties.into_builder();
        let properties = properties.set_column_encoding("id".into(), page_encoding);
        encoding.properties = properties.build();
        Arc::new(encoding)
    };
    let batches = pieces(&batch, 8_192);
    let ours = written(&batches, &encoding(PageEncoding::DELTA_BINARY_PACKED)).len();
    let plain = by_library(&batches, &encoding(PageEncoding::PLAIN)).len();
    assert!(ours < plain, "{ours} bytes instead of {plain}");
}

#[test]
fn what_an_encoder_holds_is_told() {
    let batch = batch(Arc::new(uniform(65_536, 100_000)), false);
    let options = WriteOptions::new().with_compression(Choice::None);
    assert_size_is_told(&batch, encoding(&batch.schema(), 65_536, &options));
}

#[test]
fn few_ids_of_a_large_domain_take_little_memory() {
    let batch = batch(Arc::new(uniform(65_536, 500)), false);
    let encoding = encoding(&batch.schema(), 65_536, &WriteOptions::new());
    let mut file = ParquetFile::new(Vec::new(), Arc::new(encoding)).unwrap();
    file.write(&batch).unwrap();
    assert!(file.memory_size() < 32 << 10, "{}", file.memory_size());
}

#[test]
fn the_same_ids_give_the_same_bytes() {
    let batch = batch(Arc::new(long_tailed(1_000, ROWS, 5)), false);
    let encoding = Arc::new(encoding(&batch.schema(), 1_000, &WriteOptions::new()));
    let whole = written(std::slice::from_ref(&batch), &encoding);
    assert!(whole == written(&pieces(&batch, 1_001), &encoding));
}

proptest! {
    #[test]
    fn any_ids_are_read_as_the_library_writes_them(
        ids in prop::collection::vec((prop::option::weighted(0.9, -3..40_i64), 1..30_usize), 0..200),
        cardinality in 1..40_i64,
        page_rows in 1..500_usize,
        dictionary_bytes in 64..400_usize,
        row_group_rows in 50..2_000_usize,
    ) {
        let ids: Int64Array = ids
            .into_iter()
            .flat_map(|(id, count)| std::iter::repeat_n(id, count))
            .collect();
        let options = WriteOptions::new().with_row_group_rows(row_group_rows);
        let batch = batch(Arc::new(ids), true);
        let mut encoding = encoding(&batch.schema(), cardinality, &options);
        let properties = encoding.properties.into_builder();
        encoding.properties = properties
            .set_data_page_row_count_limit(page_rows)
            .set_dictionary_page_size_limit(dictionary_bytes)
            .build();
        let encoding = Arc::new(encoding);
        let batches = pieces(&batch, 333);
        let ours = written(&batches, &encoding);
        prop_assert_eq!(read(&ours), batch);
        let (ours, library) = (metadata(&ours), metadata(&by_library(&batches, &encoding)));
        prop_assert_eq!(ours.num_row_groups(), library.num_row_groups());
        for (ours, library) in ours.row_groups().iter().zip(library.row_groups()) {
            prop_assert_eq!(ours.column(0).statistics(), library.column(0).statistics());
        }
    }
}

proptest! {
    #[test]
    fn integers_of_all_sizes_have_differences(
        ids in prop::collection::vec(prop::option::weighted(0.95, any::<i64>()), 0..1_000),
        shift in 0..64_u32,
        constant in prop::option::of(any::<i64>()),
    ) {
        let id = |id: i64| constant.unwrap_or(id) >> shift;
        let ids: Int64Array = ids.into_iter().map(|value| value.map(id)).collect();
        let batch = batch(Arc::new(ids), true);
        let encoding = Arc::new(encoding(&batch.schema(), 100_000, &WriteOptions::new()));
        prop_assert_eq!(read(&written(&pieces(&batch, 333), &encoding)), batch);
    }
}

#[test]
fn integers_have_places_only_where_they_are_ids() {
    assert_eq!([0_i32, 7].map(Integer::place), [0, 7]);
    assert!((-1_i32).place() > i32::MAX as usize && i64::MIN.place() > i32::MAX as usize);
}
