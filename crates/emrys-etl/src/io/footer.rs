//! What the footer of a parquet file says.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use emrys_schema::FOOTER_KEY;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use twox_hash::XxHash64;

use crate::{Error, Result};

/// The last bytes of a parquet file: the length of its footer, and the magic number.
const TAIL: u64 = 8;
const MAGIC: &[u8] = b"PAR1";
const MAGIC_OF_ENCRYPTED: &[u8] = b"PARE";

/// A parquet file and what its footer says.
#[derive(Debug, Clone)]
pub(crate) struct Footer {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
    /// The rows of each row group.
    pub(crate) row_groups: Vec<u64>,
    /// The columns, with the plain type of each (see [`plain_type`]).
    pub(crate) arrow: SchemaRef,
    /// How many compressed bytes each column has, those of nested columns together.
    pub(crate) column_bytes: Vec<(String, u64)>,
    /// The text of the Emrys schema, if the file carries one.
    pub(crate) schema_text: Option<String>,
    /// The hash of the footer's bytes, which hold the sizes and extremes of all column chunks.
    pub(crate) hash: u64,
}

impl Footer {
    pub(crate) fn read(path: &Path) -> Result<Footer> {
        let io = |error| match error {
            error if std::io::Error::kind(&error) == std::io::ErrorKind::NotFound => {
                super::paths::missing(path)
            }
            error => Error::io("read", path)(error),
        };
        let problem = |problem: &str| Error::File {
            action: "read",
            path: path.to_owned(),
            problem: problem.into(),
        };
        let metadata = fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            return Err(problem("it is a folder; a list of files is expected here"));
        }
        let bytes = metadata.len();
        if bytes == 0 {
            return Err(problem(
                "the file is empty (0 bytes); write it again or leave it out",
            ));
        }
        if bytes < TAIL + MAGIC.len() as u64 {
            return Err(problem("it is not a parquet file (too short to be one)"));
        }
        let mut file = File::open(path).map_err(io)?;
        let mut tail = [0; TAIL as usize];
        file.seek(SeekFrom::End(-(TAIL as i64))).map_err(io)?;
        file.read_exact(&mut tail).map_err(io)?;
        let (length, magic) = tail.split_at(4);
        if magic == MAGIC_OF_ENCRYPTED {
            return Err(problem(
                "it is encrypted, which is not supported; write it unencrypted",
            ));
        }
        if magic != MAGIC {
            return Err(problem(
                "it is not a parquet file, or it is cut off (its last bytes are not `PAR1`)",
            ));
        }
        let length = u64::from(u32::from_le_bytes(length.try_into().expect("four bytes")));
        if length + TAIL + MAGIC.len() as u64 > bytes {
            return Err(problem(
                "it is corrupt: its footer is longer than the file; write it again",
            ));
        }
        let mut footer = vec![0; usize::try_from(length).expect("a footer fits the address space")];
        file.seek(SeekFrom::End(-((TAIL + length) as i64)))
            .map_err(io)?;
        file.read_exact(&mut footer).map_err(io)?;

        let parquet = |source| Error::Parquet {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(parquet)?;
        let mut row_groups = Vec::with_capacity(metadata.num_row_groups());
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows())
                .map_err(|_| problem("it is corrupt: a row group has a negative number of rows"))?;
            row_groups.push(rows);
        }
        let column_bytes = column_bytes(&metadata);
        let arrow = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            .map_err(parquet)?;
        Ok(Footer {
            path: path.to_owned(),
            bytes,
            modified: fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .map_err(io)?,
            row_groups,
            column_bytes,
            arrow: plain_schema(arrow.schema()),
            schema_text: arrow.schema().metadata().get(FOOTER_KEY).cloned(),
            hash: XxHash64::oneshot(0, &footer),
        })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.row_groups.iter().sum()
    }
}

fn column_bytes(metadata: &ParquetMetaData) -> Vec<(String, u64)> {
    let mut columns: Vec<(String, u64)> = Vec::new();
    for chunk in metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
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

/// The schema with [`plain_type`]s and without file-wide metadata.
pub(crate) fn plain_schema(schema: &ArrowSchema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| with_type(field, plain_type(field.data_type())));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The type of the values whatever their encoding in memory: texts are `Utf8`, dictionaries are
/// their values, lists have 32-bit offsets.
///
/// Files that hold the same values in other encodings are of one type.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    let plain_child = |child: &FieldRef| with_type(child, plain_type(child.data_type()));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child) => DataType::List(plain_child(child)),
        DataType::FixedSizeList(child, length) => {
            DataType::FixedSizeList(plain_child(child), *length)
        }
        DataType::Struct(children) => DataType::Struct(children.iter().map(plain_child).collect()),
        other => other.clone(),
    }
}

/// Whether two plain types hold the same values: names and nullability of list elements may
/// differ.
pub(crate) fn same_type(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::List(left), DataType::List(right)) => {
            same_type(left.data_type(), right.data_type())
        }
        (DataType::FixedSizeList(left, m), DataType::FixedSizeList(right, n)) => {
            m == n && same_type(left.data_type(), right.data_type())
        }
        (DataType::Struct(left), DataType::Struct(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    left.name() == right.name() && same_type(left.data_type(), right.data_type())
                })
        }
        _ => left == right,
    }
}

/// The field with another type.
pub(crate) fn with_type(field: &Field, data_type: DataType) -> FieldRef {
    Arc::new(field.clone().with_data_type(data_type))
}
