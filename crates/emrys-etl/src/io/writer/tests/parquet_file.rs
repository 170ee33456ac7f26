//! The file writer beside the one of the parquet library.

use arrow::array::{Int64Array, StructArray};
use arrow::datatypes::Field;
use parquet::file::metadata::KeyValue;

use super::*;
use crate::io::writer::encoding::Encoder;
use crate::io::writer::flat_column::tests::{
    assert_same_metadata, by_library, encoding_of_ids, metadata, read, written,
};

/// Ids between columns of one, two and no leaves that are encoded by the library.
fn mixed() -> RecordBatch {
    let rows = 2_500;
    let numbers = || Int32Array::from_iter_values(0..rows);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|row| (row % 5 > 0).then(|| (0..row % 5).map(Some))),
    );
    let texts = StringArray::from_iter_values((0..rows).map(|row| format!("text {row}")));
    let pairs = StructArray::from(vec![
        (
            Arc::new(Field::new("left", DataType::Int32, false)),
            Arc::new(numbers()) as ArrayRef,
        ),
        (
            Arc::new(Field::new("right", DataType::Utf8, false)),
            Arc::new(texts.clone()),
        ),
    ]);
    batch([
        ("lists", Arc::new(lists) as ArrayRef),
        ("pairs", Arc::new(pairs)),
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                (0..rows).map(|row| i64::from(row % 9)),
            )),
        ),
        ("texts", Arc::new(texts)),
        ("numbers", Arc::new(numbers())),
    ])
}

#[test]
fn columns_of_all_kinds_stand_side_by_side() {
    let batch = mixed();
    let options = WriteOptions::new().with_row_group_rows(1_000);
    let encoding = encoding_of_ids(&batch.schema(), 9, &options);
    let ids = Encoder::Ids { cardinality: 9 };
    let expected = [
        Encoder::General,
        Encoder::General,
        ids,
        Encoder::General,
        Encoder::General,
    ];
    assert_eq!(encoding.encoders, expected);
    let encoding = Arc::new(encoding);
    let batches = [batch.slice(0, 1_700), batch.slice(1_700, 800)];
    let ours = written(&batches, &encoding);
    assert_eq!(read(&ours), batch);
    assert_same_metadata(&ours, &by_library(&batches, &encoding));
    let (metadata, library) = (metadata(&ours), metadata(&by_library(&batches, &encoding)));
    for (ours, library) in metadata.row_groups().iter().zip(library.row_groups()) {
        for (ours, library) in ours.columns().iter().zip(library.columns()) {
            assert_eq!(ours.encodings_mask(), library.encodings_mask());
            assert_eq!(ours.page_encoding_stats(), library.page_encoding_stats());
        }
    }
    let rows: Vec<i64> = metadata
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    assert_eq!(rows, [1_000, 1_000, 500]);
    let keys: Vec<&str> = metadata
        .file_metadata()
        .key_value_metadata()
        .into_iter()
        .flatten()
        .map(|KeyValue { key, .. }| key.as_str())
        .collect();
    assert_eq!(keys, [emrys_schema::FOOTER_KEY, "ARROW:schema"]);
}

#[test]
fn files_without_rows_have_columns() {
    let batch = mixed().slice(0, 0);
    let encoding = Arc::new(encoding_of_ids(&batch.schema(), 9, &WriteOptions::new()));
    let ours = written(&[batch.clone()], &encoding);
    assert_eq!(read(&ours), batch);
    assert_same_metadata(&ours, &by_library(&[batch], &encoding));
}

#[test]
fn a_row_group_can_be_ended_early() {
    let batch = mixed();
    let encoding = Arc::new(encoding_of_ids(&batch.schema(), 9, &WriteOptions::new()));
    let mut file = ParquetFile::new(Vec::new(), encoding).unwrap();
    file.end_row_group().unwrap();
    file.write(&batch.slice(0, 100)).unwrap();
    assert!(file.memory_size() > 0);
    file.end_row_group().unwrap();
    assert_eq!(file.memory_size(), 0);
    file.write(&batch.slice(100, 50)).unwrap();
    let bytes = file.finish().unwrap().into();
    assert_eq!(read(&bytes), batch.slice(0, 150));
    assert_eq!(metadata(&bytes).num_row_groups(), 2);
}

#[rstest]
#[case::small(DataType::Int64, Some(65_536), Compression::Snappy, true)]
#[case::large(DataType::Int64, Some(65_537), Compression::Snappy, true)]
#[case::large_and_compressed_well(DataType::Int64, Some(65_537), Compression::Zstd(3), false)]
#[case::compressed_well(DataType::Int64, Some(65_536), Compression::Zstd(3), true)]
#[case::unknown(DataType::Int64, None, Compression::Snappy, false)]
#[case::narrow(DataType::Int8, Some(100), Compression::Snappy, false)]
#[case::other_codec(DataType::Int32, Some(100), Compression::Gzip(6), false)]
#[case::floats(DataType::Float32, None, Compression::Snappy, true)]
#[case::wide_floats(DataType::Float64, None, Compression::Zstd(3), true)]
#[case::narrow_floats(DataType::Float16, None, Compression::Snappy, false)]
#[case::floats_of_other_codec(DataType::Float32, None, Compression::Gzip(6), false)]
fn floats_and_ids_of_known_domains_have_an_encoder_of_their_own(
    #[case] data_type: DataType,
    #[case] cardinality: Option<i64>,
    #[case] compression: Compression,
    #[case] expected: bool,
) {
    let arrow = arrow::datatypes::Schema::new(vec![Field::new("id", data_type, false)]);
    let schema = Schema::from_arrow(&arrow).unwrap();
    let domain = cardinality.map(|ids| emrys_schema::Domain::int(0, ids - 1));
    let id = schema.get("id").unwrap().clone().with_domain(domain);
    let options = WriteOptions::new().with_compression(compression);
    let encoding = Encoding::new(&arrow, &schema.with_column(id), &options).unwrap();
    assert_eq!(encoding.encoders[0] != Encoder::General, expected);
}
