//! The files that one task writes.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef};
use emrys_schema::{FOOTER_KEY, Schema};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::WriteOptions;
use crate::io::checksum::ChecksumWriter;
use crate::io::plain::{plain_schema, with_type};
use crate::io::table::cast_batch;
use crate::{Error, Result};

/// Ids of larger domains are written plainly. Measured on click logs of long-tailed ids, that
/// makes files no larger and saves a fifth of the encoder's time.
const DICTIONARY_MAX_VALUES: u64 = 65_536;

/// How batches become bytes.
#[derive(Clone)]
pub(super) struct Encoding {
    /// The columns as readers will see them.
    stored: SchemaRef,
    /// The columns as the encoder takes them: texts in any form, all else as stored.
    accepted: SchemaRef,
    properties: WriterProperties,
}

impl Encoding {
    pub(super) fn new(
        arrow: &ArrowSchema,
        schema: &Schema,
        options: &WriteOptions,
    ) -> Result<Encoding> {
        let stored = plain_schema(arrow);
        let accepted =
            arrow
                .fields()
                .iter()
                .zip(stored.fields())
                .map(|(field, stored)| match stored.data_type() {
                    DataType::Utf8 | DataType::Binary => Arc::clone(field),
                    plain => with_type(field, plain.clone()),
                });
        let accepted = Arc::new(ArrowSchema::new(accepted.collect::<Vec<_>>()));

        let columns = ArrowSchemaConverter::new()
            .convert(&stored)
            .map_err(|error| Error::Data {
                operator: "write".into(),
                problem: format!("a column has no parquet type ({error}); cast or drop it"),
            })?;
        let mut properties = WriterProperties::builder()
            .set_compression(options.compression()?)
            .set_max_row_group_row_count(Some(options.row_group_rows()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_key_value_metadata(Some(vec![KeyValue::new(
                FOOTER_KEY.to_owned(),
                schema.to_footer_json()?,
            )]));
        for column in columns.columns() {
            let name = column.path().parts().first();
            let cardinality = name.and_then(|name| schema.get(name)?.cardinality());
            let is_measured = matches!(
                column.physical_type(),
                PhysicalType::FLOAT | PhysicalType::DOUBLE
            );
            // Where values hardly repeat, looking them up costs time and saves no space.
            if is_measured || cardinality.is_some_and(|values| values > DICTIONARY_MAX_VALUES) {
                properties = properties.set_column_dictionary_enabled(column.path().clone(), false);
            }
        }
        Ok(Encoding {
            stored,
            accepted,
            properties: properties.build(),
        })
    }
}

/// A finished file under its temporary name.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) xxh64: String,
}

/// Writes batches to one file after another.
pub(super) struct Sink {
    folder: PathBuf,
    /// Tells the sinks of one folder apart.
    number: usize,
    encoding: Encoding,
    rows_per_file: Option<usize>,
    open: Option<OpenPart>,
    parts: Vec<Part>,
}

struct OpenPart {
    path: PathBuf,
    writer: ArrowWriter<ChecksumWriter<File>>,
    rows: usize,
}

impl Sink {
    pub(super) fn new(
        folder: PathBuf,
        number: usize,
        encoding: Encoding,
        rows_per_file: Option<usize>,
    ) -> Sink {
        Sink {
            folder,
            number,
            encoding,
            rows_per_file,
            open: None,
            parts: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = cast_batch(batch, &self.encoding.accepted).map_err(|error| Error::Data {
            operator: "write".into(),
            problem: format!("a batch does not have the declared columns ({error})"),
        })?;
        let mut start = 0;
        while start < batch.num_rows() {
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    let open = self.open_part()?;
                    self.open.insert(open)
                }
            };
            let room = self
                .rows_per_file
                .map_or(usize::MAX, |rows| rows - open.rows);
            let length = room.min(batch.num_rows() - start);
            open.writer
                .write(&batch.slice(start, length))
                .map_err(Error::parquet("write", open.path.as_path()))?;
            open.rows += length;
            start += length;
            if length == room {
                self.close_part()?;
            }
        }
        Ok(())
    }

    /// Closes the last file; no file if there were no rows.
    pub(super) fn finish(mut self) -> Result<Vec<Part>> {
        self.close_part()?;
        Ok(self.parts)
    }

    /// Writes a file that has columns and no rows.
    pub(super) fn finish_without_rows(self) -> Result<Part> {
        self.open_part()?.close()
    }

    fn open_part(&self) -> Result<OpenPart> {
        let name = format!("unnamed_{:05}_{:05}.parquet", self.number, self.parts.len());
        let path = self.folder.join(name);
        let file = File::create_new(&path).map_err(Error::io("write", path.as_path()))?;
        let writer = ArrowWriter::try_new(
            ChecksumWriter::new(file),
            Arc::clone(&self.encoding.stored),
            Some(self.encoding.properties.clone()),
        )
        .map_err(Error::parquet("write", path.as_path()))?;
        Ok(OpenPart {
            path,
            writer,
            rows: 0,
        })
    }

    fn close_part(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.parts.push(open.close()?);
        }
        Ok(())
    }
}

impl OpenPart {
    fn close(self) -> Result<Part> {
        let sink = self
            .writer
            .into_inner()
            .map_err(Error::parquet("write", self.path.as_path()))?;
        Ok(Part {
            path: self.path,
            rows: self.rows as u64,
            bytes: sink.bytes(),
            xxh64: sink.checksum(),
        })
    }
}
