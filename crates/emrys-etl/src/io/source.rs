//! Where the rows of a data set are.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::ScalarValue;

use super::formats::Scan;
use super::generated::RowGenerator;
use super::object::Object;
use super::ranges::FileRows;
use super::remote::RemoteStore;

#[derive(Debug)]
pub(crate) enum Source {
    Files(Files),
    Memory(Vec<RecordBatch>),
    Generated(Arc<dyn RowGenerator>),
}

/// Files of one format with the same columns.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) files: Vec<SourceFile>,
    /// The same files, as they are shown to users.
    pub(crate) described: Vec<DataFile>,
    pub(crate) scan: Scan,
    /// How the bytes are read, where they do not say it themselves.
    pub(crate) reading: String,
    /// The columns that folders name, with their plain types; they stand after those of the
    /// files.
    pub(crate) hive: Vec<FieldRef>,
}

impl Files {
    /// The store of all files; none for local files.
    pub(crate) fn store(&self) -> Option<&Arc<RemoteStore>> {
        self.files
            .first()
            .and_then(|file| file.object.store.as_ref())
    }
}

/// A file and what opening it has told.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) object: Object,
    /// The rows of each row group, or of each piece at whose beginning reading can start.
    pub(crate) row_groups: Vec<u64>,
    /// Into how many pieces a row group may be cut.
    pub(crate) pieces: u64,
    /// The columns of the file, with their plain types.
    pub(crate) arrow: SchemaRef,
    /// The text of the Emrys schema, if the file carries one.
    pub(crate) schema_text: Option<String>,
    /// A number that is the same for the same content; if there is none, the content must be read
    /// for it.
    pub(crate) hash: Option<u64>,
    /// How many compressed bytes each column of a parquet file has, those of nested columns
    /// together.
    pub(crate) column_bytes: Option<Vec<(String, u64)>>,
    /// What its folders say, a value for each hive column.
    pub(crate) hive: Vec<ScalarValue>,
}

impl SourceFile {
    pub(crate) fn rows(&self) -> u64 {
        self.row_groups.iter().sum()
    }

    pub(crate) fn file_rows(&self) -> FileRows {
        FileRows {
            row_groups: self.row_groups.clone(),
            pieces: self.pieces,
        }
    }

    /// The compressed bytes of some columns, if the format tells them.
    pub(crate) fn compressed_bytes(&self, columns: &[&str]) -> Option<u64> {
        let all = self.column_bytes.as_ref()?.iter();
        let asked = all.filter(|(name, _)| columns.contains(&name.as_str()));
        Some(asked.map(|(_, bytes)| bytes).sum())
    }

    pub(crate) fn describe(&self) -> DataFile {
        DataFile {
            path: self.object.path.clone(),
            bytes: self.object.bytes(),
            rows: self.rows(),
            row_groups: self.row_groups.clone(),
        }
    }
}

/// A file of a [`Dataset`](super::Dataset).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is: a path, or a URL.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How many rows it has.
    pub rows: u64,
    /// How many rows each of its row groups has; of other formats than parquet, each of the pieces
    /// at whose beginning reading can start.
    pub row_groups: Vec<u64>,
}
