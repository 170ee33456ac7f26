//! The rows of a row group as batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast_with_options;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::chunks::Chunks;
use super::columns::Maker;
use super::file::{File, FileColumn, Origin, Part};
use super::flat_column::{self, FlatColumn, decodes, has_places_only};
use crate::functions::STRICT;

/// The batches of a part of a row group.
pub(super) struct RowGroup {
    file: Arc<File>,
    /// For each needed column its decoder, if it is decoded here.
    flat: Vec<Option<Box<dyn FlatColumn>>>,
    /// The other columns of the file.
    others: Option<ParquetRecordBatchReader>,
    maker: Maker,
    /// The number of the next row in the file.
    next: i64,
    left: usize,
}

/// Dictionaries of more entries are not treated as a whole.
const MOST_ENTRIES: usize = 1 << 20;

impl RowGroup {
    pub(super) fn open(file: Arc<File>, part: Part, chunks: Chunks) -> Result<RowGroup> {
        let chunks = Arc::new(chunks);
        let group = file.metadata.row_group(part.row_group);
        let columns = &file.scan.columns;
        let mut others = Vec::new();
        let mut flat = Vec::with_capacity(file.origins.len());
        let mut dictionaries = vec![None; file.origins.len()];
        for (place, origin) in file.origins.iter().enumerate() {
            let Origin::File(column) = origin else {
                flat.push(None);
                continue;
            };
            let chunk = match column.leaves.as_slice() {
                [leaf] => Some(group.column(*leaf)),
                _ => None,
            };
            let Some(chunk) = chunk.filter(|chunk| decodes(&column.data_type, chunk)) else {
                others.push(column.root);
                flat.push(None);
                continue;
            };
            let mut decoder = open_flat(&column.data_type, chunk, &part, &chunks)?;
            if has_places_only(chunk) && columns.is_only_mapped(place) {
                dictionaries[place] = dictionary(&mut *decoder, part.rows.len())?;
            }
            flat.push(Some(decoder));
        }
        let others = match others.is_empty() {
            true => None,
            false => Some(open_others(&file, &part, Chunks::clone(&chunks), others)?),
        };
        Ok(RowGroup {
            flat,
            others,
            maker: columns.maker(dictionaries, file.scan.batch_rows)?,
            next: part.start,
            left: part.rows.len(),
            file,
        })
    }

    fn next_batch(&mut self) -> Result<RecordBatch> {
        let others = match &mut self.others {
            Some(others) => Some(others.next().ok_or_else(ended)??),
            None => None,
        };
        // The library decides how many rows it reads at a time.
        let rows = match &others {
            Some(others) => others.num_rows(),
            None => self.left.min(self.file.scan.batch_rows),
        };
        if rows == 0 || rows > self.left {
            return Err(ended().into());
        }
        let mut places = vec![None; self.flat.len()];
        let mut columns = Vec::with_capacity(self.flat.len());
        for (place, origin) in self.file.origins.iter().enumerate() {
            let column = match (origin, &mut self.flat[place], &others) {
                (Origin::File(_), Some(decoder), _) if self.maker.maps(place) => {
                    places[place] = Some(decoder.read_places(rows)?);
                    continue;
                }
                (Origin::File(_), Some(decoder), _) => decoder.read(rows)?,
                (Origin::File(column), None, Some(others)) => of_library(column, others)?,
                (Origin::File(_), None, None) => return Err(ended().into()),
                (Origin::Constant(value), ..) => value.to_array_of_size(rows)?,
                (Origin::RowNumber, ..) => {
                    let numbers = self.next..self.next + rows as i64;
                    Arc::new(Int64Array::from_iter_values(numbers))
                }
            };
            columns.push(column);
        }
        self.next += rows as i64;
        self.left -= rows;
        self.maker.batch(&places, columns, rows)
    }
}

impl Iterator for RowGroup {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        (self.left > 0).then(|| {
            let batch = self.next_batch();
            if batch.is_err() {
                self.left = 0;
            }
            batch
        })
    }
}

/// The rows of a chunk, from the first of the part on.
fn open_flat(
    data_type: &DataType,
    chunk: &ColumnChunkMetaData,
    part: &Part,
    chunks: &Arc<Chunks>,
) -> Result<Box<dyn FlatColumn>> {
    // The number of rows matters only with an index of pages.
    let pages = SerializedPageReader::new(Arc::clone(chunks), chunk, part.rows.end, None)?;
    let mut decoder = flat_column::open(data_type, chunk, Box::new(pages));
    decoder.skip(part.rows.start)?;
    Ok(decoder)
}

/// The dictionary, unless it has as many entries as there are rows: then it would be more work.
fn dictionary(decoder: &mut dyn FlatColumn, rows: usize) -> Result<Option<ArrayRef>> {
    let is_small = decoder.entries()? < rows.min(MOST_ENTRIES);
    is_small
        .then(|| decoder.dictionary())
        .transpose()
        .map_err(Into::into)
}

/// The library's reader of columns.
fn open_others(
    file: &File,
    part: &Part,
    chunks: Chunks,
    roots: Vec<usize>,
) -> Result<ParquetRecordBatchReader> {
    let library = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, file.library.clone());
    let mask = ProjectionMask::roots(library.parquet_schema(), roots);
    let mut library = library
        .with_projection(mask)
        .with_row_groups(vec![part.row_group])
        .with_batch_size(file.scan.batch_rows);
    let rows = file.metadata.row_group(part.row_group).num_rows();
    if usize::try_from(rows).ok() != Some(part.rows.len()) {
        library = library.with_row_selection(RowSelection::from(vec![
            RowSelector::skip(part.rows.start),
            RowSelector::select(part.rows.len()),
        ]));
    }
    Ok(library.build()?)
}

/// A column that the library has read, with the type of the table.
fn of_library(column: &FileColumn, batch: &RecordBatch) -> Result<ArrayRef> {
    let read = batch
        .column_by_name(&column.name)
        .ok_or_else(|| ParquetError::General(format!("`{}` was not read", column.name)))?;
    match read.data_type() == &column.data_type {
        true => Ok(Arc::clone(read)),
        false => Ok(cast_with_options(read, &column.data_type, &STRICT)?),
    }
}

fn ended() -> ParquetError {
    ParquetError::EOF("a row group ends before its rows do".to_owned())
}
