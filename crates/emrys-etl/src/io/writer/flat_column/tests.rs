use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema as ArrowSchema;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Encoding as PageEncoding, PageType};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};

pub(in crate::io::writer) use super::ids::tests::encoding as encoding_of_ids;
use crate::io::writer::encoding::Encoding;
use crate::io::writer::parquet_file::ParquetFile;

pub(in crate::io::writer) fn written(batches: &[RecordBatch], encoding: &Arc<Encoding>) -> Bytes {
    let mut file = ParquetFile::new(Vec::new(), Arc::clone(encoding)).unwrap();
    for batch in batches {
        file.write(batch).unwrap();
    }
    file.finish().unwrap().into()
}

pub(in crate::io::writer) fn by_library(batches: &[RecordBatch], encoding: &Encoding) -> Bytes {
    let (stored, properties) = (Arc::clone(&encoding.stored), encoding.properties.clone());
    let mut writer = ArrowWriter::try_new(Vec::new(), stored, Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap().into()
}

/// The rows of a file, without what else is known of the schema.
pub(in crate::io::writer) fn read(bytes: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let batch = concat_batches(&schema, &batches).unwrap();
    let fields = Arc::new(ArrowSchema::new(schema.fields().clone()));
    RecordBatch::try_new(fields, batch.columns().to_vec()).unwrap()
}

pub(in crate::io::writer) fn with_offset_index() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Required)
}

pub(in crate::io::writer) fn metadata(bytes: &Bytes) -> Arc<ParquetMetaData> {
    let options = with_offset_index().with_encoding_stats_as_mask(false);
    let metadata = ArrowReaderMetadata::load(bytes, options).unwrap();
    Arc::clone(metadata.metadata())
}

/// Compares what readers see of two files, but for where pages begin and how large they are.
pub(in crate::io::writer) fn assert_same_metadata(ours: &Bytes, library: &Bytes) {
    let (ours, library) = (metadata(ours), metadata(library));
    assert_eq!(ours.file_metadata(), library.file_metadata());
    assert_eq!(ours.num_row_groups(), library.num_row_groups());
    assert!(ours.column_index().is_none() && library.column_index().is_none());
    for (group, (ours, library)) in ours
        .row_groups()
        .iter()
        .zip(library.row_groups())
        .enumerate()
    {
        assert_eq!(ours.num_rows(), library.num_rows());
        for (ours, library) in ours.columns().iter().zip(library.columns()) {
            assert_eq!(ours.column_descr(), library.column_descr(), "{group}");
            assert_eq!(range_bytes(ours), range_bytes(library), "{group}");
            assert_eq!(ours.statistics(), library.statistics(), "{group}");
            assert_eq!(ours.num_values(), library.num_values(), "{group}");
            assert_eq!(ours.compression_codec(), library.compression_codec());
            assert_eq!(
                ours.definition_level_histogram(),
                library.definition_level_histogram()
            );
        }
    }
}

/// The batch in pieces, which have offsets into its arrays.
pub(in crate::io::writer) fn pieces(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(rows);
    starts
        .map(|start| batch.slice(start, rows.min(batch.num_rows() - start)))
        .collect()
}

/// The bytes of the least and the greatest value, which tell zeros of both signs apart.
fn range_bytes(column: &ColumnChunkMetaData) -> Option<[Option<&[u8]>; 2]> {
    let statistics = column.statistics()?;
    Some([statistics.min_bytes_opt(), statistics.max_bytes_opt()])
}

/// The kinds of pages of the only column of a row group, and how many there are.
pub(super) fn page_kinds(bytes: &Bytes, row_group: usize) -> Vec<(PageType, PageEncoding, i32)> {
    let metadata = metadata(bytes);
    let column = metadata.row_group(row_group).column(0);
    let counts = column.page_encoding_stats().unwrap().iter();
    counts
        .map(|pages| (pages.page_type, pages.encoding, pages.count))
        .collect()
}

/// Writes a row group, and compares what its encoder says that it holds with what comes out.
pub(super) fn assert_size_is_told(batch: &RecordBatch, encoding: Encoding) {
    let mut file = ParquetFile::new(Vec::new(), Arc::new(encoding)).unwrap();
    assert_eq!(file.memory_size(), 0);
    file.write(batch).unwrap();
    let size = file.size();
    assert!(file.memory_size() >= size);
    file.end_row_group().unwrap();
    assert_eq!(file.memory_size(), 0);
    let bytes = file.finish().unwrap().len();
    assert!(
        (bytes as f64 / size as f64 - 1.0).abs() < 0.05,
        "{bytes} bytes, not {size}"
    );
}

/// Writes batches, and compares the size with that of the parquet library's file.
pub(super) fn assert_no_larger(batches: &[RecordBatch], encoding: Encoding) {
    let encoding = Arc::new(encoding);
    let ours = written(batches, &encoding).len();
    let library = by_library(batches, &encoding).len();
    // A page more may be needed, since here none has more rows than it may.
    let header = 64.0;
    assert!(
        ours as f64 <= 1.01 * library as f64 + header,
        "{ours} bytes instead of {library}"
    );
}
