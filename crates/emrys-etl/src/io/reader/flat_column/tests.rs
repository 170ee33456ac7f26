use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StringViewArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageMetadata};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::serialized_reader::SerializedPageReader;
use proptest::prelude::*;

use super::*;

fn write(column: &ArrayRef, nullable: bool, properties: WriterPropertiesBuilder) -> Bytes {
    let field = Field::new("c", column.data_type().clone(), nullable);
    let schema = Arc::new(ArrowSchema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(column)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap().into()
}

fn first_chunk(file: &Bytes) -> Result<(ColumnChunkMetaData, usize)> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let group = metadata.metadata().row_group(0);
    Ok((group.column(0).clone(), group.num_rows() as usize))
}

fn open_first(file: &Bytes, data_type: &DataType) -> Result<Box<dyn FlatColumn>> {
    let (chunk, rows) = first_chunk(file)?;
    assert!(decodes(data_type, &chunk));
    let pages = SerializedPageReader::new(Arc::new(file.clone()), &chunk, rows, None)?;
    Ok(open(data_type, &chunk, Box::new(pages)))
}

/// Reads a file in steps, each of rows to skip and rows to read, as far as they go.
fn assert_reads(file: &Bytes, column: &ArrayRef, steps: &[(usize, usize)]) {
    let by_place = has_places_only(&first_chunk(file).unwrap().0);
    if column.data_type() == &DataType::Utf8View && !by_place {
        assert!(!decodes(&DataType::Utf8View, &first_chunk(file).unwrap().0));
        return;
    }
    let mut decoder = open_first(file, column.data_type()).unwrap();
    let mut at = 0;
    for (step, (skip, read)) in steps.iter().cycle().enumerate() {
        let skip = (*skip).min(column.len() - at);
        decoder.skip(skip).unwrap();
        at += skip;
        let rows = (*read).min(column.len() - at);
        let found = match by_place && step % 2 == 1 && rows > 0 {
            false => decoder.read(rows).unwrap(),
            true => {
                let dictionary = decoder.dictionary().unwrap();
                let entries = dictionary.len() - dictionary.null_count();
                assert_eq!(decoder.entries().unwrap(), entries);
                let places = decoder.read_places(rows).unwrap();
                arrow::compute::take(&dictionary, &places, None).unwrap()
            }
        };
        found.to_data().validate_full().unwrap();
        assert_eq!(&found, &column.slice(at, rows), "rows from {at} on");
        at += rows;
        if at == column.len() {
            break;
        }
    }
    assert!(decoder.read(1).is_err());
}

/// What the values look like: these bring all kinds of runs and pages.
#[derive(Debug, Clone, Copy)]
struct Shape {
    values: u64,
    /// How long equal values follow each other.
    run: usize,
    nulls: f64,
    null_run: usize,
}

fn column(kind: usize, rows: usize, shape: Shape, seed: u64) -> ArrayRef {
    let bits = |number: usize| emrys_hash(seed ^ number as u64);
    let values = (0..rows).map(|row| {
        let chance = bits(row / shape.null_run + 1_000_000) as f64 / u64::MAX as f64;
        let value = bits(row / shape.run) % shape.values;
        (chance >= shape.nulls).then_some(value.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    });
    match kind {
        0 => Arc::new(
            values
                .map(|value| value.map(|bits| bits as i32))
                .collect::<Int32Array>(),
        ),
        1 => Arc::new(
            values
                .map(|value| value.map(|bits| bits as i64))
                .collect::<Int64Array>(),
        ),
        2 => {
            let floats = values.map(|value| value.map(|bits| f32::from_bits(bits as u32)));
            Arc::new(floats.collect::<Float32Array>())
        }
        3 => {
            let floats = values.map(|value| value.map(f64::from_bits));
            Arc::new(floats.collect::<Float64Array>())
        }
        4 => Arc::new(
            values
                .map(|value| value.map(|bits| bits as u32))
                .collect::<UInt32Array>(),
        ),
        5 => Arc::new(values.collect::<UInt64Array>()),
        6 => Arc::new(
            values
                .map(|value| value.map(|bits| bits as i32))
                .collect::<Date32Array>(),
        ),
        _ => {
            let text = |bits: u64| match bits % 3 {
                0 => format!("{bits}"),
                1 => format!("a longer text with {bits} in it"),
                _ => format!("é{}", bits % 100),
            };
            Arc::new(
                values
                    .map(|value| value.map(text))
                    .collect::<StringViewArray>(),
            )
        }
    }
}

fn emrys_hash(number: u64) -> u64 {
    crate::hash::hash_bits(number)
}

fn shapes() -> impl Strategy<Value = Shape> {
    let run = prop_oneof![Just(1_usize), Just(3), Just(40), Just(1_000)];
    let null_run = prop_oneof![Just(1_usize), Just(5), Just(100), Just(5_000)];
    let nulls = prop_oneof![Just(0.0), Just(0.03), Just(0.5), Just(0.97), Just(1.0)];
    let values = prop_oneof![Just(1_u64), Just(2), Just(100), Just(3_000), Just(u64::MAX)];
    (values, run, nulls, null_run).prop_map(|(values, run, nulls, null_run)| Shape {
        values,
        run,
        nulls,
        null_run,
    })
}

fn properties() -> impl Strategy<Value = WriterPropertiesBuilder> {
    let compression = prop_oneof![
        Just(Compression::UNCOMPRESSED),
        Just(Compression::SNAPPY),
        Just(Compression::LZ4_RAW),
    ];
    let dictionary = prop_oneof![Just(None), Just(Some(200_usize)), Just(Some(1 << 20))];
    let page_rows = prop_oneof![Just(7_usize), Just(1_000), Just(20_000)];
    (compression, dictionary, page_rows, any::<bool>()).prop_map(
        |(compression, dictionary, page_rows, second)| {
            let version = match second {
                true => WriterVersion::PARQUET_2_0,
                false => WriterVersion::PARQUET_1_0,
            };
            WriterProperties::builder()
                .set_writer_version(version)
                // Version 2 would have other encodings of what the dictionary does not hold.
                .set_encoding(Encoding::PLAIN)
                .set_compression(compression)
                .set_dictionary_enabled(dictionary.is_some())
                .set_dictionary_page_size_limit(dictionary.unwrap_or(1))
                .set_write_batch_size(page_rows.min(64))
                .set_data_page_row_count_limit(page_rows)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_written_is_read(
        kind in 0_usize..8,
        rows in 1_usize..6_000,
        shape in shapes(),
        properties in properties(),
        required in any::<bool>(),
        seed in any::<u64>(),
        steps in prop::collection::vec((0_usize..3_000, 1_usize..3_000), 1..4),
        skips in any::<bool>(),
    ) {
        let column = column(kind, rows, shape, seed);
        let file = write(&column, !required || column.null_count() > 0, properties);
        let steps = steps.iter().map(|(skip, read)| (skip * usize::from(skips), *read));
        assert_reads(&file, &column, &steps.collect::<Vec<_>>());
    }

    #[test]
    fn damaged_pages_are_errors_or_other_values(
        kind in prop_oneof![Just(1_usize), Just(7)],
        shape in shapes(),
        properties in properties(),
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let rows = 3_000;
        let column = column(kind, rows, shape, seed);
        let file = write(&column, true, properties.set_compression(Compression::UNCOMPRESSED));
        let (chunk, _) = first_chunk(&file).unwrap();
        if !decodes(column.data_type(), &chunk) {
            return Ok(());
        }
        let (start, length) = chunk.byte_range();
        let mut damaged = file.to_vec();
        for (place, byte) in changes {
            damaged[start as usize + place.index(length as usize)] = byte;
        }
        if let Ok(mut decoder) = open_first(&damaged.into(), column.data_type()) {
            // The rest is whatever it is; that there is no panic is what counts.
            let _ = decoder.read(100).and_then(|_| decoder.read(rows - 100));
            let _ = decoder.dictionary().and_then(|_| decoder.read_places(1));
        }
    }
}

#[test]
fn columns_that_others_decode_are_told_apart() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let chunk = |column: &ArrayRef, properties| {
        let file = write(column, true, properties);
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).unwrap();
        metadata.metadata().row_group(0).column(0).clone()
    };
    let plain = chunk(&numbers, WriterProperties::builder());
    assert!(decodes(&DataType::Int64, &plain));
    // The bits would have to change.
    for other in [DataType::Int32, DataType::Float64, DataType::Utf8] {
        assert!(!decodes(&other, &plain), "{other}");
    }
    let delta = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BINARY_PACKED);
    assert!(!decodes(&DataType::Int64, &chunk(&numbers, delta)));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    assert!(!decodes(
        &DataType::Utf8,
        &chunk(&texts, WriterProperties::builder())
    ));
}

#[test]
fn levels_of_old_files_are_read() {
    #[expect(deprecated, reason = "old files have it")]
    let packed = Encoding::BIT_PACKED;
    let mut buf = vec![0b1010_0000_u8, 0b1000_0000];
    for value in [5_i64, 6, 7] {
        buf.extend_from_slice(&value.to_le_bytes());
    }
    let page = Page::DataPage {
        buf: buf.into(),
        num_values: 9,
        encoding: Encoding::PLAIN,
        def_level_encoding: packed,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    let mut column = Column::new(
        Numbers::<u64>::new(DataType::Int64),
        true,
        Box::new(Pages(VecDeque::from([page]))),
    );
    let mut expected: Vec<Option<i64>> = vec![None; 9];
    (expected[0], expected[2], expected[8]) = (Some(5), Some(6), Some(7));
    let read = column.read(9).unwrap();
    assert_eq!(&*read, &Int64Array::from(expected));
}

#[test]
fn a_dictionary_behind_data_is_an_error() {
    let nulls = Page::DataPageV2 {
        // A run of a hundred zeros.
        buf: vec![0xc8, 1, 0].into(),
        num_values: 100,
        encoding: Encoding::RLE_DICTIONARY,
        num_nulls: 100,
        num_rows: 100,
        def_levels_byte_len: 3,
        rep_levels_byte_len: 0,
        is_compressed: false,
        statistics: None,
    };
    let dictionary = |encoding| Page::DictionaryPage {
        buf: vec![0; 24].into(),
        num_values: 3,
        encoding,
        is_sorted: false,
    };
    let open = |pages: Vec<Page>| {
        let numbers = Numbers::<u64>::new(DataType::Int64);
        Column::new(numbers, true, Box::new(Pages(pages.into())))
    };
    let mut late = open(vec![
        nulls.clone(),
        dictionary(Encoding::PLAIN),
        nulls.clone(),
    ]);
    assert_eq!(late.entries().unwrap(), 0);
    assert!(
        late.read_places(100)
            .unwrap()
            .values()
            .iter()
            .all(|place| *place == 0)
    );
    assert!(late.read_places(1).is_err());
    let mut first = open(vec![dictionary(Encoding::PLAIN), nulls.clone()]);
    assert_eq!(first.entries().unwrap(), 3);
    assert_eq!(first.read(100).unwrap().null_count(), 100);
    let mut other = open(vec![dictionary(Encoding::DELTA_BINARY_PACKED), nulls]);
    assert!(other.entries().is_err());
}

/// The pages of a column chunk.
struct Pages(VecDeque<Page>);

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.0.pop_front().map(Ok)
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        Ok(self.0.pop_front())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Ok(self.0.front().map(|page| PageMetadata {
            num_rows: None,
            num_levels: Some(page.num_values() as usize),
            is_dict: page.is_dictionary_page(),
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.pop_front();
        Ok(())
    }
}
