mod sizes;
mod table;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema as ArrowSchema};
use emrys_schema::Schema;
use parquet::basic::{Encoding as PageEncoding, PageType};
use parquet::file::properties::WriterPropertiesBuilder;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;

use crate::io::writer::encoding::{Encoder, Encoding};
use crate::io::writer::flat_column::tests::{
    assert_no_larger, assert_same_metadata, assert_size_is_told, by_library, metadata, page_kinds,
    pieces, read, written,
};
use crate::io::{Compression as Choice, WriteOptions};

fn encoding(batch: &RecordBatch, options: &WriteOptions) -> Encoding {
    let schema = Schema::from_arrow(&batch.schema()).unwrap();
    let encoding = Encoding::new(&batch.schema(), &schema, options).unwrap();
    assert_eq!(encoding.encoders, [Encoder::Floats]);
    encoding
}

fn batch(floats: ArrayRef, is_nullable: bool) -> RecordBatch {
    let field = Field::new("x", floats.data_type().clone(), is_nullable);
    RecordBatch::try_new(Arc::new(ArrowSchema::new(vec![field])), vec![floats]).unwrap()
}

/// The bits of the only column, which tell apart what floats do not.
fn bits(batch: &RecordBatch) -> Vec<Option<u64>> {
    let column = batch.column(0);
    match column.data_type() {
        DataType::Float32 => {
            let floats = column.as_primitive::<Float32Type>().iter();
            floats
                .map(|float| float.map(|float| float.to_bits().into()))
                .collect()
        }
        _ => {
            let floats = column.as_primitive::<Float64Type>().iter();
            floats.map(|float| float.map(f64::to_bits)).collect()
        }
    }
}

/// Writes the floats as both types, nullable and, where none is null, not; reads them, and compares
/// with the parquet library.
fn check(floats: &Float64Array, options: &WriteOptions) {
    check_with(floats, options, |properties| properties);
}

fn check_with(
    floats: &Float64Array,
    options: &WriteOptions,
    change: impl Fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
) {
    for data_type in [DataType::Float32, DataType::Float64] {
        let floats = cast(floats, &data_type).unwrap();
        for is_nullable in [true, false] {
            if !is_nullable && floats.null_count() > 0 {
                continue;
            }
            let batch = batch(Arc::clone(&floats), is_nullable);
            let mut encoding = encoding(&batch, options);
            encoding.properties = change(encoding.properties.into_builder()).build();
            let encoding = Arc::new(encoding);
            let batches = pieces(&batch, 3_000);
            let ours = written(&batches, &encoding);
            assert!(
                bits(&read(&ours)) == bits(&batch),
                "{data_type}, nullable: {is_nullable}"
            );
            assert_same_metadata(&ours, &by_library(&batches, &encoding));
        }
    }
}

/// Logarithms of counts of long-tailed size: each power of two is as frequent as the next.
fn long_tailed(distinct: usize, rows: usize) -> Float64Array {
    let mut random = StdRng::seed_from_u64(1);
    let mut count = || (distinct as f64).powf(random.random::<f64>()).floor();
    (0..rows)
        .map(|_| Some((count().ln_1p() - 2.0) / 1.7))
        .collect()
}

fn uniform(distinct: usize, rows: usize) -> Float64Array {
    let mut random = StdRng::seed_from_u64(7);
    let mut count = || random.random_range(0..distinct) as f64;
    (0..rows).map(|_| Some(count() / 7.0)).collect()
}

fn continuous(rows: usize) -> Float64Array {
    let mut random = StdRng::seed_from_u64(2);
    (0..rows)
        .map(|_| Some(random.random::<f64>() - 0.5))
        .collect()
}

/// The floats, some of which are null.
fn with_nulls(floats: &Float64Array, is_null: impl Fn(usize) -> bool) -> Float64Array {
    let floats = floats.iter().enumerate();
    floats
        .map(|(row, float)| float.filter(|_| !is_null(row)))
        .collect()
}

/// Rows that make more than one page, the last with an odd number of rows.
const ROWS: usize = 45_001;

#[rstest]
#[case::one_value(Float64Array::from(vec![0.3; ROWS]))]
#[case::one_row(Float64Array::from(vec![-1.5]))]
#[case::two_values(uniform(2, ROWS))]
#[case::a_few_rows(uniform(5, 77))]
#[case::a_few_distinct_rows(continuous(77))]
#[case::until_the_trial(uniform(300, 4_096))]
#[case::until_the_trial_distinct(continuous(4_096))]
#[case::long_tailed(long_tailed(3_000, ROWS))]
#[case::very_long_tailed(long_tailed(1_000_000, ROWS))]
#[case::uniform(uniform(1_000, ROWS))]
#[case::continuous(continuous(ROWS))]
#[case::sorted(Float64Array::from_iter_values((0..ROWS).map(|row| row as f64)))]
#[case::runs(Float64Array::from_iter_values((0..ROWS).map(|row| (row / 100) as f64 / 3.0)))]
#[case::all_null(Float64Array::new_null(ROWS))]
#[case::one_null(with_nulls(&uniform(300, ROWS), |row| row == 30_000))]
#[case::many_null(with_nulls(&uniform(300, ROWS), |row| row % 3 > 0))]
#[case::null_at_first(with_nulls(&continuous(ROWS), |row| row < 25_000))]
#[case::many_null_and_distinct(with_nulls(&continuous(ROWS), |row| row % 3 > 0))]
fn what_is_written_is_read(#[case] floats: Float64Array) {
    check(&floats, &WriteOptions::new());
    check(&floats.slice(1, floats.len() - 1), &WriteOptions::new());
}

#[rstest]
#[case::zero(&[0.0])]
#[case::negative_zero(&[-0.0])]
#[case::zeros(&[0.0, -0.0])]
#[case::zero_is_least(&[0.0, 2.0])]
#[case::zero_is_greatest(&[-0.0, -2.0])]
#[case::infinities(&[f64::INFINITY, 1.0, f64::NEG_INFINITY])]
#[case::only_infinite(&[f64::INFINITY])]
#[case::nan(&[f64::NAN, 2.0, -f64::NAN, 1.0])]
#[case::only_nan(&[f64::NAN])]
#[case::extremes(&[f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324])]
fn special_values_are_kept(#[case] values: &[f64]) {
    for rows in [values.len(), 1_000] {
        let floats = values.iter().copied().cycle().take(rows);
        let few = Float64Array::from_iter_values(floats.clone());
        check(&few, &WriteOptions::new());
        check(&with_nulls(&few, |row| row % 4 == 3), &WriteOptions::new());
        // Among so many other values that there is no dictionary.
        let others = continuous(5_000);
        let many = floats.chain(others.values().iter().copied());
        check(&many.map(Some).collect(), &WriteOptions::new());
    }
}

#[test]
fn each_nan_is_kept() {
    let nans = (0..2_000_u64).map(|row| f64::from_bits(f64::NAN.to_bits() ^ (row % 5) << 30));
    let batch = batch(Arc::new(Float64Array::from_iter_values(nans)), false);
    let bytes = written(
        std::slice::from_ref(&batch),
        &Arc::new(encoding(&batch, &WriteOptions::new())),
    );
    assert_eq!(bits(&read(&bytes)), bits(&batch));
    assert_eq!(page_kinds(&bytes, 0)[0].0, PageType::DICTIONARY_PAGE);
}

#[rstest]
fn pages_are_compressed(
    #[values(Choice::None, Choice::Snappy, Choice::Lz4, Choice::Zstd(3))] compression: Choice,
    #[values(long_tailed(1_000, ROWS), continuous(ROWS))] floats: Float64Array,
) {
    check(&floats, &WriteOptions::new().with_compression(compression));
}

#[test]
fn row_groups_have_dictionaries_of_their_own() {
    let floats: Vec<_> = [long_tailed(500, 10_000), continuous(10_000)]
        .iter()
        .flat_map(|floats| floats.iter().collect::<Vec<_>>())
        .collect();
    let options = WriteOptions::new().with_row_group_rows(10_000);
    let floats = Float64Array::from(floats);
    check(&floats, &options);
    let batch = batch(Arc::new(floats), false);
    let bytes = written(&pieces(&batch, 777), &Arc::new(encoding(&batch, &options)));
    assert_eq!(
        [page_kinds(&bytes, 0), page_kinds(&bytes, 1)],
        [
            vec![
                (PageType::DICTIONARY_PAGE, PageEncoding::PLAIN, 1),
                (PageType::DATA_PAGE, PageEncoding::RLE_DICTIONARY, 1),
            ],
            vec![(PageType::DATA_PAGE, PageEncoding::PLAIN, 1)],
        ]
    );
}

/// Pages of 1,000 rows and a dictionary of 100 values, which is found full in the sixth page.
fn small_dictionary(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    properties
        .set_data_page_row_count_limit(1_000)
        .set_write_batch_size(500)
        .set_dictionary_page_size_limit(800)
}

#[test]
fn pages_do_without_a_dictionary_that_is_full() {
    let floats = [uniform(70, 5_500), uniform(300, 4_500)];
    let floats = floats.iter().flat_map(|floats| floats.values().to_vec());
    let floats = Float64Array::from_iter_values(floats);
    check_with(&floats, &WriteOptions::new(), small_dictionary);
    check_with(
        &with_nulls(&floats, |row| row % 10 == 0),
        &WriteOptions::new(),
        small_dictionary,
    );
    let batch = batch(Arc::new(floats), false);
    let mut encoding = encoding(&batch, &WriteOptions::new());
    encoding.properties = small_dictionary(encoding.properties.into_builder()).build();
    let bytes = written(&[batch], &Arc::new(encoding));
    assert_eq!(
        page_kinds(&bytes, 0),
        [
            (PageType::DICTIONARY_PAGE, PageEncoding::PLAIN, 1),
            (PageType::DATA_PAGE, PageEncoding::RLE_DICTIONARY, 5),
            (PageType::DATA_PAGE, PageEncoding::PLAIN, 5),
        ]
    );
}

#[test]
fn pages_do_without_a_dictionary_when_values_cease_to_repeat() {
    let floats = [uniform(70, 20_000), continuous(20_000)];
    let floats = floats.iter().flat_map(|floats| floats.values().to_vec());
    let floats = Float64Array::from_iter_values(floats);
    check(&floats, &WriteOptions::new());
    let batch = batch(Arc::new(floats), false);
    let bytes = written(
        std::slice::from_ref(&batch),
        &Arc::new(encoding(&batch, &WriteOptions::new())),
    );
    assert_eq!(
        page_kinds(&bytes, 0),
        [
            (PageType::DICTIONARY_PAGE, PageEncoding::PLAIN, 1),
            (PageType::DATA_PAGE, PageEncoding::RLE_DICTIONARY, 1),
            (PageType::DATA_PAGE, PageEncoding::PLAIN, 1),
        ]
    );
    // The dictionary does not have the values of the page that does without it.
    let size = metadata(&bytes).row_group(0).column(0).compressed_size();
    assert!(size < 20_000 + 20_000 * 8 + 1_000, "{size} bytes");
}

#[rstest]
fn what_an_encoder_holds_is_told(
    #[values(long_tailed(3_000, 100_000), continuous(100_000))] floats: Float64Array,
) {
    let batch = batch(Arc::new(floats), false);
    assert_size_is_told(&batch, encoding(&batch, &WriteOptions::new()));
}

#[rstest]
fn the_same_floats_give_the_same_bytes(
    #[values(long_tailed(3_000, ROWS), continuous(ROWS))] floats: Float64Array,
) {
    let batch = batch(Arc::new(floats), false);
    let encoding = Arc::new(encoding(&batch, &WriteOptions::new()));
    let whole = written(std::slice::from_ref(&batch), &encoding);
    assert!(whole == written(&pieces(&batch, 1_001), &encoding));
}

/// Values of few kinds, and any.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-3..40_i8).prop_map(f64::from),
        prop::sample::select(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY]),
        any::<u64>().prop_map(f64::from_bits),
    ]
}

proptest! {
    #[test]
    fn any_floats_are_read_as_the_library_writes_them(
        floats in prop::collection::vec((prop::option::weighted(0.9, float()), 1..30_usize), 0..200),
        page_rows in 1..500_usize,
        dictionary_bytes in 64..400_usize,
        row_group_rows in 50..2_000_usize,
    ) {
        let floats: Float64Array = floats
            .into_iter()
            .flat_map(|(float, count)| std::iter::repeat_n(float, count))
            .collect();
        let options = WriteOptions::new().with_row_group_rows(row_group_rows);
        for data_type in [DataType::Float32, DataType::Float64] {
            let batch = batch(cast(&floats, &data_type).unwrap(), true);
            let mut encoding = encoding(&batch, &options);
            let properties = encoding.properties.into_builder();
            encoding.properties = properties
                .set_data_page_row_count_limit(page_rows)
                .set_dictionary_page_size_limit(dictionary_bytes)
                .build();
            let encoding = Arc::new(encoding);
            let batches = pieces(&batch, 333);
            let ours = written(&batches, &encoding);
            prop_assert_eq!(bits(&read(&ours)), bits(&batch));
            assert_same_metadata(&ours, &by_library(&batches, &encoding));
        }
    }
}
