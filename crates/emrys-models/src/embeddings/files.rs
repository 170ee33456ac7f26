//! Weights and optimizer state in safetensors files.
//!
//! Files are keyed by table, not by group: tables may be grouped otherwise when they are read.
//! Neither writing nor reading holds a second copy of a table in memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, TensorView};
use serde::{Deserialize, Serialize};

use super::error::EmbeddingError;
use super::matrix::RowMatrix;
use super::tables::{EmbeddingTables, Table};
use super::update::State;
use crate::optimizers::SparseOptimizer;

const _: () = assert!(
    cfg!(target_endian = "little"),
    "tables are written as they lie in memory, and safetensors files are little-endian"
);

/// The key of the state's description in the file's metadata.
const STATE: &str = "emrys.embedding_state";

/// The newest version of the state's description.
const STATE_VERSION: u32 = 1;

/// What a state file says about its tensors.
#[derive(Debug, Serialize, Deserialize)]
struct StateDescription {
    version: u32,
    tables: BTreeMap<String, TableState>,
}

/// The optimizer whose state it is, and the steps that it took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct TableState {
    optimizer: SparseOptimizer,
    step: u64,
}

impl EmbeddingTables {
    /// Writes the weights of all tables: one tensor `embeddings.<table>`, `[rows, dim]`, for each.
    ///
    /// The file appears when it is whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_weights(&self, path: &Path) -> Result<(), EmbeddingError> {
        let tensors = self.tables.iter().map(|(name, table)| {
            let weights = &self.groups[table.group].weights;
            (weights_name(name), part_of(weights, table))
        });
        write(path, tensors.collect(), HashMap::new())
    }

    /// Reads the weights of all tables from a file that [`save_weights`](Self::save_weights) wrote.
    ///
    /// # Errors
    /// The file cannot be read; a table is not in it, or has another shape there.
    pub fn load_weights(&mut self, path: &Path) -> Result<(), EmbeddingError> {
        let mut file = WeightFile::open(path)?;
        for (name, table) in &self.tables {
            let weights = &mut self.groups[table.group].weights;
            file.read_into(&weights_name(name), table, weights)?;
        }
        Ok(())
    }

    /// Writes what the optimizers keep about the rows: one tensor `<table>.<what>` for each thing
    /// that is kept, and the optimizers' settings and steps as metadata.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_state(&self, path: &Path) -> Result<(), EmbeddingError> {
        let mut tensors = Vec::new();
        let mut tables = BTreeMap::new();
        for (name, table) in &self.tables {
            let group = &self.groups[table.group];
            if let Some(state) = &group.state {
                for (slot, matrix) in state.optimizer.slots(group.dim).iter().zip(&state.slots) {
                    tensors.push((format!("{name}.{}", slot.name), part_of(matrix, table)));
                }
                let State {
                    optimizer, step, ..
                } = *state;
                tables.insert(name.clone(), TableState { optimizer, step });
            }
        }
        let description = StateDescription {
            version: STATE_VERSION,
            tables,
        };
        let description =
            serde_json::to_string(&description).map_err(|error| EmbeddingError::Io {
                action: "write",
                path: path.to_owned(),
                source: error.into(),
            })?;
        write(
            path,
            tensors,
            HashMap::from([(STATE.to_owned(), description)]),
        )
    }

    /// Reads what [`save_state`](Self::save_state) wrote: training continues with the same bits.
    ///
    /// Rows that were never touched take no memory, also after this.
    ///
    /// # Errors
    /// The file cannot be read, is of a newer version, or does not fit the tables; too little
    /// memory.
    pub fn load_state(&mut self, path: &Path) -> Result<(), EmbeddingError> {
        let mut file = WeightFile::open(path)?;
        let description: StateDescription = file
            .metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| serde_json::from_str(metadata.get(STATE)?).ok())
            .ok_or_else(|| file.problem("it does not describe the state of an optimizer"))?;
        if description.version > STATE_VERSION {
            return Err(file.problem(format!(
                "it has version {}, this program reads up to {STATE_VERSION}; upgrade emrys to load it",
                description.version
            )));
        }
        self.reset_state();
        let mut found: Vec<Option<Option<TableState>>> = vec![None; self.groups.len()];
        for (name, table) in &self.tables {
            let group = &mut self.groups[table.group];
            let here = description.tables.get(name).copied();
            if *found[table.group].get_or_insert(here) != here {
                return Err(file.problem(format!(
                    "table `{name}` was trained apart from the others of its width; train it with an optimizer of its own"
                )));
            }
            let Some(TableState { optimizer, step }) = here else {
                continue;
            };
            if group.state.is_none() {
                group.state = Some(State {
                    step,
                    ..group.new_state(optimizer)?
                });
            }
            if let Some(state) = &mut group.state {
                for (slot, matrix) in optimizer.slots(group.dim).iter().zip(&mut state.slots) {
                    file.read_into(&format!("{name}.{}", slot.name), table, matrix)?;
                }
            }
        }
        Ok(())
    }
}

fn weights_name(table: &str) -> String {
    format!("embeddings.{table}")
}

/// A table's rows of a matrix, with their shape.
fn part_of<'a>(matrix: &'a RowMatrix, table: &Table) -> (Vec<usize>, &'a [u8]) {
    let rows = matrix.row_range(table.first_row, table.spec.rows);
    (
        vec![table.spec.rows, matrix.width()],
        bytemuck::cast_slice(rows),
    )
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> EmbeddingError {
    EmbeddingError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The name, shape and bytes of a tensor.
type NamedTensor<'a> = (String, (Vec<usize>, &'a [u8]));

/// Writes tensors; the file appears when it is whole.
fn write(
    path: &Path,
    tensors: Vec<NamedTensor<'_>>,
    metadata: HashMap<String, String>,
) -> Result<(), EmbeddingError> {
    let views = tensors.into_iter().map(|(name, (shape, bytes))| {
        TensorView::new(Dtype::F32, shape, bytes).map(|view| (name, view))
    });
    views
        .collect::<Result<Vec<_>, _>>()
        .and_then(|views| safetensors::serialize_to_file(views, Some(metadata), path))
        .map_err(|error| io_error("write", path, std::io::Error::other(error)))
}

/// A safetensors file that is read tensor by tensor.
struct WeightFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors begin.
    data_start: u64,
}

impl WeightFile {
    fn open(path: &Path) -> Result<Self, EmbeddingError> {
        let read_error = |error| io_error("read", path, error);
        let damaged = || EmbeddingError::File {
            path: path.to_owned(),
            problem: "it is not a safetensors file".to_owned(),
        };
        let mut file = File::open(path).map_err(read_error)?;
        let size = file.metadata().map_err(read_error)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| damaged())?;
        let length = u64::from_le_bytes(length);
        let data_start = length
            .checked_add(8)
            .filter(|start| *start <= size)
            .ok_or_else(damaged)?;
        let mut header = vec![0; usize::try_from(length).map_err(|_| damaged())?];
        file.read_exact(&mut header).map_err(read_error)?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|_| damaged())?;
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            data_start,
        })
    }

    fn problem(&self, problem: impl Into<String>) -> EmbeddingError {
        EmbeddingError::File {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    /// Reads a tensor into a table's rows of a matrix.
    fn read_into(
        &mut self,
        name: &str,
        table: &Table,
        matrix: &mut RowMatrix,
    ) -> Result<(), EmbeddingError> {
        let Some(info) = self.metadata.info(name) else {
            return Err(self.problem(format!("it has no `{name}`")));
        };
        let expected = [table.spec.rows, matrix.width()];
        if info.shape != expected || info.dtype != Dtype::F32 {
            let (dtype, shape) = (info.dtype, &info.shape);
            return Err(self.problem(format!(
                "`{name}` is {dtype:?} {shape:?} there, but F32 {expected:?} here; the rows are the domain's max + 1"
            )));
        }
        let start = self.data_start + info.data_offsets.0 as u64;
        let rows = matrix.row_range_mut(table.first_row, table.spec.rows);
        let read = self
            .file
            .seek(SeekFrom::Start(start))
            .and_then(|_| read_nonzero(&mut self.file, bytemuck::cast_slice_mut(rows)));
        read.map_err(|error| io_error("read", &self.path, error))
    }
}

/// Reads as many bytes as `target` has, but does not write zeros over zeros: pages of the target
/// that were never written to go on taking no memory.
fn read_nonzero(file: &mut File, target: &mut [u8]) -> std::io::Result<()> {
    let mut buffer = vec![0; target.len().min(1 << 20)];
    for part in target.chunks_mut(1 << 20) {
        let bytes = &mut buffer[..part.len()];
        file.read_exact(bytes)?;
        if *bytes != *part {
            part.copy_from_slice(bytes);
        }
    }
    Ok(())
}
