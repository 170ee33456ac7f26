//! How large files are, compared with those of the parquet library.

use parquet::file::properties::DEFAULT_DATA_PAGE_ROW_COUNT_LIMIT;

use super::*;

#[rstest]
#[case::one_value(Float64Array::from(vec![0.3; 65_536]))]
#[case::skewed(Float64Array::from_iter_values((0..65_536).map(|row| f64::from(u8::from(row % 20 == 0)))))]
#[case::few(long_tailed(10, 65_536))]
#[case::long_tailed(long_tailed(3_000, 65_536))]
#[case::very_long_tailed(long_tailed(30_000, 65_536))]
#[case::longest_tailed(long_tailed(2_000_000, 65_536))]
#[case::uniform(uniform(1_000, 65_536))]
#[case::uniform_and_many(uniform(30_000, 65_536))]
#[case::continuous(continuous(65_536))]
#[case::a_few_rows(continuous(200))]
#[case::nulls(with_nulls(&long_tailed(300, 65_536), |row| row % 7 == 0))]
fn files_are_no_larger_than_those_of_the_library(
    #[case] floats: Float64Array,
    #[values(DataType::Float32, DataType::Float64)] data_type: DataType,
    #[values(Choice::None, Choice::Snappy, Choice::Lz4, Choice::Zstd(1))] compression: Choice,
) {
    let default = DEFAULT_DATA_PAGE_ROW_COUNT_LIMIT;
    check_size(&cast(&floats, &data_type).unwrap(), compression, default);
}

#[rstest]
#[case::sorted(Float64Array::from_iter_values((0..65_536).map(f64::from)))]
#[case::pairs(Float64Array::from_iter_values((0..65_536).map(|row| f64::from(row / 2) / 3.0)))]
#[case::short_runs(Float64Array::from_iter_values((0..65_536).map(|row| f64::from(row / 5) / 3.0)))]
#[case::long_runs(Float64Array::from_iter_values((0..65_536).map(|row| f64::from(row / 50) / 3.0)))]
#[case::periodic(Float64Array::from_iter_values((0..65_536).map(|row| f64::from(row % 3_000) / 3.0)))]
fn files_of_ordered_floats_are_no_larger_than_those_of_the_library(
    #[case] floats: Float64Array,
    #[values(DataType::Float32, DataType::Float64)] data_type: DataType,
    #[values(Choice::None, Choice::Snappy, Choice::Lz4, Choice::Zstd(1))] compression: Choice,
) {
    // The library ends pages only where batches end. Codecs find most of what repeats, so that the
    // size depends on the pages, which are the same then.
    check_size(&cast(&floats, &data_type).unwrap(), compression, BATCH);
}

const BATCH: usize = 8_192;

fn check_size(floats: &ArrayRef, compression: Choice, page_rows: usize) {
    let batch = batch(Arc::clone(floats), true);
    let options = WriteOptions::new().with_compression(compression);
    let mut encoding = encoding(&batch, &options);
    let properties = encoding.properties.into_builder();
    let properties = properties.set_data_page_row_count_limit(page_rows);
    encoding.properties = properties.build();
    assert_no_larger(&pieces(&batch, BATCH), encoding);
}

#[test]
fn values_that_repeat_take_less_space() {
    for (distinct, share) in [(10, 0.4), (300, 0.6), (3_000, 0.7), (30_000, 0.95)] {
        let floats = cast(&long_tailed(distinct, 65_536), &DataType::Float32).unwrap();
        let batch = batch(floats, false);
        let encoding = Arc::new(encoding(&batch, &WriteOptions::new()));
        let batches = pieces(&batch, BATCH);
        let ours = written(&batches, &encoding).len();
        let library = by_library(&batches, &encoding).len();
        assert!(
            (ours as f64) < share * library as f64,
            "{ours} bytes instead of {library}"
        );
    }
}
