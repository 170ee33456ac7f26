//! Parquet files: what their footers say. Their rows are read by scans of the query engine, with
//! [decoders of ours](crate::io::reader).

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use emrys_schema::FOOTER_KEY;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use twox_hash::XxHash64;

use super::{Opened, Scan, pass_over};
use crate::io::object::Object;
use crate::io::plain::plain_schema;
use crate::io::source::SourceFile;
use crate::{Error, Result};

/// The last bytes of a parquet file: the length of its footer, and the magic number.
const TAIL: u64 = 8;
const MAGIC: &[u8] = b"PAR1";
const MAGIC_OF_ENCRYPTED: &[u8] = b"PARE";

/// How many of its last bytes are asked of a remote file at first; most footers are within.
const REMOTE_TAIL: u64 = 64 << 10;

/// Row groups may be cut, since readers can skip to a page.
const PIECES: u64 = 8;

/// Reads the footers; if several cannot be read, the error is that of the first of them.
pub(crate) async fn open(objects: Vec<Object>) -> Result<Opened> {
    Ok(Opened {
        files: pass_over(objects, "reading a footer", open_file).await?,
        scan: Scan::Parquet,
        reading: String::new(),
    })
}

async fn open_file(object: Object) -> Result<SourceFile> {
    let footer = footer_bytes(&object).await?;
    let parquet = |source| Error::Parquet {
        action: "read",
        path: object.path.clone(),
        source,
    };
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(parquet)?;
    let mut row_groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| {
            object.problem("it is corrupt: a row group has a negative number of rows")
        })?;
        row_groups.push(rows);
    }
    let column_bytes = Some(column_bytes(&metadata));
    let arrow = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
        .map_err(parquet)?;
    let schema: &SchemaRef = arrow.schema();
    Ok(SourceFile {
        row_groups,
        pieces: PIECES,
        arrow: plain_schema(schema),
        schema_text: schema.metadata().get(FOOTER_KEY).cloned(),
        // The footer holds the sizes and extremes of all column chunks.
        hash: Some(XxHash64::oneshot(0, &footer)),
        column_bytes,
        hive: Vec::new(),
        object,
    })
}

fn column_bytes(metadata: &ParquetMetaData) -> Vec<(String, u64)> {
    let mut columns: Vec<(String, u64)> = Vec::new();
    let groups = metadata.row_groups().iter();
    for chunk in groups.flat_map(|group| group.columns()) {
        let Some(name) = chunk.column_path().parts().first() else {
            continue;
        };
        let bytes = chunk.compressed_size().unsigned_abs();
        match columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += bytes,
            None => columns.push((name.clone(), bytes)),
        }
    }
    columns
}

/// The bytes of the footer, after checks that tell what else the file may be.
async fn footer_bytes(object: &Object) -> Result<Bytes> {
    let bytes = object.bytes();
    if bytes == 0 {
        return Err(object.problem("the file is empty (0 bytes); write it again or leave it out"));
    }
    if bytes < TAIL + MAGIC.len() as u64 {
        return Err(object.problem("it is not a parquet file (too short to be one)"));
    }
    let first = match object.store {
        Some(_) => REMOTE_TAIL.min(bytes),
        None => TAIL,
    };
    let end = object.read(bytes - first..bytes).await?;
    let (before, tail) = end.split_at(end.len() - TAIL as usize);
    let (length, magic) = tail.split_at(4);
    if magic == MAGIC_OF_ENCRYPTED {
        return Err(object.problem("it is encrypted, which is not supported; write it unencrypted"));
    }
    if magic != MAGIC {
        return Err(object.problem(
            "it is not a parquet file, or it is cut off (its last bytes are not `PAR1`)",
        ));
    }
    let length = u64::from(u32::from_le_bytes(length.try_into().expect("four bytes")));
    if length + TAIL + MAGIC.len() as u64 > bytes {
        return Err(
            object.problem("it is corrupt: its footer is longer than the file; write it again")
        );
    }
    match usize::try_from(length) {
        Ok(length) if length <= before.len() => {
            let footer = before.len() - length..before.len();
            Ok(end.slice(footer))
        }
        _ => object.read(bytes - TAIL - length..bytes - TAIL).await,
    }
}
