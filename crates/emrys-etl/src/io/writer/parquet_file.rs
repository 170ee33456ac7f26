//! One parquet file, row group after row group.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;

use super::column::Column;
use super::encoding::Encoding;

/// Encodes batches into the row groups of a file, as [`ArrowWriter`] does, except that flat
/// columns of ids and floats mostly have encoders of their own.
pub(super) struct ParquetFile<W: Write> {
    file: SerializedFileWriter<W>,
    general: ArrowRowGroupWriterFactory,
    encoding: Arc<Encoding>,
    open: Option<RowGroup>,
}

/// The row group that rows are being added to.
struct RowGroup {
    columns: Vec<Column>,
    rows: usize,
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn new(sink: W, encoding: Arc<Encoding>) -> Result<ParquetFile<W>> {
        let (stored, properties) = (Arc::clone(&encoding.stored), encoding.properties.clone());
        let writer = ArrowWriter::try_new(sink, stored, Some(properties))?;
        let (file, general) = writer.into_serialized_writer()?;
        Ok(ParquetFile {
            file,
            general,
            encoding,
            open: None,
        })
    }

    /// Adds rows that have the columns of the encoding.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let limit = self.encoding.properties.max_row_group_row_count();
        let limit = limit.unwrap_or(usize::MAX);
        let mut start = 0;
        while start < batch.num_rows() {
            let row_group = match &mut self.open {
                Some(row_group) => row_group,
                none => none.insert(RowGroup::new(&self.file, &self.general, &self.encoding)?),
            };
            let length = (limit - row_group.rows).min(batch.num_rows() - start);
            row_group.write(&batch.slice(start, length), &self.encoding)?;
            if row_group.rows == limit {
                self.end_row_group()?;
            }
            start += length;
        }
        Ok(())
    }

    /// Ends the row group, if one is open, so that nothing is held.
    pub(super) fn end_row_group(&mut self) -> Result<()> {
        let Some(row_group) = self.open.take() else {
            return Ok(());
        };
        let mut writer = self.file.next_row_group()?;
        for column in row_group.columns {
            column.close(&mut writer)?;
        }
        writer.close()?;
        Ok(())
    }

    /// The bytes that the encoders hold.
    pub(super) fn memory_size(&self) -> usize {
        self.columns().map(Column::memory_size).sum()
    }

    /// About how large the file would be if it were finished now.
    pub(super) fn size(&self) -> usize {
        self.file.bytes_written() + self.columns().map(Column::encoded_size).sum::<usize>()
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.open.iter().flat_map(|row_group| &row_group.columns)
    }

    /// What the file is written to, not to be written to by others.
    pub(super) fn sink_mut(&mut self) -> &mut W {
        self.file.inner_mut()
    }

    /// Ends the file and gives back what it was written to.
    pub(super) fn finish(mut self) -> Result<W> {
        self.end_row_group()?;
        self.file.into_inner()
    }
}

impl RowGroup {
    fn new<W: Write + Send>(
        file: &SerializedFileWriter<W>,
        general: &ArrowRowGroupWriterFactory,
        encoding: &Encoding,
    ) -> Result<RowGroup> {
        let leaves = file.schema_descr();
        let mut columns: Vec<Column> = Vec::with_capacity(encoding.encoders.len());
        // Not all are used. Making them costs next to nothing.
        let writers = general.create_column_writers(file.flushed_row_groups().len())?;
        for (leaf, writer) in writers.into_iter().enumerate() {
            let column = leaves.get_column_root_idx(leaf);
            match columns.get_mut(column) {
                Some(column) => column.add_leaf(writer),
                None => {
                    let (encoder, leaf) = (encoding.encoders[column], leaves.column(leaf));
                    columns.push(Column::new(encoder, leaf, &encoding.properties, writer)?);
                }
            }
        }
        Ok(RowGroup { columns, rows: 0 })
    }

    fn write(&mut self, batch: &RecordBatch, encoding: &Encoding) -> Result<()> {
        self.rows += batch.num_rows();
        let fields = encoding.stored.fields().iter().zip(batch.columns());
        for (column, (field, array)) in self.columns.iter_mut().zip(fields) {
            column.write(field, array)?;
        }
        Ok(())
    }
}
